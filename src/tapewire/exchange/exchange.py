"""The exchange: takes commands one after another, keeps the books, says what happened.

The same commands with the same times give the same events and the same state, always: there is no clock,
no chance and no I/O here, and a refused command leaves no trace. That is what lets a journal of commands be
the exchange's whole memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from tapewire.exchange.book import OrderBook
from tapewire.exchange.command import Cancel, Command, Place, SetRules
from tapewire.exchange.event import (
    CancelCause,
    CancelRejected,
    Event,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    RulesSet,
    Traded,
)
from tapewire.exchange.order import RestingOrder
from tapewire.exchange.refusal import Refusal, order_refusal
from tapewire.exchange.side import Fill
from tapewire.model import Instrument, Side, TimeInForce, TradingCode

__all__ = ["FIRST_ORDER_ID", "FIRST_TRADE_ID", "RESTING_ORDERS_MAX", "Exchange"]

#: 19 digits, as the real numbers have, with room for seven quintillion more in a signed 64-bit integer.
FIRST_ORDER_ID = 2_030_000_000_000_000_000

#: Above 2^32, so that a client which keeps trade ids in 32 bits fails here and not in production.
FIRST_TRADE_ID = 10_000_000_000

#: About 250 MB of memory; an order more is refused.
RESTING_ORDERS_MAX = 1_000_000


class Exchange:
    """Order books of a fixed list of instruments, and the rules by which orders meet."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        *,
        first_order_id: int = FIRST_ORDER_ID,
        first_trade_id: int = FIRST_TRADE_ID,
    ) -> None:
        """Open empty books.

        Args:
            instruments: Commands and events name an instrument by its position in this list.
            first_order_id: Given to the first order; later ones grow by one.
            first_trade_id: Given to the first trade; later ones grow by one.
        """
        #: With the price limits that hold now.
        self.instruments = tuple(instruments)
        self._is_open = [True] * len(self.instruments)
        self._books = tuple(OrderBook() for _ in self.instruments)
        self._resting: dict[int, RestingOrder] = {}
        self._next_order_id = first_order_id
        self._next_trade_id = first_trade_id

    def skip_trade_ids(self, next_id: int) -> None:
        """Give the next trade ``next_id`` or more: numbers up to it were given by an earlier exchange."""
        self._next_trade_id = max(self._next_trade_id, next_id)

    def book(self, instrument: int) -> OrderBook:
        """Return the live book of the instrument at this position, for reading."""
        return self._books[instrument]

    def apply(self, command: Command, *, at_ns: int) -> list[Event]:
        """Execute one command completely, or refuse it and change nothing.

        Args:
            command: What to do.
            at_ns: Wall time of the command, UTC ns. It stamps the events and decides nothing.

        Returns:
            What happened, in order and never empty; which events to expect is in ``exchange.event``.
            An order of another account and one that does not exist are refused in the same words.
        """
        if type(command) is Place:
            refusal = self._place_refusal(command)
            if refusal is None:
                return self._place(command, at_ns)
            return [
                OrderRejected(
                    account=command.account,
                    instrument=command.instrument,
                    code=refusal.code,
                    reason=refusal.reason,
                    at_ns=at_ns,
                )
            ]
        if type(command) is SetRules:
            return self._set_rules(command, at_ns)
        assert type(command) is Cancel
        return [self._cancel(command, at_ns)]

    def state_digest(self) -> str:
        """Return a hash of everything that decides what this exchange will do next.

        Equal digests mean equal resting orders in equal priority and equal next numbers. Takes time in
        proportion to the number of resting orders.
        """
        digest = blake2b(f"{self._next_order_id} {self._next_trade_id}\n".encode(), digest_size=16)
        for position, book in enumerate(self._books):
            rules = (self.instruments[position].price_band_ticks, self._is_open[position])
            digest.update(f"{rules}\n".encode())
            for side in (Side.BUY, Side.SELL):
                digest.update(f"{position} {side.value}\n".encode())
                for order in book.orders(side):
                    digest.update(f"{order.id} {order.price_ticks} {order.lots} {order.account!r}\n".encode())
        return digest.hexdigest()

    def _set_rules(self, rules: SetRules, at_ns: int) -> list[Event]:
        position = rules.instrument
        low, high = rules.price_band_ticks
        listed = list(self.instruments)
        listed[position] = msgspec.structs.replace(listed[position], price_band_ticks=rules.price_band_ticks)
        self.instruments = tuple(listed)
        self._is_open[position] = rules.is_open
        events: list[Event] = [
            RulesSet(
                instrument=position,
                price_band_ticks=rules.price_band_ticks,
                is_open=rules.is_open,
                at_ns=at_ns,
            )
        ]
        # Nothing may rest outside the limits: a market order is one with the limit at their edge.
        book = self._books[position]
        outside = [
            order
            for side in (Side.BUY, Side.SELL)
            for order in book.orders(side)
            if not low <= order.price_ticks <= high
        ]
        for order in outside:
            del self._resting[order.id]
            book.withdraw(order)
            events.append(
                OrderCancelled(
                    order_id=order.id,
                    account=order.account,
                    instrument=position,
                    remaining_lots=order.lots,
                    cause=CancelCause.OUTSIDE_LIMITS,
                    at_ns=at_ns,
                )
            )
        return events

    def _place_refusal(self, place: Place) -> Refusal | None:
        if not 0 <= place.instrument < len(self.instruments):
            return Refusal(TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, "the exchange has no such instrument")
        if not self._is_open[place.instrument]:
            return Refusal(TradingCode.EXCHANGE_TRADING_IS_STOPPED, "the instrument is not traded now")
        if len(self._resting) >= RESTING_ORDERS_MAX:
            return Refusal(
                TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED,
                f"the exchange holds {RESTING_ORDERS_MAX} resting orders, its maximum",
            )
        return order_refusal(place, self.instruments[place.instrument])

    def _place(self, place: Place, at_ns: int) -> list[Event]:
        order_id = self._next_order_id
        self._next_order_id += 1
        events: list[Event] = [
            OrderAccepted(
                order_id=order_id,
                account=place.account,
                instrument=place.instrument,
                side=place.side,
                lots=place.lots,
                price_ticks=place.price_ticks,
                time_in_force=place.time_in_force,
                at_ns=at_ns,
            )
        ]
        limit_ticks = self._limit_ticks(place)
        book = self._books[place.instrument]
        remaining_lots = place.lots
        cause = None
        if book.would_trade(place.side, limit_ticks):
            cause = _forbids_trading(place, book, limit_ticks)
            if cause is None:
                for fill in book.match(place.side, limit_ticks, remaining_lots):
                    remaining_lots -= fill.lots
                    events.append(self._trade(place, order_id, fill, at_ns))
        elif place.time_in_force is TimeInForce.FILL_OR_KILL:
            cause = CancelCause.NOT_FILLABLE
        if not remaining_lots:
            return events
        if cause is None and not _may_rest(place):
            cause = CancelCause.NOT_RESTING
        if cause is None:
            order = RestingOrder(
                order_id, place.account, place.instrument, place.side, limit_ticks, remaining_lots
            )
            self._resting[order_id] = order
            book.rest(order)
        else:
            events.append(
                OrderCancelled(
                    order_id=order_id,
                    account=place.account,
                    instrument=place.instrument,
                    remaining_lots=remaining_lots,
                    cause=cause,
                    at_ns=at_ns,
                )
            )
        return events

    def _limit_ticks(self, place: Place) -> int:
        # Nothing rests outside the band, so a market order is an order with the limit at the band's edge.
        if place.price_ticks is not None:
            return place.price_ticks
        low, high = self.instruments[place.instrument].price_band_ticks
        return high if place.side is Side.BUY else low

    def _trade(self, place: Place, order_id: int, fill: Fill, at_ns: int) -> Traded:
        resting = fill.order
        if not resting.lots:
            del self._resting[resting.id]
        trade_id = self._next_trade_id
        self._next_trade_id += 1
        buys = place.side is Side.BUY
        return Traded(
            trade_id=trade_id,
            instrument=place.instrument,
            price_ticks=resting.price_ticks,
            lots=fill.lots,
            aggressor=place.side,
            buy_order_id=order_id if buys else resting.id,
            sell_order_id=resting.id if buys else order_id,
            buyer=place.account if buys else resting.account,
            seller=resting.account if buys else place.account,
            at_ns=at_ns,
        )

    def _cancel(self, cancel: Cancel, at_ns: int) -> OrderCancelled | CancelRejected:
        order = self._resting.get(cancel.order_id)
        if order is None or order.account != cancel.account:
            return CancelRejected(
                account=cancel.account,
                order_id=cancel.order_id,
                code=TradingCode.ORDER_TO_CANCEL_NOT_FOUND,
                reason=f"the account has no working order {cancel.order_id}",
                at_ns=at_ns,
            )
        del self._resting[order.id]
        self._books[order.instrument].withdraw(order)
        return OrderCancelled(
            order_id=order.id,
            account=order.account,
            instrument=order.instrument,
            remaining_lots=order.lots,
            cause=CancelCause.ASKED,
            at_ns=at_ns,
        )


def _forbids_trading(place: Place, book: OrderBook, limit_ticks: int) -> CancelCause | None:
    if place.time_in_force is TimeInForce.BOOK_OR_CANCEL:
        return CancelCause.WOULD_TRADE
    if place.time_in_force is TimeInForce.FILL_OR_KILL and not book.could_fill(
        place.side, limit_ticks, place.lots
    ):
        return CancelCause.NOT_FILLABLE
    return None


def _may_rest(place: Place) -> bool:
    return place.price_ticks is not None and place.time_in_force in (
        TimeInForce.ONE_DAY,
        TimeInForce.BOOK_OR_CANCEL,
    )
