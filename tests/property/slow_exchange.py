"""The oracle of the matching core: one list of orders, sorted anew for every lot that trades."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

from tapewire.exchange import is_participant
from tapewire.exchange.iceberg import part_lots
from tapewire.model import Condition, TimeInForce
from trading import BUY, SELL


@dataclass
class SlowOrder:
    id: int
    account: str
    side: object
    price: int
    shown: int
    hidden: int
    visible: int | None
    variance: int
    arrival: int
    parts: int = 0

    def surface(self):
        size = self.hidden
        if self.visible is not None:
            size = min(part_lots(self.id, self.parts, self.visible, self.variance), self.hidden)
        self.parts += 1
        self.shown, self.hidden = size, self.hidden - size


@dataclass
class SlowStop:
    id: int
    account: str
    side: object
    lots: int
    price: int | None
    condition: Condition
    trigger: int
    status: str = "working"

    def holds(self, price):
        return {
            Condition.MORE: price > self.trigger,
            Condition.MORE_OR_EQUAL: price >= self.trigger,
            Condition.LESS: price < self.trigger,
            Condition.LESS_OR_EQUAL: price <= self.trigger,
        }[self.condition]


@dataclass
class SlowExchange:
    low: int
    high: int
    orders: list[SlowOrder] = field(default_factory=list)
    stops: list[SlowStop] = field(default_factory=list)
    due: list[SlowStop] = field(default_factory=list)
    #: (price, lots, buying order, selling order) of the running command.
    trades: list[tuple[int, int, int, int]] = field(default_factory=list)
    last: int | None = None
    orders_seen: int = 0
    stamps: int = 0

    def queue(self, side):
        """The orders of a side in the sequence in which they would trade."""
        sign = -1 if side is BUY else 1
        mine = [order for order in self.orders if order.side is side]
        return sorted(mine, key=lambda order: (sign * order.price, order.arrival))

    def place(self, account, side, lots, price, tif, visible=None, variance=0):
        self.trades = []
        self._place(account, side, lots, price, tif, visible, variance)
        self._fire_all()
        return self.trades

    def place_stop(self, account, side, lots, price, condition, trigger):
        self.trades = []
        stop = SlowStop(len(self.stops) + 1, account, side, lots, price, condition, trigger)
        self.stops.append(stop)
        if self.last is not None and stop.holds(self.last):
            self.due.append(stop)
        self._fire_all()
        return self.trades

    def cancel(self, account, order_id):
        kept = [order for order in self.orders if (order.account, order.id) != (account, order_id)]
        found = len(kept) < len(self.orders)
        self.orders = kept
        return found

    def cancel_stop(self, account, order_id):
        for stop in self.stops:
            if (stop.account, stop.id, stop.status) == (account, order_id, "working"):
                stop.status = "canceled"
                return True
        return False

    def _fire_all(self):
        while self.due:
            stop = self.due.pop(0)
            if stop.status == "working":
                stop.status = "filled"
                self._place(stop.account, stop.side, stop.lots, stop.price, TimeInForce.ONE_DAY, None, 0)

    def _place(self, account, side, lots, price, tif, visible, variance):
        self.orders_seen += 1
        order_id = self.orders_seen
        limit = price if price is not None else (self.high if side is BUY else self.low)
        before = deepcopy(self.orders)
        done, meets_own = self._match(order_id, account, side, lots, limit)
        rest = lots - sum(size for _, size, _, _ in done)
        opposed = bool(done) or meets_own
        if (tif is TimeInForce.BOOK_OR_CANCEL and opposed) or (tif is TimeInForce.FILL_OR_KILL and rest):
            self.orders = before
            return
        if rest and price is not None and not meets_own and tif is not TimeInForce.IMMEDIATE_OR_CANCEL:
            self.stamps += 1
            order = SlowOrder(order_id, account, side, price, 0, rest, visible, variance, self.stamps)
            order.surface()
            self.orders.append(order)
        self.trades += done
        for trade in done:
            self.last = trade[0]
            reached = [stop for stop in self.stops if stop.status == "working" and stop.holds(trade[0])]
            self.due += [stop for stop in reached if stop not in self.due]

    def _match(self, order_id, account, side, lots, limit):
        done = []
        while lots:
            hits = [
                order
                for order in self.queue(SELL if side is BUY else BUY)
                if (order.price <= limit if side is BUY else order.price >= limit)
            ]
            if not hits:
                break
            hit = hits[0]
            if hit.account == account and not is_participant(account):
                return done, True
            size = min(lots, hit.shown)
            lots -= size
            hit.shown -= size
            done.append((hit.price, size, *((order_id, hit.id) if side is BUY else (hit.id, order_id))))
            if not hit.shown:
                if hit.hidden:
                    hit.surface()
                    self.stamps += 1
                    hit.arrival = self.stamps
                else:
                    self.orders.remove(hit)
        return done, False
