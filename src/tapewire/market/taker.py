"""The taker: trades at once with what the book offers."""

from __future__ import annotations

from random import Random

from tapewire.market.floor import Floor
from tapewire.model import Done, Instrument, OrderType, PlaceOrder, Side, TimeInForce

__all__ = ["Taker"]

#: Part of the orders that carry no price.
_MARKET_PART = 0.25

#: How strongly a price away from the fair one pulls: at this distance nearly all orders push it back.
_CERTAIN_TICKS = 4.0


class Taker:
    """Buys what looks cheap and sells what looks dear, in small pieces, and a little of both by chance."""

    def __init__(self, instrument: Instrument, portfolios: tuple[str, ...], *, lots_max: int) -> None:
        """Prepare to trade.

        Args:
            instrument: What to trade.
            portfolios: The names under which the orders are placed, by chance; not those of a maker, so
                that nobody trades with himself.
            lots_max: Size of the largest order.
        """
        self._instrument = instrument
        self._portfolios = portfolios
        self._lots_max = lots_max

    def act(self, floor: Floor, random: Random, fair_ticks: float) -> bool:
        """Take some of the best price of one side; return whether the floor took the order."""
        best_bid, best_ask = floor.best(self._instrument)
        side = self._choose_side(random, best_bid, best_ask, fair_ticks)
        best = best_ask if side is Side.BUY else best_bid
        if best is None:
            return False
        at_market = random.random() < _MARKET_PART
        outcome = floor.submit(
            PlaceOrder(
                portfolio=self._portfolios[int(random.random() * len(self._portfolios))],
                exchange=self._instrument.exchange,
                symbol=self._instrument.symbol,
                board=self._instrument.board,
                type=OrderType.MARKET if at_market else OrderType.LIMIT,
                side=side,
                quantity_lots=1 + int(random.random() * random.random() * self._lots_max),
                price=None if at_market else self._instrument.price(best),
                time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
            )
        )
        return isinstance(outcome, Done)

    def _choose_side(self, random: Random, best_bid: int | None, best_ask: int | None, fair_ticks: float) -> Side:
        bid = fair_ticks if best_bid is None else best_bid
        ask = fair_ticks if best_ask is None else best_ask
        cheapness = fair_ticks - (bid + ask) / 2
        chance_to_buy = min(max(0.5 + cheapness / (2 * _CERTAIN_TICKS), 0.05), 0.95)
        return Side.BUY if random.random() < chance_to_buy else Side.SELL
