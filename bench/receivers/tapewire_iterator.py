"""tapewire, consumed record by record."""

from __future__ import annotations

from functools import partial

from bench.receivers.load import receive
from bench.receivers.tapewire_client import Stream, receive_with, until_the_end


async def _consume(stream: Stream) -> int:
    records = 0
    with until_the_end:
        async for _ in stream:
            records += 1
    return records


if __name__ == "__main__":
    receive(partial(receive_with, _consume))
