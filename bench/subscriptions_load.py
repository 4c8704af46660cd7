"""The load of ``subscriptions``: idle sessions, then full ones; the gateway's memory is read before and after."""

from __future__ import annotations

import os
import selectors
import sys
import time
from pathlib import Path

import msgspec

from bench.books_server import BOARD, Serving, symbol
from bench.raw_session import RawSession, drain, pump, subscribe_book

__all__ = ["SubscriptionsLoad", "SubscriptionsReading"]

DEADLINE_S = 60.0
#: What a process allocates once and keeps: paid by a session and subscriptions that do not count.
WARM_UP = 50
WINDOW_MS = 175
SETTLE_S = 0.5


class SubscriptionsLoad(msgspec.Struct, frozen=True, kw_only=True):
    """How many of what."""

    serving: Serving
    idle_sessions: int
    sessions: int
    subscriptions: int


class SubscriptionsReading(msgspec.Struct, frozen=True, kw_only=True):
    """Resident memory that was added."""

    idle_sessions_bytes: int
    subscriptions_bytes: int
    sessions_left: int
    snapshots: int


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _wait(selector: selectors.BaseSelector, sessions: list[RawSession], answers: int, data: int) -> None:
    until = time.monotonic() + DEADLINE_S
    while any((session.answers < answers or session.data < data) and not session.is_cut for session in sessions):
        if time.monotonic() > until:
            raise SystemExit("not all requests were answered")
        drain(selector, 0.01)


def _run(load: SubscriptionsLoad) -> SubscriptionsReading:
    selector = selectors.DefaultSelector()
    port, pid = load.serving.port, load.serving.pid

    def opened(count: int) -> list[RawSession]:
        sessions = [RawSession(port) for _ in range(count)]
        for session in sessions:
            selector.register(session.socket, selectors.EVENT_READ, session)
            session.send(b'{"opcode":"ping","guid":"idle"}')
        _wait(selector, sessions, 1, 0)
        return sessions

    def subscribe(session: RawSession, number: int, token: str, count: int) -> None:
        session.send(
            *(
                subscribe_book(f"{number:02}-{book:029}", token, symbol(book), BOARD, window_ms=WINDOW_MS)
                for book in range(count)
            )
        )
        pump(selector, [session], DEADLINE_S)
        _wait(selector, [session], 1 + count, count)

    def ended(sessions: list[RawSession]) -> None:
        for session in sessions:
            selector.unregister(session.socket)
            session.close()
        time.sleep(SETTLE_S)

    for warming in (first := opened(WARM_UP))[:2]:
        subscribe(warming, 99, load.serving.tokens[0], min(WARM_UP, load.subscriptions))
    ended(first)
    full = opened(load.sessions)
    empty_bytes = _resident_bytes(pid)
    idle = opened(load.idle_sessions)
    time.sleep(SETTLE_S)
    idle_bytes = _resident_bytes(pid)
    for number, session in enumerate(full):
        subscribe(session, number, load.serving.tokens[1], load.subscriptions)
    time.sleep(SETTLE_S)
    full_bytes = _resident_bytes(pid)
    return SubscriptionsReading(
        idle_sessions_bytes=idle_bytes - empty_bytes,
        subscriptions_bytes=full_bytes - idle_bytes,
        sessions_left=sum(not session.is_cut for session in full + idle),
        snapshots=sum(session.data for session in full),
    )


if __name__ == "__main__":
    print(msgspec.json.encode(_run(msgspec.json.decode(sys.argv[1], type=SubscriptionsLoad))).decode())
