"""What may be asked of a venue. Prices are exact decimals, quantities whole lots.

What becomes of a command is an ``Outcome``, see :mod:`tapewire.model.outcome`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from tapewire.model.group import GroupedOrder
from tapewire.model.words import (
    Condition,
    Exchange,
    GroupPolicy,
    OrderScope,
    OrderType,
    Side,
    StopType,
    TimeInForce,
)

__all__ = [
    "CancelAllOrders",
    "CancelOrder",
    "CancelStopOrder",
    "ChangeGroup",
    "Command",
    "CommandKey",
    "DeleteGroup",
    "MakeGroup",
    "PlaceOrder",
    "PlaceStopOrder",
    "ReplaceOrder",
    "ReplaceStopOrder",
]


class CommandKey(NamedTuple):
    """Under which a venue remembers a command: it is never carried out twice.

    ``guid`` is the client's own, from either door (guid of a command, ``X-REQID`` of HTTP).
    """

    login: str
    guid: str


# --- direct orders --------------------------------------------------------------------------------------


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
    #: Whether the order may open or enlarge an uncovered position.
    allow_margin: bool = False
    #: Visible part of an iceberg order; None: all of it is visible.
    iceberg_lots: int | None = None
    #: Random change of the visible part, 0..20; derivatives only.
    iceberg_variance_percent: int | None = None


class ReplaceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel a direct order and place ``order`` in its place, with a new number, or leave both undone.

    ``order`` is the whole new order; its portfolio owns the old one too. On derivatives side and instrument are
    those of the old order, whatever it says.
    """

    order_number: str
    order: PlaceOrder
    #: The time in force is that of the old order, whatever ``order`` says.
    keeps_time_in_force: bool = True


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel a direct order of the portfolio."""

    portfolio: str
    order_number: str
    exchange: Exchange = Exchange.MOEX


# --- conditional orders ---------------------------------------------------------------------------------


class PlaceStopOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Keep an order until the market price meets a condition, then place it as a direct order."""

    portfolio: str
    exchange: Exchange
    symbol: str
    #: Empty: the primary board.
    board: str
    type: StopType
    side: Side
    quantity_lots: int
    condition: Condition
    trigger_price: Decimal
    #: Of the order to place; None for a plain stop, which places a market order.
    price: Decimal | None = None
    #: When it lapses unless it has fired, Unix s UTC; 0: never.
    ends_at_s: int = 0
    #: How long the condition must hold without a break, 1..300; None: it fires at once.
    protecting_seconds: int | None = None
    #: False: kept inactive until a group activates it.
    is_active: bool = True
    #: Of the order to place.
    time_in_force: TimeInForce = TimeInForce.ONE_DAY
    comment: str | None = None
    allow_margin: bool = False
    iceberg_lots: int | None = None
    iceberg_variance_percent: int | None = None


class ReplaceStopOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel a conditional order and keep ``order`` in its place, with a new number, or leave both undone."""

    order_number: str
    order: PlaceStopOrder


class CancelStopOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel a conditional order of the portfolio that has not fired."""

    portfolio: str
    order_number: str
    exchange: Exchange = Exchange.MOEX


class CancelAllOrders(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel all working orders of a portfolio on an exchange; refused with code 404 if there is none."""

    portfolio: str
    exchange: Exchange
    scope: OrderScope = OrderScope.BOTH


# --- groups ---------------------------------------------------------------------------------------------


class MakeGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Bind orders together. The number of ``Done`` is the id of the group, which the venue chooses."""

    login: str
    orders: tuple[GroupedOrder, ...]
    policy: GroupPolicy


class ChangeGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Give an active group of the login other orders and another policy."""

    login: str
    id: str
    orders: tuple[GroupedOrder, ...]
    policy: GroupPolicy


class DeleteGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel the working orders of an active group of the login, and the group with them."""

    login: str
    id: str


Command = (
    PlaceOrder
    | ReplaceOrder
    | CancelOrder
    | PlaceStopOrder
    | ReplaceStopOrder
    | CancelStopOrder
    | CancelAllOrders
    | MakeGroup
    | ChangeGroup
    | DeleteGroup
)
