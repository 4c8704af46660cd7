"""The kinds of streams that a program holds in a schedule, and how each is opened and told."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from enum import Enum
from typing import Any

from tapewire.client.broker import Broker
from tapewire.client.buffer import BufferPolicy, Conflate, DropOldest, Fail, Spill
from tapewire.client.subscription import Subscription
from tapewire.model import (
    Bar,
    Book,
    Cluster,
    DerivativesRisk,
    InstrumentUpdate,
    Position,
    Quote,
    Risk,
    Summary,
    TopicKind,
)
from tapewire.protocol.requests import SubscribeBars

__all__ = ["FIRST_KINDS", "PORTFOLIO", "Kind", "Nature", "make_stream", "number_of", "policies_of"]

PORTFOLIO = "D1"


class Nature(Enum):
    """What "nothing missed" means."""

    #: Every record comes once, in order.
    TAPE = "tape"
    #: The newest comes, and none goes back.
    STATE = "state"
    #: A state for each interval, of which each must come in its last form.
    BARS = "bars"
    #: Each row in its newest form, and none twice as it was.
    ROWS = "rows"
    #: Every row once, in any order.
    FILLS = "fills"


class Kind(Enum):
    TRADES = "trades"
    PAST_TRADES = "past trades"
    BOOK = "book"
    QUOTES = "quotes"
    BARS = "bars"
    ORDERS = "orders"
    FILLS = "fills"
    POSITIONS = "positions"
    INSTRUMENT = "instrument changes"
    CLUSTERS = "clusters"
    STOP_ORDERS = "stop orders"
    SUMMARY = "summary"
    RISK = "risk"
    DERIVATIVES_RISK = "derivatives risk"
    #: A past that the stream carries, and one that is fetched over HTTP.
    PAST_BARS = "past bars"
    LONG_BARS = "long bars"

    @property
    def topic_kind(self) -> TopicKind:
        return _TOPICS[self]

    @property
    def nature(self) -> Nature:
        return _NATURES.get(self, Nature.STATE)

    @property
    def interval_s(self) -> int:
        return 60 if self.topic_kind in (TopicKind.BAR, TopicKind.CLUSTER) else 0


#: Those of the first edition of schedules.
FIRST_KINDS = tuple(Kind)[:8]

_TOPICS = {
    Kind.TRADES: TopicKind.TRADES,
    Kind.PAST_TRADES: TopicKind.TRADES,
    Kind.BOOK: TopicKind.BOOK,
    Kind.QUOTES: TopicKind.QUOTE,
    Kind.BARS: TopicKind.BAR,
    Kind.ORDERS: TopicKind.ORDERS,
    Kind.FILLS: TopicKind.FILLS,
    Kind.POSITIONS: TopicKind.POSITIONS,
    Kind.INSTRUMENT: TopicKind.INSTRUMENT,
    Kind.CLUSTERS: TopicKind.CLUSTER,
    Kind.STOP_ORDERS: TopicKind.STOP_ORDERS,
    Kind.SUMMARY: TopicKind.SUMMARY,
    Kind.RISK: TopicKind.RISK,
    Kind.DERIVATIVES_RISK: TopicKind.DERIVATIVES_RISK,
    Kind.PAST_BARS: TopicKind.BAR,
    Kind.LONG_BARS: TopicKind.BAR,
}
_NATURES = {
    Kind.TRADES: Nature.TAPE,
    Kind.PAST_TRADES: Nature.TAPE,
    Kind.BARS: Nature.BARS,
    Kind.PAST_BARS: Nature.BARS,
    Kind.LONG_BARS: Nature.BARS,
    Kind.ORDERS: Nature.ROWS,
    Kind.POSITIONS: Nature.ROWS,
    Kind.STOP_ORDERS: Nature.ROWS,
    Kind.FILLS: Nature.FILLS,
}


def number_of(record: Any) -> float:
    """Return the number by which the records of a topic are told apart; the venue tells greater ones later."""
    match record:
        case Book():
            return float(record.bids[0].price)
        case Quote():
            return float(record.last_price)
        case InstrumentUpdate():
            # One of the two has changed: the newest state has both.
            return float(record.price_min + record.price_max)
        case Cluster():
            return float(record.levels[0].price)
        case Summary():
            return float(record.buying_power)
        case Risk():
            return float(record.initial_margin)
        case DerivativesRisk():
            return float(record.money_free)
        case Position():
            return float(record.quantity_units)
        case _:
            return float(record.price)


def policies_of(kind: Kind) -> tuple[BufferPolicy, ...]:
    """Return buffers that are small enough to matter."""
    spill = Spill(tempfile.gettempdir(), bytes_max=1 << 20, size=4)
    if kind is Kind.INSTRUMENT:
        return Fail(8), Fail(200), spill
    if kind.nature is Nature.STATE:
        return Conflate(), DropOldest(5), Fail(200), spill
    return Fail(200), Fail(8), DropOldest(5), spill, spill


def make_stream(broker: Broker, kind: Kind, symbol: str, policy: BufferPolicy | None) -> Subscription[Any]:
    """Return a stream that is not open yet."""
    portfolio = broker.portfolio(PORTFOLIO)
    match kind:
        case Kind.TRADES:
            return broker.trades(symbol, buffer=policy)
        case Kind.PAST_TRADES:
            return broker.trades(symbol, depth=3, buffer=policy)
        case Kind.BOOK:
            return broker.book(symbol, depth=5, frequency_ms=25, buffer=policy)
        case Kind.QUOTES:
            return broker.quotes(symbol, frequency_ms=25, buffer=policy)
        case Kind.BARS:
            request = SubscribeBars(
                guid="", exchange="MOEX", code=symbol, timeframe=60, since_s=0, skip_history=True, frequency=25
            )
            return broker._subscription(request, Bar, policy or Fail(), f"bars:{symbol}")
        case Kind.PAST_BARS:
            return broker.bars(symbol, "1m", since=timedelta(hours=2), frequency_ms=25, buffer=policy)
        case Kind.LONG_BARS:
            return broker.bars(symbol, "1m", since=timedelta(days=2), frequency_ms=25, buffer=policy)
        case Kind.INSTRUMENT:
            return broker.instrument_changes(symbol, buffer=policy)
        case Kind.CLUSTERS:
            return broker.clusters(symbol, "1m", buffer=policy)
        case Kind.ORDERS:
            return portfolio.watch_orders(buffer=policy)
        case Kind.STOP_ORDERS:
            return portfolio.watch_stop_orders(buffer=policy)
        case Kind.FILLS:
            return portfolio.watch_fills(buffer=policy)
        case Kind.POSITIONS:
            return portfolio.watch_positions(buffer=policy)
        case Kind.SUMMARY:
            return portfolio.watch_summary(buffer=policy)
        case Kind.RISK:
            return portfolio.watch_risk(buffer=policy)
        case Kind.DERIVATIVES_RISK:
            return portfolio.watch_derivatives_risk(buffer=policy)
