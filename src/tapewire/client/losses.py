"""Tells of what slow consumers lose: soon at first, then at most one event of a stream in a while, with counts."""

from __future__ import annotations

import asyncio

from tapewire.client.buffer import Buffer
from tapewire.client.events import Events, OverflowEvent

__all__ = ["TELL_AFTER_S", "TELL_EVERY_S", "Losses"]

#: How long the first losses of a stream are gathered before they are told.
TELL_AFTER_S = 1.0
#: Between two events of one stream.
TELL_EVERY_S = 10.0


class Losses:
    """Gathers losses by stream; as many timers at most as there are streams that lose something."""

    def __init__(self, events: Events) -> None:
        self._events = events
        #: Losses of each stream that were told.
        self._told: dict[Buffer, int] = {}
        self._timers: dict[Buffer, asyncio.TimerHandle] = {}

    def lost(self, buffer: Buffer) -> None:
        """Note that a message was lost. Called by the reader for each of them."""
        if buffer.has_overflowed:
            self._tell(buffer)
        elif buffer not in self._timers:
            self._look_in(TELL_AFTER_S, buffer)

    def forget(self, buffer: Buffer) -> None:
        """Tell what was not told yet of a stream that goes."""
        timer = self._timers.pop(buffer, None)
        if timer is not None:
            timer.cancel()
            self._tell(buffer)
        self._told.pop(buffer, None)

    def _look_in(self, seconds: float, buffer: Buffer) -> None:
        self._timers[buffer] = asyncio.get_running_loop().call_later(seconds, self._look, buffer)

    def _look(self, buffer: Buffer) -> None:
        del self._timers[buffer]
        if self._tell(buffer):
            self._look_in(TELL_EVERY_S, buffer)

    def _tell(self, buffer: Buffer) -> bool:
        fresh = buffer.lost - self._told.get(buffer, 0)
        if not fresh:
            return False
        self._told[buffer] = buffer.lost
        self._events.tell(OverflowEvent(stream=buffer.stream, dropped=fresh, has_ended=buffer.has_overflowed))
        return True
