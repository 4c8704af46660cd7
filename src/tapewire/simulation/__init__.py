"""The world, simulated: time, network, disk, venue and HTTP that fail on demand and repeat by seed.

For tests of tapewire and of programs built on it; nothing else in tapewire imports this package.
"""

from tapewire.simulation.archive import SimulatedArchive
from tapewire.simulation.connection import CLOSE_WAIT_S, ConnectionEnd, SimulatedConnection
from tapewire.simulation.disk import SimulatedDisk, SimulatedJournalFile, SimulatedSnapshots
from tapewire.simulation.http import HttpAddress, HttpRequest, SimulatedHttp
from tapewire.simulation.journal import LoopShell
from tapewire.simulation.link import Link, LinkConditions
from tapewire.simulation.loop import (
    START,
    START_NS,
    DeadlockError,
    LeakedTasksError,
    RealWorldError,
    RunLimitError,
    SimulationError,
    UnhandledError,
    VirtualClock,
    VirtualTimeLoop,
    run_virtual,
)
from tapewire.simulation.network import Address, Network, NetworkConnector
from tapewire.simulation.system import SimulatedSystem
from tapewire.simulation.venue import ScriptedVenue

__all__ = [
    "CLOSE_WAIT_S",
    "START",
    "START_NS",
    "Address",
    "ConnectionEnd",
    "DeadlockError",
    "HttpAddress",
    "HttpRequest",
    "LeakedTasksError",
    "Link",
    "LinkConditions",
    "LoopShell",
    "Network",
    "NetworkConnector",
    "RealWorldError",
    "RunLimitError",
    "ScriptedVenue",
    "SimulatedArchive",
    "SimulatedConnection",
    "SimulatedDisk",
    "SimulatedHttp",
    "SimulatedJournalFile",
    "SimulatedSnapshots",
    "SimulatedSystem",
    "SimulationError",
    "UnhandledError",
    "VirtualClock",
    "VirtualTimeLoop",
    "run_virtual",
]
