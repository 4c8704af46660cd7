"""Fills: what accounts have bought and sold, trade by trade, for those who have to show it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from tapewire.model import Side

__all__ = ["FILLS_MAX", "FillRow", "Fills"]

#: Fills of all accounts that are kept, of this session and of earlier ones; the oldest goes first.
FILLS_MAX = 100_000


class FillRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One execution of an account's order. Money in units of money."""

    trade_id: int
    order_id: int
    account: str
    instrument: int
    side: Side
    lots: int
    price_ticks: int
    #: Accrued interest that came with it.
    interest: int
    commission: int
    #: The order's comment.
    comment: str | None
    #: The trading day it belongs to, days since 1970 by the exchange's calendar.
    day: int
    at_ns: int


class Fills:
    """The last fills of all accounts."""

    def __init__(self, rows: Iterable[FillRow] = ()) -> None:
        """Begin with the rows of ``all``."""
        self._rows: deque[FillRow] = deque()
        self._by_account: dict[str, deque[FillRow]] = {}
        for row in rows:
            self.add(row)

    def add(self, row: FillRow) -> None:
        """Note one more fill."""
        self._rows.append(row)
        rows = self._by_account.get(row.account)
        if rows is None:
            rows = self._by_account[row.account] = deque()
        rows.append(row)
        if len(self._rows) > FILLS_MAX:
            # The oldest of all is the oldest of its account.
            self._by_account[self._rows.popleft().account].popleft()

    def all(self) -> Iterator[FillRow]:
        """Yield every row, oldest first."""
        yield from self._rows

    def of(self, account: str) -> Iterator[FillRow]:
        """Yield the fills of an account, oldest first."""
        yield from self._by_account.get(account, ())

    def last(self, account: str, count: int) -> list[FillRow]:
        """Return the newest ``count`` fills of an account, oldest first."""
        rows = self._by_account.get(account, ())
        return [rows[len(rows) - count + number] for number in range(count)] if count else []
