"""Guarded orders in the whole system: what happens to them in the embedded venue when their client is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tapewire.simulation import SimulatedSystem, run_virtual
from tapewire.simulation.system import HOST_PORT, REFRESH_TOKEN
from unit.gateway.world import Peer

USER = {"user": {"portfolio": "D70001"}}
ORDER = USER | {"side": "buy", "quantity": 1, "instrument": {"symbol": "SBER", "exchange": "MOEX"}}

Fields = dict[str, Any]


class Desk:
    """A system, a guarded connection and HTTP."""

    def __init__(self, system: SimulatedSystem) -> None:
        self.system = system
        token = system.tokens.refresh(REFRESH_TOKEN)
        assert token is not None
        self.token = token
        self.peer = Peer(token)

    async def connect(self, **asked: Any) -> Peer:
        peer = Peer(self.token)
        await self.system.network.connector().connect(f"ws://{HOST_PORT}/cws", peer, timeout_s=10)
        assert await peer.ask("authorize", "a") == 200
        if asked:
            assert await peer.ask("safety", "s", token=None, **asked) == 200
        return peer

    async def http(self, method: str, path: str, body: Fields | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        answer = await self.system.http.request(
            method,
            f"http://{HOST_PORT}{path}",
            headers=headers | {"X-REQID": f"{method}{path}"},
            body=b"" if body is None else json.dumps(body).encode(),
            timeout_s=10,
        )
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    async def status(self, number: str, what: str = "orders") -> str:
        rows = await self.http("GET", f"/md/v2/Clients/MOEX/D70001/{what}")
        return next(row["status"] for row in rows if row["id"] == number)

    async def price(self) -> float:
        """Return a price within the limits that no seller takes for a while."""
        quote = (await self.http("GET", "/md/v2/Securities/MOEX:SBER/quotes"))[0]
        return round(quote["bid"] - 5, 2)

    async def made(self, peer: Peer, opcode: str, guid: str, **fields: Any) -> str:
        peer.send(opcode, guid, token=None, **(ORDER | fields))
        answer = await peer.answer(guid)
        assert answer["httpCode"] == 200, answer
        return str(answer["orderNumber"])


def run(scenario: Callable[[Desk], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with SimulatedSystem(seed=3, events_per_second=20, safety=True) as system:
            await asyncio.sleep(1)
            await scenario(Desk(system))

    run_virtual(main)


@pytest.mark.parametrize("is_clean", [False, True])
def test_a_reset_cancels_orders_of_both_kinds_and_a_clean_close_does_not(is_clean: bool) -> None:
    async def scenario(desk: Desk) -> None:
        peer, other = await desk.connect(cancelOnDisconnect=True), await desk.connect()
        price = await desk.price()
        stop = {"condition": "less", "triggerPrice": price, "stopEndUnixTime": 0}
        old = await desk.made(peer, "create:limit", "1", price=price)
        replaced = await desk.made(peer, "update:limit", "2", price=round(price - 1, 2), orderId=old)
        kept = await desk.made(peer, "create:stopLimit", "3", price=price, **stop)
        foreign = await desk.made(other, "create:limit", "4", price=price)
        before = peer.messages[:]
        if is_clean:
            peer.transport.close(1000)
        else:
            desk.system.network.connections[0].cut()
        await asyncio.sleep(1)
        left = "working" if is_clean else "canceled"
        assert await desk.status(replaced) == left
        assert await desk.status(kept, "stoporders") == left
        assert await desk.status(foreign) == "working"
        assert peer.messages == before

    run(scenario)


def test_an_order_in_flight_at_the_cut_never_stays() -> None:
    """The order is on the wire when the connection breaks: it never comes, or it is cancelled."""

    async def scenario(desk: Desk) -> None:
        price = await desk.price()
        for number in range(20):
            peer = await desk.connect(cancelOnDisconnect=True)
            connection = desk.system.network.connections[-1]
            peer.send("create:limit", f"f{number}", token=None, **ORDER, price=price)
            await asyncio.sleep(number * 0.000_2)
            connection.cut()
        await asyncio.sleep(1)
        rows = await desk.http("GET", "/md/v2/Clients/MOEX/D70001/orders")
        assert rows
        assert {row["status"] for row in rows} == {"canceled"}

    run(scenario)


def test_the_order_of_a_stop_limit_that_has_fired_is_cancelled_too() -> None:
    async def scenario(desk: Desk) -> None:
        peer = await desk.connect(cancelOnDisconnect=True)
        price = await desk.price()
        # It fires with the next trade, and its order rests far below the market.
        fires = {"condition": "more", "triggerPrice": round(price - 1, 2), "stopEndUnixTime": 0}
        number = await desk.made(peer, "create:stopLimit", "1", price=price, **fires)
        placed = None
        for _ in range(600):
            await asyncio.sleep(1)
            (row,) = await desk.http("GET", "/md/v2/Clients/MOEX/D70001/stoporders")
            placed = row["exchangeOrderId"]
            if placed:
                break
        assert placed
        assert await desk.status(str(placed)) == "working"
        desk.system.network.connections[0].cut()
        await asyncio.sleep(1)
        assert await desk.status(str(placed)) == "canceled"
        assert number

    run(scenario)


def test_groups_fall_with_their_orders() -> None:
    async def scenario(desk: Desk) -> None:
        peer, other = await desk.connect(cancelOnDisconnect=True), await desk.connect()
        price = await desk.price()
        mine = [await desk.made(peer, "create:limit", f"m{number}", price=price) for number in range(2)]
        foreign = await desk.made(other, "create:limit", "o", price=price)
        orders = [
            {"portfolio": "D70001", "exchange": "MOEX", "orderId": number, "type": "Limit"}
            for number in (*mine, foreign)
        ]
        group = {"orders": orders, "executionPolicy": "OnExecuteOrCancel"}
        made = await desk.http("POST", "/commandapi/api/orderGroups", group)
        desk.system.network.connections[0].cut()
        await asyncio.sleep(1)
        assert [await desk.status(number) for number in mine] == ["canceled"] * 2
        # The group cancels what belongs together: that is what its owner asked it to do.
        assert await desk.status(foreign) == "canceled"
        assert (await desk.http("GET", f"/commandapi/api/orderGroups/{made['groupId']}"))["status"] != "Active"

    run(scenario)


def test_a_silent_client_loses_its_orders_when_its_timer_runs_out() -> None:
    async def scenario(desk: Desk) -> None:
        peer = await desk.connect(cancelAfterSeconds=30)
        price = await desk.price()
        number = await desk.made(peer, "create:limit", "1", price=price)
        # Its machine has lost its power: nobody tells the server.
        desk.system.network.connections[0].drop()
        await asyncio.sleep(29)
        assert await desk.status(number) == "working"
        await asyncio.sleep(2)
        assert await desk.status(number) == "canceled"

    run(scenario)


def test_the_end_of_the_system_cancels_before_the_venue_ends() -> None:
    async def main() -> None:
        system = SimulatedSystem(seed=3, events_per_second=20, safety=True)
        async with system:
            await asyncio.sleep(1)
            desk = Desk(system)
            peer = await desk.connect(cancelAfterSeconds=3_000)
            number = await desk.made(peer, "create:limit", "1", price=await desk.price())
        rows = system.venue._hall.exchange.orders
        assert rows.get(int(number)) is not None
        assert int(number) not in rows.working

    run_virtual(main)
