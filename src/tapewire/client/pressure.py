"""How far a connection is from the broker's cut at 5,000 messages that wait for it. Pure.

Nobody tells how many wait. But they are late: what waits is what comes in the time by which messages are late.
Lateness is measured above the least of the last minutes, so that clocks that differ and long ways do not count::

    waiting ≈ messages a second x (seconds late - seconds late at best)
"""

from __future__ import annotations

from typing import NamedTuple

from tapewire.protocol.limits import UNPROCESSED_MESSAGES_MAX

__all__ = [
    "ACT_ABOVE",
    "ACT_EVERY_S",
    "BEST_OF_S",
    "CALM_BELOW",
    "EASE_AFTER_MAX_S",
    "EASE_AFTER_S",
    "Estimate",
    "Pressure",
]

#: The least lateness of between one and two of these times is that of an idle connection.
BEST_OF_S = 300.0
#: Parts of the broker's bound: something is done above the first, until the estimate is below the second.
ACT_ABOVE = 0.2
CALM_BELOW = 0.05
#: What was done needs so long to show.
ACT_EVERY_S = 10.0
#: After so long a calm, one step of what was done is taken back; twice as long when that was too early.
EASE_AFTER_S = 300.0
EASE_AFTER_MAX_S = 3_600.0
#: Over a shorter time a rate says nothing.
_RATE_OVER_S = 0.1
#: The weight of the newest rate.
_RATE_WEIGHT = 0.3


class Estimate(NamedTuple):
    """What is known of one connection."""

    messages_per_s: float
    #: Seconds by which messages are later than at best; 0 where nothing was measured.
    late_s: float
    #: There and back, of the newest ping that was answered; None before the first.
    round_trip_s: float | None

    @property
    def waiting(self) -> float:
        """Messages that wait for this connection, as far as one can tell."""
        return self.messages_per_s * self.late_s

    @property
    def of_the_bound(self) -> float:
        """That as a part of what the broker lets wait: at 1 it cuts."""
        return self.waiting / UNPROCESSED_MESSAGES_MAX


class _Best:
    """The least of the last minutes."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._before: float | None = None
        self._now: float | None = None

    def above(self, value: float, now_s: float) -> float:
        """Note a value, and return how far it is above the least."""
        if self._since_s is None or now_s - self._since_s >= BEST_OF_S:
            self._since_s, self._before, self._now = now_s, self._now, None
        self._now = value if self._now is None else min(self._now, value)
        return value - (self._now if self._before is None else min(self._now, self._before))


class Pressure:
    """Keeps the estimate of one connection. Times are those of any one clock, in seconds."""

    def __init__(self) -> None:
        self.estimate = Estimate(0.0, 0.0, None)
        self._looked: tuple[float, int] | None = None
        self._lag, self._round_trip = _Best(), _Best()
        self._is_high = False
        self._acted_at_s: float | None = None
        #: Since when there is calm, or one step was taken back; None: there is none.
        self._calm_since_s: float | None = None
        self._ease_after_s = EASE_AFTER_S
        self._has_eased = False

    def look(self, received: int, lag_s: float | None, round_trip_s: float | None, now_s: float) -> Estimate:
        """Take a measurement: messages so far, age of a record that has just come, newest round trip."""
        rate = self.estimate.messages_per_s
        if self._looked is None:
            self._looked = now_s, received
        elif now_s - self._looked[0] >= _RATE_OVER_S:
            fresh = max(received - self._looked[1], 0) / (now_s - self._looked[0])
            rate += _RATE_WEIGHT * (fresh - rate)
            self._looked = now_s, received
        late = [
            best.above(value, now_s)
            for best, value in ((self._lag, lag_s), (self._round_trip, round_trip_s))
            if value is not None
        ]
        self.estimate = Estimate(rate, max(late, default=0.0), round_trip_s)
        return self.estimate

    def must_act(self, now_s: float) -> bool:
        """Return whether something is to be done about it now; whoever asks does it."""
        part = self.estimate.of_the_bound
        self._is_high = part > ACT_ABOVE or (self._is_high and part > CALM_BELOW)
        if part > CALM_BELOW:
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        if not self._is_high or (self._acted_at_s is not None and now_s - self._acted_at_s < ACT_EVERY_S):
            return False
        self._acted_at_s = now_s
        if self._has_eased:
            # A market that comes back with every easing must not be a stream that is asked for without end.
            self._ease_after_s, self._has_eased = min(2 * self._ease_after_s, EASE_AFTER_MAX_S), False
        return True

    def may_ease(self, now_s: float) -> bool:
        """Return whether a step of what was done may be taken back now; to be asked after :meth:`must_act`."""
        if self._acted_at_s is None or self._calm_since_s is None:
            return False
        if now_s - self._calm_since_s < self._ease_after_s:
            return False
        self._calm_since_s, self._has_eased = now_s, True
        return True
