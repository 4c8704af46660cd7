"""tapewire as a program uses it: connected by its front door, streams that lose nothing, a task a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import tapewire
from bench.receivers.load import Load, Meter, Reading
from tapewire import Book, Endpoints, Fail, RefusedError, Subscription, Trade

__all__ = ["Consumer", "receive_with", "until_the_end"]

Stream = Subscription[Book] | Subscription[Trade]
#: Takes all records of a stream and returns their number.
Consumer = Callable[[Stream], Awaitable[int]]

#: The blaster takes each stream back behind its last message.
until_the_end = suppress(RefusedError)


async def receive_with(consume: Consumer, load: Load, meter: Meter) -> Reading:
    """Open all streams and let each be consumed to its end."""
    endpoints = Endpoints(ws=load.url, cws="", http="", oauth=load.oauth)
    async with (
        tapewire.connect(endpoints=endpoints, refresh_token="bench") as broker,
        AsyncExitStack() as opened,
    ):
        meter.start()
        streams: list[Stream] = []
        for number in range(load.streams):
            symbol = f"BENCH{number}"
            stream = (
                broker.book(symbol, depth=20, buffer=Fail())
                if load.kind == "books"
                else broker.trades(symbol, buffer=Fail())
            )
            streams.append(await opened.enter_async_context(stream))
        counts = await asyncio.gather(*map(consume, streams))
        return meter.stop(load, counts)
