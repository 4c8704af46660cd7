"""What can be asked about the portfolios of a venue beside their streams: past fills, estimates, groups."""

from __future__ import annotations

from collections.abc import Sequence

from tapewire.exchange import Accounts, Evaluation, Exchange, FillRow, estimate
from tapewire.model import Fill, LegacyMoney, OrderEstimate, OrderGroup, Refused, TradingCode
from tapewire.ports.query import EstimateOrder, FillsFilter
from tapewire.ports.venue import UnknownTopicError
from tapewire.venues.directory import Directory
from tapewire.venues.marks import LastPrices
from tapewire.venues.order_records import OrderRecords, group_record
from tapewire.venues.portfolios import Portfolios

__all__ = ["PortfolioQuery"]

_NS_IN_S = 1_000_000_000


class PortfolioQuery:
    """Reads exchange and accounts. While ``portfolios`` withholds, nothing is told here either."""

    def __init__(
        self, core: Exchange, accounts: Accounts, marks: LastPrices, directory: Directory, portfolios: Portfolios
    ) -> None:
        """Read these; ``accounts`` are the clearing of ``core``."""
        self._core = core
        self._accounts = accounts
        self._marks = marks
        self._directory = directory
        self._portfolios = portfolios
        self._records = OrderRecords(core, accounts.instruments)

    def past_fills(self, exchange: str, portfolio: str, wanted: FillsFilter) -> Sequence[Fill]:
        """Return fills of the sessions before the running one, as far as they are remembered.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
        """
        self._check(exchange, portfolio)
        found = [
            row
            for row in self._accounts.fills.of(portfolio)
            if row.day < self._accounts.day and self._matches(row, wanted)
        ]
        # The sequence of the rows is that of time and of numbers alike.
        if wanted.descending:
            found.reverse()
        return [self._records.fill(row, existing=True) for row in found[: wanted.limit]]

    def _matches(self, row: FillRow, wanted: FillsFilter) -> bool:
        instrument = self._directory.instruments[row.instrument]
        return (
            (wanted.since_s is None or row.at_ns >= wanted.since_s * _NS_IN_S)
            and (wanted.from_id is None or row.trade_id >= wanted.from_id)
            and wanted.symbol in (None, instrument.symbol)
            and wanted.board in (None, instrument.board)
            and wanted.side in (None, row.side)
        )

    def legacy_money(self, exchange: str, portfolio: str) -> LegacyMoney:
        """Return a portfolio's money as the old call tells it.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
        """
        self._check(exchange, portfolio)
        return Evaluation(self._accounts, portfolio).legacy_money()

    def estimate(self, order: EstimateOrder) -> OrderEstimate | Refused:
        """Weigh an order against its portfolio; without a price at that of the last trade.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: There is no such instrument.
            ValueError: Lots, price or budget are outside their ranges.
        """
        self._check(order.exchange, order.portfolio)
        position = self._directory.position(order.exchange, order.symbol, order.board)
        if position is None:
            raise UnknownTopicError(f"there is no {order.symbol} {order.board}".rstrip())
        if order.price is None:
            price_ticks = self._marks.last_ticks(position)
        else:
            try:
                price_ticks = self._directory.instruments[position].ticks(order.price)
            except ValueError as error:
                return Refused(int(TradingCode.INTERNAL_ERROR_WITH_PRICES), str(error))
            low, high = self._core.band_ticks(position)
            if not low <= price_ticks <= high:
                reason = f"price {order.price} is outside the limits of the day"
                return Refused(int(TradingCode.EXCHANGE_LIMIT_EXCEEDED), reason)
        return estimate(
            self._accounts,
            order.portfolio,
            position,
            price_ticks=price_ticks,
            lots=order.quantity_lots,
            budget=order.budget,
            includes_orders=order.includes_limit_orders,
        )

    def groups(self, login: str) -> Sequence[OrderGroup]:
        """Return the groups of a login that are still known, oldest first."""
        self._portfolios.check_durable()
        return [group_record(group) for group in self._core.groups(login)]

    def group(self, login: str, group_id: str) -> OrderGroup | None:
        """Return a group of a login; None: it has none of this id."""
        return next((group for group in self.groups(login) if group.id == group_id), None)

    def group_portfolios(self, login: str, group_id: str) -> frozenset[str]:
        """Return the portfolios whose orders are in a group of a login; none: it has no such group."""
        return frozenset(
            order.account
            for group in self._core.groups(login)
            if str(group.id) == group_id
            for order in group.orders
        )

    def _check(self, exchange: str, portfolio: str) -> None:
        self._portfolios.check_known(exchange, portfolio)
        self._portfolios.check_durable()
