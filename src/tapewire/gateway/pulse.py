"""When feeds deliver and sessions write: in beats, at once while that costs little.

A write is a system call, and the call, not Python, is most of what a delivery costs. So deliveries are gathered:
what became due since the last beat goes out in the next one, each session in one write. After a beat comes a rest
that grows with what the beat has cost. Few sessions have short beats and hardly rest; with many, each write
carries more. What must not wait (answers, order commands, portfolios) does not.

Where beats are cheap, one may come while the venue still tells, before its turn of the loop: it leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

__all__ = ["LEADING_BEAT_MAX_S", "REST_MAX_S", "REST_TO_BEAT", "Due", "Flushable", "Pulse"]

#: After a beat that took longer, the next one waits for its own turn of the loop.
LEADING_BEAT_MAX_S = 0.0002
#: A rest is so many times as long as the beat before it: beats take a quarter of the time at most ...
REST_TO_BEAT = 3.0
#: ... until the rest would delay what is due by more than this.
REST_MAX_S = 0.005


class Due(Protocol):
    """A feed that has something to deliver."""

    def deliver(self) -> None:
        """Hand it to the subscribers."""


class Flushable(Protocol):
    """Something with an outbox."""

    def flush(self) -> None:
        """Write what the socket takes now."""


class Pulse:
    """Decides when the feeds of a gateway deliver and its sessions write.

    ``stopwatch`` measures what beats cost, in seconds of a processor: a beat in which another process had its turn
    is no dear one, and a long rest behind it would be a second delay.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, stopwatch: Callable[[], float]) -> None:
        self._loop = loop
        self._stopwatch = stopwatch
        self._due: dict[Due, None] = {}
        self._dirty: dict[Flushable, None] = {}
        self._urgent: dict[Flushable, None] = {}
        self._turn_handle: asyncio.Handle | None = None
        self._rest_handle: asyncio.TimerHandle | None = None
        self._rests_until = loop.time()
        # Until when no beat comes before its turn.
        self._leads_after = loop.time()
        # How long the last beat has taken; of the first one nothing is known.
        self._beat_s = REST_MAX_S
        # What a beat itself marks needs no turn of its own.
        self._is_beating = False

    def due(self, feed: Due) -> None:
        """Have a feed deliver in the next beat."""
        self._due[feed] = None
        if self._turn_handle is None and self._rest_handle is None and not self._is_beating:
            self._turn_handle = self._loop.call_soon(self._turn)

    def lead(self) -> None:
        """Deliver what is due now, if nothing went out of late and the last beat was cheap.

        For whoever has made feeds due and has no more to say: the turn of the loop that is not waited for is a
        tenth of the way from the venue to a program. Sessions write in here, and hear nothing.
        """
        handle = self._turn_handle
        if handle is None or not self._due or self._beat_s > LEADING_BEAT_MAX_S or self._is_beating:
            return
        if self._rest_handle is None and self._loop.time() >= max(self._rests_until, self._leads_after):
            handle.cancel()
            rests_until = self._rests_until
            self._turn()
            # What follows at once goes out with the next turn, as if nothing had led; only leading rests.
            self._leads_after, self._rests_until = self._rests_until, rests_until

    def mark(self, session: Flushable) -> None:
        """Have a session write in the next beat."""
        self._dirty[session] = None
        if self._turn_handle is None and self._rest_handle is None and not self._is_beating:
            self._turn_handle = self._loop.call_soon(self._turn)

    def mark_urgent(self, session: Flushable) -> None:
        """Have a session write when the loop comes round, whatever others do."""
        self._urgent[session] = None
        if self._turn_handle is None:
            self._turn_handle = self._loop.call_soon(self._turn)

    def now(self) -> float:
        """Return the loop's time in seconds."""
        return self._loop.time()

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back when the delivery that is under way is over."""
        self._loop.call_soon(callback)

    def forget(self, session: Flushable) -> None:
        """Write nothing more for a session."""
        self._dirty.pop(session, None)
        self._urgent.pop(session, None)

    def close(self) -> None:
        """Deliver and write nothing more at all."""
        for handle in (self._turn_handle, self._rest_handle):
            if handle is not None:
                handle.cancel()
        self._turn_handle = self._rest_handle = None
        self._due.clear()
        self._dirty.clear()
        self._urgent.clear()

    def _turn(self) -> None:
        self._turn_handle = None
        if self._urgent:
            urgent, self._urgent = self._urgent, {}
            for session in urgent:
                self._dirty.pop(session, None)
            self._write(urgent)
        if self._rest_handle is not None or not (self._due or self._dirty):
            return
        if self._loop.time() >= self._rests_until:
            self._beat()
        else:
            self._rest_handle = self._loop.call_at(self._rests_until, self._beat)

    def _beat(self) -> None:
        self._rest_handle = None
        self._is_beating = True
        began = self._stopwatch()
        try:
            due, self._due = self._due, {}
            for feed in due:
                try:
                    feed.deliver()
                except Exception as error:  # noqa: BLE001 - what one feed cannot say harms no other
                    self._report("a feed cannot deliver", error)
            dirty, self._dirty = self._dirty, {}
            self._write(dirty)
        finally:
            self._is_beating = False
        self._beat_s = self._stopwatch() - began
        self._rests_until = self._loop.time() + min(REST_TO_BEAT * self._beat_s, REST_MAX_S)
        if (self._due or self._dirty) and self._turn_handle is None:
            self._turn_handle = self._loop.call_soon(self._turn)

    def _write(self, sessions: Iterable[Flushable]) -> None:
        for session in sessions:
            try:
                session.flush()
            except Exception as error:  # noqa: BLE001 - what one session cannot write harms no other
                self._report("writing to a session failed", error)

    def _report(self, fault: str, error: Exception) -> None:
        self._loop.call_exception_handler({"message": fault, "exception": error})
