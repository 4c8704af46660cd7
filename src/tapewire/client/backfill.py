"""Fills gaps: fetches over HTTP what a stream has missed, or asks the restored stream for it.

==============================  ================================================================================
stream                          how its gap is closed
==============================  ================================================================================
book, quotes, summary, risks    the first message of the restored stream says all; until then it is open
positions, orders, fills        the restored stream begins with all rows of the session; those that
                                were delivered already are left out (``sieve``)
bars                            the restored stream begins with the newest bar that was delivered; where more
                                are missing than a stream carries, ``history`` over HTTP from that bar on
clusters                        the restored stream begins with the newest one that was delivered; the same
instrument changes              the first message of the restored stream says all; the same
trades                          ``alltrades`` over HTTP from the last trade on, while live ones are held back
==============================  ================================================================================
"""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from tapewire.client.bar_history import WIRE_BARS_MAX, BarHistory, bars_between
from tapewire.client.errors import ConnectError, Fault, TapewireError
from tapewire.client.feed import Feed
from tapewire.client.gap import Gap, GapState
from tapewire.client.http_reader import HttpReader, path_of
from tapewire.model import DAY_S, UNSET, Bar, Cluster, TopicKind, Trade, bar_opening_s
from tapewire.ports.clock import Clock
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.formats import Codec
from tapewire.protocol.requests import (
    PortfolioRequest,
    SubscribeBars,
    SubscribeClusters,
    SubscribeOrders,
    SubscribeStopOrders,
    SubscribeTrades,
    interval_seconds,
)

__all__ = ["FILLED_MAX", "Backfill", "newest_record"]

#: Trades that are fetched for one gap; what is missing beyond is left.
FILLED_MAX = 50_000
#: Trades of one answer: what the broker gives at most.
_PAGE_TRADES = 5_000
#: Gaps that are filled at the same time: the broker takes a hundred requests a second in all.
_AT_ONCE = 8


class Backfill:
    """Knows of each kind of stream how a gap in it is closed."""

    def __init__(self, reader: HttpReader, clock: Clock) -> None:
        self._reader = reader
        #: Reads past bars.
        self.bars = BarHistory(reader)
        self._clock = clock
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def now(self) -> datetime:
        """Return the time of day, UTC."""
        return datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC)

    def is_needed(self, feed: Feed) -> bool:
        """Whether something has to be fetched when a feed is restored."""
        return feed.kind in (TopicKind.TRADES, TopicKind.BAR)

    def begin(self, feed: Feed) -> None:
        """Note how far a feed has come when a gap opens."""
        newest = newest_record(feed)
        feed.last_id = _id_of(newest) if isinstance(newest, Trade) else None

    def prepare(self, feed: Feed) -> None:
        """Make a feed that has lost its connection ready to be asked for again; more than once is as once."""
        request = feed.request
        if feed.begins_whole:
            feed.await_first()
        if isinstance(request, SubscribeTrades):
            # What was held back before is fetched with the rest.
            feed.hold()
            feed.request = msgspec.structs.replace(request, depth=0)
        elif isinstance(request, SubscribeBars):
            newest = newest_record(feed)
            since_s = request.since_s
            if isinstance(newest, Bar) and isinstance(newest.time_s, int):
                since_s = newest.time_s
            elif request.skip_history and feed.gap is not None:
                since_s = bar_opening_s(int(feed.gap.since.timestamp()), interval_seconds(request.timeframe) or 1)
            feed.hold()
            feed.request = msgspec.structs.replace(request, since_s=since_s, skip_history=False)
        elif isinstance(request, SubscribeClusters):
            newest = newest_record(feed)
            if isinstance(newest, Cluster) and isinstance(newest.time_s, int):
                feed.request = msgspec.structs.replace(request, since_s=newest.time_s)
        elif isinstance(request, PortfolioRequest):
            self._want_all_rows(feed, request)

    def _want_all_rows(self, feed: Feed, request: PortfolioRequest) -> None:
        """Ask for the rows that were not wanted at first: among them is what has changed meanwhile."""
        whole = request
        if isinstance(request, SubscribeOrders | SubscribeStopOrders):
            whole = msgspec.structs.replace(request, skip_history=False, order_statuses=UNSET)
        elif getattr(request, "skip_history", False):
            whole = msgspec.structs.replace(request, skip_history=False)
        if whole == request:
            return
        if feed.sieve is not None:
            feed.sieve.unseen_before = feed.gap.since if feed.gap is not None else None
        feed.request = whole

    async def fill(self, feed: Feed, gap: Gap) -> None:
        """Fetch what a stream has missed, give it to subscribers, then what was held back meanwhile."""
        if isinstance(feed.request, SubscribeBars):
            await self._fill_bars(feed, feed.request, gap)
        else:
            await self._fill_trades(feed, gap)

    async def _fill_bars(self, feed: Feed, asked: SubscribeBars, gap: Gap) -> None:
        now_s = int(self.now().timestamp())
        bars: list[Bar] = []
        if bars_between(asked.since_s, now_s, interval_seconds(asked.timeframe) or 1) > WIRE_BARS_MAX:
            try:
                async with self._turns:
                    # Bars of a day have the name of a midnight that may be ahead.
                    bars = await self.bars.fetch(asked, now_s + DAY_S)
            except TapewireError as error:
                gap.reason = str(error)
        for bar in bars:
            feed.put_record(bar)
        gap.filled_records = len(bars)
        if feed.has_lost_held:
            gap.reason = gap.reason or "more bars came than could be held"
        gap.state = GapState.LEFT if gap.reason else GapState.FILLED
        if gap.reason:
            feed.put_record(gap)
        # The stream sends some of these bars as well; consumers leave out what they have.
        for message in feed.release_held():
            feed.put(message)

    async def _fill_trades(self, feed: Feed, gap: Gap) -> None:
        try:
            async with self._turns:
                trades, is_whole = await self._fetch(feed)
        except TapewireError as error:
            trades, is_whole = [], False
            gap.reason = str(error)
        for trade in trades:
            feed.put_record(msgspec.structs.replace(trade, existing=True))
        gap.filled_records = len(trades)
        if feed.has_lost_held or not is_whole:
            gap.state = GapState.LEFT
            gap.reason = gap.reason or f"more than {FILLED_MAX} trades were missed"
            feed.put_record(gap)
        else:
            gap.state = GapState.FILLED
        reached = trades[-1].id if trades else feed.last_id
        held = feed.release_held()
        if reached is not None:
            # HTTP may be faster than the stream.
            feed.skip(partial(_is_known, feed.codec, reached))
        for message in held:
            feed.put(message)

    async def _fetch(self, feed: Feed) -> tuple[list[Trade], bool]:
        request, last_id = feed.request, feed.last_id
        assert isinstance(request, SubscribeTrades)
        path = "/md/v2/Securities" + path_of(request.exchange, request.code) + "/alltrades"
        query = {"take": str(_PAGE_TRADES), "includeVirtualTrades": str(request.include_virtual_trades).lower()}
        if request.board:
            query["instrumentGroup"] = request.board
        if last_id is None:
            # None has come yet. Our clock may be wrong, but how long ago it was is known, and the broker's time.
            age_s = math.ceil(asyncio.get_running_loop().time() - feed.missing_since_s)
            query["from"] = str(await self._reader.time_s() - age_s)
        trades: list[Trade] = []
        while len(trades) < FILLED_MAX:
            if last_id is not None:
                query["fromId"] = str(last_id + 1)
                query.pop("from", None)
            page = await self._reader.rows(Trade, path, **query)
            if any(_id_of(trade) is None for trade in page):
                raise ConnectError(path, "a trade says no number", Fault.BROKER)
            page.sort(key=lambda trade: trade.id)
            fresh = [trade for trade in page if last_id is None or trade.id > last_id]
            trades += fresh
            if len(page) < _PAGE_TRADES or not fresh:
                return trades, True
            last_id = fresh[-1].id
        return trades, False


def newest_record(feed: Feed) -> Any:
    """Return the last record that came for a feed; None before the first, and if it cannot be read."""
    message = feed.newest
    if not isinstance(message, bytes):
        return message
    try:
        return feed.codec.decode_message(message)
    except MalformedMessageError:
        return None


def _id_of(trade: Trade) -> int | None:
    """Return the number of a trade; None where the broker sent none, though all have one."""
    return trade.id if isinstance(trade.id, int) else None


def _is_known(codec: Codec[Trade], reached: int, message: bytes) -> bool:
    """Whether a message is of a trade that was fetched as well."""
    try:
        number = _id_of(codec.decode_message(message))
    except MalformedMessageError:
        return False
    return number is not None and number <= reached
