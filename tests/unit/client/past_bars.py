"""A broker's past bars over HTTP, given out in small pages, and bars as they are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

__all__ = ["HistoryHttp", "slim_bar"]


def slim_bar(time_s: int, close: float = 10.0) -> dict[str, Any]:
    return {"t": time_s, "c": close, "o": 10.0, "h": 11.0, "l": 9.0, "v": 5}


class HistoryHttp:
    """An ASGI application: the newest ``page`` bars of a range, or the oldest, and where the rest begins."""

    def __init__(self, times_s: Iterable[int], *, page: int = 100, gives_newest: bool = True) -> None:
        self.times_s = sorted(times_s)
        self.page = page
        self.gives_newest = gives_newest
        self.asked: list[dict[str, str]] = []
        self.status = 200
        self.body: bytes | None = None

    async def __call__(self, scope: Any, receive: object, send: Callable[[Any], Any]) -> None:
        assert (scope["method"], scope["path"]) == ("GET", "/md/v2/history")
        query = dict(parse_qsl(scope["query_string"].decode()))
        self.asked.append(query)
        low, high = int(query["from"]), int(query["to"])
        found = [time_s for time_s in self.times_s if low <= time_s <= high]
        found = found[-self.page :] if self.gives_newest else found[: self.page]
        first, last = (found[0], found[-1]) if found else (low, high)
        said = {
            "history": [
                {"time": time_s, "close": 10.0, "open": 10.0, "high": 11.0, "low": 9.0, "volume": 5}
                for time_s in found
            ],
            "next": min((time_s for time_s in self.times_s if time_s > last), default=None),
            "prev": max((time_s for time_s in self.times_s if time_s < first), default=None),
        }
        await send({"type": "http.response.start", "status": self.status})
        await send({"type": "http.response.body", "body": self.body or json.dumps(said).encode()})
