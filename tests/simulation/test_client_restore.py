"""A client whose connections are cut again and again: what it wanted comes back, nothing is missed in silence."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import TypeVar

import pytest

from tapewire.client.broker import Broker
from tapewire.client.command_result import Accepted
from tapewire.client.events import RestoredEvent
from tapewire.client.gap import GapState
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription
from tapewire.model import Fill, Order, Record, Topic, TopicKind, Trade
from tapewire.ports.query import TradesFilter
from tapewire.simulation import SimulatedSystem, run_virtual

DEADLINE_S = 120
R = TypeVar("R", bound=Record)


async def _collect(stream: Subscription[R], into: list[R]) -> None:
    async for records in stream.batches():
        into += records


async def _all_trades(system: SimulatedSystem, since_id: int) -> list[Trade]:
    topic = Topic(TopicKind.TRADES, "MOEX", "SBER", "TQBR")
    found = await system.venue.trades(topic, TradesFilter(from_id=since_id, limit=50_000))
    return list(found.trades)


@pytest.mark.parametrize("seed", range(6))
def test_every_trade_comes_once_over_any_cuts(seed: int) -> None:
    async def scenario() -> None:
        rng = random.Random(seed)
        async with (
            SimulatedSystem(seed=seed, events_per_second=2_000) as system,
            system.connect() as broker,
            broker.trades("SBER") as tape,
        ):
            got: list[Trade] = []
            collecting = asyncio.create_task(_collect(tape, got))
            await asyncio.sleep(2)
            for _ in range(4):
                system.network.cut()
                await asyncio.sleep(rng.choice((0.1, 0.7, 5.0, 40.0)))
            async with asyncio.timeout(DEADLINE_S):
                while tape.state is not SubscriptionState.ACTIVE or broker.gaps.open:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            await asyncio.sleep(3)
            ids = [trade.id for trade in got]
            happened = [trade.id for trade in await _all_trades(system, ids[0])]
            assert ids == happened[: len(ids)], "none missed, none twice, in order"
            assert len(happened) - len(ids) < 100
            assert broker.gaps.left == 0
            assert broker.gaps.filled >= 1
            assert any(trade.existing for trade in got), "some were fetched"
            collecting.cancel()

    run_virtual(scenario())


def test_what_happened_to_orders_in_a_gap_is_told_and_nothing_twice() -> None:
    async def scenario() -> None:
        async with SimulatedSystem(seed=3) as system, system.connect() as broker:
            portfolio = broker.portfolio("D70001")
            orders: list[Order] = []
            fills: list[Fill] = []
            async with portfolio.watch_orders() as order_stream, portfolio.watch_fills() as fill_stream:
                tasks = [
                    asyncio.create_task(_collect(order_stream, orders)),
                    asyncio.create_task(_collect(fill_stream, fills)),
                ]
                await asyncio.sleep(1)
                quote = await _price(broker)
                first = await broker.orders.limit("SBER", "buy", lots=1, price=quote - 5, portfolio="D70001")
                second = await broker.orders.limit("SBER", "buy", lots=1, price=quote - 6, portfolio="D70001")
                assert isinstance(first, Accepted)
                assert isinstance(second, Accepted)
                await asyncio.sleep(1)
                before = list(orders)
                system.network.cut()
                await asyncio.sleep(0.01)
                async with system.connect() as other:
                    await other.orders.cancel(first.order.number, portfolio="D70001")
                    await other.orders.market("SBER", "buy", lots=2, portfolio="D70001")
                    await asyncio.sleep(60)
                assert order_stream.state is SubscriptionState.ACTIVE
                new = orders[len(before) :]
                assert first.order.number in {row.id for row in new}, "it was cancelled in the gap"
                assert second.order.number not in {row.id for row in new}, "nothing has happened to it"
                assert sum(fill.quantity_lots for fill in fills) == 2
                keys = [(fill.id, fill.order_number) for fill in fills]
                assert len(set(keys)) == len(keys)
                for task in tasks:
                    task.cancel()

    run_virtual(scenario())


async def _price(broker: Broker) -> Decimal:
    async with broker.quotes("SBER") as quotes:
        return Decimal(str((await anext(quotes)).last_price))


def test_a_server_that_is_gone_for_long_is_told_of_and_all_comes_back() -> None:
    async def scenario() -> None:
        async with SimulatedSystem(seed=5) as system, system.connect() as broker:
            events = aiter(broker.events)
            books = [
                await broker.book(symbol, depth=depth).open() for symbol in ("SBER", "GAZP") for depth in (5, 10)
            ]
            system.network.cut()
            restored = None
            async with asyncio.timeout(DEADLINE_S):
                async for event in events:
                    if isinstance(event, RestoredEvent):
                        restored = event
                        break
            assert restored is not None
            assert (restored.ok, restored.refused) == (4, 0)
            closed = [gap for gap in broker.gaps if gap.state is GapState.FILLED]
            assert len(closed) == 4
            for stream in books:
                await anext(stream)
                await stream.close()

    run_virtual(scenario())
