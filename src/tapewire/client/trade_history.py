"""Past trades over HTTP: those of the running session and of the sessions before it, page by page."""

from __future__ import annotations

from collections.abc import Sequence

from tapewire.client.errors import ConnectError, Fault, LimitError
from tapewire.client.http_reader import HttpReader, path_of
from tapewire.model import Exchange, Trade, TradesHistory

__all__ = ["PAGES_MAX", "TRADES_MAX", "TradeHistory"]

#: Trades of one call: half a million are about 150 MB.
TRADES_MAX = 500_000
#: Requests of one call; with the pages that are known it is never reached.
PAGES_MAX = 300
#: Trades of one answer about past sessions: the most that the broker gives.
_PAST_PAGE_TRADES = 50_000
#: Of one about the running session, of which no bound is known.
_SESSION_PAGE_TRADES = 5_000


class TradeHistory:
    """Reads trades that were."""

    def __init__(self, reader: HttpReader) -> None:
        self._reader = reader

    async def fetch(self, symbol: str, exchange: Exchange, board: str, since_s: int, until_s: int) -> list[Trade]:
        """Return the trades from ``since_s`` to ``until_s`` (Unix s, both included), oldest first, each once.

        Raises:
            LimitError: There are more than ``TRADES_MAX``; nothing of them is returned.
            RefusedError: The broker does not answer this: no such instrument.
            ConnectError: The broker cannot be reached, or what it answers are no trades.
            TokenRefusedError: The refresh token has ceased to be good.
            TokenServiceError: A new token was needed and could not be had.
        """
        path = "/md/v2/Securities" + path_of(exchange, symbol) + "/alltrades"
        query = {"from": str(since_s), "to": str(until_s)} | ({"instrumentGroup": board} if board else {})
        found = _Found(path, since_s, until_s)
        # The running session first: if it ends meanwhile, its trades come twice, and not never.
        await self._of_session(found, path, query)
        await self._of_past(found, path + "/history", query)
        return found.sorted()

    async def _of_session(self, found: _Found, path: str, query: dict[str, str]) -> None:
        asked = query | {"take": str(_SESSION_PAGE_TRADES), "descending": "false"}
        last_id = -1
        while True:
            page = await self._reader.rows(Trade, path, **asked)
            found.add(page)
            # Numbers never decrease along the tape. A short page is no end: a broker may give fewer than are asked
            # for.
            reached = max((trade.id for trade in page), default=last_id)
            if reached <= last_id:
                return
            last_id = reached
            asked["fromId"] = str(last_id + 1)

    async def _of_past(self, found: _Found, path: str, query: dict[str, str]) -> None:
        offset = 0
        while True:
            asked = query | {"limit": str(_PAST_PAGE_TRADES), "offset": str(offset)}
            page = await self._reader.row(TradesHistory, path, **asked)
            trades = page.trades or ()
            found.add(trades)
            offset += len(trades)
            if not trades or (isinstance(page.total, int) and offset >= page.total):
                return


class _Found:
    """What has been read so far, within its range and bounds."""

    def __init__(self, path: str, since_s: int, until_s: int) -> None:
        self._path = path
        self._since_ms = since_s * 1_000
        self._until_ms = until_s * 1_000 + 999
        self._trades: dict[int, Trade] = {}
        self._pages = 0

    def add(self, page: Sequence[Trade]) -> None:
        """Take a page.

        Raises:
            LimitError: There are too many.
            ConnectError: A trade says no number or no time.
        """
        self._pages += 1
        for trade in page:
            if not isinstance(trade.id, int) or not isinstance(trade.time_ms, int):
                raise ConnectError(self._path, "a trade says no number or no time", Fault.BROKER)
            if self._since_ms <= trade.time_ms <= self._until_ms:
                self._trades[trade.id] = trade
        count = len(self._trades)
        if count > TRADES_MAX or self._pages >= PAGES_MAX:
            raise LimitError("past trades", f"{count} and more", f"{TRADES_MAX} at once: ask for a shorter time")

    def sorted(self) -> list[Trade]:
        """Return all, oldest first."""
        return sorted(self._trades.values(), key=lambda trade: (trade.time_ms, trade.id))
