"""The order book of one instrument."""

from __future__ import annotations

from collections.abc import Iterator

from tapewire.exchange.order import RestingOrder
from tapewire.exchange.side import BookSide, Fill
from tapewire.model import Side

__all__ = ["OrderBook"]

# On the hot path: reading a member from its class costs ten times a global in Python 3.11.
_BUY = Side.BUY


class OrderBook:
    """Both sides of one instrument, in price-time priority. Crossed between two commands only in an auction.

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
        """Return the lots of all resting orders of a side that show."""
        return self._side(side).lots

    def orders(self, side: Side) -> Iterator[RestingOrder]:
        """Yield the resting orders of a side in the sequence in which they would trade."""
        return self._side(side).orders()

    def would_trade(self, side: Side, limit_ticks: int) -> bool:
        """Return whether an order of ``side`` with this limit would meet a counterpart."""
        return self._facing(side).reaches(limit_ticks)

    def could_fill(self, side: Side, limit_ticks: int, lots: int) -> bool:
        """Return whether an order of ``side`` with this limit would be filled in full at once."""
        return self._facing(side).holds(limit_ticks, lots)

    def reach(self, side: Side, limit_ticks: int, lots: int, account: str) -> tuple[int, bool]:
        """Return how many lots an order of ``account`` trades before it meets its own, and whether it does."""
        return self._facing(side).reach(limit_ticks, lots, account)

    def depth(self, side: Side) -> list[tuple[int, int]]:
        """Return all levels of a side as (ticks, lots), best first, with what icebergs hide."""
        return self._side(side).depth()

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
        fills = self._facing(side).take(limit_ticks, lots)
        self.version += len(fills)
        return fills

    def _side(self, side: Side) -> BookSide:
        return self._bids if side is _BUY else self._asks

    def _facing(self, side: Side) -> BookSide:
        return self._asks if side is _BUY else self._bids
