"""tapewire with many conflating streams and a program that takes one of ten messages: how many it can bear."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import uvloop

import tapewire
from bench.receivers.load import Load
from bench.receivers.tapewire_client import Stream, stream_of, until_the_end
from tapewire import Broker, Conflate, Endpoints

__all__ = ["SlowReading"]

#: Messages that come while the program takes one.
TOO_SLOW = 10
#: Part of the messages after which memory has taken its shape.
WARM = 0.25


class SlowReading(msgspec.Struct, frozen=True, kw_only=True):
    """What was borne. Every message was either taken or replaced by a newer one and counted."""

    messages: int
    taken: int
    cpu_seconds: float
    wall_seconds: float
    #: How far resident memory rose above what it was after the first quarter.
    grown_bytes: int


async def _absorb(load: Load) -> SlowReading:
    endpoints = Endpoints(ws=load.url, cws="", http="", oauth=load.oauth)
    async with (
        tapewire.connect(endpoints=endpoints, refresh_token="bench") as broker,
        AsyncExitStack() as opened,
    ):
        streams: list[Stream] = [
            await opened.enter_async_context(stream_of(broker, load.kind, number, Conflate()))
            for number in range(load.streams)
        ]
        wall, cpu = time.perf_counter(), time.process_time()
        before = sum(stream.received for stream in streams)
        taken, warm_bytes, most_bytes = 0, 0, 0
        with until_the_end:
            async for _ in _in_turns(broker, streams):
                taken += 1
                if taken % load.streams == 0 and taken * TOO_SLOW > load.messages * WARM:
                    most_bytes = max(most_bytes, _resident_bytes())
                    warm_bytes = warm_bytes or most_bytes
        cpu_seconds, wall_seconds = time.process_time() - cpu, time.perf_counter() - wall
        received = sum(stream.received for stream in streams)
        known = taken + sum(stream.dropped + len(stream.buffer) for stream in streams)
        if received != load.messages or known != received:
            raise SystemExit(f"of {load.messages} messages {received} came, and {known} are accounted for")
        return SlowReading(
            messages=received - before,
            taken=taken,
            cpu_seconds=cpu_seconds,
            wall_seconds=wall_seconds,
            grown_bytes=most_bytes - warm_bytes,
        )


async def _in_turns(broker: Broker, streams: list[Stream]) -> AsyncIterator[object]:
    """Take a record of each stream in turns, one for every ten messages that have come."""
    due = broker.received
    while True:
        for stream in streams:
            due += TOO_SLOW
            while broker.received < due and len(stream.buffer) < 2 and not _has_ended(stream):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            yield await anext(stream)


def _has_ended(stream: Stream) -> bool:
    return stream.state is not tapewire.SubscriptionState.ACTIVE


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    reading = uvloop.run(_absorb(msgspec.json.decode(sys.argv[1], type=Load)))
    print(msgspec.json.encode(reading).decode())
