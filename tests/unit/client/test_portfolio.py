"""Portfolios read once over HTTP and watched as streams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from tapewire.client.buffer import Conflate, DropOldest, Fail
from tapewire.client.errors import ConnectError, RefusedError
from tapewire.client.portfolio import Portfolio
from tapewire.client.portfolio_choice import fitting
from tapewire.model import OrderStatus
from tapewire.simulation import run_virtual
from unit.client.rows import order_fields, order_row, stop_fields
from unit.client.stage import FakeHttp, Stage, data, staged

OF = "GET /md/v2/Clients/MOEX/D1"
POSITION = {"symbol": "TEST", "portfolio": "D1", "exchange": "MOEX", "qtyTFutureBatch": 3, "avgPrice": 10.25}


def run(scenario: Callable[[Stage, FakeHttp, Portfolio], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            http = FakeHttp()
            stage.http.listen("broker.test:443", http)
            await scenario(stage, http, stage.client.portfolio("D1"))

    run_virtual(main)


def test_everything_is_read_typed_and_exact() -> None:
    async def scenario(stage: Stage, http: FakeHttp, portfolio: Portfolio) -> None:
        http.answers |= {
            f"{OF}/orders": (200, [order_fields("7", price=300.1)]),
            f"{OF}/stoporders": (200, [stop_fields("8")]),
            f"{OF}/trades": (200, [{"id": "1", "orderno": "7", "price": 10.5}]),
            f"{OF}/positions": (200, [POSITION]),
            f"{OF}/summary": (200, {"buyingPower": 0.1, "commission": None}),
            f"{OF}/risk": (200, {"initialMargin": 5.5}),
            f"{OF}/fortsrisk": (200, {"moneyFree": 5.5}),
        }
        (order,) = await portfolio.orders()
        assert (order.id, order.price, order.status) == ("7", Decimal("300.1"), OrderStatus.WORKING)
        assert [stop.id for stop in await portfolio.stop_orders()] == ["8"]
        assert [fill.order_number for fill in await portfolio.fills()] == ["7"]
        assert [row.average_price for row in await portfolio.positions()] == [Decimal("10.25")]
        assert (await portfolio.summary()).buying_power == Decimal("0.1")
        assert (await portfolio.risk()).initial_margin == Decimal("5.5")
        assert (await portfolio.derivatives_risk()).money_free == Decimal("5.5")
        assert {query for _, _, query, _ in http.asked} == {"format=Simple"}

    run(scenario)


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"success"])
def test_what_is_no_list_is_an_error(body: bytes) -> None:
    async def scenario(stage: Stage, http: FakeHttp, portfolio: Portfolio) -> None:
        http.answers[f"{OF}/orders"] = 200, body
        with pytest.raises(ConnectError, match="this is no list of Order"):
            await portfolio.orders()

    run(scenario)


def test_refusals_carry_status_and_words() -> None:
    async def scenario(stage: Stage, http: FakeHttp, portfolio: Portfolio) -> None:
        http.answers[f"{OF}/risk"] = 403, {"code": "Forbidden", "message": "not you"}
        with pytest.raises(RefusedError, match="403 Forbidden: not you"):
            await portfolio.risk()
        http.answers[f"{OF}/summary"] = 200, b"[]"
        with pytest.raises(ConnectError, match="this is no Summary"):
            await portfolio.summary()

    run(scenario)


def test_a_reading_is_repeated_once_with_a_new_token() -> None:
    async def scenario(stage: Stage, http: FakeHttp, portfolio: Portfolio) -> None:
        http.answers[f"{OF}/positions"] = 401, {}
        with pytest.raises(RefusedError, match="401"):
            await portfolio.positions()
        assert (len(http.asked), stage.service.issued) == (2, 2)

    run(scenario)


STREAMS: list[tuple[Callable[[Portfolio], Any], str, Any]] = [
    (Portfolio.watch_orders, "OrdersGetAndSubscribeV2", Fail()),
    (Portfolio.watch_stop_orders, "StopOrdersGetAndSubscribeV2", Fail()),
    (Portfolio.watch_fills, "TradesGetAndSubscribeV2", Fail()),
    (Portfolio.watch_positions, "PositionsGetAndSubscribeV2", Fail()),
    (Portfolio.watch_summary, "SummariesGetAndSubscribeV2", Conflate()),
    (Portfolio.watch_risk, "RisksGetAndSubscribe", Conflate()),
    (Portfolio.watch_derivatives_risk, "SpectraRisksGetAndSubscribe", Conflate()),
]


@pytest.mark.parametrize(("watch", "opcode", "policy"), STREAMS, ids=[opcode for _, opcode, _ in STREAMS])
def test_each_stream_asks_for_the_portfolio_and_keeps_what_must_be_kept(
    watch: Callable[..., Any], opcode: str, policy: Any
) -> None:
    async def scenario(stage: Stage, http: FakeHttp, portfolio: Portfolio) -> None:
        assert watch(portfolio, buffer=DropOldest(3)).buffer.policy == DropOldest(3)
        async with watch(portfolio) as stream:
            assert stream.buffer.policy == policy
            request = stage.broker.requests[0]
            assert (request["opcode"], request["portfolio"], request["exchange"]) == (opcode, "D1", "MOEX")
            assert request["format"] == "Simple"

    run(scenario)


def test_rows_come_typed() -> None:
    async def scenario(stage: Stage, http: FakeHttp, portfolio: Portfolio) -> None:
        async with portfolio.watch_orders() as orders:
            stage.broker.send(data(stage.broker.subscribed[0], order_fields("7")))
            assert await anext(orders) == order_row("7")
            assert orders.name == "orders:D1"

    run(scenario)


@pytest.mark.parametrize(
    ("market", "names"),
    [
        ("FOND", ["D1", "d2"]),
        ("fond", ["D1", "d2"]),
        ("CURR", ["G1"]),
        ("FORTS", ["7500A"]),
        ("SPBX", ["D1", "d2"]),
        ("", []),
    ],
)
def test_portfolios_by_market(market: str, names: list[str]) -> None:
    assert fitting(["D1", "G1", "7500A", "E5", "d2"], market) == names
