"""Bars and trades of one listing from all that is known: memory, archive, seeded past, as one line of time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from tapewire.market import MINUTE_S, TickBar, fold
from tapewire.model import DAY_S, MOSCOW_OFFSET_S, bar_ends_s, bar_opening_s
from tapewire.ports.archive import Archive, ArchivedTrade
from tapewire.ports.query import TradesFilter
from tapewire.venues.keeper import Keeper
from tapewire.venues.listing import Listing
from tapewire.venues.past_bars import PastBars
from tapewire.venues.selection import check_filter, matching
from tapewire.venues.tape import TAPE_TRADES_MAX, Print

__all__ = ["PAST_TRADES_MAX", "History"]

#: Trades of the seeded past that can be asked for; bars of it reach back for years. Kept once made, 0.8 MB.
PAST_TRADES_MAX = TAPE_TRADES_MAX

#: Rows read from the archive, or turned over, before other tasks get their turn.
_ROWS_AT_ONCE = 1_440

_ID_MAX = 2**63 - 1

#: The year 3000: clients send bounds that no calendar holds.
_TIME_MAX_S = 32_503_680_000


class History:
    """Reads of one listing. Long ones are made in pieces of a few milliseconds with a turn for others between.

    What is read is the state at the call, whatever happens while it is put together.
    """

    def __init__(self, listing: Listing, past: PastBars, archive: Archive, keeper: Keeper) -> None:
        self._listing = listing
        self._past = past
        self._archive = archive
        self._keeper = keeper
        self._past_prints: list[Print] | None = None

    async def bars(self, interval_s: int, since_s: int, until_s: int, limit: int) -> Sequence[TickBar]:
        """Return the bars that open in a range, inclusive: the newest ``limit``, oldest first.

        Raises:
            ArchiveError: Older bars cannot be read.
        """
        until_s = min(until_s, _TIME_MAX_S)
        if limit <= 0 or since_s > until_s:
            return []
        gathered = _Gathering(interval_s)
        # A generator that is left early is closed here, not by the loop at some later time.
        async with aclosing(self._pieces(interval_s, _end_s(until_s, interval_s))) as pieces:
            async for piece in pieces:
                gathered.put(piece)
                if len(gathered.bars) > limit or (gathered.bars and gathered.bars[0].time_s < since_s):
                    break  # the oldest may lack its beginning, and is left out below
        wanted = [bar for bar in gathered.bars if since_s <= bar.time_s <= until_s]
        return wanted[max(0, len(wanted) - limit) :]

    async def first_opening_s(self, interval_s: int, since_s: int, until_s: int) -> int | None:
        """Return the opening of the first bar that opens in a range; None without any."""
        # Nobody knows how far the next bar is: look a little further each time.
        width_s = interval_s * 16
        while since_s <= until_s:
            bars = await self.bars(interval_s, since_s, min(since_s + width_s, until_s), width_s)
            if bars:
                return bars[0].time_s
            since_s += width_s + 1
            width_s *= 4
        return None

    async def last_trades(self, limit: int) -> list[Print]:
        """Return the last ``limit`` trades, oldest first; of the seeded past ``PAST_TRADES_MAX`` at most.

        Raises:
            ArchiveError: Older trades cannot be read.
        """
        prints = self._listing.tape.last(limit)
        if len(prints) < limit and self._listing.tape.is_full:
            # The tape holds all there is unless it is full.
            await self._keeper.flush()
            before_id = prints[0].id
            older = await self._archive.trades(self._listing.instrument.key, 0, before_id, limit - len(prints))
            prints = [*(self._listing.printed(trade) for trade in older), *prints]
        if len(prints) < limit:
            past = await self._past_tape()
            prints = [*past[max(0, len(past) - (limit - len(prints))) :], *prints]
        return prints

    async def find_trades(self, wanted: TradesFilter) -> tuple[int, list[Print]]:
        """Return how many trades match, and those that are wanted of them.

        Raises:
            ArchiveError: Older trades cannot be read.
            ValueError: ``limit`` or ``offset`` is negative.
        """
        check_filter(wanted)
        tape = self._listing.tape.last(TAPE_TRADES_MAX)
        parts = [self._find_in_past, self._find_in_archive, self._find_in_tape]
        if wanted.descending:
            parts.reverse()
        total, found = 0, list[ArchivedTrade]()
        for find in parts:
            part_total, part = await find(
                msgspec.structs.replace(
                    wanted, offset=max(0, wanted.offset - total), limit=wanted.limit - len(found)
                ),
                tape,
            )
            total += part_total
            found += part
        return total, [self._listing.printed(trade) for trade in found]

    async def _find_in_tape(
        self, wanted: TradesFilter, tape: Sequence[Print]
    ) -> tuple[int, Sequence[ArchivedTrade]]:
        return matching(await self._as_archived(tape), wanted)

    async def _find_in_archive(
        self, wanted: TradesFilter, tape: Sequence[Print]
    ) -> tuple[int, Sequence[ArchivedTrade]]:
        if not tape or len(tape) < TAPE_TRADES_MAX:
            return 0, []
        await self._keeper.flush()
        return await self._archive.find_trades(self._listing.instrument.key, wanted, tape[0].id)

    async def _find_in_past(self, wanted: TradesFilter, _: Sequence[Print]) -> tuple[int, Sequence[ArchivedTrade]]:
        if wanted.since_s is not None and wanted.since_s >= self._past.until_s:
            return 0, []
        return matching(await self._as_archived(await self._past_tape()), wanted)

    async def _as_archived(self, prints: Sequence[Print]) -> list[ArchivedTrade]:
        trades: list[ArchivedTrade] = []
        for start in range(0, len(prints), _ROWS_AT_ONCE):
            trades += [self._listing.archived(printed) for printed in prints[start : start + _ROWS_AT_ONCE]]
            await asyncio.sleep(0)
        return trades

    async def _past_tape(self) -> list[Print]:
        if self._past_prints is None:
            pieces: deque[list[Print]] = deque()
            count = 0
            for piece in self._past.prints(self._past.until_s):
                pieces.appendleft(piece)
                count += len(piece)
                if count >= PAST_TRADES_MAX:
                    break
                await asyncio.sleep(0)
            prints = [printed for piece in pieces for printed in piece]
            self._past_prints = prints[max(0, len(prints) - PAST_TRADES_MAX) :]
        return self._past_prints

    async def _pieces(self, interval_s: int, end_s: int) -> AsyncGenerator[list[TickBar], None]:
        """Yield bars that can be folded to the interval, opening before ``end_s``: newest piece first."""
        prints: list[Print] = []
        if interval_s % MINUTE_S:
            prints = self._listing.tape.last(TAPE_TRADES_MAX)
            own = [_second(printed.at_ns, printed.price_ticks, printed.lots) for printed in prints]
        else:
            own = [bar.copy() for bar in self._listing.charts.own(interval_s)]
        yield [bar for bar in own if bar.time_s < end_s]
        oldest_s = min(own[0].time_s if own else end_s, end_s)
        if interval_s % MINUTE_S:
            older = self._archived_seconds(prints[0].id if prints else _ID_MAX, end_s)
        else:
            older = self._archived_bars(DAY_S if interval_s >= DAY_S else MINUTE_S, oldest_s - 1)
        async with aclosing(older) as pieces:
            async for piece in pieces:
                yield piece
        for piece in self._past.pieces(interval_s, end_s):
            yield piece
            await asyncio.sleep(0)

    async def _archived_bars(self, base_s: int, until_s: int) -> AsyncGenerator[list[TickBar], None]:
        key = self._listing.instrument.key
        if until_s < self._past.until_s - DAY_S:
            return  # all of it is past, and nothing of the venue's own
        await self._keeper.flush()
        while True:
            bars = await self._archive.bars(key, base_s, 0, until_s, _ROWS_AT_ONCE)
            if bars:
                yield [self._listing.tick_bar(bar) for bar in bars]
                until_s = bars[0].time_s - 1
            if len(bars) < _ROWS_AT_ONCE:
                return

    async def _archived_seconds(self, before_id: int, end_s: int) -> AsyncGenerator[list[TickBar], None]:
        key = self._listing.instrument.key
        await self._keeper.flush()
        while True:
            trades = await self._archive.trades(key, 0, before_id, _ROWS_AT_ONCE)
            if trades:
                printed = [self._listing.printed(trade) for trade in trades]
                seconds = [_second(trade.at_ns, trade.price_ticks, trade.lots) for trade in printed]
                yield [bar for bar in seconds if bar.time_s < end_s]
                before_id = trades[0].id
            if len(trades) < _ROWS_AT_ONCE:
                return


class _Gathering:
    """Bars put together from pieces that come newest first; a bar may lie in several pieces."""

    def __init__(self, interval_s: int) -> None:
        self._interval_s = interval_s
        self.bars: deque[TickBar] = deque()

    def put(self, piece: Sequence[TickBar]) -> None:
        """Lay an older piece before what is there."""
        folded = fold(piece, self._interval_s)
        if folded and self.bars and folded[-1].time_s == self.bars[0].time_s:
            folded[-1].extend(self.bars.popleft())
        self.bars.extendleft(reversed(folded))


def _second(at_ns: int, price_ticks: int, lots: int) -> TickBar:
    return TickBar.of_trade(at_ns // 1_000_000_000, price_ticks, lots)


def _end_s(until_s: int, interval_s: int) -> int:
    """Return the name behind the last base bar of the bar that ``until_s`` may open."""
    end_s = bar_ends_s(bar_opening_s(until_s, interval_s), interval_s)
    return end_s + MOSCOW_OFFSET_S if interval_s >= DAY_S else end_s
