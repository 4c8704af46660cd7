"""The seeded past as one listing sees it."""

from __future__ import annotations

from collections.abc import Iterator

from tapewire.exchange import FIRST_TRADE_ID
from tapewire.market import HOUR_S, MINUTE_S, Past, PastTrade, TickBar
from tapewire.model import DAY_S, bar_begins_s, bar_opening_s, trading_day
from tapewire.venues.tape import Print

__all__ = ["PastBars", "id_at"]

#: A past trade's time is a multiple of this, and its number says the time and the instrument.
_SLOT_NS = 10_000_000
#: Numbers in a slot, one an instrument.
_NUMBERS_A_SLOT = 100
#: Bars of intervals that are no whole minutes are made of single trades, which are made on demand: their past
#: reaches so many whole days back. Asking for more would keep the venue busy for half a minute.
SECONDS_DAYS_MAX = 2


def id_at(at_ns: int) -> int:
    """Return the trade number that belongs to a wall time: 10,000 of them pass each second.

    A venue's first trade gets that of its start, so that numbers grow from one start to the next.
    """
    return FIRST_TRADE_ID + at_ns * _NUMBERS_A_SLOT // _SLOT_NS


class PastBars:
    """What lies before the venue's first moment, for one instrument. All calls return within milliseconds."""

    def __init__(self, past: Past, position: int, *, open_interest: int) -> None:
        """Look at ``past``.

        Args:
            past: The past of all instruments.
            position: This instrument's place in it; below 100, or trade numbers could be given twice.
            open_interest: What its trades say, contracts.
        """
        self._past = past
        self._position = position
        self._open_interest = open_interest

    @property
    def until_s(self) -> int:
        """The past's end, a whole minute, Unix s."""
        return self._past.until_s

    def today(self) -> TickBar | None:
        """Return the bar of the first day's part that is past; None if nothing was traded in it."""
        return self._past.today(self._position)

    def pieces(self, interval_s: int, until_s: int) -> Iterator[list[TickBar]]:
        """Yield bars that can be folded to ``interval_s``, opening before ``until_s``: newest piece first.

        The bar of the first day is left out of the days: it is the venue's own.
        """
        if interval_s >= DAY_S:
            first_day_s = trading_day(self.until_s) * DAY_S
            return self._past.bars_before(self._position, DAY_S, min(until_s, first_day_s))
        until_s = min(until_s, self.until_s)
        if interval_s % MINUTE_S:
            return self._seconds(until_s)
        base_s = MINUTE_S if interval_s % HOUR_S else HOUR_S
        return self._past.bars_before(self._position, base_s, until_s)

    def since(self, interval_s: int, opening_s: int) -> list[TickBar]:
        """Return the past's bars from an opening on that can be folded to ``interval_s``, oldest first."""
        found: list[TickBar] = []
        for piece in self.pieces(interval_s, self.until_s + DAY_S):
            wanted = [bar for bar in piece if bar.time_s >= opening_s]
            found[:0] = wanted
            if len(wanted) < len(piece):
                break
        return found

    def newest(self, interval_s: int) -> list[TickBar]:
        """Return the parts of the newest bar of an interval; empty if there is no past."""
        for piece in self.pieces(interval_s, self.until_s + DAY_S):
            if piece:
                return self.since(interval_s, bar_opening_s(piece[-1].time_s, interval_s))
        return []

    def prints(self, until_s: int) -> Iterator[list[Print]]:
        """Yield the trades before a moment, a minute at a time: newest minute first, oldest trade first."""
        for trades in self._past.trades_before(self._position, min(until_s, self.until_s)):
            yield [self._print(trade) for trade in trades]

    def last(self) -> Print | None:
        """Return the last trade; None if there never was one."""
        return next((prints[-1] for prints in self.prints(self.until_s) if prints), None)

    def _seconds(self, until_s: int) -> Iterator[list[TickBar]]:
        # The minute of the bound is made whole and cut.
        minute_end_s = bar_begins_s(bar_opening_s(until_s + MINUTE_S - 1, MINUTE_S), MINUTE_S)
        # No bar spans two days, so the cut leaves none in part.
        since_s = bar_begins_s((trading_day(self.until_s) - SECONDS_DAYS_MAX) * DAY_S, DAY_S)
        for trades in self._past.trades_before(self._position, minute_end_s):
            if trades and trades[-1].at_ns < since_s * 1_000_000_000:
                return
            yield [
                TickBar.of_trade(at_s, trade.price_ticks, trade.lots)
                for trade in trades
                if (at_s := trade.at_ns // 1_000_000_000) < until_s
            ]

    def _print(self, trade: PastTrade) -> Print:
        return Print(
            id_at(trade.at_ns) + self._position,
            trade.price_ticks,
            trade.lots,
            trade.aggressor,
            trade.at_ns,
            self._open_interest,
        )
