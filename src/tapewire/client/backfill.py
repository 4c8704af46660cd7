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
from typing import Any

import msgspec

from tapewire.client.bar_history import WIRE_BARS_MAX, BarHistory, bars_between, latest_opening_s
from tapewire.client.errors import TapewireError
from tapewire.client.feed import Feed
from tapewire.client.gap import Gap, GapState
from tapewire.client.http_reader import HttpReader, path_of
from tapewire.client.late_trades import LATE_S, LateTrades, id_of
from tapewire.model import DAY_S, UNSET, Bar, Cluster, TopicKind, Trade, bar_opening_s
from tapewire.ports.clock import Clock
from tapewire.protocol.errors import UNREADABLE, MalformedMessageError
from tapewire.protocol.requests import (
    PortfolioRequest,
    SubscribeBars,
    SubscribeClusters,
    SubscribeOrders,
    SubscribeStopOrders,
    SubscribeTrades,
    interval_seconds,
)

__all__ = ["FILLED_MAX", "PAGES_MAX", "Backfill", "newest_record"]

#: Trades that are fetched for one gap; what is missing beyond is left.
FILLED_MAX = 50_000
#: Trades of one answer: what is asked for. The broker may give fewer at a time, and has more.
_PAGE_TRADES = 5_000
#: Answers of one gap; with a broker that gives 500 and more at a time it is never reached.
PAGES_MAX = 100
#: Messages that are looked through for a number: behind the newest one before a gap, and before the first after.
_LOOKED_AT = 16
#: Gaps that are filled at the same time: the broker takes a hundred requests a second in all.
_AT_ONCE = 8


class _Number(msgspec.Struct):
    id: int


class _Numbered(msgspec.Struct):
    """All that has to be readable of a message to know which trade it is of."""

    data: _Number


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
        feed.last_id = _last_id(feed) if feed.kind is TopicKind.TRADES else None

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
            newest_s = self._newest_opening_s(feed)
            since_s = request.since_s
            if newest_s is not None:
                since_s = newest_s
            elif request.skip_history and feed.gap is not None:
                since_s = bar_opening_s(int(feed.gap.since.timestamp()), interval_seconds(request.timeframe) or 1)
            feed.hold()
            feed.request = msgspec.structs.replace(request, since_s=since_s, skip_history=False)
        elif isinstance(request, SubscribeClusters):
            newest_s = self._newest_opening_s(feed)
            if newest_s is not None:
                feed.request = msgspec.structs.replace(request, since_s=newest_s)
        elif isinstance(request, PortfolioRequest):
            self._want_all_rows(feed, request)

    def _newest_opening_s(self, feed: Feed) -> int | None:
        """Return when the newest bar or cluster opens; None where that is not known, or cannot be."""
        latest_s = latest_opening_s(self.now())
        for item in (feed.newest, *feed.latest(_LOOKED_AT)):
            record = _read(feed, item)
            if isinstance(record, Bar | Cluster) and isinstance(record.time_s, int) and record.time_s <= latest_s:
                return record.time_s
        return None

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
        _end(feed, gap)
        # The stream sends some of these bars as well; consumers leave out what they have.
        for message in feed.release_held():
            feed.put(message)

    async def _fill_trades(self, feed: Feed, gap: Gap) -> None:
        last = newest_record(feed)
        async with self._turns:
            trades, gap.reason = await self._fetch(feed)
        late = LateTrades(feed.codec, last, feed.last_id, [trade.id for trade in trades])
        for trade in trades:
            feed.put_record(msgspec.structs.replace(trade, existing=True))
        gap.filled_records = len(trades)
        now_s = asyncio.get_running_loop().time()
        has_lost_held = feed.has_lost_held
        # HTTP may be faster than the stream.
        held = [message for message in feed.release_held() if not late.knows(message, now_s)]
        if has_lost_held:
            gap.reason = gap.reason or "more trades came than could be held"
        gap.reason = gap.reason or late.reason
        _end(feed, gap)
        for message in held:
            feed.put(message)
        if not (late.is_over or late.reason):
            late.until_s = now_s + LATE_S
            feed.skip(late)

    async def _fetch(self, feed: Feed) -> tuple[list[Trade], str]:
        """Return the trades that were missed, each once, and why there may be more; empty: these are all."""
        trades: list[Trade] = []
        try:
            reason = await self._fetch_into(trades, feed)
        except TapewireError as error:
            reason = str(error)
        return trades, reason

    async def _fetch_into(self, trades: list[Trade], feed: Feed) -> str:
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
        reason = ""
        for _ in range(PAGES_MAX):
            if last_id is not None:
                query["fromId"] = str(last_id + 1)
                query.pop("from", None)
            page = await self._reader.rows(Trade, path, **query)
            if any(id_of(trade) is None for trade in page):
                raise self._reader.unreadable(path, "a trade says no number")
            has_news = False
            for trade in sorted(page, key=lambda trade: trade.id):
                if last_id is not None and trade.id <= last_id:
                    continue
                if not _is_of(trade, request, feed):
                    reason = f"among them was a trade of {trade.symbol} on {trade.board}"
                    continue
                trades.append(trade)
                last_id, has_news = trade.id, True
            # A page may be shorter than was asked for, though there is more.
            if not has_news or _reaches_live(feed, trades[-1].id):
                return reason
            if len(trades) >= FILLED_MAX:
                return f"more than {FILLED_MAX} trades were missed"
        return f"more than {PAGES_MAX} answers were needed"


def _end(feed: Feed, gap: Gap) -> None:
    """Say how a gap has ended, unless its stream has ended meanwhile: who overflows takes its feed with it."""
    if gap.state is GapState.OPEN:
        gap.state = GapState.LEFT if gap.reason else GapState.FILLED
        if gap.reason:
            feed.put_record(gap)


def _is_of(trade: Trade, request: SubscribeTrades, feed: Feed) -> bool:
    """Whether a trade that was fetched is of the instrument of the stream."""
    if request.board and trade.board != request.board:
        return False
    # What an instrument is called in the request may be another spelling than that of its trades.
    newest = newest_record(feed) if trade.symbol != request.code else None
    return trade.symbol == request.code or (isinstance(newest, Trade) and trade.symbol == newest.symbol)


def _reaches_live(feed: Feed, reached: int) -> bool:
    """Whether what was fetched goes as far as the first live trade."""
    for message in feed.held[:_LOOKED_AT]:
        number = _number_in(message)
        if number is not None and (feed.last_id is None or number > feed.last_id):
            return number <= reached
    return False


def _last_id(feed: Feed) -> int | None:
    """Return the number of the last trade that could be read; what came behind it is fetched once more."""
    newest = newest_record(feed)
    if isinstance(newest, Trade) and (number := id_of(newest)) is not None:
        return number
    for message in feed.latest(_LOOKED_AT):
        record = _read(feed, message)
        number = id_of(record) if isinstance(record, Trade) else _number_in(message)
        if record is None and number is not None:
            # It may be readable over HTTP.
            number -= 1
        if number is not None:
            return number
    return None


def _number_in(message: bytes) -> int | None:
    """Return the number of the trade of a message, whatever else cannot be read of it."""
    try:
        return msgspec.json.decode(message, type=_Numbered).data.id
    except UNREADABLE:
        return None


def newest_record(feed: Feed) -> Any:
    """Return the last record that came for a feed; None before the first, and if it cannot be read."""
    return _read(feed, feed.newest)


def _read(feed: Feed, item: Any) -> Any:
    if not isinstance(item, bytes):
        return item
    try:
        return feed.codec.decode_message(item)
    except MalformedMessageError:
        return None
