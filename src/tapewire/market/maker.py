"""The maker: keeps a book filled on both sides and lets others trade with it."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from tapewire.market.floor import Floor
from tapewire.market.state import OwnOrder
from tapewire.model import CancelOrder, Done, Instrument, OrderType, PlaceOrder, Side

__all__ = ["LADDER_TICKS", "MAKER_ORDERS_MAX", "Maker"]

#: How far from the fair price the maker still quotes. With half of ``MAKER_ORDERS_MAX`` orders spread over
#: it, a side shows thirty levels and more.
LADDER_TICKS = 36

#: Own orders that a maker remembers. It can never place more, see ``Maker.act``.
MAKER_ORDERS_MAX = 400

#: Part of the orders that crowd at the front of the book.
_FRONT_PART = 0.25
_FRONT_TICKS = 6

#: Part of the orders of an auction that would trade at the fair price, and how far beyond it they go.
_EAGER_PART = 0.3
_EAGER_TICKS = 8

#: Of so many own orders, picked by chance, the worst one is cancelled.
_CANDIDATES = 3

#: Cancels refused in a row before an attempt counts as failed. A refusal says that the order was filled.
_CANCEL_ATTEMPTS_MAX = 8


class Maker:
    """Quotes one instrument around its fair price, passively: outside of auctions it takes nothing from others."""

    def __init__(self, instrument: Instrument, portfolios: tuple[str, ...], *, lots_max: int) -> None:
        """Prepare to quote.

        Args:
            instrument: What to quote.
            portfolios: The names under which the orders are placed, by chance.
            lots_max: Size of the largest order.
        """
        self._instrument = instrument
        self._portfolios = portfolios
        self._lots_max = lots_max
        self._own: list[OwnOrder] = []
        #: The lowest and the highest price that an order may carry.
        self.band_ticks = instrument.price_band_ticks

    @property
    def own(self) -> tuple[OwnOrder, ...]:
        """The orders that it remembers."""
        return tuple(self._own)

    @own.setter
    def own(self, orders: Iterable[OwnOrder]) -> None:
        self._own = list(orders)

    def open(self, floor: Floor, random: Random, fair_ticks: float) -> int:
        """Fill both sides of an empty book and return the number of accepted orders."""
        accepted = 0
        for distance in range(1, LADDER_TICKS + 1):
            for side in (Side.BUY, Side.SELL):
                for _ in range(2):
                    accepted += self._quote(floor, random, side, _at_distance(fair_ticks, side, distance))
        return accepted

    def act(self, floor: Floor, random: Random, fair_ticks: float) -> bool:
        """Place or cancel one order; return whether the floor took it.

        The chance of a cancel is the part of ``MAKER_ORDERS_MAX`` that is in use: the number of orders
        settles below half of it, and a maker with all of them in use only cancels.
        """
        if random.random() * MAKER_ORDERS_MAX < len(self._own):
            return self._cancel(floor, random, fair_ticks)
        side = Side.BUY if random.random() < 0.5 else Side.SELL
        if random.random() < _FRONT_PART:
            distance = 1 + int(random.random() * random.random() * _FRONT_TICKS)
        else:
            distance = 1 + int(random.random() * LADDER_TICKS)
        return self._quote(floor, random, side, _at_distance(fair_ticks, side, distance))

    def gather(self, floor: Floor, random: Random, fair_ticks: float) -> bool:
        """Place or cancel one order while an auction gathers them; return whether the floor took it.

        Some prices are beyond the fair one, so that bids and asks cross and the auction finds its price. What does
        not trade stays, and is cancelled like all others later.
        """
        if random.random() * MAKER_ORDERS_MAX < len(self._own):
            # Any of them, not the worst: those that are to trade would always go first.
            return self._cancel_one(floor, self._own.pop(int(random.random() * len(self._own))))
        side = Side.BUY if random.random() < 0.5 else Side.SELL
        if random.random() < _EAGER_PART:
            distance = -int(random.random() * random.random() * _EAGER_TICKS)
        else:
            distance = 1 + int(random.random() * LADDER_TICKS)
        return self._place(floor, random, side, _at_distance(fair_ticks, side, distance))

    def _quote(self, floor: Floor, random: Random, side: Side, ticks: int) -> bool:
        return self._place(floor, random, side, self._passive(floor, side, ticks))

    def _place(self, floor: Floor, random: Random, side: Side, ticks: int) -> bool:
        low, high = self.band_ticks
        if not low <= ticks <= high:
            return False
        portfolio = self._portfolios[int(random.random() * len(self._portfolios))]
        outcome = floor.submit(
            PlaceOrder(
                portfolio=portfolio,
                exchange=self._instrument.exchange,
                symbol=self._instrument.symbol,
                board=self._instrument.board,
                type=OrderType.LIMIT,
                side=side,
                quantity_lots=1 + int(random.random() * random.random() * self._lots_max),
                price=self._instrument.price(ticks),
            )
        )
        if not isinstance(outcome, Done):
            return False
        self._own.append(OwnOrder(outcome.order_number, portfolio, side, ticks))
        return True

    def _passive(self, floor: Floor, side: Side, ticks: int) -> int:
        best_bid, best_ask = floor.best(self._instrument)
        if side is Side.BUY:
            return ticks if best_ask is None else min(ticks, best_ask - 1)
        return ticks if best_bid is None else max(ticks, best_bid + 1)

    def _cancel(self, floor: Floor, random: Random, fair_ticks: float) -> bool:
        for _ in range(_CANCEL_ATTEMPTS_MAX):
            if not self._own:
                return False
            if self._cancel_one(floor, self._forget_worst(random, fair_ticks)):
                return True
        return False

    def _cancel_one(self, floor: Floor, order: OwnOrder) -> bool:
        outcome = floor.submit(CancelOrder(portfolio=order.portfolio, order_number=order.number))
        return isinstance(outcome, Done)

    def _forget_worst(self, random: Random, fair_ticks: float) -> OwnOrder:
        own = self._own
        candidates = [int(random.random() * len(own)) for _ in range(_CANDIDATES)]
        worst = max(candidates, key=lambda position: _misplaced_ticks(own[position], fair_ticks))
        # The last one moves into the gap: the order of the list says nothing, and this costs no shifting.
        own[worst], own[-1] = own[-1], own[worst]
        return own.pop()


def _at_distance(fair_ticks: float, side: Side, distance: int) -> int:
    # The whole prices next to the fair one are at distance 1: a fair price of 100.5 is quoted 100 to 101.
    return int(fair_ticks) + 1 - distance if side is Side.BUY else int(fair_ticks) + distance


def _misplaced_ticks(order: OwnOrder, fair_ticks: float) -> float:
    """How far an order is from where the maker would place it now; what the price has passed counts most."""
    gap = fair_ticks - order.ticks if order.side is Side.BUY else order.ticks - fair_ticks
    if gap < 0:
        return LADDER_TICKS - gap
    return max(gap - LADDER_TICKS, 0.0)
