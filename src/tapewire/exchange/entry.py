"""Order entry: direct orders are checked, take their place in matching, and are written into the register."""

from __future__ import annotations

from collections.abc import Iterable

from tapewire.exchange.clearing import Clearing
from tapewire.exchange.command import Place
from tapewire.exchange.event import Event, OrderRejected
from tapewire.exchange.matching import Matching
from tapewire.exchange.order import RestingOrder
from tapewire.exchange.refusal import GOOD_TILL_NS, Refusal, auction_refusal, order_refusal
from tapewire.exchange.register import OrderRow, Register
from tapewire.model import OrderStatus, TimeInForce, TradingCode

__all__ = ["RESTING_ORDERS_MAX", "OrderEntry"]

#: About 250 MB of memory; an order more is refused.
RESTING_ORDERS_MAX = 1_000_000

# On the hot path: reading a member from its class costs ten times a global in Python 3.11.
_GOOD_TILL_CANCELLED = TimeInForce.GOOD_TILL_CANCELLED


class OrderEntry:
    """The way in for every direct order: a user's, a participant's, a conditional order's."""

    def __init__(self, matching: Matching, register: Register[OrderRow], clearing: Clearing) -> None:
        """Stand before ``matching``."""
        self._matching = matching
        self._register = register
        self._clearing = clearing
        self._trading = matching.trading
        self._resting = matching.resting

    def exchange_refusal(self, place: Place, at_ns: int) -> Refusal | None:
        """Return why the exchange itself would not take an order now, or None."""
        if not 0 <= place.instrument < len(self._trading):
            return Refusal(TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, "the exchange has no such instrument")
        trading = self._trading[place.instrument]
        if not trading.is_open:
            return Refusal(TradingCode.EXCHANGE_TRADING_IS_STOPPED, "the instrument is not traded now")
        if len(self._resting) >= RESTING_ORDERS_MAX:
            return Refusal(
                TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED,
                f"the exchange holds {RESTING_ORDERS_MAX} resting orders, its maximum",
            )
        refusal = order_refusal(place, trading.instrument, at_ns, trading.band_ticks)
        if refusal is None and trading.auction is not None:
            return auction_refusal(place, trading.instrument)
        return refusal

    def clearing_refusal(self, place: Place, *, replaces: int | None = None) -> Refusal | None:
        """Return why the account may not place an order that the exchange would take, or None."""
        return self._clearing.refusal(place, self._matching.limit_ticks(place), replaces=replaces)

    def enter(
        self, place: Place, at_ns: int, *, replaces: int | None = None, conditional_id: int | None = None
    ) -> list[Event]:
        """Accept an order of a user that nobody refuses and return what it did."""
        row = self._row(self._matching.next_order_id, place, at_ns)
        row.replaces, row.conditional_id = replaces, conditional_id
        events = self._matching.accept(
            place, at_ns, own=self._own, replaces=replaces, conditional_id=conditional_id
        )
        self._register.open(row)
        return events

    def reject(
        self, place: Place, refusal: Refusal, at_ns: int, *, conditional_id: int, order_id: int
    ) -> OrderRejected:
        """Enter an order of a user as one that the exchange refused."""
        row = self._row(order_id, place, at_ns)
        row.conditional_id, row.error = conditional_id, refusal.reason
        self._register.open(row)
        self._register.end(row, OrderStatus.REJECTED, at_ns)
        return rejected(place, refusal, at_ns, order_id=order_id)

    def _own(self, place: Place) -> Iterable[RestingOrder]:
        # Needed only where orders gather: in continuous trading the book itself is asked.
        return (
            order
            for row in self._register.of(place.account)
            if row.instrument == place.instrument and (order := self._resting.get(row.id)) is not None
        )

    def _row(self, order_id: int, place: Place, at_ns: int) -> OrderRow:
        expires_at_ns = place.expires_at_ns
        if expires_at_ns is None and place.time_in_force is _GOOD_TILL_CANCELLED:
            expires_at_ns = at_ns + GOOD_TILL_NS
        return OrderRow(
            id=order_id,
            account=place.account,
            instrument=place.instrument,
            side=place.side,
            lots=place.lots,
            price_ticks=place.price_ticks,
            time_in_force=place.time_in_force,
            allow_margin=place.allow_margin,
            comment=place.comment,
            created_at_ns=at_ns,
            updated_at_ns=at_ns,
            expires_at_ns=expires_at_ns,
            visible_lots=place.visible_lots,
            visible_variance_percent=place.visible_variance_percent,
        )


def rejected(place: Place, refusal: Refusal, at_ns: int, *, order_id: int | None = None) -> OrderRejected:
    """Return the event of an order that was refused."""
    return OrderRejected(
        account=place.account,
        instrument=place.instrument,
        code=refusal.code,
        reason=refusal.reason,
        at_ns=at_ns,
        order_id=order_id,
    )
