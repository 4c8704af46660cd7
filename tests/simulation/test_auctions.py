"""A closing auction as a client meets it: over the wire, in the whole system, on virtual time."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone
from typing import Any

from tapewire.market import SessionName, TradingHours
from tapewire.simulation import SimulatedSystem, run_virtual
from tapewire.simulation.system import HOST_PORT, REFRESH_TOKEN
from unit.gateway.world import BOOK, TRADES, Peer

MOSCOW = timezone(timedelta(hours=3))
#: A Monday, ten seconds before the closing auction of shares.
START = datetime(2026, 11, 2, 18, 39, 50, tzinfo=MOSCOW)
AUCTION_S = 600
INSTRUMENTS = "InstrumentsGetAndSubscribeV2"
SBER = {"symbol": "SBER", "exchange": "MOEX"}
ORDER: dict[str, Any] = {"side": "buy", "quantity": 2, "instrument": SBER, "user": {"portfolio": "D70001"}}


def test_a_client_goes_through_a_closing_auction() -> None:
    async def main() -> None:
        hours = TradingHours(SessionName, has_auctions=True)
        async with SimulatedSystem(seed=5, symbols=3, events_per_second=60, safety=True, hours=hours) as system:
            token = system.tokens.refresh(REFRESH_TOKEN)
            assert token is not None
            market, orders, lost = Peer(token), Peer(token), Peer(token)
            for path, peer in (("/ws", market), ("/cws", orders), ("/cws", lost)):
                await system.network.connector().connect(f"ws://{HOST_PORT}{path}", peer, timeout_s=10)
            for guid, opcode in (("i", INSTRUMENTS), ("t", TRADES), ("b", BOOK)):
                assert await market.asked(opcode, guid) == 200
            for peer in (orders, lost):
                assert await peer.ask("authorize", "a") == 200
            await asyncio.sleep(15)
            assert [row["tradingStatus"] for row in market.data("i") if "tradingStatus" in row][-1] == 102

            assert await orders.ask("create:market", "now", timeInForce="immediateorcancel", **ORDER) == 400
            orders.send("create:market", "m", **ORDER)
            number = (await orders.answer("m"))["orderNumber"]
            # What is guarded may be cancelled while orders gather.
            assert await lost.ask("safety", "s", token=None, cancelOnDisconnect=True) == 200
            lost.send("create:market", "l", **(ORDER | {"quantity": 1}))
            guarded = (await lost.answer("l"))["orderNumber"]
            traded = len(market.data("t"))
            assert traded
            system.network.connections[2].cut()
            await asyncio.sleep(1)
            assert await statuses(system, token) == {number: "working", guarded: "canceled"}
            await asyncio.sleep(AUCTION_S - 20)
            # The book shows what rests, crossed as it is, and nothing has traded.
            crossed = market.data("b")[-1]
            assert crossed["bids"][0]["price"] > crossed["asks"][0]["price"]
            assert len(market.data("t")) == traded

            await asyncio.sleep(20)
            prints = market.data("t")[traded:]
            assert prints
            assert len({trade["price"] for trade in prints}) == 1
            assert await statuses(system, token) == {number: "filled", guarded: "canceled"}
            (fill,) = await rows(system, token, "trades")
            assert fill["price"] == prints[0]["price"]
            after = market.data("b")[-1]
            assert after["bids"][0]["price"] < after["asks"][0]["price"]
            told = [row["tradingStatus"] for row in market.data("i") if "tradingStatus" in row]
            assert told == [17, 102, 18]
            assert await orders.ask("create:market", "late", **ORDER) == 400

    run_virtual(main, start=START)


async def rows(system: SimulatedSystem, token: str, what: str) -> list[dict[str, Any]]:
    answer = await system.http.request(
        "GET",
        f"http://{HOST_PORT}/md/v2/Clients/MOEX/D70001/{what}",
        headers={"Authorization": f"Bearer {token}"},
        timeout_s=10,
    )
    assert answer.status == 200
    found: list[dict[str, Any]] = json.loads(answer.body)
    return found


async def statuses(system: SimulatedSystem, token: str) -> dict[str, str]:
    return {row["id"]: row["status"] for row in await rows(system, token, "orders")}
