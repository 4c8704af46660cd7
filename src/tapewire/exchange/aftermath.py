"""The aftermath of a command: everybody is told what happened, and what follows from it is done."""

from __future__ import annotations

from tapewire.exchange.clearing import Clearing, NoClearing
from tapewire.exchange.command import OrderRef
from tapewire.exchange.conditional import ConditionalOrder
from tapewire.exchange.conditionals import Conditionals
from tapewire.exchange.entry import OrderEntry
from tapewire.exchange.event import (
    CancelCause,
    ConditionalCancelled,
    ConditionalFired,
    DayTurned,
    Event,
    OrderAccepted,
    OrderCancelled,
    Traded,
)
from tapewire.exchange.groups import Groups
from tapewire.exchange.matching import Matching
from tapewire.exchange.register import OrderRow, Register
from tapewire.model import OrderStatus

__all__ = ["Aftermath"]

# On the hot path: reading a member from its class costs ten times a global in Python 3.11.
_FILLED, _CANCELED = OrderStatus.FILLED, OrderStatus.CANCELED


class Aftermath:
    """Keeps clearing, register, conditional orders and groups in step with what matching does."""

    def __init__(
        self,
        matching: Matching,
        entry: OrderEntry,
        register: Register[OrderRow],
        conditionals: Conditionals,
        groups: Groups,
        clearing: Clearing,
    ) -> None:
        """Follow these."""
        self._matching = matching
        self._entry = entry
        self._register = register
        self._conditionals = conditionals
        self._groups = groups
        # What every event needs, at hand.
        self._tell = None if isinstance(clearing, NoClearing) else clearing.apply
        self._working = register.working

    def follow(self, events: list[Event], at_ns: int) -> None:
        """Tell of events, do what follows from them, append what happens by that, until nothing follows.

        What groups ask for comes before what fires: of two orders that the same trade fires, the second is
        cancelled if the first ends their group.
        """
        groups, conditionals = self._groups, self._conditionals
        noted = 0
        note = self._note
        while True:
            while noted < len(events):
                note(events[noted], events)
                noted += 1
            if groups.to_cancel:
                events += self._cancel(groups.to_cancel.popleft(), at_ns)
            elif groups.to_activate:
                events += self._activate(groups.to_activate.popleft(), at_ns)
            elif conditionals.due:
                order = conditionals.register.working.get(conditionals.due.popleft())
                if order is not None and self._matching.trading[order.instrument].is_open:
                    events += self._fire(order, at_ns)
            else:
                return

    def _note(self, event: Event, events: list[Event]) -> None:
        if self._tell is not None:
            self._tell(event)
        if isinstance(event, Traded):
            self._conditionals.printed(event.instrument, event.price_ticks, event.at_ns)
            buying, selling = self._working.get(event.buy_order_id), self._working.get(event.sell_order_id)
            if buying is not None:
                self._fill(buying, event, events)
            if selling is not None:
                self._fill(selling, event, events)
        elif isinstance(event, OrderCancelled):
            row = self._working.get(event.order_id)
            if row is not None:
                row.cause, row.replaced_by = event.cause, event.replaced_by
                if row.visible_lots is not None:
                    self._show(row)
                self._register.end(row, _CANCELED, event.at_ns)
                if self._groups.bound:
                    self._cancelled(OrderRef(row.account, row.id), event, events)
        elif isinstance(event, OrderAccepted):
            row = self._working.get(event.order_id)
            if row is not None and row.visible_lots is not None:
                self._show(row)
        elif isinstance(event, ConditionalCancelled):
            ref = OrderRef(event.account, event.order_id, is_conditional=True)
            self._cancelled(ref, event, events)
        elif isinstance(event, ConditionalFired):
            ref = OrderRef(event.account, event.order_id, is_conditional=True)
            events += self._groups.ended(ref, event.at_ns, is_filled=True)
        elif isinstance(event, DayTurned):
            self._register.turn()
            self._conditionals.register.turn()

    def _fill(self, row: OrderRow, trade: Traded, events: list[Event]) -> None:
        row.filled_lots += trade.lots
        row.filled_lot_ticks += trade.lots * trade.price_ticks
        row.updated_at_ns = trade.at_ns
        if row.visible_lots is not None:
            self._show(row)
        if row.filled_lots == row.lots:
            self._register.end(row, _FILLED, trade.at_ns)
            if self._groups.bound:
                events += self._groups.ended(OrderRef(row.account, row.id), trade.at_ns, is_filled=True)

    def _show(self, row: OrderRow) -> None:
        """Note in the row of an iceberg what shows of it now."""
        resting = self._matching.resting.get(row.id)
        row.shown_lots = 0 if resting is None else resting.lots
        if resting is not None and resting.iceberg is not None:
            row.part_lots = resting.iceberg.part_lots

    def _cancelled(self, ref: OrderRef, event: OrderCancelled | ConditionalCancelled, events: list[Event]) -> None:
        if event.replaced_by is not None:
            self._groups.replaced(ref, event.replaced_by)
        else:
            events += self._groups.ended(ref, event.at_ns, is_filled=False)

    def _cancel(self, ref: OrderRef, at_ns: int) -> list[Event]:
        if ref.is_conditional:
            order = self._conditionals.register.working.get(ref.order_id)
            return [] if order is None else [self._conditionals.end(order, CancelCause.GROUP, at_ns)]
        resting = self._matching.resting.get(ref.order_id)
        return [] if resting is None else [self._matching.cancel(resting, CancelCause.GROUP, at_ns)]

    def _activate(self, ref: OrderRef, at_ns: int) -> list[Event]:
        order = self._conditionals.register.working.get(ref.order_id)
        if order is None or order.is_active:
            return []
        return [self._conditionals.activate(order, at_ns)]

    def _fire(self, order: ConditionalOrder, at_ns: int) -> list[Event]:
        """Place the direct order of a conditional one, or end it with the reason why that is not possible."""
        place = order.order
        refusal = self._entry.exchange_refusal(place, at_ns)
        events: list[Event] = []
        if refusal is not None:
            # The exchange says no to an order that the broker has sent: it has a number and is rejected.
            order.placed_id = self._matching.next_order_id
            self._matching.next_order_id += 1
            events.append(
                self._entry.reject(place, refusal, at_ns, conditional_id=order.id, order_id=order.placed_id)
            )
        else:
            refusal = self._entry.clearing_refusal(place)
        if refusal is not None:
            error = f"{refusal.code.wire_name} ({refusal.code:d}): {refusal.reason}"
            events.append(self._conditionals.end(order, CancelCause.NOT_PLACED, at_ns, error=error))
            return events
        events.append(self._conditionals.fire(order, self._matching.next_order_id, at_ns))
        return events + self._entry.enter(place, at_ns, conditional_id=order.id)
