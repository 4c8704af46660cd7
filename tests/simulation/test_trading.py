"""An hour of a user's orders in the live market: nothing is lost, and streams and HTTP tell the same."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tapewire.simulation import SimulatedSystem, run_virtual
from tapewire.simulation.system import HOST_PORT, REFRESH_TOKEN
from unit.gateway.world import Peer

PORTFOLIOS = {"D70001": ("SBER", "GAZP", "LKOH"), "G70001": ("CNYRUB_TOM",), "7500T01": ("SiH7",)}
STREAMS = {
    "orders": "OrdersGetAndSubscribeV2",
    "stoporders": "StopOrdersGetAndSubscribeV2",
    "trades": "TradesGetAndSubscribeV2",
    "positions": "PositionsGetAndSubscribeV2",
}
SUMMARY = "SummariesGetAndSubscribeV2"
#: What moves with prices: rows are told when a position does.
OF_PRICES = {"currentVolume", "dailyUnrealisedPl", "unrealisedPl"}
ORDERS = 240
PAUSE_S = 14.5

Fields = dict[str, Any]


class Trader:
    """A program that places orders by chance and remembers what it was told."""

    def __init__(self, system: SimulatedSystem, seed: int) -> None:
        self.system = system
        self.random = Random(seed)
        self.guids = (f"order-{number}" for number in itertools.count(1))
        self.numbers: dict[str, list[str]] = {name: [] for name in PORTFOLIOS}
        self.stops: dict[str, list[str]] = {name: [] for name in PORTFOLIOS}
        self.answers: Counter[int] = Counter()

    def token(self) -> str:
        token = self.system.tokens.refresh(REFRESH_TOKEN)
        assert token is not None
        return token

    async def connect(self, path: str) -> Peer:
        peer = Peer(self.token())
        await self.system.network.connector("10.0.0.1").connect(f"ws://{HOST_PORT}{path}", peer, timeout_s=10)
        return peer

    async def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token()}"}
        answer = await self.system.http.request("GET", f"http://{HOST_PORT}{path}", headers=headers, timeout_s=60)
        assert answer.status == 200, answer.body
        return json.loads(answer.body, parse_float=Decimal)

    async def act(self, orders: Peer, portfolio: str) -> None:
        symbol = self.random.choice(PORTFOLIOS[portfolio])
        quote = (await self.get(f"/md/v2/Securities/MOEX:{symbol}/quotes"))[0]
        listed = self.system.venue.instrument("MOEX", symbol)
        assert listed is not None
        last = listed.ticks(Decimal(str(quote["last_price"])))
        price = float(listed.price(last + self.random.randint(-15, 15)))
        order: Fields = {
            "side": self.random.choice(("buy", "sell")),
            "quantity": self.random.randint(1, 20),
            "instrument": {"symbol": symbol, "exchange": "MOEX", "instrumentGroup": listed.board},
            "user": {"portfolio": portfolio},
            "comment": "by chance",
        }
        stop = {"condition": self.random.choice(("more", "less")), "triggerPrice": price, "stopEndUnixTime": 0}
        kind = self.random.choice(("market", "limit", "limit", "limit", "stop", "update", "delete", "deleteStop"))
        numbers, stops = self.numbers[portfolio], self.stops[portfolio]
        if kind == "market":
            await self.command(orders, "create:market", order, numbers)
        elif kind == "stop":
            await self.command(orders, "create:stop", order | stop, stops)
        elif kind == "update" and numbers:
            replaced = order | {"price": price, "orderId": self.random.choice(numbers[-3:])}
            await self.command(orders, "update:limit", replaced, numbers)
        elif kind.startswith("delete") and (known := stops if kind == "deleteStop" else numbers):
            opcode = "delete:stop" if known is stops else "delete:limit"
            fields = {"orderId": self.random.choice(known[-3:]), "exchange": "MOEX", "user": order["user"]}
            await self.command(orders, opcode, fields, None)
        else:
            await self.command(orders, "create:limit", order | {"price": price}, numbers)

    async def command(self, orders: Peer, opcode: str, fields: Fields, numbers: list[str] | None) -> None:
        guid = next(self.guids)
        orders.send(opcode, guid, token=None, **fields)
        answer = await orders.answer(guid)
        self.answers[answer["httpCode"]] += 1
        if numbers is not None and answer["httpCode"] == 200:
            numbers.append(answer["orderNumber"])


def told(peer: Peer, guid: str) -> list[Fields]:
    """Return the records that a subscription was told, numbers exact."""
    messages = (json.loads(message, parse_float=Decimal) for message in peer.messages)
    return [fields["data"] for fields in messages if fields.get("guid") == guid]


def newest(rows: list[Fields], key: str) -> dict[str, Fields]:
    """Return the last row of each key, without what tells past from present and without prices."""
    hidden = OF_PRICES | {"existing"}
    return {row[key]: {name: value for name, value in row.items() if name not in hidden} for row in rows}


@pytest.mark.parametrize("seed", [1, 2])
def test_after_an_hour_of_orders_streams_and_http_and_the_books_agree(seed: int) -> None:
    async def main() -> None:
        async with SimulatedSystem(seed=seed, symbols=8, events_per_second=20) as system:
            await asyncio.sleep(5)
            trader = Trader(system, seed)
            orders, streams = await trader.connect("/cws"), await trader.connect("/ws")
            assert await orders.ask("authorize", "hello") == 200
            for portfolio in PORTFOLIOS:
                for name, opcode in (*STREAMS.items(), ("summary", SUMMARY)):
                    guid = f"{portfolio}/{name}"
                    assert await streams.ask(opcode, guid, portfolio=portfolio, exchange="MOEX") == 200
            for number in range(ORDERS):
                await trader.act(orders, list(PORTFOLIOS)[number % len(PORTFOLIOS)])
                await asyncio.sleep(PAUSE_S)
            assert min(trader.answers[200], trader.answers[400]) > 0, trader.answers
            for portfolio in PORTFOLIOS:
                await check(trader, streams, portfolio)

    async def check(trader: Trader, streams: Peer, portfolio: str) -> None:
        where = f"/md/v2/Clients/MOEX/{portfolio}"
        said = {name: await trader.get(f"{where}/{name}") for name in STREAMS}
        for name in STREAMS:
            key = "symbol" if name == "positions" else "id"
            live = told(streams, f"{portfolio}/{name}")
            assert newest(live, key) == newest(said[name], key), name
            if name == "trades":
                assert len(live) == len(said[name]), "each of them once"
        assert len(said["trades"]) > 20
        # The fills alone make the positions and the money.
        lots: Counter[str] = Counter()
        money = Decimal(1_000_000)
        for fill in said["trades"]:
            sign = 1 if fill["side"] == "buy" else -1
            lots[fill["symbol"]] += sign * fill["qtyBatch"]
            money -= sign * Decimal(fill["volume"]) + Decimal(fill["commission"] or 0)
        rows = {row["symbol"]: row for row in said["positions"]}
        cash = rows.pop("RUB")
        assert {symbol: row["qtyBatch"] for symbol, row in rows.items()} == dict(lots)
        is_derivative = portfolio.startswith("75")
        assert cash["volume"] == (1_000_000 if is_derivative else money)
        summary = await trader.get(f"{where}/summary")
        worth = sum(Decimal(row["currentVolume"]) for row in rows.values())
        if not is_derivative:
            assert summary["portfolioLiquidationValue"] == money + worth
        # The newest summary that was told is no older than a moment.
        assert len(told(streams, f"{portfolio}/summary")) > ORDERS
        assert (await trader.get(f"{where}/summary"))["commission"] == summary["commission"]

    run_virtual(main)
