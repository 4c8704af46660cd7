"""5,000 subscriptions at once on one connection: how long it takes, and what others feel of it."""

from __future__ import annotations

from statistics import median

from bench import children
from bench.books_server import Books, Serving
from bench.join_load import JoinLoad, JoinReading
from bench.machine import this_machine
from bench.options import Options
from bench.result import Result
from tapewire.protocol.limits import SUBSCRIPTIONS_PER_CONNECTION_MAX

__all__ = ["measure"]

#: Books that move every 10 ms, for the session that watches.
LIVE = 10
WATCH_S = 3.0
TIMEOUT_S = 90.0
JOIN_MS_MAX = 2_000
P99_GROWTH_MAX = 2.0


def measure(options: Options) -> Result:
    """Join once a round, each time at a fresh gateway."""
    asked = min(options.messages or SUBSCRIPTIONS_PER_CONNECTION_MAX, SUBSCRIPTIONS_PER_CONNECTION_MAX)
    watch_s = WATCH_S if options.messages is None else 0.5
    readings = [_join(asked, watch_s) for _ in range(options.runs)]
    figures = {
        "subscriptions": float(asked),
        "answers_least": float(min(reading.answers for reading in readings)),
        "snapshots_least": float(min(reading.snapshots for reading in readings)),
        "join_ms": 1000 * median(reading.join_s for reading in readings),
        "join_worst_ms": 1000 * max(reading.join_s for reading in readings),
        "others_p99_before_us": 1e6 * median(reading.p99_before_s for reading in readings),
        "others_p99_during_us": 1e6 * median(reading.p99_during_s for reading in readings),
        "others_max_during_us": 1e6 * max(reading.max_during_s for reading in readings),
        "others_samples_during": median(reading.samples_during for reading in readings),
        "cut_sessions": float(sum(reading.is_cut for reading in readings)),
    }
    growth = median(
        reading.p99_during_s / reading.p99_before_s if reading.p99_before_s else 0.0 for reading in readings
    )
    is_whole = all(reading.answers == asked and reading.snapshots == asked for reading in readings)
    targets = {
        "all are answered and have a snapshot": is_whole,
        f"join_ms <= {JOIN_MS_MAX}": is_whole and figures["join_ms"] <= JOIN_MS_MAX,
        f"others_p99_during_to_before <= {P99_GROWTH_MAX:g}": growth <= P99_GROWTH_MAX,
        "cut_sessions == 0": figures["cut_sessions"] == 0,
    }
    return Result(
        name="join",
        figures=figures,
        ratios={"others_p99_during_to_before": growth},
        targets=targets,
        machine=this_machine(),
    )


def _join(subscriptions: int, watch_s: float) -> JoinReading:
    with children.serving("bench.books_server", Books(instruments=LIVE + subscriptions, live=LIVE), Serving) as up:
        load = JoinLoad(serving=up, subscriptions=subscriptions, live=LIVE, watch_s=watch_s)
        return children.run("bench.join_load", load, JoinReading, timeout_s=TIMEOUT_S)
