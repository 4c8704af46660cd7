"""``tapewire watch``: streams on a terminal as a live view, in a pipe as one JSON object a line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from tapewire.cli.output import Output
from tapewire.cli.screen import Screen
from tapewire.cli.streams import StreamName, StreamOptions
from tapewire.client.broker import Broker
from tapewire.client.errors import GapError
from tapewire.client.gap import Gap
from tapewire.client.subscription import Subscription
from tapewire.model import Record
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format

__all__ = ["show", "write_lines"]


async def show(broker: Broker, names: Sequence[StreamName], options: StreamOptions) -> None:
    """Show streams on the terminal until cancelled."""
    screen = Screen(names, str(broker.endpoints.http))
    events = aiter(broker.events)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        streams = [await stack.enter_async_context(name.subscription(broker, options)) for name in names]
        stack.enter_context(screen)
        for name, stream in zip(names, streams, strict=True):
            tasks.create_task(_feed(screen, name, stream))
        tasks.create_task(screen.refresh(broker))
        tasks.create_task(screen.troubles.follow(events))


async def write_lines(
    broker: Broker, names: Sequence[StreamName], options: StreamOptions, lines_max: int | None
) -> None:
    """Write each record as a line: the stream's name, then its fields in the broker's Simple spelling.

    What could not be fetched after a cut is a line as well, in its place: the stream's name and ``gap``.
    """
    out = _Lines(lines_max)
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(name.subscription(broker, options)) for name in names]
        async with asyncio.TaskGroup() as tasks:
            writers = [
                tasks.create_task(_write(out, name, stream)) for name, stream in zip(names, streams, strict=True)
            ]
            await out.has_enough.wait()
            for writer in writers:
                writer.cancel()


class _Lines:
    """Standard output, up to a number of lines."""

    def __init__(self, lines_max: int | None) -> None:
        self._left = lines_max
        self._out = Output()
        #: Set when as many lines were written as were asked for.
        self.has_enough = asyncio.Event()

    async def write(self, lines: list[bytes]) -> None:
        if self._left is not None:
            lines = lines[: self._left]
            self._left -= len(lines)
        # Taken from the count before they are written: several streams write at once.
        is_last = self._left == 0 and bool(lines)
        await self._out.write(b"".join(lines))
        if is_last:
            self.has_enough.set()


async def _write(out: _Lines, name: StreamName, stream: Subscription[Any]) -> None:
    record_type: type[Record] = stream.codec.record_type
    encode = codec(record_type, Format.SIMPLE).encode
    start = b'{"stream":' + msgspec.json.encode(str(name))
    async for taken in _batches(stream):
        if isinstance(taken, Gap):
            await out.write([start + b',"gap":' + _gap(taken) + b"}\n"])
        else:
            await out.write([start + _rest(encode(record)) for record in taken])


def _gap(gap: Gap) -> bytes:
    """Return what is known of a time from which something is missing."""
    fields = {"since": gap.since, "until": gap.until, "cause": gap.cause, "reason": gap.reason}
    return msgspec.json.encode(fields)


def _rest(fields: bytes) -> bytes:
    """Return an object as the rest of one that has begun; a record may have no field at all."""
    return b"}\n" if fields == b"{}" else b"," + fields[1:] + b"\n"


async def _feed(screen: Screen, name: StreamName, stream: Subscription[Any]) -> None:
    async for taken in _batches(stream):
        if isinstance(taken, Gap):
            screen.missed(name, taken)
        else:
            screen.took(name, taken)


async def _batches(stream: Subscription[Any]) -> AsyncIterator[list[Record] | Gap]:
    """Yield what comes, and in its place each gap: whoever watches goes on watching."""
    while True:
        try:
            async for records in stream.batches():
                yield records
            return
        except GapError as error:
            gap = error.gap
        yield gap
