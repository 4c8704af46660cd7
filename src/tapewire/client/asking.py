"""Requests for streams on one connection: which is sent when, which has waited too long. Pure.

Few are unanswered at a time, so that thousands of streams after a cut do not hit the broker as one blow, and the
critical ones come first.
"""

from __future__ import annotations

from collections import OrderedDict
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
        #: The critical ones, and the others; as many as there are streams at most.
        self._queues: tuple[OrderedDict[F, None], OrderedDict[F, None]] = (OrderedDict(), OrderedDict())
        self._asked_at_s: dict[F, float] = {}
        #: Answered with "not now": to be asked for again later.
        self._postponed: set[F] = set()
        #: What the round has asked for and not got an answer to; one that is asked for later is not of it.
        self._round: set[F] = set()
        self._began_at_s: float | None = None
        self._ok = 0
        self._refused = 0

    def __contains__(self, feed: F) -> bool:
        """Whether it is to be asked for, or waits for its answer."""
        return feed in self._asked_at_s or feed in self._postponed or any(feed in queue for queue in self._queues)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be asked for and nothing waits."""
        return not any((*self._queues, self._asked_at_s, self._postponed))

    def begin(self, feeds: Iterable[tuple[F, bool]], now_s: float) -> None:
        """Begin a round that asks for many, each with whether it is critical; what was before is forgotten.

        Nothing to ask for is no round.
        """
        self.clear()
        for feed, is_critical in feeds:
            self.add(feed, is_critical=is_critical)
            self._round.add(feed)
        self._began_at_s = now_s if self._round else None

    def add(self, feed: F, *, is_critical: bool) -> None:
        """Ask for one more, behind those of its rank."""
        if feed not in self:
            self._queues[not is_critical][feed] = None

    def drop(self, feed: F) -> None:
        """Ask for it no longer, and wait for it no longer."""
        self._take_out(feed)
        self._round.discard(feed)

    def _take_out(self, feed: F) -> None:
        for queue in self._queues:
            queue.pop(feed, None)
        self._asked_at_s.pop(feed, None)
        self._postponed.discard(feed)

    def clear(self) -> None:
        """Forget everything: the connection is gone."""
        for queue in self._queues:
            queue.clear()
        self._asked_at_s.clear()
        self._postponed.clear()
        self._round.clear()
        self._began_at_s = None
        self._ok = self._refused = 0

    def next(self, now_s: float) -> F | None:
        """Return what is to be sent now, which waits for its answer from then on; None: nothing may be."""
        if len(self._asked_at_s) >= UNANSWERED_MAX:
            return None
        for queue in self._queues:
            if queue:
                feed, _ = queue.popitem(last=False)
                self._asked_at_s[feed] = now_s
                return feed
        return None

    def answered(self, feed: F, *, ok: bool) -> None:
        """Note the final answer to a request."""
        if feed not in self._postponed and feed not in self._asked_at_s:
            return
        if feed in self._round:
            self._ok += ok
            self._refused += not ok
        self.drop(feed)

    def postpone(self, feed: F) -> None:
        """Note an answer that is not final: nothing waits until ``again``, and the round does not end before."""
        if self._asked_at_s.pop(feed, None) is not None:
            self._postponed.add(feed)

    def again(self, feed: F, *, is_critical: bool) -> None:
        """Put what was asked or postponed back into the queue: it has to be asked once more."""
        if feed in self._postponed or feed in self._asked_at_s:
            self._take_out(feed)
            self.add(feed, is_critical=is_critical)

    def overdue(self, now_s: float) -> list[F]:
        """Return what has waited too long, the longest first; it still waits until somebody decides."""
        # In the order of asking: the first that is in time ends the search.
        late = []
        for feed, asked_at_s in self._asked_at_s.items():
            # The same sum as below: a difference may be a hair short of it, and time would stand still.
            if now_s < asked_at_s + ANSWER_TIMEOUT_S:
                break
            late.append(feed)
        return late

    @property
    def due_at_s(self) -> float | None:
        """When the next request will have waited too long; None: nothing waits."""
        first = next(iter(self._asked_at_s.values()), None)
        return None if first is None else first + ANSWER_TIMEOUT_S

    def finished(self, now_s: float) -> Round | None:
        """Return what the round came to, once, when all of it is answered or wanted no longer."""
        if self._began_at_s is None or self._round:
            return None
        result = Round(self._ok, self._refused, now_s - self._began_at_s)
        self._began_at_s = None
        return result
