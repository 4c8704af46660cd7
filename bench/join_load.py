"""The load of ``join``: one session watches live books, another subscribes to everything at once."""

from __future__ import annotations

import re
import selectors
import sys
import time

import msgspec

from bench.books_server import BOARD, PERIOD_S, STILL_BID, Serving, symbol
from bench.raw_session import RawSession, client_frames, drain, subscribe_book

__all__ = ["JoinLoad", "JoinReading", "Watch", "percentile", "read_for"]

WINDOW_MS = 10
DEADLINE_S = 30.0
_FIRST_BID = re.compile(rb'"b":\[\{"p":([0-9.]+),')
_CARRY_BYTES = 64


class JoinLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask for."""

    serving: Serving
    subscriptions: int
    live: int
    watch_s: float


class JoinReading(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen."""

    answers: int
    snapshots: int
    is_cut: bool
    join_s: float
    p99_before_s: float
    p99_during_s: float
    max_during_s: float
    samples_during: int


def percentile(values: list[float], part: float) -> float:
    """Return the value below which ``part`` of them lie; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else 0.0


class Watch:
    """How late each due state was known to the session that watches.

    A state that a newer one has replaced is as late as the newer one: nobody is spared by conflation.
    """

    def __init__(self, session: RawSession, live: int) -> None:
        self._session = session
        self._step_s = PERIOD_S / live
        self._live = live
        self._carry = b""
        self._first_due = 0.0
        #: Number of the newest state of each book.
        self._newest: dict[int, int] = {}

    def take(self) -> list[float]:
        """Return what has been seen since the last time."""
        late = []
        for read_at, piece in self._session.kept:
            whole = self._carry + piece
            end = 0
            for found in _FIRST_BID.finditer(whole):
                end = found.end()
                due = float(found[1])
                # A snapshot of a book that has not moved yet has an ordinary price.
                if due != STILL_BID:
                    late += self._served(read_at, due)
            self._carry = whole[end:][-_CARRY_BYTES:]
        self._session.kept.clear()
        return late

    def _served(self, read_at: float, due: float) -> list[float]:
        self._first_due = self._first_due or due
        number = round((due - self._first_due) / self._step_s)
        earliest = self._newest.get(number % self._live, number - self._live) + self._live
        self._newest[number % self._live] = number
        return [
            read_at - due + (number - served) * self._step_s for served in range(earliest, number + 1, self._live)
        ]


def _run(load: JoinLoad) -> JoinReading:
    selector = selectors.DefaultSelector()
    token = load.serving.tokens
    watching = RawSession(load.serving.port, is_kept=True)
    joining = RawSession(load.serving.port)
    seen = Watch(watching, load.live)
    for session in (watching, joining):
        selector.register(session.socket, selectors.EVENT_READ, session)
    for number in range(load.live):
        watching.send(subscribe_book(f"watch-{number}", token[0], symbol(number), BOARD, window_ms=WINDOW_MS))
        # Feeds that begin together would end their windows together.
        drain(selector, 0.002)
    read_for(selector, 0.3)
    seen.take()
    read_for(selector, load.watch_s)
    before = seen.take()

    requests = client_frames(
        subscribe_book(f"join-{number:032}", token[1], symbol(load.live + number), BOARD, window_ms=WINDOW_MS)
        for number in range(load.subscriptions)
    )
    read_for(selector, 0.1)
    seen.take()
    began = time.monotonic()
    joining.send_frames(requests)
    while time.monotonic() - began < DEADLINE_S and not joining.is_cut:
        drain(selector, 0.001)
        if not joining.is_sent:
            joining.read()
        if joining.answers >= load.subscriptions and joining.data >= load.subscriptions:
            break
    join_s = time.monotonic() - began
    during = seen.take()
    # What was sent before the end of the join may be read a moment later.
    read_for(selector, 0.1)
    # A cut would follow at once.
    reading = JoinReading(
        answers=joining.answers,
        snapshots=joining.data,
        is_cut=joining.is_cut,
        join_s=join_s,
        p99_before_s=percentile(before, 0.99),
        p99_during_s=percentile(during, 0.99),
        max_during_s=max(during, default=0.0),
        samples_during=len(during),
    )
    watching.close()
    joining.close()
    return reading


def read_for(selector: selectors.BaseSelector, seconds: float) -> None:
    """Read what comes for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        drain(selector, 0.001)


if __name__ == "__main__":
    print(msgspec.json.encode(_run(msgspec.json.decode(sys.argv[1], type=JoinLoad))).decode())
