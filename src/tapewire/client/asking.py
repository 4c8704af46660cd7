"""Requests for streams on one connection: which is sent when, which has waited too long. Pure.

Few are unanswered at a time, so that thousands of streams after a cut do not hit the broker as one blow, and the
critical ones come first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

__all__ = ["ANSWER_TIMEOUT_S", "UNANSWERED_MAX", "Asking", "Round"]

#: Requests that may wait for their answers at once. With 50 ms there and back that is 4,000 a second.
UNANSWERED_MAX = 200
ANSWER_TIMEOUT_S = 10.0

F = TypeVar("F", bound=Hashable)


class Round(NamedTuple):
    """What came of asking for many: from the first request to the last answer."""

    ok: int
    refused: int
    seconds: float


class Asking(Generic[F]):
    """What is to be asked for and what waits for its answer. Times are those of any one clock, in seconds."""

    def __init__(self) -> None:
        self._queue: tuple[deque[F], deque[F]] = (deque(), deque())
        self._queued: set[F] = set()
        self._asked_at_s: dict[F, float] = {}
        self._began_at_s: float | None = None
        self._ok = 0
        self._refused = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be asked for and nothing waits."""
        return not self._queued and not self._asked_at_s

    def begin(self, feeds: Iterable[tuple[F, bool]], now_s: float) -> None:
        """Begin a round that asks for many, each with whether it is critical; what was before is forgotten.

        Nothing to ask for is no round.
        """
        self.clear()
        for feed, is_critical in feeds:
            self.add(feed, is_critical=is_critical)
        self._began_at_s = now_s if self._queued else None

    def add(self, feed: F, *, is_critical: bool) -> None:
        """Ask for one more, behind those of its rank."""
        if feed not in self._queued and feed not in self._asked_at_s:
            self._queued.add(feed)
            self._queue[not is_critical].append(feed)

    def drop(self, feed: F) -> None:
        """Ask for it no longer, and wait for it no longer."""
        # Its place in the queue is passed over when its turn comes.
        self._queued.discard(feed)
        self._asked_at_s.pop(feed, None)

    def clear(self) -> None:
        """Forget everything: the connection is gone."""
        for queue in self._queue:
            queue.clear()
        self._queued.clear()
        self._asked_at_s.clear()
        self._began_at_s = None
        self._ok = self._refused = 0

    def next(self, now_s: float) -> F | None:
        """Return what is to be sent now, which waits for its answer from then on; None: nothing may be."""
        if len(self._asked_at_s) >= UNANSWERED_MAX:
            return None
        for queue in self._queue:
            while queue:
                feed = queue.popleft()
                if feed in self._queued:
                    self._queued.remove(feed)
                    self._asked_at_s[feed] = now_s
                    return feed
        return None

    def answered(self, feed: F, *, ok: bool) -> None:
        """Note the final answer to a request."""
        if self._asked_at_s.pop(feed, None) is not None:
            self._ok += ok
            self._refused += not ok

    def again(self, feed: F, *, is_critical: bool) -> None:
        """Put what was asked back into the queue: it has to be asked once more."""
        if self._asked_at_s.pop(feed, None) is not None:
            self.add(feed, is_critical=is_critical)

    def put_off(self, feed: F, now_s: float) -> None:
        """Note that a request was answered, but not for good: its time begins anew."""
        if self._asked_at_s.pop(feed, None) is not None:
            self._asked_at_s[feed] = now_s

    def overdue(self, now_s: float) -> list[F]:
        """Return what has waited too long, the longest first; it still waits until somebody decides."""
        # In the order of asking: the first that is in time ends the search.
        late = []
        for feed, asked_at_s in self._asked_at_s.items():
            if now_s - asked_at_s < ANSWER_TIMEOUT_S:
                break
            late.append(feed)
        return late

    @property
    def due_at_s(self) -> float | None:
        """When the next request will have waited too long; None: nothing waits."""
        first = next(iter(self._asked_at_s.values()), None)
        return None if first is None else first + ANSWER_TIMEOUT_S

    def finished(self, now_s: float) -> Round | None:
        """Return what the round came to, once, when all of it is answered."""
        if self._began_at_s is None or not self.is_idle:
            return None
        result = Round(self._ok, self._refused, now_s - self._began_at_s)
        self._began_at_s = None
        return result
