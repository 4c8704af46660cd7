"""A broker that grants everything after the time of a round trip, for ``restore``. It can cut all its connections.

A request for a state is answered with a snapshot. Every tape gets a trade each 50 ms, numbered from 1 on, whether
anybody listens or not; what was missed is there over HTTP. A line on the control port: ``cut`` ends all
connections without a word, ``state`` changes nothing; both are answered with what was seen since the last cut.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque

import msgspec
import uvloop
from aiohttp import web
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from bench.blaster import refresh
from bench.latency_server import trade
from bench.messages import data_messages
from tapewire.model import Trade
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.formats import codec
from tapewire.protocol.frames import FrameOpcode, frame_header
from tapewire.protocol.messages import DATA_PREFIX, SystemMessage, data_tail
from tapewire.protocol.words import Format

__all__ = ["Brokerage", "Seen"]

#: From a request to its answer.
ROUND_TRIP_S = 0.05
TRADE_EVERY_S = 0.05
#: Requests that arrive within so long are a burst.
BURST_S = 0.1
_PAGE_TRADES = 5_000
_SNAPSHOT = data_messages("books", ["0" * 32])[0][: -len(data_tail("0" * 32))]
_write_slim = codec(Trade, Format.SLIM).encode
_write_simple = codec(Trade, Format.SIMPLE).encode


class Brokerage(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens."""

    ws: str
    http: str
    control_port: int


class Seen(msgspec.Struct, kw_only=True):
    """What has happened since the last cut. Times are of the monotonic clock."""

    cut_at_s: float = 0.0
    connections: int = 0
    requests: int = 0
    answered_at_s: float = 0.0
    #: Most requests of one connection that waited for their answers at once.
    unanswered_max: int = 0
    #: Most requests of all connections within a tenth of a second.
    burst_max: int = 0
    #: The newest trade of every tape.
    trades: int = 0


class _Request(msgspec.Struct):
    opcode: str
    guid: str


class Market:
    """What all connections share."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.connections: list[Line] = []
        self._recent: deque[float] = deque()

    def asked(self, waiting: int) -> None:
        """Count a request of a connection on which so many wait."""
        now = time.monotonic()
        self.seen.requests += 1
        self.seen.unanswered_max = max(self.seen.unanswered_max, waiting)
        self._recent.append(now)
        while self._recent[0] < now - BURST_S:
            self._recent.popleft()
        self.seen.burst_max = max(self.seen.burst_max, len(self._recent))

    def cut(self) -> None:
        """End all connections now."""
        self.seen = Seen(cut_at_s=time.monotonic(), trades=self.seen.trades)
        self._recent.clear()
        for line in tuple(self.connections):
            line.transport.disconnect(graceful=False)

    async def trade(self) -> None:
        """Give every tape a trade each 50 ms, until cancelled."""
        while True:
            await asyncio.sleep(TRADE_EVERY_S)
            self.seen.trades += 1
            data = DATA_PREFIX + _write_slim(_trade(self.seen.trades))
            for line in self.connections:
                line.write([data + tail for tail in line.tapes])


class Line(WSListener):
    """One connection."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._waiting: deque[tuple[float, _Request]] = deque()
        self._handle: asyncio.TimerHandle | None = None
        self.tapes: list[bytes] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self._market.connections.append(self)
        self._market.seen.connections += 1

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._market.connections.remove(self)
        if self._handle is not None:
            self._handle.cancel()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        if frame.msg_type != WSMsgType.TEXT:
            return
        request = msgspec.json.decode(frame.get_payload_as_bytes(), type=_Request)
        if request.opcode in ("ping", "unsubscribe"):
            self.write([SystemMessage(request.guid, ResultCode.OK, "Handled successfully").encode()])
            return
        self._waiting.append((time.monotonic() + ROUND_TRIP_S, request))
        self._market.asked(len(self._waiting))
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(ROUND_TRIP_S, self._answer)

    def write(self, messages: list[bytes]) -> None:
        """Send texts in one write."""
        frames = b"".join(frame_header(FrameOpcode.TEXT, len(message)) + message for message in messages)
        self.transport.underlying_transport.write(frames)

    def _answer(self) -> None:
        self._handle = None
        now = time.monotonic()
        messages = []
        while self._waiting and self._waiting[0][0] <= now:
            _, request = self._waiting.popleft()
            messages.append(SystemMessage(request.guid, ResultCode.OK, "Handled successfully").encode())
            if request.opcode == "AllTradesGetAndSubscribe":
                self.tapes.append(data_tail(request.guid))
            else:
                # Whatever it is, it is kept as it came: nobody decodes it here.
                messages.append(_SNAPSHOT + data_tail(request.guid))
        if messages:
            self._market.seen.answered_at_s = now
            self.write(messages)
        if self._waiting:
            pause_s = max(self._waiting[0][0] - now, 0.001)
            self._handle = asyncio.get_running_loop().call_later(pause_s, self._answer)


def _trade(number: int) -> Trade:
    return msgspec.structs.replace(trade(0, 300.0), id=number, quantity=1, time="2025-05-12T00:00:00.0000000Z")


async def _serve() -> None:
    """Serve until standard input ends."""
    market = Market()

    async def all_trades(request: web.Request) -> web.Response:
        first = int(request.query.get("fromId", 1))
        numbers = range(first, min(market.seen.trades + 1, first + _PAGE_TRADES))
        rows = b",".join(_write_simple(_trade(number)) for number in numbers)
        return web.Response(body=b"[" + rows + b"]", content_type="application/json")

    application = web.Application()
    application.router.add_post("/refresh", refresh)
    application.router.add_get("/md/v2/Securities/{exchange}/{symbol}/alltrades", all_trades)
    http = web.AppRunner(application)
    await http.setup()
    await web.TCPSite(http, "127.0.0.1", 0).start()
    server = await ws_create_server(lambda _: Line(market), "127.0.0.1", 0)

    async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline() == b"cut\n":
            market.cut()
        writer.write(msgspec.json.encode(market.seen) + b"\n")
        await writer.drain()
        writer.close()

    controls = await asyncio.start_server(control, "127.0.0.1", 0)
    trading = asyncio.create_task(market.trade())
    brokerage = Brokerage(
        ws=f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws",
        http=f"http://127.0.0.1:{http.addresses[0][1]}",
        control_port=controls.sockets[0].getsockname()[1],
    )
    print(msgspec.json.encode(brokerage).decode(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    trading.cancel()
    controls.close()
    server.close()
    await http.cleanup()


if __name__ == "__main__":
    uvloop.run(_serve())
