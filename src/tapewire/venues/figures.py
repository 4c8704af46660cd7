"""The figures of a trading session: open, high, low, last, volume."""

from __future__ import annotations

from tapewire.market import TickBar
from tapewire.model import DAY_S

__all__ = ["SessionFigures", "trading_day"]

_DAY_NS = 86_400 * 1_000_000_000
#: Moscow time, UTC+3 without summer time.
_MOSCOW_NS = 3 * 3_600 * 1_000_000_000


def trading_day(at_ns: int) -> int:
    """Return the trading day of a wall time, as days since 1970-01-01; it begins at midnight in Moscow."""
    return (at_ns + _MOSCOW_NS) // _DAY_NS


class SessionFigures:
    """What one instrument's trades of one day come to, in ticks and lots.

    Before the first trade of a day all its prices are the previous close, which is the last price of the day
    before. A day turns with ``turn`` or with its first trade, whichever is first.
    """

    __slots__ = (
        "day",
        "high_ticks",
        "last_at_ns",
        "last_ticks",
        "lots",
        "low_ticks",
        "open_ticks",
        "prev_close_ticks",
    )

    def __init__(self, prev_close_ticks: int, *, at_ns: int) -> None:
        self.prev_close_ticks = prev_close_ticks
        self.open_ticks = prev_close_ticks
        self.high_ticks = prev_close_ticks
        self.low_ticks = prev_close_ticks
        self.last_ticks = prev_close_ticks
        #: Wall time of the last trade, UTC ns; before the first one the time given at the start,
        #: or that of a past trade, which is for the listing to say.
        self.last_at_ns = at_ns
        self.lots = 0
        #: Days since 1970, Moscow.
        self.day = trading_day(at_ns)

    def restore(self, day: TickBar, prev_close_ticks: int) -> None:
        """Take over the figures of a day that was traded before: its bar, and the close of the day before it."""
        self.day = day.time_s // DAY_S
        self.prev_close_ticks = prev_close_ticks
        self.open_ticks, self.last_ticks = day.open_ticks, day.close_ticks
        self.high_ticks, self.low_ticks = day.high_ticks, day.low_ticks
        self.lots = day.lots

    def turn(self, at_ns: int) -> bool:
        """Begin a new day if it is one: all prices are the last one of the old day. Return whether it is."""
        day = trading_day(at_ns)
        if day == self.day:
            return False
        self.day = day
        self.lots = 0
        self.prev_close_ticks = self.open_ticks = self.high_ticks = self.low_ticks = self.last_ticks
        return True

    def trade(self, price_ticks: int, lots: int, at_ns: int) -> None:
        """Add one trade."""
        self.turn(at_ns)
        if not self.lots:
            self.open_ticks = self.high_ticks = self.low_ticks = price_ticks
        elif price_ticks > self.high_ticks:
            self.high_ticks = price_ticks
        elif price_ticks < self.low_ticks:
            self.low_ticks = price_ticks
        self.last_ticks = price_ticks
        self.last_at_ns = at_ns
        self.lots += lots
