"""What the matching core may be asked. Whole ticks and whole lots only: nothing here rounds.

``instrument`` is everywhere the position of the instrument in the list that the exchange was made with.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from tapewire.model import Condition, Exchange, GroupPolicy, OrderScope, Side, TimeInForce

__all__ = [
    "Auction",
    "Cancel",
    "CancelAll",
    "CancelConditional",
    "CancelGroup",
    "ChangeGroup",
    "ClearDerivatives",
    "Command",
    "EndOfDay",
    "MakeGroup",
    "OrderRef",
    "PassTime",
    "Place",
    "PlaceConditional",
    "Replace",
    "ReplaceConditional",
    "SetRules",
]


class Auction(StrEnum):
    """Which auction gathers the orders of an instrument."""

    OPENING = "opening"
    CLOSING = "closing"


class Place(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Place an order for ``account``."""

    account: str
    instrument: int
    side: Side
    lots: int
    #: The worst acceptable price; None: a market order.
    price_ticks: int | None
    time_in_force: TimeInForce = TimeInForce.ONE_DAY
    #: Whether the order may open or enlarge an uncovered position; a matter of the clearing.
    allow_margin: bool = False
    #: An iceberg: so many lots show at a time.
    visible_lots: int | None = None
    #: How far a visible part may differ from ``visible_lots``; derivatives only.
    visible_variance_percent: int = 0
    #: When what is left lapses, UTC ns; None: by its time in force alone.
    expires_at_ns: int | None = None
    comment: str | None = None


class PlaceConditional(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Keep ``order`` until the last trade price meets a condition, then place it."""

    order: Place
    condition: Condition
    trigger_ticks: int
    #: How long the condition must hold without a break; None: it fires at once.
    protecting_s: int | None = None
    #: When it lapses unless it has fired, UTC ns; None: never.
    expires_at_ns: int | None = None
    #: False: it does not watch the market until a group activates it.
    is_active: bool = True


class Replace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Cancel a working direct order and place another one, or leave both undone.

    On derivatives, side, instrument and the visible part are those of the old order, whatever is said here;
    the variance of an iceberg always is.
    """

    account: str
    order_id: int
    instrument: int
    side: Side
    #: Size of the new order, whatever of the old one is filled.
    lots: int
    price_ticks: int | None
    #: None: that of the old order.
    time_in_force: TimeInForce | None = None
    allow_margin: bool = False
    visible_lots: int | None = None
    expires_at_ns: int | None = None
    comment: str | None = None


class ReplaceConditional(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Cancel a conditional order and place another one for the same account, or leave both undone.

    On derivatives side and instrument are those of the old order.
    """

    order_id: int
    by: PlaceConditional


class Cancel(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Cancel what still works of a direct order of ``account``."""

    account: str
    order_id: int


class CancelConditional(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Cancel a conditional order of ``account`` that has not fired."""

    account: str
    order_id: int


class CancelAll(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Cancel all working orders of ``account`` on an exchange; None: on all exchanges."""

    account: str
    exchange: Exchange | None = None
    scope: OrderScope = OrderScope.BOTH


class OrderRef(msgspec.Struct, frozen=True, gc=False):
    """Names an order of an account."""

    account: str
    order_id: int
    is_conditional: bool = False


class MakeGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Bind orders together. ``owner`` is whoever may change and cancel the group, not an account."""

    owner: str
    orders: tuple[OrderRef, ...]
    policy: GroupPolicy


class ChangeGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Give an active group other orders and another policy; orders that leave it are left as they are."""

    owner: str
    group_id: int
    orders: tuple[OrderRef, ...]
    policy: GroupPolicy


class CancelGroup(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Cancel the working orders of an active group, and the group with them."""

    owner: str
    group_id: int


class SetRules(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Change what the orders of an instrument must keep to: the exchange's own command.

    An auction ends, and its orders trade, when another command sets another ``auction`` or none.
    """

    instrument: int
    #: The lowest and the highest price that an order may carry from now on.
    price_band_ticks: tuple[int, int]
    #: Whether orders are taken; cancellations always are.
    is_open: bool
    #: Orders gather instead of trading; None: continuous trading.
    auction: Auction | None = None


class PassTime(msgspec.Struct, frozen=True, gc=False):
    """Let time reach the moment of this command: what is due lapses or fires."""


class EndOfDay(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """End the trading day and begin the next one."""

    #: The day that begins, days since 1970 by the exchange's calendar.
    day: int
    #: Settlement price of each instrument; empty: its last trade, or the previous close of its listing.
    settlement_ticks: tuple[int, ...] = ()
    #: Collateral to buy and to sell a contract from then on, in the same order, None for what has none; empty:
    #: as before. The clearing's matter.
    margins: tuple[tuple[Decimal, Decimal] | None, ...] = ()


class ClearDerivatives(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Let derivatives settle what they have won and lost so far: the clearing in the middle of the day."""

    #: As of ``EndOfDay``.
    settlement_ticks: tuple[int, ...] = ()


Command = (
    Place
    | Cancel
    | SetRules
    | Replace
    | CancelAll
    | PlaceConditional
    | ReplaceConditional
    | CancelConditional
    | MakeGroup
    | ChangeGroup
    | CancelGroup
    | PassTime
    | EndOfDay
    | ClearDerivatives
)
