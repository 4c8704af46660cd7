"""What ``import tapewire`` costs, beside importing the libraries that it stands on."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from tempfile import TemporaryDirectory

import msgspec

from bench import rounds
from bench.children import ROOT, ChildError
from bench.machine import this_machine
from bench.options import Options
from bench.result import Result

__all__ = ["measure"]

CANDIDATES = {"tapewire": "import tapewire", "libraries": "import picows, uvloop, msgspec"}
#: Imports a round: one takes a tenth of a second, and the median of few would be noise.
IMPORTS = 5
TIMEOUT_S = 60.0
TIME_RATIO_MAX = 1.5
MORE_MIB_MAX = 8.0

_PROGRAM = """
import os, time
cpu, wall = time.process_time(), time.perf_counter()
{statement}
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
with open("/proc/self/statm") as pages:
    resident = int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
print('{{"cpu_seconds": %f, "wall_seconds": %f, "resident_bytes": %d}}' % (cpu, wall, resident))
"""


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """One import in a fresh process, with its compiled files in place."""

    cpu_seconds: float
    wall_seconds: float
    resident_bytes: int


def measure(options: Options) -> Result:
    """Import both in turns; the first of each, which compiles, does not count."""
    with TemporaryDirectory() as compiled:
        import_it = partial(_import, compiled)
        rounds.interleave(CANDIDATES, import_it, 1)
        readings = rounds.interleave(CANDIDATES, import_it, IMPORTS * options.runs)
    figures = {}
    for name, taken in readings.items():
        figures[f"{name}_cpu_ms"] = 1000 * rounds.median_of(taken, lambda reading: reading.cpu_seconds)
        figures[f"{name}_wall_ms"] = 1000 * rounds.median_of(taken, lambda reading: reading.wall_seconds)
        figures[f"{name}_resident_mib"] = rounds.median_of(taken, _resident_mib)
    more_mib = figures["tapewire_resident_mib"] - figures["libraries_resident_mib"]
    figures["tapewire_more_resident_mib"] = more_mib
    ours, theirs = readings["tapewire"], readings["libraries"]
    ratio = rounds.median_ratio(ours, theirs, lambda reading: reading.cpu_seconds)
    return Result(
        name="footprint",
        figures=figures,
        ratios={"cpu_time_to_libraries": ratio},
        targets={
            f"cpu_time_to_libraries <= {TIME_RATIO_MAX:g}": ratio <= TIME_RATIO_MAX,
            f"tapewire_more_resident_mib <= {MORE_MIB_MAX:g}": more_mib <= MORE_MIB_MAX,
        },
        machine=this_machine(),
    )


def _import(compiled: str, name: str, statement: str) -> Footprint:
    program = _PROGRAM.format(statement=statement)
    # Some machines keep no compiled files; whoever has installed a package has them.
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise ChildError(f"{statement} failed: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return msgspec.json.decode(done.stdout, type=Footprint)


def _resident_mib(reading: Footprint) -> float:
    return reading.resident_bytes / 2**20
