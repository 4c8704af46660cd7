"""What may be asked of a venue, and how it ends. Prices are exact decimals, quantities whole lots."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tapewire.model.words import Exchange, OrderType, Side, TimeInForce

__all__ = ["CancelOrder", "Command", "Done", "Outcome", "PlaceOrder", "Refused"]


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Place a direct order. ``price`` is None for a market order."""

    portfolio: str
    exchange: Exchange
    symbol: str
    #: Empty: the primary board.
    board: str
    type: OrderType
    side: Side
    quantity_lots: int
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.ONE_DAY
    comment: str | None = None


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel a direct order of the portfolio."""

    portfolio: str
    order_number: str


Command = PlaceOrder | CancelOrder


class Done(msgspec.Struct, frozen=True):
    """The venue took the command. ``order_number`` is the order that it made or cancelled."""

    order_number: str


class Refused(msgspec.Struct, frozen=True):
    """The venue did not take the command and nothing has changed."""

    #: Trading-system code: reference of commands, section 7.
    code: int
    reason: str


Outcome = Done | Refused
