"""Orders of a user in the whole system: through the gateway into the embedded venue's books, and back."""

from __future__ import annotations

import json

from tapewire.simulation import SimulatedSystem, run_virtual
from tapewire.simulation.system import HOST_PORT, REFRESH_TOKEN
from unit.gateway.world import BOOK, Peer

SBER = {"symbol": "SBER", "exchange": "MOEX"}
USER = {"user": {"portfolio": "D70001"}}
ORDER = USER | {"side": "buy", "quantity": 7, "instrument": SBER}
STOP = ORDER | {"condition": "less", "triggerPrice": 250, "stopEndUnixTime": 0}


def test_an_order_rests_in_the_book_until_it_is_cancelled() -> None:
    async def main() -> None:
        async with SimulatedSystem(seed=3, events_per_second=20) as system:
            token = system.tokens.refresh(REFRESH_TOKEN)
            assert token is not None
            orders, market = Peer(token), Peer(token)
            for path, peer in (("/cws", orders), ("/ws", market)):
                await system.network.connector().connect(f"ws://{HOST_PORT}{path}", peer, timeout_s=10)
            assert await market.asked(BOOK, "b", depth=1) == 200
            await market.until(lambda: market.data("b"))
            best = market.data("b")[-1]["asks"][0]["price"]
            # Better than all buyers, and a step below the sellers: it is the best bid at once.
            price = round(best - 0.01, 2)
            assert await orders.ask("authorize", "a") == 200
            orders.send("create:limit", "c", price=price, timeInForce="bookorcancel", **ORDER)
            made = await orders.answer("c")
            assert made["httpCode"] == 200
            orders.send("create:limit", "c", price=price, **ORDER)
            repeated = await orders.answer("c")
            assert (repeated["httpCode"], repeated["orderNumber"]) == (400, made["orderNumber"])
            number = made["orderNumber"]
            delete = USER | {"orderId": number, "exchange": "MOEX"}
            orders.send("delete:limit", "d", **delete)
            deleted = await orders.answer("d")
            # Somebody may have taken it meanwhile.
            assert deleted["httpCode"] in (200, 400)
            orders.send("delete:limit", "e", **delete)
            gone = await orders.answer("e")
            assert gone["httpCode"] == 400
            assert gone["message"].startswith("OrderToCancelNotFound (404): ")

    run_virtual(main)


def test_a_conditional_order_is_kept_and_a_price_off_the_step_is_refused() -> None:
    async def main() -> None:
        async with SimulatedSystem(seed=3, events_per_second=20) as system:
            token = system.tokens.refresh(REFRESH_TOKEN)
            assert token is not None
            peer = Peer(token)
            await system.network.connector().connect(f"ws://{HOST_PORT}/cws", peer, timeout_s=10)
            assert await peer.ask("authorize", "a") == 200
            peer.send("create:stop", "s", **STOP)
            kept = await peer.answer("s")
            assert kept["httpCode"] == 200
            peer.send("create:limit", "off", price=300.005, **ORDER)
            off_step = await peer.answer("off")
            assert off_step["message"].startswith("InternalErrorWithPrices (409): ")
            answer = await system.http.request(
                "GET",
                f"http://{HOST_PORT}/md/v2/Clients/MOEX/D70001/stoporders",
                headers={"Authorization": f"Bearer {token}"},
                timeout_s=10,
            )
            assert answer.status == 200
            (row,) = json.loads(answer.body)
            assert (row["id"], row["status"], row["stopPrice"]) == (kept["orderNumber"], "working", 250)

    run_virtual(main)
