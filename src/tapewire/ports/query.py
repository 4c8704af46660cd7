"""What a venue answers when it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

import msgspec

from tapewire.model import (
    Bar,
    Cluster,
    Exchange,
    Fill,
    Instrument,
    LegacyMoney,
    OrderEstimate,
    OrderGroup,
    Record,
    Refused,
    Side,
    StreamPosition,
    Topic,
    Trade,
)
from tapewire.ports.venue import Snapshot

__all__ = [
    "BarNeighbours",
    "BarsPage",
    "ClustersPage",
    "EstimateOrder",
    "FillsFilter",
    "Query",
    "RecordsPage",
    "TradesFilter",
    "TradesFound",
    "TradesPage",
]


class TradesPage(NamedTuple):
    """Trades, oldest first, and where the tape stood: live records up to ``position`` are in the page."""

    position: StreamPosition
    trades: Sequence[Trade]


class RecordsPage(NamedTuple):
    """Records of a portfolio, oldest first, marked as existing, and where their stream stood.

    Live records up to ``position`` are in the page: of orders and positions as the newest row of each.
    """

    position: StreamPosition
    records: Sequence[Record]


class BarsPage(NamedTuple):
    """Bars, oldest first, and where their stream stood: final bars up to ``position`` are in the page.

    The newest bar may be unfinished; a later state of it, or its final form, has a later position.
    """

    position: StreamPosition
    bars: Sequence[Bar]


class ClustersPage(NamedTuple):
    """Clusters, oldest first, and where their stream stood: finished ones up to ``position`` are in the page."""

    position: StreamPosition
    clusters: Sequence[Cluster]


class BarNeighbours(NamedTuple):
    """Openings (Unix s) of the bars next to a range; None where there is none."""

    previous_s: int | None
    next_s: int | None


class TradesFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which trades are wanted. All bounds are inclusive; None bounds nothing."""

    #: Unix s UTC; a trade belongs to the second it happened in.
    since_s: int | None = None
    until_s: int | None = None
    from_id: int | None = None
    to_id: int | None = None
    #: Lots.
    quantity_min: int | None = None
    quantity_max: int | None = None
    price_min: float | None = None
    price_max: float | None = None
    #: Of the aggressor.
    side: Side | None = None
    #: Newest first instead of oldest first.
    descending: bool = False
    #: Of those that match, in the order asked for: so many are passed over, then so many returned.
    offset: int = 0
    limit: int = 5_000


class TradesFound(NamedTuple):
    """The trades that were asked for and how many match in all."""

    total: int
    trades: Sequence[Trade]


class FillsFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which own trades of past sessions are wanted. Bounds are inclusive; None bounds nothing."""

    #: Unix s UTC.
    since_s: int | None = None
    from_id: int | None = None
    symbol: str | None = None
    #: None: all boards.
    board: str | None = None
    side: Side | None = None
    #: Ordered by time instead of by id.
    by_time: bool = False
    #: Newest (or largest id) first.
    descending: bool = False
    limit: int = 1_000


class EstimateOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order to be weighed, not placed."""

    portfolio: str
    exchange: Exchange
    symbol: str
    board: str
    #: None: at the market's price.
    price: Decimal | None = None
    #: None: the most that ``budget`` pays.
    quantity_lots: int | None = None
    #: Roubles; unused beside ``quantity_lots``.
    budget: Decimal | None = None
    #: Whether what working orders block counts.
    includes_limit_orders: bool = False


class Query(Protocol):
    """Reads what is no stream."""

    def instruments(self) -> Sequence[Instrument]:
        """Return all instruments, in a fixed order."""

    def instrument(self, exchange: str, symbol: str, board: str = "") -> Instrument | None:
        """Return an instrument; an empty ``board`` means the primary one. None: there is none."""

    async def recent_trades(self, topic: Topic, limit: int) -> TradesPage:
        """Return the last ``limit`` trades of an instrument and the position they reach up to."""

    async def bars(self, topic: Topic, since_s: int, until_s: int, limit: int) -> BarsPage:
        """Return the bars that open from ``since_s`` to ``until_s`` (Unix s, inclusive), oldest first.

        At most ``limit`` of them: the newest ones. Intervals without trades have no bar.

        Raises:
            UnknownTopicError: No such instrument, not a bar topic, or an interval that does not exist.
        """

    async def clusters(self, topic: Topic, since_s: int) -> ClustersPage:
        """Return the clusters that hold ``since_s`` (Unix s) or open later, oldest first, the running one last.

        That one comes also when ``since_s`` is later: clocks differ. As far back as the venue's trades reach; an
        interval of which some may be missing is left out.

        Raises:
            UnknownTopicError: No such instrument, not a cluster topic, or an interval that does not exist.
        """

    async def bar_neighbours(self, topic: Topic, since_s: int, until_s: int) -> BarNeighbours:
        """Return the openings of the last bar before and of the first bar behind a range of openings."""

    async def instrument_state(self, topic: Topic) -> Snapshot:
        """Return the full ``InstrumentUpdate`` of an instrument topic and the position it reaches up to.

        Raises:
            UnknownTopicError: No such instrument, or not an instrument topic.
        """

    async def state(self, topic: Topic) -> Snapshot | None:
        """Return the state of a topic of a state kind, open or not; None while it is not known.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: There is no such stream.
        """

    async def portfolio_records(self, topic: Topic) -> RecordsPage:
        """Return what a portfolio's stream of events begins with: fills and orders of the session, positions.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: There is no such stream.
        """

    async def past_fills(self, exchange: str, portfolio: str, wanted: FillsFilter) -> Sequence[Fill]:
        """Return own trades of the sessions before the running one, marked as existing.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: The venue serves no portfolios.
        """

    async def legacy_money(self, exchange: str, portfolio: str) -> LegacyMoney:
        """Return a portfolio's money as the old call tells it.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: The venue serves no portfolios.
        """

    async def estimate(self, order: EstimateOrder) -> OrderEstimate | Refused:
        """Weigh an order against its portfolio; nothing changes.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: There is no such instrument, or the venue serves no portfolios.
        """

    async def groups(self, login: str) -> Sequence[OrderGroup]:
        """Return the groups of a login that are still known, oldest first; empty where none can be made."""

    async def group(self, login: str, group_id: str) -> OrderGroup | None:
        """Return a group of a login; None: it has none of this id."""

    async def group_portfolios(self, login: str, group_id: str) -> frozenset[str]:
        """Return the portfolios whose orders are in a group of a login; none: it has no such group."""

    async def trades(self, topic: Topic, wanted: TradesFilter) -> TradesFound:
        """Return the kept trades of an instrument that match, marked as existing."""

    def session_start_s(self) -> int:
        """Return when the trading day began that trades and figures of now belong to, Unix s UTC."""
