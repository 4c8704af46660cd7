"""Trades of the running session and of those before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tapewire.model import Side, Trade, TradesHistory
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format
from unit.gateway.http.hall import DAY_S, SBER, START_S, Hall, run

NOW = "/md/v2/Securities/MOEX/SBER/alltrades"
PAST = f"{NOW}/history"
#: Enough for the next session to have begun.
NIGHT_S = 15 * 3_600


async def trade(hall: Hall, count: int = 10) -> None:
    """One trade a second: prices 10.00, 10.01, …; lots 1, 2, …; buy, sell, buy, …"""
    for number in range(count):
        side = Side.SELL if number % 2 else Side.BUY
        hall.venue.publish_trade(SBER, 10 + number / 100, number + 1, side)
        await asyncio.sleep(1)


def lots(rows: list[dict[str, Any]]) -> list[int]:
    return [row["qty"] for row in rows]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("?take=3", [1, 2, 3]),
        ("?take=3&offset=8", [9, 10]),
        ("?take=3&descending=TRUE", [10, 9, 8]),
        ("?take=0", []),
        ("?take=9999999", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("?offset=9999999", []),
        ("?from=0&to=99999999999999", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (f"?from={START_S + 2}&to={START_S + 4}", [3, 4, 5]),
        (f"?from={START_S + 4}&to={START_S + 4}", [5]),
        ("?fromId=13000000003&toId=13000000004", [3, 4]),
        ("?qtyFrom=8", [8, 9, 10]),
        ("?qtyTo=2", [1, 2]),
        ("?priceFrom=10.02&priceTo=10.04", [3, 4, 5]),
        ("?side=SELL", [2, 4, 6, 8, 10]),
        ("?side=buy&qtyFrom=4", [5, 7, 9]),
        ("?includeVirtualTrades=true&take=1", [1]),
        ("?side=", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_trades_of_the_session(query: str, found: list[int]) -> None:
    async def scenario(hall: Hall) -> None:
        await trade(hall)
        assert lots((await hall.raw(NOW + query)).value) == found

    run(scenario)


def test_past_and_running_session_hold_all_trades_and_none_twice() -> None:
    async def scenario(hall: Hall) -> None:
        await trade(hall)
        assert await hall.get(PAST, limit=50_000) == {"total": 0, "list": []}
        await asyncio.sleep(NIGHT_S)
        assert await hall.get(NOW) == []
        await trade(hall, 3)
        assert lots(await hall.get(NOW, **{"from": 0})) == [1, 2, 3]
        history = await hall.get(PAST, limit=50_000)
        assert (history["total"], lots(history["list"])) == (10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])

    run(scenario, limit_s=3 * DAY_S)


def test_past_trades_come_in_pages_and_the_total_is_that_of_the_filter() -> None:
    async def scenario(hall: Hall) -> None:
        await trade(hall)
        await asyncio.sleep(NIGHT_S)
        for query, total, found in (
            ({"limit": 4}, 10, [1, 2, 3, 4]),
            ({"limit": 4, "offset": 8}, 10, [9, 10]),
            ({"limit": 4, "offset": 80}, 10, []),
            ({"limit": 2, "from": START_S + 2, "to": START_S + 6}, 5, [3, 4]),
            ({"limit": 2, "from": START_S + DAY_S}, 0, []),
        ):
            history = await hall.get(PAST, **query)
            assert (history["total"], lots(history["list"])) == (total, found), query

    run(scenario, limit_s=3 * DAY_S)


@pytest.mark.parametrize("message_format", list(Format))
def test_the_formats_are_read_back(message_format: Format) -> None:
    async def scenario(hall: Hall) -> None:
        await trade(hall, 2)
        body = (await hall.raw(f"{NOW}?format={message_format}&take=1")).body
        read = codec(Trade, message_format).decode(body[1:-1])
        assert (read.quantity, read.existing, read.time_ms) == (1, True, START_S * 1_000)
        await asyncio.sleep(NIGHT_S)
        body = (await hall.raw(f"{PAST}?format={message_format}&limit=1")).body
        history = codec(TradesHistory, message_format).decode(body)
        assert history.trades is not None
        assert (history.total, history.trades[0].id) == (2, read.id)

    run(scenario, limit_s=3 * DAY_S)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{NOW}?from=x", 400),
        (f"{NOW}?from=-1", 400),
        (f"{NOW}?from=5&to=4", 400),
        (f"{NOW}?fromId=5&toId=4", 400),
        (f"{NOW}?qtyFrom=5&qtyTo=4", 400),
        (f"{NOW}?priceFrom=5&priceTo=4.9", 400),
        (f"{NOW}?priceFrom=nan", 400),
        (f"{NOW}?priceTo=1e999", 400),
        (f"{NOW}?side=both", 400),
        (f"{NOW}?take=-1", 400),
        (f"{NOW}?offset=x", 400),
        (f"{NOW}?descending=down", 400),
        (f"{NOW}?fromId=99999999999999999999", 400),
        (f"{NOW}?instrumentGroup=NONE", 404),
        ("/md/v2/Securities/MOEX/NONE/alltrades", 404),
        (PAST, 400),
        (f"{PAST}?limit=0", 400),
        (f"{PAST}?limit=50001", 400),
        (f"{PAST}?limit=9999999", 400),
        (f"{PAST}?limit=10&from=5&to=4", 400),
        ("/md/v2/Securities/MOEX/NONE/alltrades/history?limit=1", 404),
    ],
)
def test_bad_input_has_its_answer(path: str, status: int) -> None:
    async def scenario(hall: Hall) -> None:
        reply = await hall.raw(path)
        assert (reply.status, set(reply.value)) == (status, {"code", "message"})
        assert (await hall.raw(path, token=None)).status == 401

    run(scenario)
