"""When sessions write: at once while few have something to say, else together, at most 2 ms later.

A write is a system call, and the call, not Python, is what a delivery costs. While many sessions are dirty, a
short wait lets each of them put many messages into one write. What must not wait (answers, order commands) does
not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

__all__ = ["Flushable", "Flusher"]

#: Up to so many dirty sessions write in the loop turn in which they became dirty.
FEW_SESSIONS = 8
#: Above that they wait for each other so long at most.
COALESCING_S = 0.002


class Flushable(Protocol):
    """Something with an outbox."""

    def flush(self) -> None:
        """Write what the socket takes now."""


class Flusher:
    """Decides when the sessions of a gateway write."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._dirty: dict[Flushable, None] = {}
        self._urgent: dict[Flushable, None] = {}
        self._turn_handle: asyncio.Handle | None = None
        self._wait_handle: asyncio.TimerHandle | None = None
        self._last_together = loop.time() - COALESCING_S

    def mark(self, session: Flushable) -> None:
        """Remember that a session has something to send."""
        if session not in self._dirty:
            self._dirty[session] = None
            if self._turn_handle is None and self._wait_handle is None:
                self._turn_handle = self._loop.call_soon(self._turn)

    def mark_urgent(self, session: Flushable) -> None:
        """Remember that a session has something to send that must not wait."""
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
        """Write nothing more at all."""
        for handle in (self._turn_handle, self._wait_handle):
            if handle is not None:
                handle.cancel()
        self._turn_handle = self._wait_handle = None
        self._dirty.clear()
        self._urgent.clear()

    def _turn(self) -> None:
        self._turn_handle = None
        urgent, self._urgent = self._urgent, {}
        for session in urgent:
            self._dirty.pop(session, None)
            self._flush(session)
        if not self._dirty or self._wait_handle is not None:
            return
        if len(self._dirty) <= FEW_SESSIONS:
            self._flush_all()
            return
        due = self._last_together + COALESCING_S
        if self._loop.time() >= due:
            self._together()
        else:
            self._wait_handle = self._loop.call_at(due, self._together)

    def _together(self) -> None:
        self._wait_handle = None
        self._last_together = self._loop.time()
        self._flush_all()

    def _flush_all(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for session in dirty:
            self._flush(session)

    def _flush(self, session: Flushable) -> None:
        try:
            session.flush()
        except Exception as error:  # noqa: BLE001 - what one session cannot write harms no other
            self._loop.call_exception_handler({"message": "writing to a session failed", "exception": error})
