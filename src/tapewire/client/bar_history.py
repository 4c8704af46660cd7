"""Past bars over HTTP: a range in as many pages as the broker makes of it."""

from __future__ import annotations

from datetime import datetime

from tapewire.client.errors import LimitError
from tapewire.client.http_reader import HttpReader
from tapewire.client.timeframe import timeframe_of
from tapewire.model import DAY_S, Bar, BarsHistory
from tapewire.protocol.requests import SubscribeBars

__all__ = ["BARS_MAX", "PAGES_MAX", "WIRE_BARS_MAX", "BarHistory", "bars_between", "latest_opening_s"]

#: Bars of one call: half a million are about 100 MB.
BARS_MAX = 500_000
#: Requests of one call; with the pages of 50,000 bars that are known it is never reached.
PAGES_MAX = 200
#: Past bars that a stream is asked for. More would come message by message through the broker's buffer, which
#: holds 5,000 and ends the connection of whoever reads too slowly.
WIRE_BARS_MAX = 1_000

_PATH = "/md/v2/history"


def latest_opening_s(now: datetime) -> int:
    """Return the latest time, Unix s, at which a bar can open: that of a day is a midnight that may be ahead."""
    return int(now.timestamp()) + DAY_S


def bars_between(since_s: int, until_s: int, interval_s: int) -> int:
    """Return how many bars can open in a range at most: trading around the clock."""
    return max(until_s - since_s, 0) // interval_s + 1


class BarHistory:
    """Reads bars that were."""

    def __init__(self, reader: HttpReader) -> None:
        self._reader = reader

    async def fetch(self, asked: SubscribeBars, until_s: int) -> list[Bar]:
        """Return the bars that open from ``asked.since_s`` to ``until_s``, both included, oldest first, each once.

        A page that leaves something out says where the rest begins (``prev``, ``next``); it is asked for until
        the range is whole.

        Raises:
            LimitError: There are more than ``BARS_MAX``; nothing of them is returned.
            RefusedError: The broker does not answer this: no such instrument.
            ConnectError: The broker cannot be reached, or what it answers are no bars.
            TokenRefusedError: The refresh token has ceased to be good.
            TokenServiceError: A new token was needed and could not be had.
        """
        found: dict[int, Bar] = {}
        ranges = [(asked.since_s, until_s)]
        for _ in range(PAGES_MAX):
            low_s, high_s = ranges.pop()
            page = await self._page(asked, low_s, high_s)
            bars = [bar for bar in page.bars or () if low_s <= self._time_s(bar) <= high_s]
            found |= {bar.time_s: bar for bar in bars}
            if len(found) > BARS_MAX:
                raise LimitError("bars", f"{len(found)} and more", f"{BARS_MAX} at once: ask for a shorter time")
            ranges += self._rest(page, [bar.time_s for bar in bars], low_s, high_s)
            if not ranges:
                return [found[time_s] for time_s in sorted(found)]
        raise LimitError("pages of bars", f"{PAGES_MAX} and more", PAGES_MAX, "ask for a shorter time")

    def _rest(self, page: BarsHistory, times_s: list[int], low_s: int, high_s: int) -> list[tuple[int, int]]:
        """Return what a page has left out of its range. Each range is smaller than the one before: it ends."""
        first_s, last_s = min(times_s, default=high_s), max(times_s, default=low_s)
        rest = []
        if page.next_s and last_s < page.next_s <= high_s:
            rest.append((page.next_s, high_s))
        if page.previous_s and low_s <= page.previous_s < first_s:
            rest.append((low_s, page.previous_s))
        if not times_s and not rest and (page.next_s == low_s or page.previous_s == high_s):
            raise self._reader.unreadable(_PATH, "it says that there are more bars, and gives none")
        return rest

    async def _page(self, asked: SubscribeBars, low_s: int, high_s: int) -> BarsHistory:
        query = {
            "symbol": asked.code,
            "exchange": str(asked.exchange),
            "tf": timeframe_of(asked.timeframe).wire,
            "from": str(low_s),
            "to": str(high_s),
            "splitAdjust": str(asked.split_adjust).lower(),
            # The ticker as it is, also of what has come to its end.
            "untraded": "true",
        }
        if asked.board:
            query["instrumentGroup"] = asked.board
        return await self._reader.row(BarsHistory, _PATH, **query)

    def _time_s(self, bar: Bar) -> int:
        if not isinstance(bar.time_s, int):
            raise self._reader.unreadable(_PATH, "a bar says no time")
        return bar.time_s
