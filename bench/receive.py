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
from bench.result import Result

__all__ = ["measure"]

#: Messages a measurement: about a second of work for the fast ones.
MESSAGES: dict[Kind, int] = {"books": 100_000, "trades": 400_000}
#: Subscriptions on the connection; their messages take turns.
STREAMS = 10
TIMEOUT_S = 120.0

OURS = {
    "tapewire_batches": "bench.receivers.tapewire_batches",
    "tapewire_iterator": "bench.receivers.tapewire_iterator",
}
THEIRS = {
    "bare": "bench.receivers.bare",
    "bare_records": "bench.receivers.bare_records",
    "websockets_json": "bench.receivers.websockets_json",
    "aiohttp_orjson": "bench.receivers.aiohttp_orjson",
}
#: What tapewire should reach of the bare limit.
TARGETS: dict[tuple[Kind, str], float] = {
    ("books", "tapewire_batches"): 0.9,
    ("books", "tapewire_iterator"): 0.8,
    ("trades", "tapewire_batches"): 0.8,
    ("trades", "tapewire_iterator"): 0.6,
}


def measure(options: Options) -> Result:
    """Receive both kinds of messages with every receiver, in turns."""
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
            readings = rounds.interleave(OURS | THEIRS, partial(_receive, load), options.runs)
            for name, taken in readings.items():
                figures[f"{kind}_{name}_messages_per_cpu_second"] = rounds.median_of(taken, _per_cpu_second)
                figures[f"{kind}_{name}_messages_per_second"] = rounds.median_of(taken, _per_second)
            figures[f"{kind}_message_bytes"] = mean_bytes(kind)
            for our, their in product(OURS, THEIRS):
                ratio = rounds.median_ratio(readings[our], readings[their], _per_cpu_second)
                ratios[_ratio(kind, our, their)] = ratio
    targets = {
        f"{_ratio(kind, our, 'bare')} >= {least}": ratios[_ratio(kind, our, "bare")] >= least
        for (kind, our), least in TARGETS.items()
    }
    return Result(name="receive", figures=figures, ratios=ratios, targets=targets, machine=this_machine())


def _receive(load: Load, name: str, module: str) -> Reading:
    if sys.stderr.isatty():
        print(f"receive: {load.kind}, {name} …", file=sys.stderr)
    return children.run(module, load, Reading, timeout_s=TIMEOUT_S)


def _ratio(kind: Kind, our: str, their: str) -> str:
    return f"{kind}_{our}_to_{their}"


def _per_cpu_second(reading: Reading) -> float:
    return reading.messages / reading.cpu_seconds


def _per_second(reading: Reading) -> float:
    return reading.messages / reading.wall_seconds
