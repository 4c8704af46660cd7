"""The client's orders in the whole simulated system: accepted, rejected, unknown, resolved, never repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from tapewire import (
    Accepted,
    AllCanceled,
    Broker,
    GroupAccepted,
    GroupPolicy,
    NotSentError,
    OrderStatus,
    Rejected,
    TradingCode,
    Unknown,
)
from tapewire.faults import read_faults
from tapewire.simulation import SimulatedSystem, run_virtual

FAR = Decimal("280.00")
MINE = {"lots": 1, "price": FAR, "portfolio": "D70001"}


def run(scenario: Callable[[SimulatedSystem, Broker], Awaitable[None]], faults: str = "") -> None:
    async def main() -> None:
        plan = read_faults(faults) if faults else None
        async with (
            SimulatedSystem(seed=3, symbols=3, events_per_second=5, faults=plan) as system,
            system.connect() as broker,
        ):
            await scenario(system, broker)

    run_virtual(main)


async def working(broker: Broker) -> list[str]:
    return [str(row.id) for row in await broker.orders.list() if row.status == OrderStatus.WORKING]


def test_the_life_of_orders_is_told_by_results_streams_and_lists() -> None:
    async def scenario(system: SimulatedSystem, broker: Broker) -> None:
        orders, portfolio = broker.orders, broker.portfolio("D70001")
        async with portfolio.watch_orders() as rows, portfolio.watch_fills() as fills:
            placed = await orders.limit("SBER", "buy", lots=2, price=FAR)
            assert isinstance(placed, Accepted)
            assert ((row := await anext(rows)).id, row.status) == (placed.order_number, "working")
            replaced = await orders.replace(placed.order, price=FAR + 1)
            assert isinstance(replaced, Accepted)
            assert replaced.order_number != placed.order_number
            cancelled = await orders.cancel(replaced.order)
            assert isinstance(cancelled, Accepted)
            told = [((row := await anext(rows)).id, row.status, row.price) for _ in range(3)]
            assert told[-1] == (replaced.order_number, "canceled", FAR + 1)
            assert (placed.order_number, "canceled", FAR) in told
            bought = await orders.market("SBER", "buy", lots=1)
            assert isinstance(bought, Accepted)
            fill = await anext(fills)
            assert (fill.order_number, fill.quantity_lots, fill.side) == (bought.order_number, 1, "buy")
        held = {row.symbol: row.quantity_future_lots for row in await portfolio.positions()}
        assert held["SBER"] == 1
        again = await orders.cancel(replaced.order)
        assert isinstance(again, Rejected)
        assert again.trading_code == TradingCode.ORDER_TO_CANCEL_NOT_FOUND

    run(scenario)


def test_conditional_orders_groups_and_cancelling_all() -> None:
    async def scenario(system: SimulatedSystem, broker: Broker) -> None:
        orders = broker.orders
        stop = await orders.stop("SBER", "sell", lots=1, trigger_price=Decimal(280), allow_margin=True)
        limit = await orders.limit("SBER", "buy", lots=1, price=FAR)
        assert isinstance(stop, Accepted)
        assert isinstance(limit, Accepted)
        moved = await orders.replace(stop.order.number, trigger_price=Decimal(281))
        assert isinstance(moved, Accepted)
        group = await orders.groups.make([moved.order, limit.order], GroupPolicy.ON_EXECUTE_OR_CANCEL)
        assert isinstance(group, GroupAccepted)
        assert len((await orders.groups.get(group.group_id)).orders) == 2
        assert isinstance(await orders.cancel(limit.order), Accepted)
        assert await working(broker) == []
        assert isinstance(await orders.limit("SBER", "buy", lots=1, price=FAR), Accepted)
        assert isinstance(await orders.cancel_all("D70001"), AllCanceled)
        assert await working(broker) == []

    run(scenario)


def test_a_cut_before_the_answer_is_unknown_and_the_order_is_found_by_its_mark() -> None:
    async def scenario(system: SimulatedSystem, broker: Broker) -> None:
        unknown = await broker.orders.limit("SBER", "buy", **MINE)
        assert isinstance(unknown, Unknown)
        found = await unknown.resolve()
        assert isinstance(found, Accepted)
        await broker.orders.open()
        assert await working(broker) == [found.order_number]
        assert isinstance(await broker.orders.cancel(found.order), Accepted)

    # The first answer is that to ``authorize``.
    run(scenario, '[[fault]]\nkind = "cut"\non = "answer"\npath = "/cws"\nnth = 2\ntimes = 1')


def test_a_command_that_was_lost_with_its_connection_stays_unknown_and_is_not_repeated() -> None:
    async def scenario(system: SimulatedSystem, broker: Broker) -> None:
        await broker.orders.open()
        # Both directions are held: nothing that is sent arrives, and then the link is cut.
        for connection in system.network.connections:
            connection.stall()
        sending = asyncio.create_task(broker.orders.limit("SBER", "buy", **MINE))
        await asyncio.sleep(1)
        system.network.cut()
        unknown = await sending
        assert isinstance(unknown, Unknown)
        still = await unknown.resolve()
        assert isinstance(still, Unknown)
        assert "no order fits; the command may still be under way" in still.why
        await broker.orders.open()
        await asyncio.sleep(60)
        assert await working(broker) == []

    run(scenario)


def test_an_answer_that_never_comes_is_unknown_after_ten_seconds() -> None:
    async def scenario(system: SimulatedSystem, broker: Broker) -> None:
        await broker.orders.open()
        began = asyncio.get_running_loop().time()
        unknown = await broker.orders.limit("SBER", "buy", **MINE)
        assert isinstance(unknown, Unknown)
        assert asyncio.get_running_loop().time() - began == pytest.approx(10, abs=0.1)
        assert isinstance(await unknown.resolve(), Accepted)

    run(scenario, '[[fault]]\nkind = "no-answer"\npath = "/cws"\nnth = 2\ntimes = 1')


def test_a_late_answer_is_told_by_resolving() -> None:
    async def scenario(system: SimulatedSystem, broker: Broker) -> None:
        slow = asyncio.create_task(
            broker.orders.limit("SBER", "buy", lots=1, price=Decimal("0.01"), portfolio="D70001")
        )
        await asyncio.sleep(5)
        assert isinstance(await broker.orders.limit("SBER", "buy", **MINE), Accepted)
        unknown = await slow
        assert isinstance(unknown, Unknown)
        await asyncio.sleep(5)
        rejected = await unknown.resolve()
        assert isinstance(rejected, Rejected)
        assert rejected.trading_code == TradingCode.EXCHANGE_LIMIT_EXCEEDED

    run(scenario, '[[fault]]\nkind = "late-answer"\npath = "/cws"\nnth = 2\ntimes = 1\nby = "12s"')


def test_a_system_that_comes_back_takes_orders_again() -> None:
    async def scenario(system: SimulatedSystem, broker: Broker) -> None:
        assert isinstance(await broker.orders.limit("SBER", "buy", **MINE), Accepted)
        system.network.cut()
        await asyncio.sleep(0)
        with pytest.raises(NotSentError):
            await broker.orders.limit("SBER", "buy", **MINE)
        await broker.orders.open()
        assert isinstance(await broker.orders.limit("SBER", "buy", **MINE), Accepted)
        assert len(await working(broker)) == 2

    run(scenario)


def test_a_right_outlives_its_first_token_by_renewals() -> None:
    async def scenario(system: SimulatedSystem, broker: Broker) -> None:
        assert isinstance(await broker.orders.limit("SBER", "buy", **MINE), Accepted)
        await asyncio.sleep(1_900)
        assert isinstance(await broker.orders.limit("SBER", "buy", **MINE), Accepted)
        assert len(system.network.connections) == 2

    run(scenario)


def test_a_token_that_ends_early_costs_one_rejected_command() -> None:
    async def scenario(system: SimulatedSystem, broker: Broker) -> None:
        first = await broker.orders.limit("SBER", "buy", **MINE)
        await asyncio.sleep(30)
        second = await broker.orders.limit("SBER", "buy", **MINE)
        third = await broker.orders.limit("SBER", "buy", **MINE)
        assert [type(result) for result in (first, second, third)] == [Accepted, Rejected, Accepted]
        assert isinstance(second, Rejected)
        assert second.code == 401

    run(scenario, '[[fault]]\nkind = "token-expiry"\nafter = "20s"\npath = "/cws"\ntimes = 1')
