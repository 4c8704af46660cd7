"""The client from the socket to the typed record, beside its peers and beside the bare limit.

Every receiver is a fresh process with uvloop that subscribes, decodes all that a blaster sends and counts it.
``bare`` is what the parts can do without a client around them: frames from picows, decoded into types at once,
delivered to nobody.
"""

from __future__ import annotations

import sys
from functools import partial
from itertools import product

from bench import children, rounds
from bench.blaster import Addresses
from bench.machine import this_machine
from bench.messages import Kind, mean_bytes
from bench.options import Options
from bench.receivers.load import Load, Reading
from bench.receivers.tapewire_slow import SlowReading
from bench.result import Result

__all__ = ["measure"]

#: Messages a measurement: about a second of work for the fast ones.
MESSAGES: dict[Kind, int] = {"books": 100_000, "quotes": 200_000, "trades": 400_000}
#: Subscriptions on the connection; their messages take turns.
STREAMS = 10
#: Conflating books of so many instruments for a program that takes one message of ten.
SLOW_STREAMS = 1_000
SLOW_MESSAGES = 1_500_000
SLOW_MIN = 600_000
GROWN_MIB_MAX = 8
TIMEOUT_S = 120.0

#: A way to consume is a module and a line here.
LOSSLESS = {
    "tapewire_batches": "bench.receivers.tapewire_batches",
    "tapewire_iterator": "bench.receivers.tapewire_iterator",
    "tapewire_callbacks": "bench.receivers.tapewire_callbacks",
}
CONFLATING = {"tapewire_conflating": "bench.receivers.tapewire_conflating"}
OURS: dict[Kind, dict[str, str]] = {
    "books": LOSSLESS | CONFLATING,
    "quotes": LOSSLESS | CONFLATING,
    "trades": LOSSLESS,
}
THEIRS = {
    "bare": "bench.receivers.bare",
    "bare_records": "bench.receivers.bare_records",
    "alorpy_way": "bench.receivers.alorpy_way",
    "websockets_json": "bench.receivers.websockets_json",
    "aiohttp_orjson": "bench.receivers.aiohttp_orjson",
}
#: Kind, ours, theirs, and how many times their messages a CPU second should be ours.
TARGETS: tuple[tuple[Kind, str, str, float], ...] = (
    ("books", "tapewire_batches", "bare", 0.9),
    ("books", "tapewire_iterator", "bare", 0.8),
    ("trades", "tapewire_batches", "bare", 0.8),
    ("trades", "tapewire_iterator", "bare", 0.6),
    ("books", "tapewire_batches", "alorpy_way", 5),
)


def measure(options: Options) -> Result:
    """Receive each kind of messages with every receiver, in turns."""
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    with children.serving("bench.blaster", None, Addresses) as blaster:
        for kind, messages in MESSAGES.items():
            load = Load(
                ws=blaster.ws,
                oauth=blaster.oauth,
                kind=kind,
                streams=STREAMS,
                messages=max(options.messages or messages, STREAMS),
            )
            readings = rounds.interleave(OURS[kind] | THEIRS, partial(_receive, load), options.runs)
            for name, taken in readings.items():
                figures[f"{kind}_{name}_messages_per_cpu_second"] = rounds.median_of(taken, _per_cpu_second)
                figures[f"{kind}_{name}_messages_per_second"] = rounds.median_of(taken, _per_second)
            figures[f"{kind}_message_bytes"] = mean_bytes(kind)
            for our, their in product(OURS[kind], THEIRS):
                ratio = rounds.median_ratio(readings[our], readings[their], _per_cpu_second)
                ratios[_ratio(kind, our, their)] = ratio
        slow = _absorb(blaster, options)
    figures |= {
        "slow_streams": float(SLOW_STREAMS),
        "slow_message_bytes": mean_bytes("narrow_books"),
        "slow_messages_per_cpu_second": rounds.median_of(slow, _per_cpu_second),
        "slow_messages_per_second": rounds.median_of(slow, _per_second),
        "slow_taken_of_all": rounds.median_of(slow, lambda reading: reading.taken / reading.messages),
        "slow_grown_mib_most": max(reading.grown_bytes for reading in slow) / 2**20,
    }
    targets = {
        f"{_ratio(kind, our, their)} >= {least:g}": ratios[_ratio(kind, our, their)] >= least
        for kind, our, their, least in TARGETS
    }
    targets[f"slow_messages_per_cpu_second >= {SLOW_MIN:,}"] = figures["slow_messages_per_cpu_second"] >= SLOW_MIN
    targets[f"slow_grown_mib_most <= {GROWN_MIB_MAX}"] = figures["slow_grown_mib_most"] <= GROWN_MIB_MAX
    return Result(name="receive", figures=figures, ratios=ratios, targets=targets, machine=this_machine())


def _absorb(blaster: Addresses, options: Options) -> list[SlowReading]:
    load = Load(
        ws=blaster.ws,
        oauth=blaster.oauth,
        kind="narrow_books",
        streams=SLOW_STREAMS,
        messages=max(options.messages or SLOW_MESSAGES, 2 * SLOW_STREAMS),
    )
    module = "bench.receivers.tapewire_slow"
    return [children.run(module, load, SlowReading, timeout_s=TIMEOUT_S) for _ in range(options.runs)]


def _receive(load: Load, name: str, module: str) -> Reading:
    if sys.stderr.isatty():
        print(f"receive: {load.kind}, {name} …", file=sys.stderr)
    return children.run(module, load, Reading, timeout_s=TIMEOUT_S)


def _ratio(kind: Kind, our: str, their: str) -> str:
    return f"{kind}_{our}_to_{their}"


def _per_cpu_second(reading: Reading | SlowReading) -> float:
    return reading.messages / reading.cpu_seconds


def _per_second(reading: Reading | SlowReading) -> float:
    return reading.messages / reading.wall_seconds
