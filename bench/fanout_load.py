"""The load of ``fanout``: 200 sessions that count, a few of which also look at how late a message is."""

from __future__ import annotations

import re
import selectors
import socket
import sys
import time

import msgspec

from bench.books_server import BOARD, symbol
from bench.fanout_server import BOOKS, FanoutServing, Sent, Work
from bench.join_load import percentile
from bench.raw_session import RawSession, drain, subscribe_book, subscribe_trades
from tapewire.protocol.limits import CONNECTIONS_PER_USER_MAX

__all__ = ["FanoutLoad", "FanoutReading"]

WINDOW_MS = 10
#: Every so many sessions one keeps what it reads.
SAMPLED_EVERY = 20
SUBSCRIBING_S = 10.0
DEADLINE_S = 60.0
#: Messages that are still under way when the server has sent all.
SETTLE_S = 0.3
_TRADE = re.compile(rb'"px":([0-9.]+),')
_BOOK = re.compile(rb'"b":\[\{"p":([0-9.]+),')


class FanoutLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Where, and what to ask the server for."""

    serving: FanoutServing
    sessions: int
    work: Work


class FanoutReading(msgspec.Struct, frozen=True, kw_only=True):
    """What came, how late, and what it cost the server."""

    deliveries: int
    #: Reads that brought them: about as many as the server's writes.
    reads: int
    cuts: int
    cpu_seconds: float
    #: The part of it that the kernel took.
    system_seconds: float
    wall_seconds: float
    #: CPU time of the reader, to see whether it was the limit.
    load_cpu_seconds: float
    p50_s: float
    p99_s: float
    trades_p99_s: float
    books_p99_s: float


def _run(load: FanoutLoad) -> FanoutReading:
    selector = selectors.DefaultSelector()
    sessions = []
    for number in range(load.sessions):
        session = RawSession(load.serving.port, is_kept=number % SAMPLED_EVERY == 0)
        selector.register(session.socket, selectors.EVENT_READ, session)
        token = load.serving.tokens[number // CONNECTIONS_PER_USER_MAX % len(load.serving.tokens)]
        guids = [f"{number:04}-{stream}-{0:025}" for stream in range(1 + BOOKS)]
        session.send(
            subscribe_trades(guids[0], token, symbol(0), BOARD),
            *(
                subscribe_book(guids[stream], token, symbol(stream), BOARD, window_ms=WINDOW_MS)
                for stream in range(1, 1 + BOOKS)
            ),
        )
        # Feeds that begin together would end their windows together.
        drain(selector, 0.001)
        sessions.append(session)
    until = time.monotonic() + SUBSCRIBING_S
    while sum(session.answers for session in sessions) < load.sessions * (1 + BOOKS):
        if time.monotonic() > until:
            raise SystemExit("not all subscriptions were answered")
        drain(selector, 0.01)
    for session in sessions:
        session.kept.clear()
        session.data = session.reads = 0

    control = socket.create_connection(("127.0.0.1", load.serving.control_port))
    cpu = time.process_time()
    control.sendall(msgspec.json.encode(load.work) + b"\n")
    control.setblocking(False)
    selector.register(control, selectors.EVENT_READ, None)
    answer = b""
    until = time.monotonic() + DEADLINE_S
    while not answer.endswith(b"\n"):
        if time.monotonic() > until:
            raise SystemExit("the server did not send all events")
        drain(selector, 1.0)
        try:
            answer += control.recv(4096)
        except BlockingIOError:
            continue
    selector.unregister(control)
    control.close()
    until = time.monotonic() + SETTLE_S
    while time.monotonic() < until:
        drain(selector, 0.01)
    load_cpu_seconds = time.process_time() - cpu
    sent = msgspec.json.decode(answer, type=Sent)
    trades, books = _lateness(sessions, _TRADE), _lateness(sessions, _BOOK)
    return FanoutReading(
        deliveries=sum(session.data for session in sessions),
        reads=sum(session.reads for session in sessions),
        cuts=sum(session.is_cut for session in sessions),
        cpu_seconds=sent.cpu_seconds,
        system_seconds=sent.system_seconds,
        wall_seconds=sent.wall_seconds,
        load_cpu_seconds=load_cpu_seconds,
        p50_s=percentile(trades + books, 0.5),
        p99_s=percentile(trades + books, 0.99),
        trades_p99_s=percentile(trades, 0.99),
        books_p99_s=percentile(books, 0.99),
    )


def _lateness(sessions: list[RawSession], pattern: re.Pattern[bytes]) -> list[float]:
    """Return how late messages were; the few that two reads have torn apart are left out."""
    return [
        read_at - float(due)
        for session in sessions
        for read_at, piece in session.kept
        for due in pattern.findall(piece)
    ]


if __name__ == "__main__":
    print(msgspec.json.encode(_run(msgspec.json.decode(sys.argv[1], type=FanoutLoad))).decode())
