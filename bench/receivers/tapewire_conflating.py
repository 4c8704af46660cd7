"""tapewire with buffers that keep the newest message: what is replaced before its turn is counted, not decoded."""

from __future__ import annotations

from functools import partial

from bench.receivers.load import receive
from bench.receivers.tapewire_client import Stream, receive_with, until_the_end
from tapewire import Conflate


async def _consume(stream: Stream) -> int:
    records = 0
    with until_the_end:
        async for _ in stream:
            records += 1
    return records + stream.dropped


if __name__ == "__main__":
    receive(partial(receive_with, _consume, buffer=Conflate()))
