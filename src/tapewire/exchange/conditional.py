"""Conditional orders: kept by the broker, unseen by the exchange until they fire."""

from __future__ import annotations

import msgspec

from tapewire.exchange.command import Place, PlaceConditional
from tapewire.exchange.event import CancelCause
from tapewire.exchange.refusal import GOOD_TILL_DAYS_MAX, GOOD_TILL_NS, Refusal, order_refusal
from tapewire.model import Condition, Instrument, OrderStatus, TradingCode

__all__ = ["PROTECTING_SECONDS_MAX", "ConditionalOrder", "conditional_refusal"]

PROTECTING_SECONDS_MAX = 300

_CONDITIONS = frozenset(Condition)
_RISING = frozenset({Condition.MORE, Condition.MORE_OR_EQUAL})


class ConditionalOrder(msgspec.Struct, kw_only=True, gc=False):
    """One conditional order, as it stands. All times UTC ns."""

    id: int
    #: What it places when it fires; its own account, instrument, side, size and comment are there.
    order: Place
    condition: Condition
    trigger_ticks: int
    protecting_s: int | None
    is_active: bool
    created_at_ns: int
    #: When it last changed.
    updated_at_ns: int
    expires_at_ns: int | None
    status: OrderStatus = OrderStatus.WORKING
    #: Since when its condition has held without a break; None: it does not hold.
    holds_since_ns: int | None = None
    #: The direct order that it placed; refused ones have a number as well.
    placed_id: int | None = None
    cause: CancelCause | None = None
    #: Why its direct order was refused.
    error: str | None = None
    replaces: int | None = None
    replaced_by: int | None = None
    #: The session in which it ended.
    ended_in: int = 0

    @property
    def account(self) -> str:
        """Whose it is."""
        return self.order.account

    @property
    def instrument(self) -> int:
        """In which instrument it trades."""
        return self.order.instrument

    @property
    def is_rising(self) -> bool:
        """Whether it fires when the price has risen far enough; else when it has fallen."""
        return self.condition in _RISING

    @property
    def edge_ticks(self) -> int:
        """The first price at which its condition holds: all beyond it do as well."""
        if self.condition is Condition.MORE:
            return self.trigger_ticks + 1
        if self.condition is Condition.LESS:
            return self.trigger_ticks - 1
        return self.trigger_ticks

    @property
    def ripe_at_ns(self) -> int | None:
        """When its condition will have held for long enough; None: it does not hold."""
        if self.holds_since_ns is None:
            return None
        return self.holds_since_ns + (self.protecting_s or 0) * 1_000_000_000


def conditional_refusal(place: PlaceConditional, instrument: Instrument, at_ns: int) -> Refusal | None:
    """Return what is wrong with a conditional order by itself, or None if it may be kept.

    Price limits, trading status and money are not asked: they are those of the moment when it fires.
    """
    if place.condition not in _CONDITIONS:
        return Refusal(
            TradingCode.UNSUPPORTED_STOP_ORDER_TYPE, f"condition {place.condition} is in no list of conditions"
        )
    if place.trigger_ticks < 1:
        return Refusal(
            TradingCode.INTERNAL_ERROR_WITH_PRICES,
            f"trigger price {instrument.price(place.trigger_ticks)} is not above zero",
        )
    if place.protecting_s is not None and not 1 <= place.protecting_s <= PROTECTING_SECONDS_MAX:
        return Refusal(
            TradingCode.UNSUPPORTED_STOP_ORDER_TYPE,
            f"protecting time {place.protecting_s} is not between 1 and {PROTECTING_SECONDS_MAX} seconds",
        )
    if place.expires_at_ns is not None and place.expires_at_ns <= at_ns:
        return Refusal(TradingCode.UNSUPPORTED_STOP_ORDER_TYPE, "the end of the order has passed already")
    if place.expires_at_ns is not None and place.expires_at_ns > at_ns + GOOD_TILL_NS:
        # As for direct orders. Without an end it is kept for as long as there is the broker.
        return Refusal(
            TradingCode.UNSUPPORTED_STOP_ORDER_TYPE,
            f"the end of the order is more than {GOOD_TILL_DAYS_MAX} days away",
        )
    if place.order.expires_at_ns is not None:
        return Refusal(
            TradingCode.UNSUPPORTED_STOP_ORDER_TYPE, "the direct order of a conditional one has no end of its own"
        )
    price_ticks = place.order.price_ticks
    if price_ticks is not None and price_ticks < 1:
        return Refusal(
            TradingCode.INTERNAL_ERROR_WITH_PRICES, f"price {instrument.price(price_ticks)} is not above zero"
        )
    return order_refusal(place.order, instrument, at_ns, None)
