"""Trading through ``tapewire up`` with a client of others: orders, and what streams and HTTP say of them."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect

from e2e.test_cli import Desk

DEADLINE_S = 20.0
PORTFOLIO = "D70001"
SBER = {"symbol": "SBER", "exchange": "MOEX", "instrumentGroup": "TQBR"}
STREAMS = {
    "orders": "OrdersGetAndSubscribeV2",
    "stops": "StopOrdersGetAndSubscribeV2",
    "fills": "TradesGetAndSubscribeV2",
    "positions": "PositionsGetAndSubscribeV2",
    "summary": "SummariesGetAndSubscribeV2",
}

Fields = dict[str, Any]


class Trader:
    """What a program has that knows the protocol and nothing of this project."""

    def __init__(self, ready: Fields, http: aiohttp.ClientSession, token: str) -> None:
        self.ready = ready
        self.http = http
        self.token = token
        self.told: dict[str, list[Fields]] = {name: [] for name in STREAMS}
        #: Streams whose past has come.
        self.followed: set[str] = set()
        self._guids = (f"guid-{number}" for number in itertools.count(1))
        self.orders: ClientConnection
        self.streams: ClientConnection

    async def follow(self) -> None:
        """Read the streams until the connection ends."""
        async for message in self.streams:
            fields = json.loads(message)
            if "data" in fields:
                self.told[fields["guid"]].append(fields["data"])
            else:
                assert fields["httpCode"] == 200
                self.followed.add(fields["requestGuid"])

    async def command(self, opcode: str, **fields: Any) -> Fields:
        """Send a command and return its answer."""
        guid = next(self._guids)
        message = {"opcode": opcode, "guid": guid, "user": {"portfolio": PORTFOLIO}, "checkDuplicates": True}
        await self.orders.send(json.dumps(message | fields))
        answer: Fields = json.loads(await self.orders.recv())
        assert answer["requestGuid"] == guid
        return answer

    async def create(self, kind: str, side: str, quantity: int, **fields: Any) -> Fields:
        return await self.command(
            f"create:{kind}", side=side, quantity=quantity, instrument=SBER, **({"timeInForce": "oneday"} | fields)
        )

    async def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.http.get(f"{self.ready['http']}{path}", headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return json.loads(await answer.text(), parse_float=Decimal)

    async def of_portfolio(self, what: str) -> Any:
        return await self.get(f"/md/v2/Clients/MOEX/{PORTFOLIO}/{what}")

    async def quote(self) -> Fields:
        rows: list[Fields] = await self.get("/md/v2/Securities/MOEX:SBER/quotes")
        return rows[0]

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for what a stream tells."""
        async with asyncio.timeout(DEADLINE_S):
            while not (found := condition()):  # noqa: ASYNC110 - nobody would set an event
                await asyncio.sleep(0.005)
        return found

    async def row(self, stream: str, number: str, **wanted: Any) -> Fields:
        """Wait for a row of a stream whose fields are as wanted."""

        def found() -> Fields | None:
            for row in self.told[stream]:
                if row["id"] == number and all(row[name] == value for name, value in wanted.items()):
                    return row
            return None

        return await self.until(found)


@asynccontextmanager
async def trader(ready: Fields, stack: AsyncExitStack) -> Any:
    http = await stack.enter_async_context(aiohttp.ClientSession())
    async with http.post(f"{ready['oauth']}/refresh", params={"token": ready["refresh_token"]}) as answer:
        token = (await answer.json())["AccessToken"]
    made = Trader(ready, http, token)
    made.orders = await stack.enter_async_context(connect(ready["cws"]))
    made.streams = await stack.enter_async_context(connect(ready["ws"]))
    await made.orders.send(json.dumps({"opcode": "authorize", "guid": "a", "token": token}))
    assert json.loads(await made.orders.recv())["httpCode"] == 200
    for guid, opcode in STREAMS.items():
        ask = {"opcode": opcode, "portfolio": PORTFOLIO, "exchange": "MOEX", "guid": guid, "token": token}
        await made.streams.send(json.dumps(ask))
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(made.follow())
        await made.until(lambda: made.followed == set(STREAMS))
        yield made
        following.cancel()


Scenario = Callable[[Trader], Coroutine[Any, Any, None]]


@pytest.fixture
def trading(tmp_path: Path) -> Callable[[Scenario], None]:
    def run(scenario: Callable[[Trader], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(3 * DEADLINE_S), AsyncExitStack() as stack:
                system = await Desk(tmp_path, stack).system()
                async with AsyncExitStack() as ends, trader(system.ready, ends) as made:
                    await scenario(made)

        asyncio.run(main())

    return run


def price(text: object) -> Decimal:
    return Decimal(str(text))


def test_an_order_rests_is_replaced_and_deleted(trading: Callable[[Scenario], None]) -> None:
    async def scenario(trader: Trader) -> None:
        low = price((await trader.quote())["bid"]) - 5
        first = await trader.create("limit", "buy", 2, price=float(low), comment="mine")
        assert first["httpCode"] == 200
        number = first["orderNumber"]
        row = await trader.row("orders", number, status="working")
        assert (row["qtyBatch"], row["qtyUnits"], price(row["price"]), row["comment"]) == (2, 20, low, "mine")
        assert row["existing"] is False

        lower = low - 1
        moved = await trader.command(
            "update:limit", orderId=number, side="buy", quantity=3, price=float(lower), instrument=SBER
        )
        assert moved["httpCode"] == 200
        assert moved["orderNumber"] != number
        await trader.row("orders", number, status="canceled")
        await trader.row("orders", moved["orderNumber"], status="working", qtyBatch=3)

        gone = await trader.command("delete:limit", orderId=moved["orderNumber"], exchange="MOEX")
        assert gone["httpCode"] == 200
        await trader.row("orders", moved["orderNumber"], status="canceled")

        rows = {row["id"]: row for row in await trader.of_portfolio("orders")}
        assert {number: row["status"] for number, row in rows.items()} == {
            number: "canceled",
            moved["orderNumber"]: "canceled",
        }
        summary = await trader.of_portfolio("summary")
        assert summary["buyingPower"] == 1_000_000, "nothing is blocked any more"

    trading(scenario)


def test_a_market_order_fills_and_everything_agrees(trading: Callable[[Scenario], None]) -> None:
    async def scenario(trader: Trader) -> None:
        done = await trader.create("market", "buy", 7)
        assert done["httpCode"] == 200
        number = done["orderNumber"]
        await trader.row("orders", number, status="filled")
        await trader.until(lambda: sum(fill["qtyBatch"] for fill in trader.told["fills"]) == 7)
        held = await trader.until(
            lambda: [row for row in trader.told["positions"] if row["symbol"] == "SBER" and row["qtyBatch"] == 7]
        )
        cash = await trader.until(
            lambda: [row for row in trader.told["positions"] if row["symbol"] == "RUB" and not row["existing"]]
        )
        await trader.until(lambda: any(row["commission"] > 0 for row in trader.told["summary"]))

        fills = await trader.of_portfolio("trades")
        assert [fill["id"] for fill in fills] == [fill["id"] for fill in trader.told["fills"]]
        assert {fill["orderno"] for fill in fills} == {number}
        paid = sum(price(fill["price"]) * fill["qtyUnits"] + fill["commission"] for fill in fills)
        assert price(cash[-1]["volume"]) == 1_000_000 - paid

        positions = {row["symbol"]: row for row in await trader.of_portfolio("positions")}
        assert positions["RUB"]["volume"] == 1_000_000 - paid
        for name in ("qtyBatch", "qtyUnits", "avgPrice", "volume", "qtyT0", "qtyT1", "openUnits"):
            assert price(positions["SBER"][name]) == price(held[-1][name])
        (row,) = await trader.of_portfolio("orders")
        assert (row["id"], row["status"], row["filledQtyBatch"]) == (number, "filled", 7)
        summary = await trader.of_portfolio("summary")
        assert summary["commission"] == sum(fill["commission"] for fill in fills)
        assert summary["buyingPower"] == 1_000_000 - paid

    trading(scenario)


def test_a_stop_order_fires_as_the_market_moves(trading: Callable[[Scenario], None]) -> None:
    async def scenario(trader: Trader) -> None:
        await trader.create("market", "buy", 5)
        last = price((await trader.quote())["last_price"])
        # The first trade below this price fires it; the market moves by steps all the time.
        stop = await trader.create(
            "stop",
            "sell",
            5,
            condition="less",
            triggerPrice=float(last),
            stopEndUnixTime=0,
        )
        assert stop["httpCode"] == 200, stop
        number = stop["orderNumber"]
        fired = await trader.row("stops", number, status="filled", filledQtyBatch=5)
        placed = await trader.row("orders", fired["exchangeOrderId"], status="filled")
        assert placed["type"] == "market"
        assert price(fired["avg_price"]) > 0
        await trader.until(
            lambda: any(row["symbol"] == "SBER" and row["qtyBatch"] == 0 for row in trader.told["positions"])
        )
        (row,) = await trader.of_portfolio("stoporders")
        assert (row["id"], row["exchangeOrderId"], row["status"]) == (number, fired["exchangeOrderId"], "filled")

    trading(scenario)


def test_what_cannot_be_done_is_refused_with_its_code(trading: Callable[[Scenario], None]) -> None:
    async def scenario(trader: Trader) -> None:
        low = float(price((await trader.quote())["bid"]) - 5)

        async def refused(code: int, answer: Fields, status: int = 400) -> None:
            assert answer["httpCode"] == status
            assert f"({code})" in answer["message"]

        await refused(401, await trader.create("limit", "buy", 1_000_000, price=low))
        await refused(409, await trader.create("limit", "buy", 1, price=low + 0.001))
        await refused(404, await trader.command("delete:limit", orderId="12345", exchange="MOEX"))
        await refused(404, await trader.command("delete:stop", orderId="12345", exchange="MOEX"))
        foreign = await trader.create("limit", "buy", 1, price=low, user={"portfolio": "D70002"})
        assert foreign["httpCode"] == 403
        await refused(406, await trader.create("limit", "buy", 1, price=low, user={"portfolio": "G70001"}))

        again = {"guid": "same", "price": low}
        trader._guids = itertools.repeat("same")  # type: ignore[assignment]
        first = await trader.create("limit", "buy", 1, **again)
        second = await trader.create("limit", "buy", 1, **again)
        assert (first["httpCode"], second["httpCode"]) == (200, 400)
        assert second["orderNumber"] == first["orderNumber"]
        assert len(await trader.of_portfolio("orders")) == 1

    trading(scenario)
