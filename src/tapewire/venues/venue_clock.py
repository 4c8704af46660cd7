"""The time of a venue: what its commands are stamped with."""

from __future__ import annotations

from tapewire.ports.clock import Clock

__all__ = ["VenueClock"]


class VenueClock:
    """The wall clock, which may be set back, but never going back; and still while something happens.

    What happens has the time that it was given, even if that is carried out later, or again. Reading the clock
    does not move the time of what happens next.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._read_ns = 0
        #: Time of what happened last, UTC ns.
        self.event_ns = 0
        self._is_still = False

    def now_ns(self) -> int:
        """Return the time of what is happening, else of now, UTC ns."""
        if self._is_still:
            return self.event_ns
        self._read_ns = max(self._clock.wall_ns(), self._read_ns, self.event_ns)
        return self._read_ns

    def stand(self, at_ns: int) -> None:
        """Stand still: something happens, at this time or, if that is earlier, at that of what happened last."""
        self.event_ns = max(at_ns, self.event_ns)
        self._is_still = True

    def go_on(self) -> None:
        """Follow the wall clock again."""
        self._is_still = False

    def now_s(self) -> int:
        """Return the event time of now, Unix s."""
        return self.now_ns() // 1_000_000_000
