"""The embedded venue over HTTP, whole and on virtual time: what one endpoint says, the others say too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlencode

from tapewire.gateway.http.market import MARKET_ENDPOINTS
from tapewire.simulation import START_NS, SimulatedSystem, run_virtual
from tapewire.simulation.system import HOST_PORT, REFRESH_TOKEN

START_S = START_NS // 1_000_000_000
#: More than what is hidden from those without a token.
MINUTES = 18

Get = Callable[..., Coroutine[Any, Any, Any]]


def in_system(work: Callable[[SimulatedSystem, Get], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with SimulatedSystem(events_per_second=40) as system:
            token = system.tokens.refresh(REFRESH_TOKEN)

            async def get(path: str, *, shown: bool = True, **query: Any) -> Any:
                url = f"http://{HOST_PORT}{path}?{urlencode(query)}"
                headers = {"Authorization": f"Bearer {token}"} if shown else None
                answer = await system.http.request("GET", url, headers=headers, timeout_s=60)
                assert answer.status == 200, answer.body
                return json.loads(answer.body)

            await asyncio.sleep(MINUTES * 60)
            await work(system, get)

    run_virtual(main)


def test_quote_book_trades_and_bars_agree_with_each_other() -> None:
    async def work(system: SimulatedSystem, get: Get) -> None:
        where = "/md/v2/Securities/MOEX/SBER/alltrades"
        (quote,) = await get("/md/v2/Securities/MOEX:SBER/quotes")
        book = await get("/md/v2/orderbooks/MOEX/SBER", depth=50)
        (newest,) = await get(where, descending="true", take=1)
        bars = await get(
            "/md/v2/history", symbol="SBER", exchange="MOEX", tf=3600, **{"from": START_S, "to": 2**40}
        )
        assert (quote["bid"], quote["ask"]) == (book["bids"][0]["price"], book["asks"][0]["price"])
        assert newest["price"] == quote["last_price"] == bars["history"][-1]["close"]
        # The venue began at the full hour.
        trades = await get(where, **{"from": START_S})
        assert sum(trade["qty"] for trade in trades) == bars["history"][-1]["volume"]
        history = await get(f"{where}/history", limit=10)
        assert all(trade["id"] < trades[0]["id"] for trade in history["list"])

    in_system(work)


def test_without_a_token_the_same_market_is_seen_a_quarter_of_an_hour_late() -> None:
    async def work(system: SimulatedSystem, get: Get) -> None:
        now_s = START_S + MINUTES * 60
        horizon_s = (now_s - 900) // 60 * 60
        query = {"symbol": "SBER", "exchange": "MOEX", "tf": 60, "from": START_S, "to": 2**40}
        live = await get("/md/v2/history", **query)
        late = await get("/md/v2/history", shown=False, **query)
        assert late["history"] == [bar for bar in live["history"] if bar["time"] + 60 <= horizon_s]
        assert late["next"] is None
        assert 0 < len(late["history"]) < len(live["history"])
        (quote,) = await get("/md/v2/Securities/MOEX:SBER/quotes", shown=False)
        assert quote["last_price"] == late["history"][-1]["close"]
        assert quote["last_price_timestamp"] < horizon_s
        known = await get("/md/v2/Securities/MOEX/SBER/alltrades", to=horizon_s - 1)
        assert (known[-1]["price"], known[-1]["timestamp"] // 1_000) == (
            quote["last_price"],
            quote["last_price_timestamp"],
        )
        assert (quote["bid"], quote["ask"]) == (None, None)
        assert await get("/md/v2/time", shown=False) == await get("/md/v2/time") - 900

    in_system(work)


def test_every_endpoint_answers() -> None:
    async def work(system: SimulatedSystem, get: Get) -> None:
        query = {"riskCategoryId": 1, "symbol": "GAZP", "exchange": "MOEX", "tf": "3600", "from": 0, "to": 2**40}
        for endpoint in MARKET_ENDPOINTS:
            symbol = "Si" if endpoint.path.endswith("actualFuturesQuote") else "GAZP"
            path = endpoint.path.format(exchange="MOEX", symbol=symbol, symbols="MOEX:GAZP", market="FOND")
            for message_format in ("Simple", "Slim", "Heavy"):
                assert await get(path, **(query | {"limit": 5, "format": message_format})), path

    in_system(work)
