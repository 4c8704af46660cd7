"""The way of AlorPy: websockets in a blocking loop, json, a subscription by guid, a callback by its opcode."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.messages import OPCODES
from bench.receivers.load import Load, Meter, Reading, receive, requests


async def _receive(load: Load, meter: Meter) -> Reading:
    # The library runs in a thread of its own, beside whatever the program does.
    return await asyncio.to_thread(_receive_in_thread, load, meter)


def _receive_in_thread(load: Load, meter: Meter) -> Reading:
    wanted = requests(load)
    counts = Counter(dict.fromkeys(wanted, 0))
    subscriptions = {guid: json.loads(request) for guid, request in wanted.items()}

    def count(response: dict[str, Any]) -> None:
        counts[response["guid"]] += 1

    callbacks = dict.fromkeys(OPCODES.values(), count)
    with connect(load.url) as connection:
        meter.start()
        for request in wanted.values():
            connection.send(request)
        while True:
            try:
                text = connection.recv()
            except ConnectionClosed:
                return meter.stop(load, counts.values())
            response = json.loads(text)
            if "data" not in response:
                continue
            guid = response["guid"]
            if guid in subscriptions:
                callbacks[subscriptions[guid]["opcode"]](response)


if __name__ == "__main__":
    receive(_receive)
