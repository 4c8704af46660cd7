"""All conditional orders: kept, watched, and handed over when they are to fire."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from tapewire.exchange.clearing import Clearing
from tapewire.exchange.command import CancelConditional, PlaceConditional, ReplaceConditional
from tapewire.exchange.conditional import ConditionalOrder, conditional_refusal
from tapewire.exchange.deadlines import Deadlines
from tapewire.exchange.event import (
    CancelCause,
    CancelRejected,
    ConditionalAccepted,
    ConditionalActivated,
    ConditionalCancelled,
    ConditionalFired,
    Event,
    OrderRejected,
)
from tapewire.exchange.participant import is_participant
from tapewire.exchange.refusal import Refusal
from tapewire.exchange.register import Register
from tapewire.exchange.replace import conditional_replacement
from tapewire.exchange.trading import Trading
from tapewire.exchange.watch import Watch
from tapewire.model import OrderStatus, TradingCode

__all__ = ["CONDITIONAL_ORDERS_MAX", "Conditionals"]

#: A conditional order more is refused.
CONDITIONAL_ORDERS_MAX = 100_000


class Conditionals:
    """The broker's part of the matching core. Numbers of orders that are to fire stand in ``due``."""

    def __init__(
        self,
        trading: Sequence[Trading],
        clearing: Clearing,
        *,
        next_id: int,
        orders: Iterable[ConditionalOrder] = (),
        session: int = 0,
    ) -> None:
        """Begin with ``orders``, as ``register.all`` gave them.

        Args:
            trading: Where their direct orders would trade, by instrument; only read.
            clearing: Asked before an order is kept.
            next_id: Given to the next order; later ones grow by one.
            orders: Those of a restored exchange.
            session: Its session.
        """
        self.next_id = next_id
        self.register: Register[ConditionalOrder] = Register(orders, session=session)
        self.due: deque[int] = deque()
        self._trading = trading
        self._clearing = clearing
        self._ripening = Deadlines()
        self._watches = tuple(Watch(self._ripening) for _ in trading)
        for order in self.register.working.values():
            if order.is_active:
                self._watches[order.instrument].add(order, None, 0)

    @property
    def first_ns(self) -> int | None:
        """When the first order lapses or has held for long enough; None: nothing waits for time."""
        moments = (self.register.expiries.first_ns(), self._ripening.first_ns())
        return min((moment for moment in moments if moment is not None), default=None)

    def place(self, place: PlaceConditional, at_ns: int) -> list[Event]:
        """Keep an order, or refuse it."""
        refusal = self._refusal(place, at_ns)
        if refusal is not None:
            return [_rejected(place, refusal, at_ns)]
        return [self._accept(place, at_ns)]

    def replace(self, replace: ReplaceConditional, at_ns: int) -> list[Event]:
        """End an order and keep another one, or refuse both."""
        old = self._working(replace.by.order.account, replace.order_id)
        if old is None:
            reason = f"the account has no working conditional order {replace.order_id}"
            return [_rejected(replace.by, Refusal(TradingCode.ORDER_TO_MODIFY_NOT_FOUND, reason), at_ns)]
        by = conditional_replacement(replace.by, old, self._trading[old.instrument].instrument)
        refusal = self._refusal(by, at_ns)
        if refusal is not None:
            return [_rejected(by, refusal, at_ns)]
        ended = self.end(old, CancelCause.REPLACED, at_ns, replaced_by=self.next_id)
        return [ended, self._accept(by, at_ns, replaces=old.id)]

    def cancel(self, cancel: CancelConditional, at_ns: int) -> list[Event]:
        """End an order because its account wants it, or refuse that."""
        order = self._working(cancel.account, cancel.order_id)
        if order is not None:
            return [self.end(order, CancelCause.ASKED, at_ns)]
        return [
            CancelRejected(
                account=cancel.account,
                order_id=cancel.order_id,
                code=TradingCode.ORDER_TO_CANCEL_NOT_FOUND,
                reason=f"the account has no working conditional order {cancel.order_id}",
                at_ns=at_ns,
            )
        ]

    def activate(self, order: ConditionalOrder, at_ns: int) -> ConditionalActivated:
        """Let an inactive order watch the market."""
        order.is_active = True
        order.updated_at_ns = at_ns
        self._watch(order, at_ns)
        return ConditionalActivated(
            order_id=order.id, account=order.account, instrument=order.instrument, at_ns=at_ns
        )

    def end(
        self,
        order: ConditionalOrder,
        cause: CancelCause,
        at_ns: int,
        *,
        error: str | None = None,
        replaced_by: int | None = None,
    ) -> ConditionalCancelled:
        """End a working order without a direct order that works."""
        order.cause, order.error, order.replaced_by = cause, error, replaced_by
        self._close(order, OrderStatus.CANCELED, at_ns)
        return ConditionalCancelled(
            order_id=order.id,
            account=order.account,
            instrument=order.instrument,
            cause=cause,
            at_ns=at_ns,
            error=error,
            replaced_by=replaced_by,
        )

    def fire(self, order: ConditionalOrder, placed_id: int, at_ns: int) -> ConditionalFired:
        """End a working order whose direct order is accepted under ``placed_id``."""
        order.placed_id = placed_id
        self._close(order, OrderStatus.FILLED, at_ns)
        return ConditionalFired(
            order_id=order.id,
            account=order.account,
            instrument=order.instrument,
            placed_id=placed_id,
            at_ns=at_ns,
        )

    def printed(self, instrument: int, price_ticks: int, at_ns: int) -> None:
        """Take note of a trade."""
        watch = self._watches[instrument]
        if watch:
            self.due.extend(watch.printed(price_ticks, at_ns))

    def lapse(self, at_ns: int) -> list[Event]:
        """Let time pass: end the orders whose own end has come, earliest first."""
        working = self.register.working
        return [
            self.end(working[order_id], CancelCause.LAPSED, at_ns)
            for order_id in self.register.expiries.pop_until(at_ns)
        ]

    def ripen(self, at_ns: int) -> None:
        """Let time pass: those that have held for long enough by now are to fire, the first ripe first."""
        self.due.extend(self._ripening.pop_until(at_ns))

    def open(self, instrument: int, at_ns: int) -> None:
        """Trading begins: those that could not fire before are to fire."""
        self.due.extend(self._watches[instrument].ripe(at_ns))

    def _refusal(self, place: PlaceConditional, at_ns: int) -> Refusal | None:
        if not 0 <= place.order.instrument < len(self._trading):
            return Refusal(TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, "the exchange has no such instrument")
        if is_participant(place.order.account):
            return Refusal(TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, "participants have no conditional orders")
        if len(self.register.working) >= CONDITIONAL_ORDERS_MAX:
            return Refusal(
                TradingCode.CANT_WRITE_STOP_ORDER_TO_STORAGE,
                f"the broker keeps {CONDITIONAL_ORDERS_MAX} conditional orders, its maximum",
            )
        instrument = self._trading[place.order.instrument].instrument
        return conditional_refusal(place, instrument, at_ns) or self._clearing.conditional_refusal(place.order)

    def _accept(self, place: PlaceConditional, at_ns: int, *, replaces: int | None = None) -> ConditionalAccepted:
        order = ConditionalOrder(
            id=self.next_id,
            order=place.order,
            condition=place.condition,
            trigger_ticks=place.trigger_ticks,
            protecting_s=place.protecting_s,
            is_active=place.is_active,
            created_at_ns=at_ns,
            updated_at_ns=at_ns,
            expires_at_ns=place.expires_at_ns,
            replaces=replaces,
        )
        self.next_id += 1
        self.register.open(order)
        if order.is_active:
            self._watch(order, at_ns)
        return ConditionalAccepted(
            order_id=order.id,
            account=order.account,
            instrument=order.instrument,
            side=order.order.side,
            lots=order.order.lots,
            condition=order.condition,
            trigger_ticks=order.trigger_ticks,
            price_ticks=order.order.price_ticks,
            is_active=order.is_active,
            at_ns=at_ns,
            replaces=replaces,
        )

    def _working(self, account: str, order_id: int) -> ConditionalOrder | None:
        order = self.register.working.get(order_id)
        return order if order is not None and order.account == account else None

    def _watch(self, order: ConditionalOrder, at_ns: int) -> None:
        instrument = order.instrument
        if self._watches[instrument].add(order, self._trading[instrument].last_ticks, at_ns):
            self.due.append(order.id)

    def _close(self, order: ConditionalOrder, status: OrderStatus, at_ns: int) -> None:
        if order.is_active:
            self._watches[order.instrument].remove(order)
        self.register.end(order, status, at_ns)


def _rejected(place: PlaceConditional, refusal: Refusal, at_ns: int) -> OrderRejected:
    return OrderRejected(
        account=place.order.account,
        instrument=place.order.instrument,
        code=refusal.code,
        reason=refusal.reason,
        at_ns=at_ns,
    )
