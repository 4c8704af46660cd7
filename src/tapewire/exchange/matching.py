"""Matching: direct orders meet, rest and leave. Whether an order may come at all is decided before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tapewire.exchange.book import OrderBook
from tapewire.exchange.command import Auction, Place, SetRules
from tapewire.exchange.event import CancelCause, Event, OrderAccepted, OrderCancelled, Traded
from tapewire.exchange.iceberg import dive
from tapewire.exchange.order import RestingOrder
from tapewire.exchange.participant import PARTICIPANT_MARK, is_participant
from tapewire.exchange.refusal import waits_for_the_close
from tapewire.exchange.side import Fill
from tapewire.exchange.trading import Trading
from tapewire.model import Instrument, Side, TimeInForce

__all__ = ["Matching"]

# On the hot path: reading a member from its class costs ten times a global in Python 3.11.
_BUY, _SELL = Side.BUY, Side.SELL
_FILL_OR_KILL, _AT_THE_CLOSE = TimeInForce.FILL_OR_KILL, TimeInForce.AT_THE_CLOSE
_NOT_RESTING = CancelCause.NOT_RESTING

_RESTS = frozenset({TimeInForce.ONE_DAY, TimeInForce.BOOK_OR_CANCEL, TimeInForce.GOOD_TILL_CANCELLED})

#: What does not simply trade as much as it can.
_CHOOSY = frozenset({_FILL_OR_KILL, TimeInForce.BOOK_OR_CANCEL, _AT_THE_CLOSE})


def _nothing(_: Place) -> Iterable[RestingOrder]:
    return ()


class Matching:
    """The books of all instruments and every direct order that works in them."""

    def __init__(self, instruments: Sequence[Instrument], first_order_id: int, first_trade_id: int) -> None:
        """Open empty books."""
        self.trading = tuple(Trading(instrument) for instrument in instruments)
        #: Every order that waits, in a book or for an auction, by number.
        self.resting: dict[int, RestingOrder] = {}
        self.next_order_id = first_order_id
        self.next_trade_id = first_trade_id

    def limit_ticks(self, place: Place) -> int:
        """Return the worst price that an order can trade at."""
        # Nothing rests outside the band, so a market order is an order with the limit at the band's edge.
        if place.price_ticks is not None:
            return place.price_ticks
        return self.trading[place.instrument].worst_ticks(place.side)

    def accept(
        self,
        place: Place,
        at_ns: int,
        *,
        own: Callable[[Place], Iterable[RestingOrder]] = _nothing,
        replaces: int | None = None,
        conditional_id: int | None = None,
    ) -> list[Event]:
        """Give an order its number and let it trade, gather or rest.

        Args:
            place: An order that nobody refuses.
            at_ns: Stamps the events.
            own: Gives the account's other orders in this instrument; asked where orders gather.
            replaces: The order whose place it takes.
            conditional_id: The conditional order that places it.
        """
        order_id = self.next_order_id
        self.next_order_id = order_id + 1
        trading = self.trading[place.instrument]
        price_ticks = place.price_ticks
        limit_ticks = trading.worst_ticks(place.side) if price_ticks is None else price_ticks
        events: list[Event] = [
            OrderAccepted(
                order_id=order_id,
                account=place.account,
                instrument=place.instrument,
                side=place.side,
                lots=place.lots,
                price_ticks=price_ticks,
                time_in_force=place.time_in_force,
                at_ns=at_ns,
                limit_ticks=limit_ticks if price_ticks is None else None,
                replaces=replaces,
                conditional_id=conditional_id,
                comment=place.comment,
            )
        ]
        if trading.auction is not None or (
            place.time_in_force is _AT_THE_CLOSE and waits_for_the_close(place, trading.instrument)
        ):
            remaining_lots = place.lots
            meets_own = any(_crosses(place.side, limit_ticks, order) for order in own(place))
            cause = CancelCause.SELF_TRADE if meets_own else None
        else:
            remaining_lots, cause = self._trade(place, order_id, limit_ticks, at_ns, events)
        if remaining_lots:
            if cause is None:
                self._wait(place, order_id, limit_ticks, remaining_lots)
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

    def _trade(
        self, place: Place, order_id: int, limit_ticks: int, at_ns: int, events: list[Event]
    ) -> tuple[int, CancelCause | None]:
        """Let an order trade with the book; return what is left of it, and why that may not stay, if so."""
        trading = self.trading[place.instrument]
        book, side, account, time_in_force = trading.book, place.side, place.account, place.time_in_force
        remaining_lots = lots = place.lots
        cause = None
        if book.would_trade(side, limit_ticks):
            if account[:1] != PARTICIPANT_MARK or time_in_force in _CHOOSY:
                lots, cause = _tradable(place, book, limit_ticks)
            if lots:
                buys = side is _BUY
                trade_id = self.next_trade_id
                for resting, filled_lots in book.match(side, limit_ticks, lots):
                    remaining_lots -= filled_lots
                    resting_id = resting.id
                    if not resting.lots:
                        # An iceberg may be hit several times, the last part included.
                        self.resting.pop(resting_id, None)
                    events.append(
                        Traded(
                            trade_id=trade_id,
                            instrument=place.instrument,
                            price_ticks=resting.price_ticks,
                            lots=filled_lots,
                            aggressor=side,
                            buy_order_id=order_id if buys else resting_id,
                            sell_order_id=resting_id if buys else order_id,
                            buyer=account if buys else resting.account,
                            seller=resting.account if buys else account,
                            at_ns=at_ns,
                        )
                    )
                    trade_id += 1
                self.next_trade_id = trade_id
                trading.last_ticks = resting.price_ticks
        elif time_in_force is _FILL_OR_KILL or time_in_force is _AT_THE_CLOSE:
            cause = CancelCause.NOT_FILLABLE
        if cause is None and (place.price_ticks is None or time_in_force not in _RESTS):
            cause = _NOT_RESTING
        return remaining_lots, cause

    def _wait(self, place: Place, order_id: int, limit_ticks: int, lots: int) -> None:
        """Let what is left of an order wait in the book or for an auction."""
        trading = self.trading[place.instrument]
        order = RestingOrder(order_id, place.account, place.instrument, place.side, limit_ticks, lots)
        if place.visible_lots is not None:
            dive(order, place)
        self.resting[order_id] = order
        if place.price_ticks is not None:
            trading.book.rest(order)
        elif place.time_in_force is _AT_THE_CLOSE and trading.auction is not Auction.CLOSING:
            trading.at_close[order_id] = order
        else:
            trading.at_market[order_id] = order

    def cancel(
        self, order: RestingOrder, cause: CancelCause, at_ns: int, *, replaced_by: int | None = None
    ) -> OrderCancelled:
        """Take a waiting order out."""
        del self.resting[order.id]
        self.trading[order.instrument].withdraw(order)
        iceberg = order.iceberg
        return OrderCancelled(
            order_id=order.id,
            account=order.account,
            instrument=order.instrument,
            remaining_lots=order.lots if iceberg is None else order.lots + iceberg.hidden_lots,
            cause=cause,
            at_ns=at_ns,
            replaced_by=replaced_by,
        )

    def set_rules(self, rules: SetRules, at_ns: int) -> list[Event]:
        """Let other rules hold, and return what they do to orders: an auction ends, limits no longer hold some."""
        trading = self.trading[rules.instrument]
        events: list[Event] = []
        if trading.auction is not None and rules.auction is not trading.auction:
            events += self._uncross(trading, rules.instrument, at_ns)
        trading.band_ticks = rules.price_band_ticks
        trading.is_open = rules.is_open
        # Nothing may rest outside the limits: a market order is one with the limit at their edge.
        low, high = rules.price_band_ticks
        outside = [
            order
            for side in (_BUY, _SELL)
            for order in trading.book.orders(side)
            if not low <= order.price_ticks <= high
        ]
        events += [self.cancel(order, CancelCause.OUTSIDE_LIMITS, at_ns) for order in outside]
        if rules.auction is Auction.CLOSING and trading.auction is not Auction.CLOSING:
            events += self._gather_for_the_close(trading, at_ns)
        trading.auction = rules.auction
        return events

    def _gather_for_the_close(self, trading: Trading, at_ns: int) -> list[Event]:
        events: list[Event] = []
        for order in trading.at_close.values():
            # The limits of today, not those of the day on which it came.
            order.price_ticks = trading.worst_ticks(order.side)
        trading.at_market, trading.at_close = trading.at_close, {}
        for order in list(trading.at_market.values()):
            if is_participant(order.account):
                continue
            others = (*trading.at_market.values(), *trading.book.orders(order.side.opposite))
            if any(
                other.account == order.account and _crosses(order.side, order.price_ticks, other)
                for other in others
            ):
                events.append(self.cancel(order, CancelCause.SELF_TRADE, at_ns))
        return events

    def _uncross(self, trading: Trading, instrument: int, at_ns: int) -> list[Event]:
        events: list[Event] = []
        result = trading.uncrossing()
        if result is not None:
            bought = trading.take(_BUY, result.price_ticks, result.lots)
            sold = trading.take(_SELL, result.price_ticks, result.lots)
            for buy, sell, lots in _pairs(bought, sold):
                events.append(self._trade_at(result.price_ticks, instrument, buy, sell, lots, at_ns))
            for fill in (*bought, *sold):
                if not fill.order.lots:
                    self.resting.pop(fill.order.id, None)
            trading.last_ticks = result.price_ticks
        # What has no price never rests in continuous trading.
        rests = list(trading.at_market.values())
        events += [self.cancel(order, _NOT_RESTING, at_ns) for order in rests]
        return events

    def _trade_at(
        self, price_ticks: int, instrument: int, buy: RestingOrder, sell: RestingOrder, lots: int, at_ns: int
    ) -> Traded:
        trade_id = self.next_trade_id
        self.next_trade_id += 1
        return Traded(
            trade_id=trade_id,
            instrument=instrument,
            price_ticks=price_ticks,
            lots=lots,
            aggressor=_BUY if buy.id > sell.id else _SELL,
            buy_order_id=buy.id,
            sell_order_id=sell.id,
            buyer=buy.account,
            seller=sell.account,
            at_ns=at_ns,
        )


def _tradable(place: Place, book: OrderBook, limit_ticks: int) -> tuple[int, CancelCause | None]:
    """Return how many lots of an order trade at once, and why the rest may not stay, if it may not."""
    if place.time_in_force is TimeInForce.BOOK_OR_CANCEL:
        return 0, CancelCause.WOULD_TRADE
    lots, meets_own = place.lots, False
    if place.account[:1] != PARTICIPANT_MARK:
        lots, meets_own = book.reach(place.side, limit_ticks, lots, place.account)
    elif not book.could_fill(place.side, limit_ticks, lots):
        lots = 0
    if lots < place.lots and place.time_in_force in (_FILL_OR_KILL, _AT_THE_CLOSE):
        return 0, CancelCause.SELF_TRADE if meets_own else CancelCause.NOT_FILLABLE
    return lots, CancelCause.SELF_TRADE if meets_own else None


def _crosses(side: Side, limit_ticks: int, other: RestingOrder) -> bool:
    """Return whether an order would trade with ``other`` in an auction."""
    if other.side is side:
        return False
    return limit_ticks >= other.price_ticks if side is _BUY else limit_ticks <= other.price_ticks


def _pairs(bought: list[Fill], sold: list[Fill]) -> list[tuple[RestingOrder, RestingOrder, int]]:
    """Match two lists of fills of the same total, first with first."""
    pairs = []
    buys, sells = iter(bought), iter(sold)
    buy, sell = next(buys), next(sells)
    buy_lots, sell_lots = buy.lots, sell.lots
    while True:
        lots = min(buy_lots, sell_lots)
        pairs.append((buy.order, sell.order, lots))
        buy_lots -= lots
        sell_lots -= lots
        if not buy_lots:
            following = next(buys, None)
            if following is None:
                return pairs
            buy, buy_lots = following, following.lots
        if not sell_lots:
            sell = next(sells)
            sell_lots = sell.lots
