"""One side of a book: price levels, each a queue of orders.

Levels are kept under a key that grows with the attraction of the price – the price itself for bids, its
negative for asks – so that both sides are one piece of code and the best level is always the last key.

===================================  ======================================================
operation                            cost
===================================  ======================================================
add or remove at a known price       two dict operations
open or close a level                a binary search and a short memmove
best price                           the last item of a list
match                                the orders that are hit, nothing else
===================================  ======================================================

Sizes are what shows. The hidden part of an iceberg trades at its price when all that shows there is used up:
its next part then comes up behind the others.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from tapewire.exchange.iceberg import surface
from tapewire.exchange.order import RestingOrder
from tapewire.model import Side

__all__ = ["BookSide", "Fill"]


# A dict keeps the order of insertion, which at one price is the order of time, and forgets any member at
# once: a queue with O(1) cancel. No cycle can pass through it, since orders do not refer to their level.
class _Level(msgspec.Struct, gc=False):
    orders: dict[int, RestingOrder]
    lots: int
    hidden_lots: int = 0


class Fill(NamedTuple):
    """So many lots of a resting order were taken."""

    order: RestingOrder
    lots: int


class BookSide:
    """All resting orders of one side of one instrument, by price, then by time."""

    __slots__ = ("_keys", "_levels", "_sign", "hidden_lots", "lots")

    def __init__(self, side: Side) -> None:
        self._sign = 1 if side is Side.BUY else -1
        #: Ascending, so the best is last; exactly the keys of ``_levels``, and no level is empty.
        self._keys: list[int] = []
        self._levels: dict[int, _Level] = {}
        #: Sum of all resting lots that show.
        self.lots = 0
        #: Sum of those that do not.
        self.hidden_lots = 0

    @property
    def best_ticks(self) -> int | None:
        """The price that comes first; None while the side is empty."""
        return self._keys[-1] * self._sign if self._keys else None

    def reaches(self, limit_ticks: int) -> bool:
        """Return whether an order from the other side with this limit would trade."""
        return bool(self._keys) and self._keys[-1] >= limit_ticks * self._sign

    def holds(self, limit_ticks: int, lots: int) -> bool:
        """Return whether an order from the other side with this limit could trade ``lots`` in full."""
        if lots > self.lots + self.hidden_lots:
            return False
        limit_key = limit_ticks * self._sign
        for key in reversed(self._keys):
            if key < limit_key:
                return False
            level = self._levels[key]
            lots -= level.lots + level.hidden_lots
            if lots <= 0:
                return True
        return False

    def reach(self, limit_ticks: int, lots: int, account: str) -> tuple[int, bool]:
        """Return how many of ``lots`` trade before an order of ``account`` itself is met, and whether one is."""
        limit_key = limit_ticks * self._sign
        wanted = lots
        for key in reversed(self._keys):
            if key < limit_key:
                break
            level = self._levels[key]
            for order in level.orders.values():
                if order.account == account:
                    return lots - wanted, True
                wanted -= order.lots
                if wanted <= 0:
                    return lots, False
            wanted -= level.hidden_lots
            if wanted <= 0:
                return lots, False
        return lots - wanted, False

    def levels(self, depth: int) -> list[tuple[int, int]]:
        """Return at most ``depth`` levels as (ticks, lots), best first."""
        sign, levels = self._sign, self._levels
        return [(key * sign, levels[key].lots) for key in self._keys[: -depth - 1 : -1]]

    def best_lots(self) -> int:
        """Return the size at the best price; 0 while the side is empty."""
        return self._levels[self._keys[-1]].lots if self._keys else 0

    def depth(self) -> list[tuple[int, int]]:
        """Return all levels as (ticks, lots), best first, hidden parts included."""
        sign, levels = self._sign, self._levels
        return [(key * sign, levels[key].lots + levels[key].hidden_lots) for key in reversed(self._keys)]

    def orders(self) -> Iterator[RestingOrder]:
        """Yield all orders in the sequence in which they would trade."""
        for key in reversed(self._keys):
            yield from self._levels[key].orders.values()

    def add(self, order: RestingOrder) -> None:
        """Put an order behind all others of its price."""
        key = order.price_ticks * self._sign
        level = self._levels.get(key)
        if level is None:
            insort(self._keys, key)
            level = self._levels[key] = _Level({order.id: order}, order.lots)
        else:
            level.orders[order.id] = order
            level.lots += order.lots
        self.lots += order.lots
        if order.iceberg is not None:
            level.hidden_lots += order.iceberg.hidden_lots
            self.hidden_lots += order.iceberg.hidden_lots

    def remove(self, order: RestingOrder) -> None:
        """Take a resting order out, wherever it stands in its queue."""
        key = order.price_ticks * self._sign
        level = self._levels[key]
        del level.orders[order.id]
        if level.orders:
            level.lots -= order.lots
        else:
            del self._levels[key]
            del self._keys[bisect_left(self._keys, key)]
        self.lots -= order.lots
        if order.iceberg is not None:
            level.hidden_lots -= order.iceberg.hidden_lots
            self.hidden_lots -= order.iceberg.hidden_lots

    def take(self, limit_ticks: int, lots: int) -> list[Fill]:
        """Match an order from the other side and return the fills, best price first, then oldest first.

        Orders that are filled leave the side with ``lots`` 0; an iceberg may be hit several times. The fills
        sum to ``lots`` or to all that rests at ``limit_ticks`` and better, whichever is less.
        """
        fills: list[Fill] = []
        limit_key = limit_ticks * self._sign
        keys, levels = self._keys, self._levels
        wanted = lots
        while wanted and keys and keys[-1] >= limit_key:
            level = levels[keys[-1]]
            if level.hidden_lots:
                wanted = self._take_with_hidden(level, wanted, fills)
                if not level.orders:
                    del levels[keys.pop()]
            elif level.lots <= wanted:
                wanted -= level.lots
                for order in level.orders.values():
                    fills.append(Fill(order, order.lots))
                    order.lots = 0
                del levels[keys.pop()]
            else:
                level.lots -= wanted
                _take_from(level.orders, wanted, fills)
                wanted = 0
        self.lots -= lots - wanted
        return fills

    def _take_with_hidden(self, level: _Level, wanted: int, fills: list[Fill]) -> int:
        """Take from a level round by round and return what is still wanted: each round uses up what shows."""
        while wanted and level.orders:
            used = []
            for order in level.orders.values():
                size = min(order.lots, wanted)
                fills.append(Fill(order, size))
                order.lots -= size
                level.lots -= size
                wanted -= size
                if not order.lots:
                    used.append(order)
                if not wanted:
                    break
            for order in used:
                del level.orders[order.id]
                shown = surface(order)
                if shown:
                    level.orders[order.id] = order
                    level.lots += shown
                    level.hidden_lots -= shown
                    self.lots += shown
                    self.hidden_lots -= shown
        return wanted


def _take_from(queue: dict[int, RestingOrder], lots: int, fills: list[Fill]) -> None:
    # The queue holds more than ``lots``, so the walk ends within it, at an order that stays. One walk finds
    # all fills before any order is deleted: restarting at the front of a dict would step over its tombstones.
    first = len(fills)
    for order in queue.values():
        if order.lots > lots:
            if lots:
                order.lots -= lots
                fills.append(Fill(order, lots))
            break
        lots -= order.lots
        fills.append(Fill(order, order.lots))
        order.lots = 0
    for order, _ in fills[first:]:
        if not order.lots:
            del queue[order.id]
