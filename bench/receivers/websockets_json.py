"""websockets and json: dictionaries, given to a callback by guid."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import websockets

from bench.receivers.load import Load, Meter, Reading, receive, requests


async def _receive(load: Load, meter: Meter) -> Reading:
    wanted = requests(load)
    counts = Counter(dict.fromkeys(wanted, 0))
    callbacks = {guid: _counter(counts, guid) for guid in wanted}
    async with websockets.connect(load.url, compression=None) as connection:
        meter.start()
        for request in wanted.values():
            await connection.send(request)
        async for text in connection:
            message = json.loads(text)
            if "data" in message:
                callbacks[message["guid"]](message["data"])
    return meter.stop(load, counts.values())


def _counter(counts: Counter[str], guid: str) -> Any:
    def count(record: dict[str, Any]) -> None:
        counts[guid] += 1

    return count


if __name__ == "__main__":
    receive(_receive)
