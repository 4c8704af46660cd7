"""What happened in the matching core, in order. All times are wall time, UTC ns, of the command.

An accepted order ends exactly once: the sum of its ``Traded.lots`` reaches its size (it is filled), or one
``OrderCancelled`` carries the lots that were not traded. Until then it works. A conditional order ends with
one ``ConditionalFired`` or one ``ConditionalCancelled``, a group with one ``GroupEnded``.

==========================  ====================================================================
command                     events
==========================  ====================================================================
``Place``, refused          ``OrderRejected``
``Place``, accepted         ``OrderAccepted``, ``Traded`` … (best price first, then oldest
                            order first), and ``OrderCancelled`` if a rest may not stay
``Cancel``, refused         ``CancelRejected``
``Cancel``, accepted        ``OrderCancelled``
``Replace``, refused        ``OrderRejected``
``Replace``, accepted       ``OrderCancelled`` of the old order, then as ``Place``
``CancelAll``               one ending an order, by number, direct ones first; ``CancelRejected``
                            if there is none
``PlaceConditional``        ``ConditionalAccepted`` or ``OrderRejected``
``ReplaceConditional``      ``ConditionalCancelled`` and ``ConditionalAccepted``, or
                            ``OrderRejected``
``CancelConditional``       ``ConditionalCancelled`` or ``CancelRejected``
``MakeGroup``, …            ``GroupMade``, ``GroupChanged``, ``GroupEnded``, or ``GroupRejected``
``SetRules``                ``RulesSet``, ``Traded`` … if an auction ends, and ``OrderCancelled``
                            for each order that may not stay
``PassTime``                what lapses, then what fires; nothing at all if nothing is due
``EndOfDay``                ``OrderCancelled`` for each order that lapses, then ``DayTurned``
``ClearDerivatives``        ``Cleared``
==========================  ====================================================================

Behind them, in the same list, comes what follows from them: groups cancel or activate orders, conditional
orders fire (``ConditionalFired``, then what their direct orders do), and so on until nothing follows.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from tapewire.exchange.command import Auction, OrderRef
from tapewire.model import Condition, GroupPolicy, GroupStatus, Side, TimeInForce, TradingCode

__all__ = [
    "CancelCause",
    "CancelRejected",
    "Cleared",
    "ConditionalAccepted",
    "ConditionalActivated",
    "ConditionalCancelled",
    "ConditionalFired",
    "DayTurned",
    "Event",
    "GroupChanged",
    "GroupEnded",
    "GroupMade",
    "GroupRejected",
    "OrderAccepted",
    "OrderCancelled",
    "OrderRejected",
    "RulesSet",
    "Traded",
]


class CancelCause(StrEnum):
    """Why an order, or the rest of one, left the exchange."""

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
    #: It would have traded with an order of its own account.
    SELF_TRADE = "self trade"
    #: Another order took its place.
    REPLACED = "replaced"
    #: The trading day for which it was good has ended.
    DAY_ENDED = "day ended"
    #: Its own end has come.
    LAPSED = "lapsed"
    #: Its group ended.
    GROUP = "group"
    #: Conditional orders: it fired, but its direct order was refused.
    NOT_PLACED = "not placed"


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
    #: The worst price that a market order can trade at; None for an order with a price.
    limit_ticks: int | None = None
    #: The order whose place it takes; None: it takes nobody's.
    replaces: int | None = None
    #: The conditional order that placed it; None: its account did.
    conditional_id: int | None = None
    comment: str | None = None


class OrderRejected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order was refused; nothing has changed."""

    account: str
    instrument: int
    code: TradingCode
    reason: str
    at_ns: int
    #: The number under which a conditional order's direct order was refused; None: nobody got a number.
    order_id: int | None = None


class Traded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Two orders met: at the price of the one that rested, or at the one price of an auction.

    Ids grow by one a trade.
    """

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
    #: The order that takes its place; None: none does.
    replaced_by: int | None = None


class CancelRejected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """There was nothing to cancel; nothing has changed."""

    account: str
    #: None: all orders were meant.
    order_id: int | None
    code: TradingCode
    reason: str
    at_ns: int


class ConditionalAccepted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A conditional order has its number; it blocks nothing until it fires."""

    order_id: int
    account: str
    instrument: int
    side: Side
    lots: int
    condition: Condition
    trigger_ticks: int
    #: Price of the order to place; None: a market order.
    price_ticks: int | None
    is_active: bool
    at_ns: int
    replaces: int | None = None


class ConditionalActivated(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An inactive conditional order watches the market from now on."""

    order_id: int
    account: str
    instrument: int
    at_ns: int


class ConditionalFired(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A conditional order has fired; its direct order is accepted under ``placed_id``, see the next event."""

    order_id: int
    account: str
    instrument: int
    placed_id: int
    at_ns: int


class ConditionalCancelled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A conditional order is gone without a direct order that works."""

    order_id: int
    account: str
    instrument: int
    cause: CancelCause
    at_ns: int
    #: Why its direct order was refused; None: it did not fire.
    error: str | None = None
    replaced_by: int | None = None


class GroupMade(msgspec.Struct, frozen=True, kw_only=True):
    """Orders are bound together."""

    group_id: int
    owner: str
    orders: tuple[OrderRef, ...]
    policy: GroupPolicy
    at_ns: int


class GroupChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A group has other orders or another policy."""

    group_id: int
    owner: str
    orders: tuple[OrderRef, ...]
    policy: GroupPolicy
    at_ns: int


class GroupEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A group has done what it was for, or was cancelled."""

    group_id: int
    owner: str
    status: GroupStatus
    at_ns: int


class GroupRejected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A command about a group was refused; nothing has changed."""

    owner: str
    #: None: there was no group yet.
    group_id: int | None
    code: TradingCode
    reason: str
    at_ns: int


class RulesSet(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Other rules hold for an instrument from now on."""

    instrument: int
    price_band_ticks: tuple[int, int]
    is_open: bool
    at_ns: int
    auction: Auction | None = None


class Cleared(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The clearing in the middle of the day: derivatives settle what they have won and lost so far."""

    #: Settlement prices, one an instrument.
    settlement_ticks: tuple[int, ...]
    at_ns: int


class DayTurned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A trading day has ended, which settles it, and another begins: settlement moves one day."""

    #: The day that begins: days since 1970 by the exchange's calendar.
    day: int
    #: Settlement prices of the day that has ended, of all instruments, in the exchange's order.
    settlement_ticks: tuple[int, ...]
    #: Collateral to buy and to sell a contract from now on, in the same order, None for what has none;
    #: empty: as before.
    margins: tuple[tuple[Decimal, Decimal] | None, ...] = ()
    at_ns: int


Event = (
    OrderAccepted
    | OrderRejected
    | Traded
    | OrderCancelled
    | CancelRejected
    | RulesSet
    | ConditionalAccepted
    | ConditionalActivated
    | ConditionalFired
    | ConditionalCancelled
    | GroupMade
    | GroupChanged
    | GroupEnded
    | GroupRejected
    | DayTurned
    | Cleared
)
