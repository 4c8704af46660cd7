"""One market to 200 sessions with guids of their own, beside other ways of sending the same."""

from __future__ import annotations

import sys
from functools import partial

from bench import children, rounds
from bench.fanout_load import FanoutLoad, FanoutReading
from bench.fanout_server import Candidate, FanoutServing, Market, Work
from bench.machine import this_machine
from bench.options import Options
from bench.result import Result

__all__ = ["measure"]

SESSIONS = 200
SECONDS = 3.0
TIMEOUT_S = 120.0
#: Events a second, and who can bear them.
RATES: dict[int, tuple[Candidate, ...]] = {
    500: ("gateway", "picows", "websockets", "websockets_broadcast"),
    2_000: ("gateway", "picows", "websockets_broadcast"),
    10_000: ("gateway",),
}
COMPARED_RATE = 2_000
CPU_TO_PICOWS_MAX = 0.5
P99_US_MAX = 10_000
FULL_RATE = 10_000
PER_CPU_SECOND_MIN = 1_000_000


def measure(options: Options) -> Result:
    """Play every rate to everybody who can bear it, in turns."""
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    for rate, candidates in RATES.items():
        work = Work(events=options.messages or int(rate * SECONDS), events_per_second=rate)
        readings = rounds.interleave(
            {candidate: candidate for candidate in candidates}, partial(_measure, work), options.runs
        )
        for candidate, taken in readings.items():
            name = f"{rate}_{candidate}"
            figures[f"{name}_cpu_ns_per_delivery"] = rounds.median_of(taken, _cpu_ns)
            figures[f"{name}_deliveries_per_cpu_second"] = rounds.median_of(taken, _per_cpu_second)
            figures[f"{name}_deliveries"] = rounds.median_of(taken, lambda reading: reading.deliveries)
            figures[f"{name}_p50_us"] = rounds.median_of(taken, lambda reading: 1e6 * reading.p50_s)
            figures[f"{name}_p99_us"] = rounds.median_of(taken, lambda reading: 1e6 * reading.p99_s)
            figures[f"{name}_trades_p99_us"] = rounds.median_of(taken, lambda reading: 1e6 * reading.trades_p99_s)
            figures[f"{name}_books_p99_us"] = rounds.median_of(taken, lambda reading: 1e6 * reading.books_p99_s)
            figures[f"{name}_cpu_in_kernel_percent"] = rounds.median_of(
                taken, lambda reading: 100 * reading.system_seconds / max(reading.cpu_seconds, 0.01)
            )
            figures[f"{name}_deliveries_per_read"] = rounds.median_of(
                taken, lambda reading: reading.deliveries / max(reading.reads, 1)
            )
            figures[f"{name}_load_cpu_percent"] = rounds.median_of(taken, _load_percent)
            figures[f"{name}_cut_sessions"] = float(sum(reading.cuts for reading in taken))
            if candidate != "gateway":
                ratios[f"{rate}_cpu_gateway_to_{candidate}"] = rounds.median_ratio(
                    readings["gateway"], taken, _cpu_ns
                )
    compared = f"{COMPARED_RATE}_cpu_gateway_to_picows"
    p99 = f"{COMPARED_RATE}_gateway_p99_us"
    cuts = f"{FULL_RATE}_gateway_cut_sessions"
    efficiency = f"{FULL_RATE}_gateway_deliveries_per_cpu_second"
    targets = {
        f"{compared} <= {CPU_TO_PICOWS_MAX}": ratios[compared] <= CPU_TO_PICOWS_MAX,
        f"{p99} <= {P99_US_MAX}": figures[p99] <= P99_US_MAX,
        f"{cuts} == 0": figures[cuts] == 0,
        f"{efficiency} >= {PER_CPU_SECOND_MIN}": figures[efficiency] >= PER_CPU_SECOND_MIN,
    }
    return Result(name="fanout", figures=figures, ratios=ratios, targets=targets, machine=this_machine())


def _measure(work: Work, name: str, candidate: Candidate) -> FanoutReading:
    if sys.stderr.isatty():
        print(f"fanout: {work.events_per_second:g}/s, {name} …", file=sys.stderr)
    market = Market(candidate=candidate, sessions=SESSIONS)
    with children.serving("bench.fanout_server", market, FanoutServing) as serving:
        load = FanoutLoad(serving=serving, sessions=SESSIONS, work=work)
        return children.run("bench.fanout_load", load, FanoutReading, timeout_s=TIMEOUT_S)


def _cpu_ns(reading: FanoutReading) -> float:
    return 1e9 * reading.cpu_seconds / max(reading.deliveries, 1)


def _per_cpu_second(reading: FanoutReading) -> float:
    return reading.deliveries / max(reading.cpu_seconds, 0.01)


def _load_percent(reading: FanoutReading) -> float:
    return 100 * reading.load_cpu_seconds / reading.wall_seconds
