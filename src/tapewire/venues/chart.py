"""The running bar of one instrument and interval."""

from __future__ import annotations

from typing import NamedTuple

from tapewire.market import TickBar
from tapewire.model import bar_ends_s, bar_opening_s

__all__ = ["Chart", "FinishedBar"]


class FinishedBar(NamedTuple):
    """A bar that no trade can change any more."""

    interval_s: int
    bar: TickBar
    #: Place on the tape of its last trade: a bar is what its trades make of it, so this is its position.
    sequence: int


class Chart:
    """Adds trades up, a few comparisons each; says when a bar is final.

    A bar is final when a trade of a later one comes or the clock passes its end, whichever is first.
    """

    __slots__ = ("_ends_s", "interval_s", "newest", "running", "sequence")

    def __init__(self, interval_s: int, newest: TickBar | None, sequence: int, now_s: int) -> None:
        """Continue from the newest bar that has trades, which may be final already.

        Args:
            interval_s: As in ``model.interval``.
            newest: None: there never was a trade. It is taken over.
            sequence: Place on the tape of its last trade.
            now_s: Decides whether ``newest`` still runs, Unix s.
        """
        self.interval_s = interval_s
        #: The newest bar that has trades, running or final; None before the first trade ever.
        self.newest = newest
        self.sequence = sequence
        self._ends_s = 0 if newest is None else bar_ends_s(newest.time_s, interval_s)
        #: Whether ``newest`` can still change.
        self.running = now_s < self._ends_s

    def trade(self, at_s: int, price_ticks: int, lots: int, sequence: int) -> FinishedBar | None:
        """Add one trade; return the bar that it finished, if any."""
        finished = None
        if self.running and self.newest is not None and at_s < self._ends_s:
            self.newest.trade(price_ticks, lots)
        else:
            finished = self._finish()
            opening_s = bar_opening_s(at_s, self.interval_s)
            self.newest = TickBar.of_trade(opening_s, price_ticks, lots)
            self._ends_s = bar_ends_s(opening_s, self.interval_s)
            self.running = True
        self.sequence = sequence
        return finished

    def expire(self, now_s: int) -> FinishedBar | None:
        """Return the running bar if its time has passed, once."""
        return self._finish() if now_s >= self._ends_s else None

    def _finish(self) -> FinishedBar | None:
        if not self.running or self.newest is None:
            return None
        self.running = False
        return FinishedBar(self.interval_s, self.newest, self.sequence)
