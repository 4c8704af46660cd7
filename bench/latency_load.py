"""The load of ``latency``: a tapewire client that takes trades one by one, and a client of the echo, in turns."""

from __future__ import annotations

import asyncio
import struct
import sys
import time
from typing import cast

import msgspec
import uvloop

import tapewire
from bench.join_load import percentile
from bench.latency_server import LatencyServing, trade
from bench.pace import Work, keep_pace
from tapewire import Broker, Trade
from tapewire.protocol.formats import codec
from tapewire.protocol.frames import FrameOpcode, frame_header
from tapewire.protocol.messages import DATA_PREFIX, data_tail
from tapewire.protocol.words import Format

__all__ = ["LatencyLoad", "LatencyReading"]

TIMEOUT_S = 20.0
_STAMP = struct.Struct("d")


class LatencyLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to measure, with which work."""

    gateway: LatencyServing
    echo: LatencyServing
    work: Work


class LatencyReading(msgspec.Struct, frozen=True, kw_only=True):
    """How late handlers were, and half of the echo's round trip; seconds."""

    p50_s: float
    p99_s: float
    half_echo_p50_s: float
    half_echo_p99_s: float
    message_bytes: int


def _message_bytes() -> int:
    """Return the size on the wire of a trade."""
    data = codec(Trade, Format.SLIM).encode(trade(0, time.monotonic()))
    message = DATA_PREFIX + data + data_tail("0" * 32)
    return len(frame_header(FrameOpcode.TEXT, len(message))) + len(message)


async def _trades(broker: Broker, load: LatencyLoad) -> list[float]:
    late: list[float] = []
    async with broker.trades("S00000") as tape:
        reader, writer = await asyncio.open_connection("127.0.0.1", load.gateway.control_port)
        writer.write(msgspec.json.encode(load.work) + b"\n")
        async for record in tape:
            late.append(time.monotonic() - record.price)
            if len(late) == load.work.events:
                break
        await reader.read()
        writer.close()
    return late


class _EchoClient(asyncio.Protocol):
    def __init__(self, message_bytes: int, events: int) -> None:
        self._padding = bytes(message_bytes - _STAMP.size)
        self._message_bytes = message_bytes
        self._events = events
        self._rest = b""
        self.half: list[float] = []
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No isinstance: uvloop's transports are no asyncio.Transport.
        self.transport = cast(asyncio.Transport, transport)

    def send(self, number: int) -> None:
        self.transport.write(_STAMP.pack(time.monotonic()) + self._padding)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        whole = self._rest + data
        end = len(whole) - len(whole) % self._message_bytes
        for start in range(0, end, self._message_bytes):
            self.half.append((now - _STAMP.unpack_from(whole, start)[0]) / 2)
        self._rest = whole[end:]
        if len(self.half) == self._events:
            self.ended.set_result(None)


async def _echoes(load: LatencyLoad, message_bytes: int) -> list[float]:
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_connection(
        lambda: _EchoClient(message_bytes, load.work.events), "127.0.0.1", load.echo.port
    )
    await keep_pace(load.work, client.send)
    await client.ended
    transport.close()
    return client.half


async def _run(load: LatencyLoad) -> LatencyReading:
    message_bytes = _message_bytes()
    url = f"http://127.0.0.1:{load.gateway.port}"
    async with tapewire.connect(url, refresh_token="refresh-0") as broker, asyncio.timeout(TIMEOUT_S):
        late = await _trades(broker, load)
        half = await _echoes(load, message_bytes)
    return LatencyReading(
        p50_s=percentile(late, 0.5),
        p99_s=percentile(late, 0.99),
        half_echo_p50_s=percentile(half, 0.5),
        half_echo_p99_s=percentile(half, 0.99),
        message_bytes=message_bytes,
    )


if __name__ == "__main__":
    print(msgspec.json.encode(uvloop.run(_run(msgspec.json.decode(sys.argv[1], type=LatencyLoad)))).decode())
