"""Orders as the broker lists them over HTTP, to find one by its number and to learn what is left of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tapewire.client.arguments import refuse, text
from tapewire.client.errors import InvalidOrderError
from tapewire.client.order_terms import OrderTerms, terms_of, type_of
from tapewire.client.order_ticket import OrderTicket
from tapewire.client.portfolio import Portfolio
from tapewire.client.portfolio_choice import PortfolioChoice
from tapewire.client.shared_reading import SharedReading
from tapewire.model import Exchange, GroupedType, Order, StopOrder

__all__ = ["OrderLists", "OrderName"]

Rows = Sequence[Order] | Sequence[StopOrder]

#: How an order is named: what a command returned, a row of the broker's, or its number.
OrderName = OrderTicket | Order | StopOrder | str


class OrderLists:
    """The orders of the running session, read anew each time; those who ask at the same time share a reading."""

    def __init__(self, choice: PortfolioChoice, portfolio: Callable[[str, Exchange], Portfolio]) -> None:
        self._choice = choice
        self._portfolio = portfolio
        #: Readings that somebody waits for.
        self._readings: dict[tuple[str, Exchange, bool], SharedReading[Rows]] = {}

    async def rows(self, portfolio: str | None, exchange: Exchange) -> list[Order | StopOrder]:
        """Return the orders of a portfolio, direct ones first; None: of all but united ones."""
        rows: list[Order | StopOrder] = []
        for name in self._named(portfolio):
            for is_conditional in (False, True):
                rows += await self.of_kind(name, exchange, is_conditional=is_conditional)
        return rows

    async def of_kind(self, portfolio: str, exchange: Exchange, *, is_conditional: bool) -> Rows:
        """Return the orders of a portfolio of one of the two kinds; the list may be others' as well."""
        key = portfolio, exchange, is_conditional
        reading = self._readings.get(key)
        if reading is None:
            account = self._portfolio(portfolio, exchange)
            reading = SharedReading(account.stop_orders if is_conditional else account.orders)
            self._readings[key] = reading
        try:
            return await reading.get()
        finally:
            if not reading.wanted and self._readings.get(key) is reading:
                del self._readings[key]

    async def terms(
        self, order: OrderName, lots: int | None, portfolio: str | None, exchange: Exchange
    ) -> tuple[str, OrderTerms]:
        """Return the number of an order and what is known of it, read anew where that matters."""
        _check(order)
        if lots is not None and isinstance(order, OrderTicket) and order.terms is not None:
            return order.number, order.terms
        if lots is not None and isinstance(order, Order | StopOrder):
            return str(order.id), terms_of(order)
        order_type = None
        if not isinstance(order, str):
            portfolio, exchange = order.portfolio, order.exchange
            order_type = order.type if isinstance(order, OrderTicket) else type_of(order)
        row = await self.row(_number(order), portfolio, exchange, order_type)
        terms = terms_of(row)
        if isinstance(order, OrderTicket) and order.terms is not None:
            # What rows do not tell.
            known = order.terms
            terms = msgspec.structs.replace(terms, allow_margin=known.allow_margin, is_active=known.is_active)
        return str(row.id), terms

    async def row(
        self,
        order: Order | StopOrder | str,
        portfolio: str | None,
        exchange: Exchange,
        order_type: GroupedType | None = None,
    ) -> Order | StopOrder:
        """Return the row of an order: the one that is given, or the only one with this number.

        Raises:
            InvalidOrderError: There is none, or more than one.
        """
        _check(order)
        if not isinstance(order, str):
            return order
        found = [
            row
            for row in await self.rows(portfolio, exchange)
            if str(row.id) == order and order_type in (None, type_of(row))
        ]
        if len(found) == 1:
            return found[0]
        where = ", ".join(self._named(portfolio)) or "no portfolio"
        how_many = "no order" if not found else "more than one order"
        raise InvalidOrderError(f"there is {how_many} {order} in {where}: nothing was sent")

    def _named(self, portfolio: str | None) -> tuple[str, ...]:
        if portfolio is not None:
            text("portfolio", portfolio, "the id of a portfolio")
            return (portfolio,)
        return tuple(name for name in self._choice.all if not name.upper().startswith("E"))


def _check(order: OrderName) -> None:
    if not isinstance(order, OrderName) or order == "":
        wanted = "accepted.order, a row of the orders, or the number of an order (a text)"
        raise refuse("order", order, wanted, InvalidOrderError)


def _number(order: OrderName) -> str:
    if isinstance(order, str):
        return order
    return order.number if isinstance(order, OrderTicket) else str(order.id)
