"""What happened in the matching core, in order. All times are wall time, UTC ns, of the command.

An accepted order ends exactly once: the sum of its ``Traded.lots`` reaches its size (it is filled), or one
``OrderCancelled`` carries the lots that were not traded. Until then it rests in the book.

=====================  =================================================================
command                events
=====================  =================================================================
``Place``, refused     ``OrderRejected``
``Place``, accepted    ``OrderAccepted``, ``Traded`` … (best price first, then oldest
                       order first), and ``OrderCancelled`` if a rest may not stay
``Cancel``, refused    ``CancelRejected``
``Cancel``, accepted   ``OrderCancelled``
``SetRules``           ``RulesSet``, and ``OrderCancelled`` for each order that rests outside the new limits
=====================  =================================================================
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from tapewire.model import Side, TimeInForce, TradingCode

__all__ = [
    "CancelCause",
    "CancelRejected",
    "Cleared",
    "DayTurned",
    "Event",
    "OrderAccepted",
    "OrderCancelled",
    "OrderRejected",
    "RulesSet",
    "Traded",
]


class CancelCause(StrEnum):
    """Why the rest of an order left the exchange."""

    #: Its account cancelled it.
    ASKED = "asked"
    #: The rest of a market or immediate-or-cancel order never rests.
    NOT_RESTING = "not resting"
    #: Fill-or-kill, and the book did not hold enough.
    NOT_FILLABLE = "not fillable"
    #: Book-or-cancel, and the order would have traded at once.
    WOULD_TRADE = "would trade"
    #: The price limits of a new day do not hold its price.
    OUTSIDE_LIMITS = "outside the limits"


class OrderAccepted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order has its number. Ids grow by one an order, whatever the instrument."""

    order_id: int
    account: str
    instrument: int
    side: Side
    lots: int
    #: None: a market order.
    price_ticks: int | None
    time_in_force: TimeInForce
    at_ns: int


class OrderRejected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order was refused; nothing has changed."""

    account: str
    instrument: int
    code: TradingCode
    reason: str
    at_ns: int


class Traded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Two orders met, at the price of the one that rested. Ids grow by one a trade."""

    trade_id: int
    instrument: int
    price_ticks: int
    lots: int
    #: Side of the order that came later.
    aggressor: Side
    buy_order_id: int
    sell_order_id: int
    buyer: str
    seller: str
    at_ns: int


class OrderCancelled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was left of an order is gone."""

    order_id: int
    account: str
    instrument: int
    #: The part that was never traded.
    remaining_lots: int
    cause: CancelCause
    at_ns: int


class CancelRejected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """There was nothing to cancel; nothing has changed."""

    account: str
    order_id: int
    code: TradingCode
    reason: str
    at_ns: int


class RulesSet(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Other rules hold for an instrument from now on."""

    instrument: int
    price_band_ticks: tuple[int, int]
    is_open: bool
    at_ns: int


class Cleared(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The clearing in the middle of the day: derivatives settle what they have won and lost so far."""

    #: Settlement prices of all instruments, in the exchange's order.
    settlement_ticks: tuple[int, ...]
    at_ns: int


class DayTurned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A trading day has ended, which settles it, and another begins."""

    #: The day that begins: days since 1970-01-01, Moscow.
    day: int
    #: Settlement prices of the day that has ended, of all instruments, in the exchange's order.
    settlement_ticks: tuple[int, ...]
    #: Collateral to buy and to sell a contract from now on, in the same order, None for what has none;
    #: empty: as before.
    margins: tuple[tuple[Decimal, Decimal] | None, ...] = ()
    at_ns: int


Event = OrderAccepted | OrderRejected | Traded | OrderCancelled | CancelRejected | RulesSet
