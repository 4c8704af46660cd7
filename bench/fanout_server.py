"""Server of ``fanout``: a scripted market and one way of sending it to many sessions, in one process.

The market has one tape and five books. An event is due at an exact time and changes one of the six, in turns; it
carries its due time (seconds of the monotonic clock) as its price. All candidates do the same work: a trade goes
out at once, a book at the end of the 10 ms window in which it changed, encoded once, each with its own guid.

``gateway``               tapewire's gateway in front of a scripted venue
``picows``                picows, one ``send`` a message
``websockets``            ``websockets``, one ``await send`` a message
``websockets_broadcast``  ``websockets``, its ``broadcast``, so every session gets the same guid

A line on the control port begins a measurement; the answer comes when all events have been sent.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

import msgspec
import uvloop
import websockets
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server
from websockets.asyncio.server import ServerConnection

from bench.books_server import authority, book, instruments, tokens_for
from tapewire.adapters.clock import SystemClock
from tapewire.adapters.collector import relax_collector
from tapewire.adapters.http_server import HttpServer, open_listener
from tapewire.gateway.gateway import Gateway
from tapewire.model import Book, Record, Side, Trade
from tapewire.model.topic import TopicKind
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.formats import codec
from tapewire.protocol.limits import CONNECTIONS_PER_USER_MAX
from tapewire.protocol.messages import DATA_PREFIX, SystemMessage, data_tail
from tapewire.protocol.words import Format
from tapewire.simulation import ScriptedVenue

__all__ = ["BOOKS", "Candidate", "FanoutServing", "Market", "Sent", "Work"]

Candidate = Literal["gateway", "picows", "websockets", "websockets_broadcast"]

BOOKS = 5
WINDOW_S = 0.01
#: How long the last window and the sockets may take before CPU time is read.
SETTLE_S = 0.1
#: uvloop counts in milliseconds: a shorter sleep is none, and the market would spin.
TICK_S = 0.001
_write_book = codec(Book, Format.SLIM).encode
_write_trade = codec(Trade, Format.SLIM).encode

#: Takes a stream (0: the tape, then the books) and its new record.
Publish = Callable[[int, Record], None]


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends, to how many."""

    candidate: Candidate
    sessions: int


class FanoutServing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server listens. Each token is good for ten sessions."""

    port: int
    control_port: int
    tokens: list[str]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement, open loop: events are due whether the last ones are sent or not."""

    events: int
    events_per_second: float


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What the server's process has used."""

    cpu_seconds: float
    #: The part of it that the kernel took.
    system_seconds: float
    wall_seconds: float


def _trade(number: int, due: float) -> Trade:
    return Trade(
        id=10_457_712_001 + number,
        symbol="S00000",
        board="TQBR",
        quantity=1 + number % 100,
        price=due,
        time_ms=1_747_000_000_000 + number,
        open_interest=0,
        existing=False,
        side=Side.BUY,
    )


async def _play(work: Work, publish: Publish, idle: Callable[[], bool]) -> Sent:
    began_times, began = os.times(), time.monotonic()
    number = 0
    while number < work.events:
        due = began + number / work.events_per_second
        await asyncio.sleep(max(due - time.monotonic(), TICK_S))
        now = time.monotonic()
        while due <= now and number < work.events:
            stream = number % (1 + BOOKS)
            publish(stream, _trade(number, due) if stream == 0 else book(due))
            number += 1
            due = began + number / work.events_per_second
    while not idle():  # noqa: ASYNC110 - a candidate that has fallen behind catches up first
        await asyncio.sleep(WINDOW_S)
    await asyncio.sleep(SETTLE_S)
    times = os.times()
    system_seconds = times.system - began_times.system
    return Sent(
        cpu_seconds=times.user - began_times.user + system_seconds,
        system_seconds=system_seconds,
        wall_seconds=time.monotonic() - began,
    )


class _Windows:
    """Trades at once, a changed book at the end of its window: what the peers need for the same work."""

    def __init__(self, send: Callable[[int, bytes], None]) -> None:
        self._send = send
        self._changed: dict[int, Record] = {}
        self._loop = asyncio.get_running_loop()
        # The books' windows end one after the other, as in the gateway.
        self._origins = [self._loop.time() + stream * WINDOW_S / (1 + BOOKS) for stream in range(1 + BOOKS)]

    def publish(self, stream: int, record: Record) -> None:
        if stream == 0:
            self._send(stream, DATA_PREFIX + _write_trade(record))
            return
        if stream not in self._changed:
            origin = self._origins[stream]
            ends = origin + ((self._loop.time() - origin) // WINDOW_S + 1) * WINDOW_S
            self._loop.call_at(ends, self._end, stream)
        self._changed[stream] = record

    def is_idle(self) -> bool:
        return not self._changed

    def _end(self, stream: int) -> None:
        self._send(stream, DATA_PREFIX + _write_book(self._changed.pop(stream)))


class _Request(msgspec.Struct):
    guid: str


def _tail_and_answer(request: bytes) -> tuple[bytes, bytes]:
    """Return the tail of the messages of a new subscription and the answer to its request."""
    guid = msgspec.json.decode(request, type=_Request).guid
    return data_tail(guid), SystemMessage(guid, ResultCode.OK, "Handled successfully").encode()


class _PicowsSession(WSListener):
    def __init__(self, sessions: list[_PicowsSession]) -> None:
        self._sessions = sessions
        self.tails: list[bytes] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self._sessions.append(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            tail, answer = _tail_and_answer(frame.get_payload_as_bytes())
            self.tails.append(tail)
            transport.send(WSMsgType.TEXT, answer)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._sessions.remove(self)


Started = tuple[int, Publish, Callable[[], bool], list[str]]


@asynccontextmanager
async def _picows(market: Market) -> AsyncIterator[Started]:
    sessions: list[_PicowsSession] = []
    server = await ws_create_server(lambda _: _PicowsSession(sessions), "127.0.0.1", 0)

    def send(stream: int, shared: bytes) -> None:
        for session in sessions:
            session.transport.send(WSMsgType.TEXT, shared + session.tails[stream])

    windows = _Windows(send)
    yield server.sockets[0].getsockname()[1], windows.publish, windows.is_idle, ["none"]
    server.close()


@asynccontextmanager
async def _websockets(market: Market) -> AsyncIterator[Started]:
    sessions: dict[ServerConnection, list[str]] = {}
    waiting: deque[tuple[int, str]] = deque()
    has_more = asyncio.Event()

    async def serve(connection: ServerConnection) -> None:
        tails = sessions[connection] = []
        try:
            async for request in connection:
                assert isinstance(request, str)
                tail, answer = _tail_and_answer(request.encode())
                tails.append(tail.decode())
                await connection.send(answer.decode())
        except websockets.ConnectionClosed:
            pass
        finally:
            del sessions[connection]

    async def send_each() -> None:
        while True:
            await has_more.wait()
            while waiting:
                stream, shared = waiting[0]
                for connection, tails in tuple(sessions.items()):
                    await connection.send(shared + tails[stream])
                waiting.popleft()
            has_more.clear()

    def enqueue(stream: int, shared: bytes) -> None:
        waiting.append((stream, shared.decode()))
        has_more.set()

    def broadcast(stream: int, shared: bytes) -> None:
        first = next(iter(sessions.values()))
        websockets.broadcast(sessions, shared.decode() + first[stream])

    windows = _Windows(enqueue if market.candidate == "websockets" else broadcast)
    sending = asyncio.create_task(send_each())
    async with websockets.serve(serve, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield port, windows.publish, lambda: windows.is_idle() and not waiting, ["none"]
    sending.cancel()


@asynccontextmanager
async def _gateway(market: Market) -> AsyncIterator[Started]:
    clock = SystemClock()
    listed = instruments(1 + BOOKS)
    venue = ScriptedVenue(listed, clock=clock)
    users = authority(1 + market.sessions // CONNECTIONS_PER_USER_MAX)
    gateway = Gateway(venue, venue, users, clock, commands=venue)
    listener = open_listener("127.0.0.1", 0)
    server = HttpServer(gateway.http, gateway.accept, listener)
    await server.start()
    tape = venue.topic(TopicKind.TRADES, listed[0])
    books = [venue.topic(TopicKind.BOOK, instrument) for instrument in listed]

    def publish(stream: int, record: Record) -> None:
        if stream == 0:
            venue.publish(tape, record)
        else:
            venue.set_state(books[stream], record)

    tokens = tokens_for(users, 1 + market.sessions // CONNECTIONS_PER_USER_MAX)
    yield listener.getsockname()[1], publish, lambda: True, tokens
    await gateway.close()
    await server.stop()


_CANDIDATES = {
    "gateway": _gateway,
    "picows": _picows,
    "websockets": _websockets,
    "websockets_broadcast": _websockets,
}


async def _serve(market: Market) -> None:
    """Serve until standard input ends."""
    async with _CANDIDATES[market.candidate](market) as (port, publish, idle, tokens):

        async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            work = msgspec.json.decode(await reader.readline(), type=Work)
            sent = await _play(work, publish, idle)
            writer.write(msgspec.json.encode(sent) + b"\n")
            await writer.drain()
            writer.close()

        controls = await asyncio.start_server(control, "127.0.0.1", 0)
        serving = FanoutServing(port=port, control_port=controls.sockets[0].getsockname()[1], tokens=tokens)
        # As `tapewire up` does; for every candidate alike.
        relax_collector()
        print(msgspec.json.encode(serving).decode(), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        controls.close()


if __name__ == "__main__":
    uvloop.run(_serve(msgspec.json.decode(sys.argv[1], type=Market)))
