"""Trading in one instrument: its rules of the moment, its book, and the market orders that wait for an auction."""

from __future__ import annotations

from tapewire.exchange.auction import Uncrossing, uncrossing
from tapewire.exchange.book import OrderBook
from tapewire.exchange.command import Auction
from tapewire.exchange.order import RestingOrder
from tapewire.exchange.side import Fill
from tapewire.model import Instrument, Side

__all__ = ["Trading"]

# On the hot path: reading a member from its class costs ten times a global in Python 3.11.
_BUY = Side.BUY


class Trading:
    """What the orders of one instrument meet. Changed by the matching alone."""

    __slots__ = ("at_close", "at_market", "auction", "band_ticks", "book", "instrument", "is_open", "last_ticks")

    def __init__(self, instrument: Instrument) -> None:
        #: As listed; the price limits that hold now are in ``band_ticks``.
        self.instrument = instrument
        self.band_ticks = instrument.price_band_ticks
        self.is_open = True
        self.auction: Auction | None = None
        self.book = OrderBook()
        #: Price of the last trade; None before the first one.
        self.last_ticks: int | None = None
        #: Market orders of the running auction, by number.
        self.at_market: dict[int, RestingOrder] = {}
        #: Those that wait for the closing auction, by number.
        self.at_close: dict[int, RestingOrder] = {}

    @property
    def reference_ticks(self) -> int:
        """The last price, or the previous close of the listing before the first trade."""
        return self.instrument.prev_close_ticks if self.last_ticks is None else self.last_ticks

    def worst_ticks(self, side: Side) -> int:
        """Return the worst price that a market order can trade at: the edge of the price limits."""
        low, high = self.band_ticks
        return high if side is _BUY else low

    def withdraw(self, order: RestingOrder) -> None:
        """Take an order out of wherever it waits."""
        if self.at_market and self.at_market.pop(order.id, None) is not None:
            return
        if self.at_close and self.at_close.pop(order.id, None) is not None:
            return
        self.book.withdraw(order)

    def uncrossing(self) -> Uncrossing | None:
        """Return what the running auction would come to now; None if nothing would trade."""
        bids, asks = self.book.depth(Side.BUY), self.book.depth(Side.SELL)
        for order in self.at_market.values():
            (bids if order.side is Side.BUY else asks).append((order.price_ticks, order.lots))
        return uncrossing(bids, asks, self.reference_ticks)

    def take(self, side: Side, price_ticks: int, lots: int) -> list[Fill]:
        """Take ``lots`` of the orders of a side at the price of an auction: market orders first, then the book."""
        fills = []
        for order in self.at_market.values():
            size = min(order.lots, lots)
            if size and order.side is side and _reaches(order, price_ticks):
                order.lots -= size
                lots -= size
                fills.append(Fill(order, size))
        for fill in fills:
            if not fill.order.lots:
                del self.at_market[fill.order.id]
        return fills + self.book.match(side.opposite, price_ticks, lots)


def _reaches(order: RestingOrder, price_ticks: int) -> bool:
    # The price limits may have changed while the market order waited.
    return order.price_ticks >= price_ticks if order.side is Side.BUY else order.price_ticks <= price_ticks
