"""What can be asked about the instruments of a venue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tapewire.model import (
    DAY_S,
    MOSCOW_OFFSET_S,
    Bar,
    Cluster,
    Instrument,
    Topic,
    TopicKind,
    Trade,
    bar_opening_s,
    is_interval,
    trading_day,
)
from tapewire.ports.query import BarNeighbours, BarsPage, ClustersPage, TradesFilter, TradesFound, TradesPage
from tapewire.ports.venue import Snapshot, UnknownTopicError
from tapewire.venues.clusters import past_clusters
from tapewire.venues.directory import Directory
from tapewire.venues.history import History
from tapewire.venues.listing import Listing
from tapewire.venues.streams import SERVED_KINDS
from tapewire.venues.tape import TAPE_TRADES_MAX, Print

__all__ = ["TIMED_KINDS", "MarketQuery"]

#: Streams of bars: each has an interval.
TIMED_KINDS = frozenset({TopicKind.BAR, TopicKind.CLUSTER})

#: Trades or bars turned into records before other tasks get their turn.
_RECORDS_AT_ONCE = 500


class MarketQuery:
    """Reads listings and histories, which hold the same instruments in the same order."""

    def __init__(
        self,
        directory: Directory,
        listings: Sequence[Listing],
        histories: Sequence[History],
        *,
        now_ns: Callable[[], int],
    ) -> None:
        """Read these; ``histories`` may be replaced."""
        self._directory = directory
        self._listings = listings
        self.histories = histories
        self._now_ns = now_ns

    def instruments(self) -> Sequence[Instrument]:
        """Return all instruments, most active first."""
        return self._directory.instruments

    def instrument(self, exchange: str, symbol: str, board: str = "") -> Instrument | None:
        """Return an instrument; an empty ``board`` means the primary one. None: there is none."""
        position = self._directory.position(exchange, symbol, board)
        return None if position is None else self._directory.instruments[position]

    async def recent_trades(self, topic: Topic, limit: int) -> TradesPage:
        """Return the last ``limit`` trades of an instrument, oldest first, and the position they reach.

        Before the venue's own trades come those of the seeded past. The page is that of the moment of the
        call, though other tasks get their turn while a long one is made.

        Raises:
            ArchiveError: Older trades cannot be read.
            UnknownTopicError: There is no such instrument, or the topic is not one of trades.
            ValueError: ``limit`` is negative.
        """
        if limit < 0:
            raise ValueError(f"limit is {limit}, not 0 or more")
        listing = self._listings[self.position(topic)]
        if topic.kind is not TopicKind.TRADES:
            raise UnknownTopicError(f"{topic.kind} is not the kind of the trade tape")
        position = listing.tape_position
        prints = await self._history(topic).last_trades(limit)
        return TradesPage(position, await self._trade_records(listing, prints))

    async def bars(self, topic: Topic, since_s: int, until_s: int, limit: int) -> BarsPage:
        """Return the bars that open from ``since_s`` to ``until_s``, oldest first, the newest ``limit``.

        Raises:
            UnknownTopicError: There is no such instrument, not a bar topic, or no such interval.
            ValueError: ``limit`` is negative.
        """
        if limit < 0:
            raise ValueError(f"limit is {limit}, not 0 or more")
        listing = self._listings[self.position(topic)]
        if topic.kind is not TopicKind.BAR:
            raise UnknownTopicError(f"{topic.kind} is not the kind of bars")
        position = listing.tape_position
        bars = await self._history(topic).bars(topic.interval_s, since_s, until_s, limit)
        records: list[Bar] = []
        for start in range(0, len(bars), _RECORDS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            records.extend(listing.bar_record(bar) for bar in bars[start : start + _RECORDS_AT_ONCE])
        return BarsPage(position, records)

    async def clusters(self, topic: Topic, since_s: int) -> ClustersPage:
        """Return the clusters of the last 5,000 trades that hold ``since_s`` or open later, the running one last.

        An interval of which earlier trades may be missing is left out.

        Raises:
            ArchiveError: Older trades cannot be read.
            UnknownTopicError: There is no such instrument, not a cluster topic, or no such interval.
        """
        listing = self._listings[self.position(topic)]
        if topic.kind is not TopicKind.CLUSTER:
            raise UnknownTopicError(f"{topic.kind} is not the kind of clusters")
        interval_s, position = topic.interval_s, listing.tape_position
        running = listing.cluster(interval_s, self._now_s()).record
        assert isinstance(running, Cluster)
        first_s = bar_opening_s(since_s, interval_s)
        if first_s >= running.time_s:
            return ClustersPage(position, [running])
        prints = await self._history(topic).last_trades(TAPE_TRADES_MAX)
        is_cut = len(prints) == TAPE_TRADES_MAX
        past = past_clusters(prints, interval_s, first_s, running.time_s, is_cut=is_cut)
        return ClustersPage(position, [*map(listing.cluster_record, past), running])

    async def bar_neighbours(self, topic: Topic, since_s: int, until_s: int) -> BarNeighbours:
        """Return the openings of the last bar before and of the first bar behind a range of openings.

        Raises:
            ArchiveError: Older bars cannot be read.
            UnknownTopicError: There is no such instrument, not a bar topic, or no such interval.
        """
        before = await self.bars(topic, 0, since_s - 1, 1)
        now_s = self._now_s()
        behind_s = await self._history(topic).first_opening_s(topic.interval_s, until_s + 1, now_s + DAY_S)
        return BarNeighbours(before.bars[0].time_s if before.bars else None, behind_s)

    async def instrument_state(self, topic: Topic) -> Snapshot:
        """Return the full ``InstrumentUpdate`` of an instrument topic and the position it reaches up to.

        Raises:
            UnknownTopicError: There is no such instrument, or not an instrument topic.
        """
        listing = self._listings[self.position(topic)]
        if topic.kind is not TopicKind.INSTRUMENT:
            raise UnknownTopicError(f"{topic.kind} is not the kind of instrument rules")
        return listing.state()

    async def trades(self, topic: Topic, wanted: TradesFilter) -> TradesFound:
        """Return the kept trades of an instrument that match, and the last ones of the seeded past.

        Raises:
            ArchiveError: Older trades cannot be read.
            UnknownTopicError: There is no such instrument, or the topic is not one of trades.
            ValueError: ``limit`` or ``offset`` is negative.
        """
        listing = self._listings[self.position(topic)]
        if topic.kind is not TopicKind.TRADES:
            raise UnknownTopicError(f"{topic.kind} is not the kind of the trade tape")
        total, prints = await self._history(topic).find_trades(wanted)
        return TradesFound(total, await self._trade_records(listing, prints))

    def session_start_s(self) -> int:
        """Return when the current trading day began: midnight in Moscow, Unix s UTC."""
        return trading_day(self._now_s()) * DAY_S - MOSCOW_OFFSET_S

    def _history(self, topic: Topic) -> History:
        return self.histories[self.position(topic)]

    async def _trade_records(self, listing: Listing, prints: Sequence[Print]) -> list[Trade]:
        trades: list[Trade] = []
        for start in range(0, len(prints), _RECORDS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            chunk = prints[start : start + _RECORDS_AT_ONCE]
            trades.extend(listing.trade(printed, existing=True) for printed in chunk)
        return trades

    def state(self, topic: Topic) -> Snapshot | None:
        """Return the state as it stands; None only for a bar before the first trade ever.

        Raises:
            UnknownTopicError: There is no such instrument, or the kind has no state.
        """
        listing = self._listings[self.position(topic)]
        match topic.kind:
            case TopicKind.BOOK:
                return listing.book()
            case TopicKind.QUOTE:
                return listing.quote()
            case TopicKind.BAR:
                return listing.bar(topic.interval_s)
            case TopicKind.CLUSTER:
                return listing.cluster(topic.interval_s, self._now_s())
        raise UnknownTopicError(f"{topic.kind} is a stream of events and has no state")

    def position(self, topic: Topic) -> int:
        """Return where the instrument of a topic stands in the list.

        Raises:
            UnknownTopicError: There is no such stream.
        """
        if topic.kind not in SERVED_KINDS:
            raise UnknownTopicError(f"this venue has no streams of kind {topic.kind}")
        position = self._directory.position(topic.exchange, topic.subject, topic.board)
        timed = topic.kind in TIMED_KINDS
        if position is None or (timed and not is_interval(topic.interval_s)) or (topic.interval_s and not timed):
            raise UnknownTopicError(
                f"this venue has no stream {topic.kind} {topic.exchange} {topic.subject} {topic.board}".rstrip()
                + (f" of interval {topic.interval_s} s" if topic.interval_s else "")
            )
        return position

    def _now_s(self) -> int:
        return self._now_ns() // 1_000_000_000
