"""``tapewire run``: a trading system, and what a real client sees of it over a real socket."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from typing import Any

from tapewire.app import System
from tapewire.cli.output import Output
from tapewire.cli.streams import StreamName, StreamOptions
from tapewire.cli.watch import show
from tapewire.client.broker import Broker
from tapewire.client.errors import ConfigurationError
from tapewire.client.subscription import Subscription
from tapewire.connect import connect

__all__ = ["run_system"]

_SHOWN = ("SBER", "GAZP", "LKOH", "ROSN", "GMKN")


async def run_system(system: System) -> None:
    """Show a few instruments of a running system until cancelled.

    On a terminal that is a live view. Otherwise it is one JSON line a second: messages received since the start,
    and messages a second by kind of stream.
    """
    if not system.refresh_token:
        raise ConfigurationError("the folder has no demo user to watch with: `tapewire up` runs it without a view")
    symbols = [symbol for symbol in _SHOWN if symbol in system.symbols]
    async with connect(system.url, refresh_token=system.refresh_token) as broker:
        if sys.stdout.isatty():
            names = [StreamName("quotes", symbol) for symbol in symbols]
            names += [StreamName("book", symbols[0]), StreamName("trades", symbols[0])]
            await _with_system(system, show(broker, names, StreamOptions()))
        else:
            names = [StreamName(kind, symbol) for symbol in symbols for kind in ("book", "quotes", "trades")]
            await _with_system(system, _report(broker, names))


async def _with_system(system: System, view: Any) -> None:
    """Let a view end with the system: what breaks the market ends the program."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(view)
        tasks.create_task(system.wait())


async def _report(broker: Broker, names: list[StreamName]) -> None:
    async with AsyncExitStack() as stack:
        streams = [
            (name.kind, await stack.enter_async_context(name.subscription(broker, StreamOptions())))
            for name in names
        ]
        async with asyncio.TaskGroup() as tasks:
            for _, stream in streams:
                tasks.create_task(_consume(stream))
            tasks.create_task(_report_rates(broker, streams))


async def _consume(stream: Subscription[Any]) -> None:
    async for _ in stream.batches():
        pass


async def _report_rates(broker: Broker, streams: list[tuple[str, Subscription[Any]]]) -> None:
    loop = asyncio.get_running_loop()
    output = Output()
    counted = _by_kind(streams)
    start = last = loop.time()
    while True:
        # On a grid of whole seconds, so that the lines do not drift.
        await asyncio.sleep(start + round(last - start) + 1 - loop.time())
        now = loop.time()
        counts = _by_kind(streams)
        rates = {kind: round((counts[kind] - counted[kind]) / (now - last), 1) for kind in counts}
        line = {
            "event": "rates",
            "seconds": round(now - start, 1),
            "received": broker.received,
            "per_second": rates,
            "dropped": sum(stream.dropped for _, stream in streams),
        }
        await output.write(json.dumps(line).encode() + b"\n")
        counted, last = counts, now


def _by_kind(streams: list[tuple[str, Subscription[Any]]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for kind, stream in streams:
        counts[kind] = counts.get(kind, 0) + stream.received
    return counts
