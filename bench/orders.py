"""From ``create:limit`` to its 200 over a real socket, journal and disk included, beside a bare synced append."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec

from bench import children, rounds
from bench.join_load import percentile
from bench.journal import IN_FLIGHT, PLACE, RECORD_BYTES
from bench.machine import this_machine
from bench.options import Options
from bench.orders_load import OrdersLoad, OrdersReading
from bench.orders_server import Desk, Served
from bench.result import Result

__all__ = ["measure"]

#: Bare appends, and orders one by one; with more in flight as many times more.
SYNCS = 300
TIMEOUT_S = 180.0
ONE_TO_BARE_MAX = 4.0
MANY_TO_ONE_MIN = 5.0
MANY_RECORDS_PER_SYNC_MIN = 16.0
ONE, MANY = min(IN_FLIGHT), max(IN_FLIGHT)


class Bare(msgspec.Struct, frozen=True):
    """Appends of a plain file, each with its sync."""

    appends: int
    seconds: float
    p50_s: float
    p99_s: float


def measure(options: Options) -> Result:
    """Take turns between the bare append and orders. ``--messages`` are syncs, and orders one by one."""
    syncs = options.messages or SYNCS
    bare: list[Bare] = []
    readings: dict[int, list[OrdersReading]] = {in_flight: [] for in_flight in IN_FLIGHT}
    with tempfile.TemporaryDirectory(prefix=".bench-orders-", dir=PLACE) as folder:
        data = Path(folder) / "data"
        with children.serving("bench.orders_server", Desk(data=str(data)), Served) as served:
            for number in range(options.runs):
                bare.append(_bare(Path(folder) / f"bare-{number}", syncs))
                for in_flight, taken in readings.items():
                    taken.append(_order(served, syncs, number, in_flight))
    figures = {
        "bare_synced_appends_per_second": rounds.median_of(bare, lambda one: one.appends / one.seconds),
        "bare_p50_us": rounds.median_of(bare, lambda one: 1e6 * one.p50_s),
        "bare_p99_us": rounds.median_of(bare, lambda one: 1e6 * one.p99_s),
    }
    for in_flight, taken in readings.items():
        name = f"in_flight_{in_flight}"
        figures[f"{name}_orders_per_second"] = rounds.median_of(taken, lambda one: one.per_second)
        figures[f"{name}_p50_us"] = rounds.median_of(taken, lambda one: 1e6 * one.p50_s)
        figures[f"{name}_p99_us"] = rounds.median_of(taken, lambda one: 1e6 * one.p99_s)
        if all(one.syncs for one in taken):
            figures[f"{name}_records_per_sync"] = rounds.median_of(taken, lambda one: one.records / one.syncs)
    to_bare = median(one.p50_s / other.p50_s for one, other in zip(readings[ONE], bare, strict=True))
    to_one = rounds.median_ratio(readings[MANY], readings[ONE], lambda one: one.per_second)
    records = f"in_flight_{MANY}_records_per_sync"
    targets = {
        f"in_flight_{ONE}_p50_to_bare <= {ONE_TO_BARE_MAX:g}": to_bare <= ONE_TO_BARE_MAX,
        f"in_flight_{MANY}_to_{ONE} >= {MANY_TO_ONE_MIN:g}": to_one >= MANY_TO_ONE_MIN,
    }
    if records in figures:
        targets[f"{records} >= {MANY_RECORDS_PER_SYNC_MIN:g}"] = figures[records] >= MANY_RECORDS_PER_SYNC_MIN
    ratios = {f"in_flight_{ONE}_p50_to_bare": to_bare, f"in_flight_{MANY}_to_{ONE}": to_one}
    return Result(name="orders", figures=figures, ratios=ratios, targets=targets, machine=this_machine())


def _order(served: Served, syncs: int, number: int, in_flight: int) -> OrdersReading:
    if sys.stderr.isatty():
        print(f"orders: {in_flight} in flight …", file=sys.stderr)
    load = OrdersLoad(
        served=served, in_flight=in_flight, orders=syncs * in_flight, name=f"run-{number}-{in_flight}"
    )
    return children.run("bench.orders_load", load, OrdersReading, timeout_s=TIMEOUT_S)


def _bare(file: Path, syncs: int) -> Bare:
    """Append to a plain file and sync each time: the limit of this disk."""
    record = bytes(RECORD_BYTES)
    took = []
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        began = time.perf_counter()
        for _ in range(syncs):
            appending = time.perf_counter()
            os.write(descriptor, record)
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - appending)
        seconds = time.perf_counter() - began
    finally:
        os.close(descriptor)
    return Bare(syncs, seconds, percentile(took, 0.5), percentile(took, 0.99))
