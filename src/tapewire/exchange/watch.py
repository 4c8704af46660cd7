"""The watch: which conditional orders a price makes hold, and which it breaks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from tapewire.exchange.conditional import ConditionalOrder
from tapewire.exchange.deadlines import Deadlines

__all__ = ["Watch"]

#: Above every number of an order: with it, a key stands behind all its equals.
_LAST = 1 << 64


class Watch:
    """The active conditional orders of one instrument. A price costs two searches and what it changes.

    Both directions are one piece of code: an order that fires on a falling price is kept under the negative
    of its edge, so that a condition holds when its key is not above that of the price.
    """

    __slots__ = ("_held", "_orders", "_ripening", "_waiting")

    def __init__(self, ripening: Deadlines) -> None:
        """Begin without orders.

        Args:
            ripening: Is told when orders will have held long enough, and when they no longer do.
        """
        self._ripening = ripening
        self._orders: dict[int, ConditionalOrder] = {}
        # For each direction, falling and rising: (key, number) ascending.
        self._waiting: tuple[list[tuple[int, int]], ...] = ([], [])
        self._held: tuple[list[tuple[int, int]], ...] = ([], [])

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, order: ConditionalOrder, last_ticks: int | None, at_ns: int) -> bool:
        """Begin to watch for an order and return whether it is to fire now: its condition holds already."""
        self._orders[order.id] = order
        if order.holds_since_ns is None and last_ticks is not None:
            sign = 1 if order.is_rising else -1
            if sign * order.edge_ticks <= sign * last_ticks:
                order.holds_since_ns = at_ns
        if order.holds_since_ns is None:
            insort(self._waiting[order.is_rising], _key(order))
            return False
        return self._hold(order)

    def remove(self, order: ConditionalOrder) -> None:
        """No longer watch for an order that has been added."""
        del self._orders[order.id]
        queues = self._waiting if order.holds_since_ns is None else self._held
        queue = queues[order.is_rising]
        del queue[bisect_left(queue, _key(order))]
        self._ripening.drop(order.id)

    def printed(self, price_ticks: int, at_ns: int) -> list[int]:
        """Take note of a trade and return the numbers of the orders that are to fire now, ascending."""
        due: list[int] = []
        for is_rising in (False, True):
            reached = (price_ticks if is_rising else -price_ticks, _LAST)
            held, waiting = self._held[is_rising], self._waiting[is_rising]
            if held and held[-1] > reached:
                first = bisect_right(held, reached)
                broken = held[first:]
                del held[first:]
                for _, number in broken:
                    order = self._orders[number]
                    if order.ripe_at_ns is not None and order.ripe_at_ns <= at_ns:
                        # It had held for long enough before this trade, only nobody had said so yet.
                        insort(held, _key(order))
                        due.append(number)
                        continue
                    order.holds_since_ns = None
                    self._ripening.drop(number)
                    insort(waiting, _key(order))
            if waiting and waiting[0] <= reached:
                last = bisect_right(waiting, reached)
                reached_now = waiting[:last]
                del waiting[:last]
                for _, number in reached_now:
                    order = self._orders[number]
                    order.holds_since_ns = at_ns
                    if self._hold(order):
                        due.append(number)
        return sorted(due)

    def ripe(self, at_ns: int) -> list[int]:
        """Return the numbers of all orders that have held for long enough, ascending."""
        orders = [self._orders[number] for held in self._held for _, number in held]
        return sorted(order.id for order in orders if order.ripe_at_ns is not None and order.ripe_at_ns <= at_ns)

    def _hold(self, order: ConditionalOrder) -> bool:
        insort(self._held[order.is_rising], _key(order))
        if not order.protecting_s:
            return True
        assert order.ripe_at_ns is not None, "its condition holds"
        self._ripening.set(order.id, order.ripe_at_ns)
        return False


def _key(order: ConditionalOrder) -> tuple[int, int]:
    return (order.edge_ticks if order.is_rising else -order.edge_ticks), order.id
