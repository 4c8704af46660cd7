"""aiohttp and orjson: dictionaries, given to a callback by guid."""

from __future__ import annotations

from collections import Counter
from typing import Any

import aiohttp
import orjson

from bench.receivers.load import Load, Meter, Reading, receive, requests


async def _receive(load: Load, meter: Meter) -> Reading:
    wanted = requests(load)
    counts = Counter(dict.fromkeys(wanted, 0))
    callbacks = {guid: _counter(counts, guid) for guid in wanted}
    async with (
        aiohttp.ClientSession() as session,
        # Bytes are what orjson likes best.
        session.ws_connect(load.url, decode_text=False) as connection,
    ):
        meter.start()
        for request in wanted.values():
            await connection.send_str(request)
        async for frame in connection:
            message = orjson.loads(frame.data)
            if "data" in message:
                callbacks[message["guid"]](message["data"])
    return meter.stop(load, counts.values())


def _counter(counts: Counter[str], guid: str) -> Any:
    def count(record: dict[str, Any]) -> None:
        counts[guid] += 1

    return count


if __name__ == "__main__":
    receive(_receive)
