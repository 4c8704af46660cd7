"""One connection that is looked after: opened within a time, asked for signs of life, dropped when there are none.

=======  =======================================================================================================
what     how it is noticed and what follows
=======  =======================================================================================================
silence  a ping every ``PING_EVERY_S``; nothing at all within ``PING_TIMEOUT_S``: the connection is dropped
no end   an orderly end that takes longer than ``CLOSE_TIMEOUT_S``: the connection is dropped
=======  =======================================================================================================

It has no task of its own: its owner's looks after it for as long as that waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Generic, TypeVar

from tapewire.client.connection import Connection, MessageTaker
from tapewire.client.foreign_text import shown
from tapewire.client.heartbeat import PING_TIMEOUT_S, Heartbeat, Pulse
from tapewire.ports.network import Connector

__all__ = ["CLOSE_TIMEOUT_S", "CONNECT_TIMEOUT_S", "Attended"]

CONNECT_TIMEOUT_S = 10.0
#: How long an orderly end may take before the connection is dropped.
CLOSE_TIMEOUT_S = 1.0

S = TypeVar("S", bound=MessageTaker)


class Attended(Generic[S]):
    """A connection with the care for it.

    Args:
        session: What its messages are for.
        ping: Asks for a sign of life.
        on_silent: Called once with the seconds in which there was none, before the connection is dropped.
        on_lost: Called once with code and reason, when it has ended.
        shown: Makes the other end's reason fit to be told.
    """

    def __init__(
        self,
        session: S,
        ping: Callable[[], None],
        on_silent: Callable[[float], None],
        on_lost: Callable[[int, str], None] | None = None,
        *,
        shown: Callable[[str], str] = shown,
    ) -> None:
        self.connection = Connection(session, self._lost, shown)
        self._ping = ping
        self._on_silent = on_silent
        self._on_lost = on_lost
        self._heartbeat: Heartbeat | None = None
        self._news = asyncio.Event()
        self._gone = asyncio.Event()

    async def open(self, connector: Connector, url: str) -> None:
        """Open it.

        Raises:
            ConnectError: Of the port: it cannot be had.
        """
        await connector.connect(url, self.connection, timeout_s=CONNECT_TIMEOUT_S)

    def begin(self) -> None:
        """Ask for signs of life from now on."""
        self._heartbeat = Heartbeat(_now())

    def wake(self) -> None:
        """Let whoever waits, or waits next, look at what has happened."""
        self._news.set()

    def hurry(self) -> None:
        """Ask for a sign of life now, unless one is being waited for: there is reason to doubt."""
        if self._heartbeat is not None:
            self._heartbeat.hurry(self.connection.received, _now())
            self.wake()

    async def wait(self, until_s: float | None = None) -> None:
        """Return when it was woken or has ended, at ``until_s`` of the loop's time, or after any look at it."""
        due_at_s = [] if until_s is None else [until_s]
        if self._heartbeat is not None:
            due_at_s.append(self._heartbeat.due_at_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(due_at_s, default=None)):
                await self._news.wait()
        # What happens from here on is seen by the next look.
        self._news.clear()
        self._look()

    async def ended(self) -> None:
        """Wait for the end of a connection that is ending; one that is not, or takes too long, is dropped."""
        if self.connection.is_open:
            self.connection.abort()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._gone.wait()
        except TimeoutError:
            self.connection.abort()
            await self._gone.wait()

    def _look(self) -> None:
        if self._heartbeat is None or not self.connection.is_open:
            return
        pulse = self._heartbeat.look(self.connection.received, _now())
        if pulse is Pulse.PING:
            self._ping()
        elif pulse is Pulse.DEAD:
            self._heartbeat = None
            self._on_silent(PING_TIMEOUT_S)
            self.connection.abort(f"silent for {PING_TIMEOUT_S:g} s after a ping")

    def _lost(self, code: int, reason: str) -> None:
        self._heartbeat = None
        self._gone.set()
        self._news.set()
        if self._on_lost is not None:
            self._on_lost(code, reason)


def _now() -> float:
    return asyncio.get_running_loop().time()
