"""The matching core with and without accounts, beside two engines that are given the same orders.

Every engine is a fresh process. All must come to the same trades, or there is no result.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib.util import find_spec

from bench import children, rounds
from bench.machine import this_machine
from bench.matching_engines import ENGINES, Matched, Work
from bench.matching_flow import DISTANCES
from bench.options import Options
from bench.result import Result

__all__ = ["measure"]

OPERATIONS = 100_000
TIMEOUT_S = 120.0
OURS = ("book", "exchange", "accounts")
THEIRS = ("lightmatchingengine", "bourse")
#: What ours should reach of theirs.
TARGETS = {("accounts", "lightmatchingengine"): 1.5, ("book", "bourse"): 0.4}


def measure(options: Options) -> Result:
    """Give the flow of each depth to all engines, in turns. A peer that is not installed is left out."""
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    targets: dict[str, bool] = {}
    engines = {name: name for name in ENGINES if name in OURS or find_spec(name) is not None}
    for resting_orders in DISTANCES:
        operations = options.messages or OPERATIONS
        readings = rounds.interleave(engines, partial(_play, operations, resting_orders), options.runs)
        _agree(readings)
        for name, taken in readings.items():
            figures[f"resting_{resting_orders}_{name}_orders_per_cpu_second"] = rounds.median_of(
                taken, lambda one: one.per_cpu_second
            )
        figures[f"resting_{resting_orders}_trades"] = float(readings[OURS[0]][0].trades)
        for our in OURS:
            for their in filter(engines.__contains__, THEIRS):
                name = f"resting_{resting_orders}_{our}_to_{their}"
                ratios[name] = rounds.median_ratio(readings[our], readings[their], lambda one: one.per_cpu_second)
                least = TARGETS.get((our, their))
                if least is not None:
                    targets[f"{name} >= {least}"] = ratios[name] >= least
    return Result(name="matching", figures=figures, ratios=ratios, targets=targets, machine=this_machine())


def _play(operations: int, resting_orders: int, name: str, engine: str) -> Matched:
    if sys.stderr.isatty():
        print(f"matching: {resting_orders} resting, {name} …", file=sys.stderr)
    work = Work(engine=engine, resting_orders=resting_orders, operations=operations)
    return children.run("bench.matching_engines", work, Matched, timeout_s=TIMEOUT_S)


def _agree(readings: dict[str, list[Matched]]) -> None:
    ours = readings[OURS[0]][0]
    for name, taken in readings.items():
        if any(one.digest != ours.digest for one in taken):
            raise children.ChildError(f"{name} came to other trades than {OURS[0]}")
