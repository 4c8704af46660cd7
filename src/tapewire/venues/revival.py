"""What a listing knows of earlier starts of its venue: read from the archive before the market opens."""

from __future__ import annotations

from typing import NamedTuple

from tapewire.market import MINUTE_S, TickBar, fold
from tapewire.model import DAY_S, MOSCOW_OFFSET_S, bar_ends_s
from tapewire.ports.archive import Archive, ArchivedTrade
from tapewire.venues.chart import FinishedBar
from tapewire.venues.charts import DAYS_MAX, MINUTES_MAX
from tapewire.venues.listing import Listing
from tapewire.venues.tape import TAPE_TRADES_MAX, Print

__all__ = ["Memory", "remember"]

_ID_MAX = 2**63 - 1
_TIME_MAX = 2**62

#: Trades behind the last kept minute bar: those of a minute that a crash has cut, as a rule.
_TAIL_MAX = 500_000
#: Minutes behind the last kept day bar; a week, should nobody have been there to end the day.
_DAY_MINUTES_MAX = 10_080


class Memory(NamedTuple):
    """Oldest first; the newest minute and day may still run."""

    prints: list[Print]
    minutes: list[TickBar]
    days: list[TickBar]
    #: Bars that have ended and that the archive does not know.
    finished: list[FinishedBar]


async def remember(listing: Listing, archive: Archive, today: TickBar | None, now_s: int) -> Memory:
    """Return what the archive holds of a listing; bars that a crash has cut are made again from trades.

    Args:
        listing: Whose instrument is meant.
        archive: Read only.
        today: The seeded part of the venue's first day, which belongs to the bar of that day.
        now_s: Decides which bars have ended, Unix s.

    Raises:
        ArchiveError: It cannot be read.
    """
    key = listing.instrument.key
    prints = [listing.printed(trade) for trade in await archive.trades(key, 0, _ID_MAX, TAPE_TRADES_MAX)]

    kept = [listing.tick_bar(bar) for bar in await archive.bars(key, MINUTE_S, 0, _TIME_MAX, MINUTES_MAX)]
    behind_s = kept[-1].time_s + MINUTE_S if kept else 0
    tail = await archive.trades(key, behind_s * 1_000_000_000, _ID_MAX, _TAIL_MAX)
    cut_minutes = fold([_second(listing, trade) for trade in tail], MINUTE_S)
    minutes = kept + cut_minutes

    days = [listing.tick_bar(bar) for bar in await archive.bars(key, DAY_S, 0, _TIME_MAX, DAYS_MAX)]
    behind_s = days[-1].time_s + DAY_S - MOSCOW_OFFSET_S if days else 0
    open_minutes = await archive.bars(key, MINUTE_S, behind_s, _TIME_MAX, _DAY_MINUTES_MAX)
    parts = [listing.tick_bar(bar) for bar in open_minutes] + cut_minutes
    cut_days = fold(parts if days or today is None else [today, *parts], DAY_S)

    finished = [
        FinishedBar(interval_s, bar, 0)
        for interval_s, bars in ((MINUTE_S, cut_minutes), (DAY_S, cut_days))
        for bar in bars
        if bar_ends_s(bar.time_s, interval_s) <= now_s
    ]
    return Memory(prints, minutes[-MINUTES_MAX:], (days + cut_days)[-DAYS_MAX:], finished)


def _second(listing: Listing, trade: ArchivedTrade) -> TickBar:
    printed = listing.printed(trade)
    return TickBar.of_trade(printed.at_ns // 1_000_000_000, printed.price_ticks, printed.lots)
