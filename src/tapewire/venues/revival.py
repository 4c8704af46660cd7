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


async def remember(
    listing: Listing, archive: Archive, today: TickBar | None, now_s: int, *, before_id: int | None = None
) -> Memory:
    """Return what the archive holds of a listing; bars that a crash has cut are made again from trades.

    Args:
        listing: Whose instrument is meant.
        archive: Read only.
        today: The seeded part of the venue's first day, which belongs to the bar of that day.
        now_s: Decides which bars have ended, Unix s; what the archive has of later ones does not count.
        before_id: Only trades below it count; None: all do.

    Raises:
        ArchiveError: It cannot be read.
    """
    key = listing.instrument.key
    before_id = _ID_MAX if before_id is None else before_id
    prints = [listing.printed(trade) for trade in await archive.trades(key, 0, before_id, TAPE_TRADES_MAX)]

    async def ended(interval_s: int, since_s: int, limit: int) -> list[TickBar]:
        bars = await archive.bars(key, interval_s, since_s, now_s, limit)
        return [listing.tick_bar(bar) for bar in bars if bar_ends_s(bar.time_s, interval_s) <= now_s]

    kept = await ended(MINUTE_S, 0, MINUTES_MAX)
    behind_s = kept[-1].time_s + MINUTE_S if kept else 0
    tail = await archive.trades(key, behind_s * 1_000_000_000, before_id, _TAIL_MAX)
    cut_minutes = fold([_second(listing, trade) for trade in tail], MINUTE_S)
    minutes = kept + cut_minutes

    days = await ended(DAY_S, 0, DAYS_MAX)
    behind_s = days[-1].time_s + DAY_S - MOSCOW_OFFSET_S if days else 0
    parts = await ended(MINUTE_S, behind_s, _DAY_MINUTES_MAX) + cut_minutes
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
