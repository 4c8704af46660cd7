"""When to ask the other end of a connection for a sign of life, and when there was none. Pure.

Any message is a sign of life: a busy connection is never ended for an answer that stands behind its data.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["PING_EVERY_S", "PING_TIMEOUT_S", "Heartbeat", "Pulse"]

#: Below the idle times after which address translators and balancers forget a connection.
PING_EVERY_S = 10.0
#: Nothing at all within this time after a ping: nobody is there.
PING_TIMEOUT_S = 5.0


class Pulse(Enum):
    """What a look at a connection comes to."""

    FINE = "fine"
    #: A ping is to be sent now.
    PING = "ping"
    #: The other end is gone, whatever the network says.
    DEAD = "dead"


class Heartbeat:
    """Looks after one connection. Times are those of any one clock, in seconds."""

    def __init__(self, now_s: float) -> None:
        self._ping_at_s = now_s + PING_EVERY_S
        self._dead_at_s: float | None = None
        self._received = 0

    @property
    def due_at_s(self) -> float:
        """When to look again at the latest."""
        return self._ping_at_s if self._dead_at_s is None else min(self._ping_at_s, self._dead_at_s)

    def hurry(self, received: int, now_s: float) -> None:
        """Let the next look ask for a sign of life, unless one is being waited for."""
        self._note(received)
        if self._dead_at_s is None:
            self._ping_at_s = now_s

    def look(self, received: int, now_s: float) -> Pulse:
        """Look at the number of messages that have come in so far; after ``PING`` a ping has been sent."""
        self._note(received)
        if self._dead_at_s is not None and now_s >= self._dead_at_s:
            return Pulse.DEAD
        if now_s >= self._ping_at_s:
            self._ping_at_s = now_s + PING_EVERY_S
            if self._dead_at_s is None:
                self._dead_at_s = now_s + PING_TIMEOUT_S
            return Pulse.PING
        return Pulse.FINE

    def _note(self, received: int) -> None:
        if received != self._received:
            self._received, self._dead_at_s = received, None
