"""The order book of one instrument."""

from __future__ import annotations

from collections.abc import Iterator

from tapewire.exchange.order import RestingOrder
from tapewire.exchange.side import BookSide, Fill
from tapewire.model import Side

__all__ = ["OrderBook"]


class OrderBook:
    """Both sides of one instrument, in price-time priority. Never crossed between two commands.

    Reading is for everyone; ``rest``, ``withdraw`` and ``match`` are for the exchange that owns the book.
    Prices are whole ticks, sizes whole lots.
    """

    __slots__ = ("_asks", "_bids", "version")

    def __init__(self) -> None:
        self._bids = BookSide(Side.BUY)
        self._asks = BookSide(Side.SELL)
        #: Grows with every change of what rests; equal versions of one book mean equal books.
        self.version = 0

    @property
    def best_bid(self) -> int | None:
        """The highest price that is bid, ticks; None without bids."""
        return self._bids.best_ticks

    @property
    def best_ask(self) -> int | None:
        """The lowest price that is asked, ticks; None without asks."""
        return self._asks.best_ticks

    def levels(self, side: Side, depth: int) -> list[tuple[int, int]]:
        """Return at most ``depth`` levels of a side as (ticks, lots), best first."""
        return self._side(side).levels(depth)

    def best_lots(self, side: Side) -> int:
        """Return the lots at the best price of a side; 0 if it is empty."""
        return self._side(side).best_lots()

    def total_lots(self, side: Side) -> int:
        """Return the lots of all resting orders of a side."""
        return self._side(side).lots

    def orders(self, side: Side) -> Iterator[RestingOrder]:
        """Yield the resting orders of a side in the sequence in which they would trade."""
        return self._side(side).orders()

    def would_trade(self, side: Side, limit_ticks: int) -> bool:
        """Return whether an order of ``side`` with this limit would meet a counterpart."""
        return self._side(side.opposite).reaches(limit_ticks)

    def could_fill(self, side: Side, limit_ticks: int, lots: int) -> bool:
        """Return whether an order of ``side`` with this limit would be filled in full at once."""
        return self._side(side.opposite).holds(limit_ticks, lots)

    def rest(self, order: RestingOrder) -> None:
        """Let an order wait behind all others of its price."""
        self._side(order.side).add(order)
        self.version += 1

    def withdraw(self, order: RestingOrder) -> None:
        """Take an order that rests here out of the book."""
        self._side(order.side).remove(order)
        self.version += 1

    def match(self, side: Side, limit_ticks: int, lots: int) -> list[Fill]:
        """Take up to ``lots`` from the side opposite to ``side``; see ``BookSide.take``."""
        fills = self._side(side.opposite).take(limit_ticks, lots)
        self.version += len(fills)
        return fills

    def _side(self, side: Side) -> BookSide:
        return self._bids if side is Side.BUY else self._asks
