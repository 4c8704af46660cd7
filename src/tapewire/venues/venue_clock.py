"""The time of a venue: what its commands are stamped with."""

from __future__ import annotations

from tapewire.ports.clock import Clock

__all__ = ["VenueClock"]


class VenueClock:
    """The wall clock, which may be set back, but never going back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_ns = 0

    def now_ns(self) -> int:
        """Return the event time of now, UTC ns."""
        self._last_ns = max(self._clock.wall_ns(), self._last_ns)
        return self._last_ns

    def now_s(self) -> int:
        """Return the event time of now, Unix s."""
        return self.now_ns() // 1_000_000_000
