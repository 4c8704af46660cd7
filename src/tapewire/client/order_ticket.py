"""What identifies an order to later commands, with the terms under which it was sent."""

from __future__ import annotations

import msgspec

from tapewire.client.order_terms import OrderTerms, type_of
from tapewire.model import Exchange, GroupedType, Order, StopOrder

__all__ = ["OrderTicket", "ticket_of"]


class OrderTicket(msgspec.Struct, frozen=True, kw_only=True):
    """One order that the broker has taken, as the command that it took described it.

    It does not change when the order does: what becomes of the order is in ``Portfolio.watch_orders`` and
    ``Portfolio.orders``, under ``number``. Direct and conditional orders are numbered apart.
    """

    #: The broker's number. Texts: real ones exceed 2^53.
    number: str
    type: GroupedType
    portfolio: str
    exchange: Exchange
    #: Of the order that this one was put in the place of; None: of none.
    replaced_number: str | None = None
    #: What was asked for; None where only a number was known.
    terms: OrderTerms | None = None

    def __str__(self) -> str:
        what = f" {self.terms}" if self.terms is not None else ""
        instead = f" in place of {self.replaced_number}" if self.replaced_number else ""
        return f"{self.type.lower()} order {self.number}{instead} of {self.portfolio}{what}"


def ticket_of(row: Order | StopOrder) -> OrderTicket:
    """Return what identifies an order that the broker reports.

    Raises:
        InvalidOrderError: The broker has a kind of order that this client does not know.
    """
    return OrderTicket(number=str(row.id), type=type_of(row), portfolio=row.portfolio, exchange=row.exchange)
