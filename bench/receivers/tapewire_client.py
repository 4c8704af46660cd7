"""tapewire as a program uses it: connected by its front door, a task a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import tapewire
from bench.messages import Kind
from bench.receivers.load import Load, Meter, Reading
from tapewire import Book, Broker, BufferPolicy, Endpoints, Fail, Format, Quote, RefusedError, Subscription, Trade

__all__ = ["LOSSLESS", "Consumer", "Stream", "receive_with", "stream_of", "until_the_end"]

Stream = Subscription[Book] | Subscription[Quote] | Subscription[Trade]
#: Takes a stream to its end and returns how many messages of it have been accounted for.
Consumer = Callable[[Stream], Awaitable[int]]

#: The blaster takes each stream back behind its last message.
until_the_end = suppress(RefusedError)
LOSSLESS = Fail()


async def receive_with(consume: Consumer, load: Load, meter: Meter, *, buffer: BufferPolicy = LOSSLESS) -> Reading:
    """Open all streams and let each be consumed to its end."""
    endpoints = Endpoints(ws=load.url, cws="", http="", oauth=load.oauth)
    async with (
        tapewire.connect(endpoints=endpoints, refresh_token="bench") as broker,
        AsyncExitStack() as opened,
    ):
        meter.start()
        streams: list[Stream] = [
            await opened.enter_async_context(stream_of(broker, load.kind, number, buffer))
            for number in range(load.streams)
        ]
        counts = await asyncio.gather(*(consume(stream) for stream in streams))
        return meter.stop(load, counts)


def stream_of(broker: Broker, kind: Kind, number: int, buffer: BufferPolicy) -> Stream:
    """Return one of the streams of a load, not opened yet."""
    symbol = f"BENCH{number}"
    if kind in ("books", "narrow_books"):
        return broker.book(symbol, depth=20, buffer=buffer)
    if kind == "quotes":
        return broker.quotes(symbol, format=Format.SLIM, buffer=buffer)
    return broker.trades(symbol, buffer=buffer)
