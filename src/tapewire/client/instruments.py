"""Instruments as the broker lists them: lot, price step, limits of the day. Read over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

from tapewire.client.arguments import board_of, exchange_of, refuse, text, within
from tapewire.client.http_reader import HttpReader, path_of
from tapewire.client.shared_reading import SharedReading
from tapewire.model import Exchange, Security

__all__ = ["INSTRUMENTS_MAX", "KEPT_MAX", "KEPT_S", "SECURITIES_PATH", "Instruments"]

#: How long what the broker said of one instrument is good: steps and lots stay, limits move within a day.
KEPT_S = 300.0
#: Instruments that are kept; the oldest goes first.
KEPT_MAX = 1_000
#: Of one list: the whole catalogue has some 45 thousand rows, about 40 MB.
INSTRUMENTS_MAX = 50_000

#: Where instruments are listed.
SECURITIES_PATH = "/md/v2/Securities"

_Key = tuple[Exchange, str, str]


class Instruments:
    """Looks instruments up. Those who ask for the same one at the same time share a reading."""

    def __init__(self, reader: HttpReader) -> None:
        self._reader = reader
        self._readings: dict[_Key, SharedReading[Security]] = {}
        #: What was read, and when (s of the loop).
        self._kept: dict[_Key, tuple[float, Security]] = {}

    async def search(self, query: str, exchange: Exchange | None, board: str, limit: int) -> list[Security]:
        """Return the instruments that match, the most traded first; arguments and errors as of ``Broker``."""
        if not isinstance(query, str):
            raise refuse("query", query, "part of a ticker or of a name")
        asked: dict[str, Any] = {"limit": str(within("instruments", limit, 1, INSTRUMENTS_MAX))}
        if query:
            asked["query"] = query
        if exchange is not None:
            asked["exchange"] = str(exchange_of(exchange))
        if board_of(board):
            asked["instrumentGroup"] = board
        return await self._reader.rows(Security, SECURITIES_PATH, **asked)

    async def one(self, symbol: str, exchange: Exchange, board: str) -> Security:
        """Return one instrument, which may have been read up to ``KEPT_S`` ago; the rest as of ``Broker``."""
        ticker = text("symbol", symbol, "the ticker of an instrument")
        key = exchange_of(exchange), ticker, board_of(board)
        now_s = asyncio.get_running_loop().time()
        read_at_s, security = self._kept.get(key, (0.0, None))
        if security is not None and now_s - read_at_s < KEPT_S:
            return security
        reading = self._readings.setdefault(key, SharedReading(lambda: self._read(*key)))
        try:
            found = await reading.get()
        finally:
            if not reading.wanted:
                self._readings.pop(key, None)
        # The newest last.
        self._kept.pop(key, None)
        self._kept[key] = now_s, found
        if len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        return found

    async def _read(self, exchange: Exchange, symbol: str, board: str) -> Security:
        query = {"instrumentGroup": board} if board else {}
        return await self._reader.row(Security, SECURITIES_PATH + path_of(exchange, symbol), **query)
