"""Past trades over HTTP: two lists in pages, joined without a hole or a repetition."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tapewire.client import trade_history
from tapewire.client.errors import ArgumentError, ConnectError, LimitError, RefusedError
from tapewire.simulation import run_virtual
from unit.client.stage import Stage, staged

PATH = "/md/v2/Securities/MOEX/TEST/alltrades"


class TradesHttp:
    """An ASGI application with a trade a second, of which the last hundred are of the running session."""

    def __init__(self, now_s: int, count: int = 500) -> None:
        self.times_s = [now_s - number for number in range(count)][::-1]
        self.session_starts_s = now_s - 99
        #: Trades that both lists have: the session has turned while they were read.
        self.repeats = 0
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.status = 200
        self.body: bytes | None = None

    async def __call__(self, scope: Any, receive: object, send: Callable[[Any], Any]) -> None:
        query = dict(parse_qsl(scope["query_string"].decode()))
        self.asked.append((scope["path"], query))
        low, high = int(query["from"]), int(query["to"])
        is_past = scope["path"].endswith("/history")
        ends_s = self.session_starts_s + self.repeats
        rows = [
            {"id": at_s, "symbol": "TEST", "qty": 1, "price": 10.5, "timestamp": at_s * 1000, "side": "buy"}
            for at_s in self.times_s
            if low <= at_s <= high and (at_s < ends_s if is_past else at_s >= self.session_starts_s)
        ]
        said: object
        if is_past:
            first = int(query["offset"])
            said = {"total": len(rows), "list": rows[first : first + int(query["limit"])] or None}
        else:
            later = [row for row in rows if int(str(row["id"])) >= int(query.get("fromId", 0))]
            said = later[: int(query["take"])]
        await send({"type": "http.response.start", "status": self.status})
        await send({"type": "http.response.body", "body": self.body or json.dumps(said).encode()})


def run(scenario: Callable[[Stage, TradesHttp], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            http = TradesHttp(int(stage.fleet.now().timestamp()))
            stage.http.listen("broker.test:443", http)
            await scenario(stage, http)

    run_virtual(main)


@pytest.mark.parametrize("repeats", [0, 10])
def test_both_lists_are_read_in_pages_and_each_trade_is_there_once(
    monkeypatch: pytest.MonkeyPatch, repeats: int
) -> None:
    monkeypatch.setattr(trade_history, "_PAST_PAGE_TRADES", 150)
    monkeypatch.setattr(trade_history, "_SESSION_PAGE_TRADES", 40)

    async def scenario(stage: Stage, http: TradesHttp) -> None:
        http.repeats = repeats
        trades = await stage.client.past_trades("TEST", since=timedelta(seconds=349), board="TQBR")
        assert [trade.id for trade in trades] == http.times_s[-350:]
        assert [path for path, _ in http.asked] == [PATH] * 4 + [f"{PATH}/history"] * 2
        assert {query["instrumentGroup"] for _, query in http.asked} == {"TQBR"}

    run(scenario)


def test_a_range_includes_both_ends_and_may_have_no_trades() -> None:
    async def scenario(stage: Stage, http: TradesHttp) -> None:
        since = datetime.fromtimestamp(http.times_s[10], UTC)
        trades = await stage.client.past_trades("TEST", since=since, until=since + timedelta(seconds=5))
        assert [trade.id for trade in trades] == http.times_s[10:16]
        http.times_s = []
        assert await stage.client.past_trades("TEST", since=timedelta(days=1)) == []

    run(scenario)


def test_more_trades_than_are_fetched_at_once_are_an_error_with_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trade_history, "TRADES_MAX", 250)

    async def scenario(stage: Stage, http: TradesHttp) -> None:
        with pytest.raises(LimitError, match="500 and more asked for, the limit is 250 at once"):
            await stage.client.past_trades("TEST", since=timedelta(days=1))

    run(scenario)


def test_a_broker_that_never_ends_is_not_followed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trade_history, "_SESSION_PAGE_TRADES", 1)

    async def scenario(stage: Stage, http: TradesHttp) -> None:
        # One and the same page, whatever is asked for.
        http.body = b'[{"id":7,"timestamp":7}]'
        with pytest.raises(ConnectError):
            await stage.client.past_trades("TEST", since=timedelta(days=1))
        assert len(http.asked) == 3

    run(scenario)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b'{"code":"NotFound","message":"no"}', RefusedError),
        (200, b'[{"id":null,"timestamp":5}]', ConnectError),
        (200, b'[{"id":5,"timestamp":null}]', ConnectError),
        (200, b"{", ConnectError),
    ],
)
def test_what_are_no_trades_is_an_error(status: int, body: bytes, error: type[Exception]) -> None:
    async def scenario(stage: Stage, http: TradesHttp) -> None:
        http.status, http.body = status, body
        with pytest.raises(error):
            await stage.client.past_trades("TEST", since=timedelta(hours=1))

    run(scenario)


@pytest.mark.parametrize(
    "arguments",
    [
        {"since": timedelta(hours=-3)},
        {"since": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"since": timedelta(hours=1), "until": timedelta(hours=2)},
        {"since": timedelta(hours=1), "symbol": 5},
        {"since": timedelta(hours=1), "exchange": "NYSE"},
        {"since": timedelta(hours=1), "board": 5},
    ],
)
def test_what_cannot_be_asked_is_refused_here(arguments: dict[str, Any]) -> None:
    async def scenario(stage: Stage, http: TradesHttp) -> None:
        with pytest.raises(ArgumentError, match="nothing was sent"):
            await stage.client.past_trades(**({"symbol": "TEST"} | arguments))
        assert http.asked == []

    run(scenario)
