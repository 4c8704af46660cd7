"""What an instrument is worth in the eyes of the participants."""

from __future__ import annotations

from random import Random

from tapewire.model import Instrument

__all__ = ["FairPrice"]

#: Half-width of one move. A walk of such moves needs about a dozen events for one tick, less than it takes
#: the participants to follow with their orders, so the book stays around the price.
_MOVE_TICKS = 0.5

#: Standard deviation of the price in the long run, as a part of the way from the close to the band's edge.
_SPREAD_PART = 1 / 8

#: The walk is turned back at this part of the way, four standard deviations out.
_LIMIT_PART = 1 / 2


class FairPrice:
    """A random walk that is drawn back to the previous close and never comes near the band's edge.

    Additions and multiplications only: the same seed gives the same price on every machine, which the
    logarithms and cosines of normal deviates would not.
    """

    def __init__(self, instrument: Instrument) -> None:
        #: Ticks, not whole.
        self.ticks = float(instrument.prev_close_ticks)
        self.anchor(instrument.prev_close_ticks, instrument.price_band_ticks)

    def anchor(self, close_ticks: int, band_ticks: tuple[int, int]) -> None:
        """Be drawn back to another close from now on, within other price limits."""
        low, high = band_ticks
        #: What it is drawn to.
        self.close_ticks = close_ticks
        self._close = float(close_ticks)
        room = min(high - self._close, self._close - low)
        self._low = self._close - room * _LIMIT_PART
        self._high = self._close + room * _LIMIT_PART
        # A walk with moves of variance v and a pull k per move settles at the variance v / 2k.
        spread = max(room * _SPREAD_PART, 1.0)
        self._pull = min(_MOVE_TICKS * _MOVE_TICKS / 3 / (2 * spread * spread), 1.0)
        self.ticks = min(max(self.ticks, self._low), self._high)

    def move(self, random: Random) -> float:
        """Take one step of the walk and return the new price in ticks."""
        step = (random.random() - 0.5) * 2 * _MOVE_TICKS
        ticks = self.ticks + step + (self._close - self.ticks) * self._pull
        self.ticks = min(max(ticks, self._low), self._high)
        return self.ticks
