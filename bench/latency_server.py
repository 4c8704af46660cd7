"""Servers of ``latency``: a gateway whose venue makes trades that carry the moment of their making, or an echo.

The moment, seconds of the monotonic clock, is the trade's price. A line on the gateway's control port begins a
measurement; the answer comes when all trades have been published.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import msgspec
import uvloop

from bench.books_server import authority, instruments
from bench.pace import Work, keep_pace
from tapewire.adapters.clock import SystemClock
from tapewire.adapters.collector import relax_collector
from tapewire.adapters.http_server import HttpServer, open_listener
from tapewire.gateway.gateway import Gateway
from tapewire.model import Side, Trade
from tapewire.model.topic import TopicKind
from tapewire.simulation import ScriptedVenue

__all__ = ["Asked", "LatencyServing", "trade"]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the two."""

    is_echo: bool


class LatencyServing(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens."""

    port: int
    #: 0: there is nothing to control.
    control_port: int = 0


def trade(number: int, made_at_s: float) -> Trade:
    """Return a trade of the first instrument."""
    return Trade(
        id=10_457_712_001 + number,
        symbol="S00000",
        board="TQBR",
        quantity=1 + number % 100,
        price=made_at_s,
        time_ms=1_747_000_000_000 + number,
        open_interest=0,
        existing=False,
        side=Side.BUY,
    )


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No isinstance: uvloop's transports are no asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


async def _serve_echo() -> None:
    server = await asyncio.get_running_loop().create_server(_Echo, "127.0.0.1", 0)
    await _until_end(LatencyServing(port=server.sockets[0].getsockname()[1]))
    server.close()


async def _serve_gateway() -> None:
    clock = SystemClock()
    listed = instruments(1)
    venue = ScriptedVenue(listed, clock=clock)
    gateway = Gateway(venue, venue, authority(1), clock, commands=venue)
    listener = open_listener("127.0.0.1", 0)
    server = HttpServer(gateway.http, gateway.accept, listener)
    await server.start()
    tape = venue.topic(TopicKind.TRADES, listed[0])

    async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        work = msgspec.json.decode(await reader.readline(), type=Work)
        await keep_pace(work, lambda number: venue.publish(tape, trade(number, time.monotonic())))
        writer.close()

    controls = await asyncio.start_server(control, "127.0.0.1", 0)
    relax_collector()  # as `tapewire up` does
    ports = listener.getsockname()[1], controls.sockets[0].getsockname()[1]
    await _until_end(LatencyServing(port=ports[0], control_port=ports[1]))
    controls.close()
    await gateway.close()
    await server.stop()


async def _until_end(serving: LatencyServing) -> None:
    """Say that it serves, and return when standard input ends."""
    print(msgspec.json.encode(serving).decode(), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.argv[1], type=Asked)
    uvloop.run(_serve_echo() if asked.is_echo else _serve_gateway())
