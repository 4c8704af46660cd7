"""tapewire, consumed by callbacks: a plain function for each stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import tapewire
from bench.receivers.load import Load, Meter, Reading, receive
from bench.receivers.tapewire_client import LOSSLESS
from tapewire import Broker, CallbackEndedEvent, Endpoints, Format


async def _receive(load: Load, meter: Meter) -> Reading:
    endpoints = Endpoints(ws=load.url, cws="", http="", oauth=load.oauth)
    async with tapewire.connect(endpoints=endpoints, refresh_token="bench") as broker:
        events = aiter(broker.events)
        counts = Counter(dict.fromkeys(range(load.streams), 0))
        meter.start()
        for number in range(load.streams):
            _call(broker, load, number, _counter(counts, number))
        ended = 0
        while ended < load.streams:
            ended += isinstance(await anext(events), CallbackEndedEvent)
        return meter.stop(load, counts.values())


def _call(broker: Broker, load: Load, number: int, function: Callable[[Any], None]) -> None:
    """Have a function called with all records of one stream of a load."""
    symbol = f"BENCH{number}"
    if load.kind == "quotes":
        broker.on_quotes(symbol, format=Format.SLIM, buffer=LOSSLESS)(function)
    elif load.kind == "trades":
        broker.on_trades(symbol, buffer=LOSSLESS)(function)
    else:
        broker.on_book(symbol, depth=20, buffer=LOSSLESS)(function)


def _counter(counts: Counter[int], number: int) -> Callable[[Any], None]:
    def count(record: object) -> None:
        counts[number] += 1

    return count


if __name__ == "__main__":
    receive(_receive)
