"""Thousands of streams after a cut: how long until all flow again, how hard the broker is asked, what was lost.

The broker is a cheap one in a process of its own that answers after 50 ms. All connections are cut at once and may
be opened again at once; what the client waits before it tries is in the time.
"""

from __future__ import annotations

from statistics import median

from bench import children
from bench.machine import this_machine
from bench.options import Options
from bench.restore_load import RestoreLoad, RestoreReading
from bench.restore_server import Brokerage
from bench.result import Result
from tapewire.client.planner import DATA_LINKS_MAX
from tapewire.protocol.limits import SUBSCRIPTIONS_PER_CONNECTION_MAX

__all__ = ["measure"]

SIZES = (SUBSCRIPTIONS_PER_CONNECTION_MAX, DATA_LINKS_MAX * SUBSCRIPTIONS_PER_CONNECTION_MAX)
TIMEOUT_S = 90.0
RESTORE_S_MAX = 5.0


def measure(options: Options) -> Result:
    """Cut each size once a round, at a fresh broker."""
    figures: dict[str, float] = {}
    targets: dict[str, bool] = {}
    for size in SIZES:
        streams = max(size // SIZES[0] * min(options.messages, SIZES[0]), 2) if options.messages else size
        readings = [_restore(streams) for _ in range(options.runs)]
        name = f"of_{size}"
        figures |= {
            f"{name}_streams": float(streams),
            f"{name}_connections": median(reading.connections for reading in readings),
            f"{name}_open_s": median(reading.open_s for reading in readings),
            f"{name}_restore_s": median(reading.restore_s for reading in readings),
            f"{name}_restore_worst_s": max(reading.restore_s for reading in readings),
            f"{name}_cpu_s": median(reading.cpu_seconds for reading in readings),
            f"{name}_unanswered_most": float(max(reading.unanswered_max for reading in readings)),
            f"{name}_requests_in_100_ms_most": float(max(reading.burst_max for reading in readings)),
            f"{name}_without_state": float(sum(reading.without_state for reading in readings)),
            f"{name}_gaps_filled": median(reading.gaps_filled for reading in readings),
            f"{name}_gaps_left": median(reading.gaps_left for reading in readings),
            f"{name}_trades_lost_silently": float(sum(reading.lost_silently for reading in readings)),
            f"{name}_trades_repeated": float(sum(reading.repeated for reading in readings)),
        }
        targets[f"{name}: nothing lost that the ledger does not show"] = not any(
            reading.lost_silently or reading.without_state for reading in readings
        )
    worst_s = figures[f"of_{SIZES[0]}_restore_worst_s"]
    targets[f"of_{SIZES[0]}_restore_worst_s <= {RESTORE_S_MAX:g}"] = worst_s <= RESTORE_S_MAX
    return Result(name="restore", figures=figures, ratios={}, targets=targets, machine=this_machine())


def _restore(streams: int) -> RestoreReading:
    with children.serving("bench.restore_server", None, Brokerage) as brokerage:
        load = RestoreLoad(brokerage=brokerage, streams=streams)
        return children.run("bench.restore_load", load, RestoreReading, timeout_s=TIMEOUT_S)
