"""The register: users' orders with their whole life, for those who have to show it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from tapewire.exchange.conditional import ConditionalOrder
from tapewire.exchange.deadlines import Deadlines
from tapewire.exchange.event import CancelCause
from tapewire.model import OrderStatus, Side, TimeInForce

__all__ = ["ENDED_ORDERS_MAX", "OrderRow", "Register"]


# On the hot path: reading a member from its class costs ten times a global in Python 3.11.
_WORKING = OrderStatus.WORKING

#: Orders of this session and the last that are kept after their end; the oldest ending goes first.
ENDED_ORDERS_MAX = 100_000


class OrderRow(msgspec.Struct, kw_only=True, gc=False):
    """One direct order of a user, as it stands. All times UTC ns."""

    id: int
    account: str
    instrument: int
    side: Side
    lots: int
    #: None: a market order.
    price_ticks: int | None
    time_in_force: TimeInForce
    allow_margin: bool
    comment: str | None
    created_at_ns: int
    #: When the row last changed.
    updated_at_ns: int
    #: When it lapses by itself, apart from the end of the day.
    expires_at_ns: int | None
    status: OrderStatus = OrderStatus.WORKING
    filled_lots: int = 0
    #: Sum over its trades of price times lots.
    filled_lot_ticks: int = 0
    #: An iceberg, and how it was ordered.
    visible_lots: int | None = None
    visible_variance_percent: int = 0
    #: Icebergs: size of the part that came up last, and what of it still shows.
    part_lots: int = 0
    shown_lots: int = 0
    #: Why it was cancelled.
    cause: CancelCause | None = None
    #: Why it was rejected.
    error: str | None = None
    replaces: int | None = None
    replaced_by: int | None = None
    #: The conditional order that placed it.
    conditional_id: int | None = None
    #: The session in which it ended.
    ended_in: int = 0


_Row = TypeVar("_Row", OrderRow, ConditionalOrder)


class Register(Generic[_Row]):
    """All working orders of one kind and the ended ones of two sessions. Rows are live: read, do not keep."""

    def __init__(self, rows: Iterable[_Row] = (), *, session: int = 0) -> None:
        """Begin with the rows of ``all``, in that order."""
        #: By number, ascending.
        self.working: dict[int, _Row] = {}
        self.session = session
        self.expiries = Deadlines()
        self._rows: dict[int, _Row] = {}
        self._by_account: dict[str, dict[int, _Row]] = {}
        #: Numbers of ended orders in the sequence of their ends; at most ``ENDED_ORDERS_MAX``.
        self._ended: deque[int] = deque()
        rows = list(rows)
        self._ended.extend(row.id for row in rows if row.status is not OrderStatus.WORKING)
        for row in sorted(rows, key=lambda row: row.id):
            self.open(row)

    def get(self, order_id: int) -> _Row | None:
        """Return an order that works or is still remembered."""
        return self._rows.get(order_id)

    def of(self, account: str) -> Iterator[_Row]:
        """Yield what is known of an account's orders, by number."""
        yield from self._by_account.get(account, {}).values()

    def all(self) -> Iterator[_Row]:
        """Yield every row: the working ones by number, then the ended ones by their ends."""
        yield from self.working.values()
        for order_id in self._ended:
            yield self._rows[order_id]

    def open(self, row: _Row) -> None:
        """Enter an order under a number higher than all before."""
        self._rows[row.id] = row
        rows = self._by_account.get(row.account)
        if rows is None:
            rows = self._by_account[row.account] = {}
        rows[row.id] = row
        if row.status is _WORKING:
            self.working[row.id] = row
            if row.expires_at_ns is not None:
                self.expiries.set(row.id, row.expires_at_ns)

    def end(self, row: _Row, status: OrderStatus, at_ns: int) -> None:
        """Note that an order has ended."""
        row.status = status
        row.updated_at_ns = at_ns
        row.ended_in = self.session
        self.working.pop(row.id, None)
        if row.expires_at_ns is not None:
            self.expiries.drop(row.id)
        self._ended.append(row.id)
        if len(self._ended) > ENDED_ORDERS_MAX:
            self._forget(self._ended.popleft())

    def turn(self) -> None:
        """Begin a session: what ended before the last one is forgotten."""
        self.session += 1
        while self._ended and self._rows[self._ended[0]].ended_in < self.session - 1:
            self._forget(self._ended.popleft())

    def _forget(self, order_id: int) -> None:
        row = self._rows.pop(order_id)
        orders = self._by_account[row.account]
        del orders[order_id]
        if not orders:
            del self._by_account[row.account]
