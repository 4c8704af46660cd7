"""Client, gateway and venue, whole, in one process on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from tapewire import UNSET, Book, Format, Quote, RefusedError, Subscription, Trade
from tapewire.client.broker import Broker
from tapewire.simulation import LinkConditions, SimulatedSystem, run_virtual


async def take(stream: Subscription[Any], count: int) -> list[Any]:
    taken = []
    async for record in stream:
        taken.append(record)
        if len(taken) == count:
            break
    return taken


def in_system(work: Callable[[Broker], Awaitable[Any]], **settings: Any) -> Any:
    async def main() -> Any:
        async with SimulatedSystem(**settings) as system:
            async with system.connect() as broker:
                result = await work(broker)
            assert system.network.connections == ()
            assert system.gateway.connections == set()
            assert system.gateway.hub.topics == 0
            return result

    return run_virtual(main)


@pytest.mark.parametrize("message_format", list(Format))
def test_a_book_arrives_whole_uncrossed_and_first_as_existing(message_format: Format) -> None:
    async def work(broker: Broker) -> list[Book]:
        async with broker.book("SBER", depth=5, format=message_format) as books:
            return await take(books, 20)

    books = in_system(work)
    assert [book.existing for book in books] == [True] + [False] * 19
    for book in books:
        assert len(book.bids) == len(book.asks) == 5
        assert book.bids[0].price < book.asks[0].price
        assert (book.snapshot is UNSET) == (message_format is not Format.SIMPLE)
    assert all(older.time_ms <= newer.time_ms for older, newer in pairwise(books))


@pytest.mark.parametrize("message_format", list(Format))
def test_quotes_follow_the_book(message_format: Format) -> None:
    async def work(broker: Broker) -> list[Quote]:
        async with broker.quotes("GAZP", format=message_format) as quotes:
            return await take(quotes, 10)

    for quote in in_system(work):
        assert quote.symbol == "GAZP"
        assert quote.bid < quote.ask
        assert (quote.prev_close_price is UNSET) == (message_format is Format.SLIM)


def test_windows_keep_their_width() -> None:
    async def work(broker: Broker) -> list[float]:
        times = []
        async with broker.book("SBER", frequency_ms=200) as books:
            async for _ in books:
                times.append(asyncio.get_running_loop().time())
                if len(times) == 20:
                    return times
        raise AssertionError

    times = in_system(work, events_per_second=2_000)
    gaps = [newer - older for older, newer in pairwise(times[1:])]
    assert gaps == pytest.approx([0.2] * len(gaps), abs=0.0021)


def test_two_clients_see_the_same_trades_in_the_same_order() -> None:
    async def main() -> tuple[list[Trade], list[Trade]]:
        async with (
            SimulatedSystem(events_per_second=1_000, conditions=LinkConditions(latency_s=0.02)) as system,
            system.connect() as one,
            system.connect() as other,
            one.trades("SBER") as first,
            other.trades("SBER", format=Format.HEAVY) as second,
        ):
            return await asyncio.gather(take(first, 300), take(second, 300))

    first, second = run_virtual(main)
    # The later subscriber may have missed the first trades; from its first one on the tapes are equal.
    start = next(index for index, trade in enumerate(first) if trade.id == second[0].id)
    common = [(trade.id, trade.price, trade.quantity, trade.side) for trade in first[start:]]
    assert len(common) > 250
    assert common == [(trade.id, trade.price, trade.quantity, trade.side) for trade in second[: len(common)]]


def test_past_trades_come_first_and_the_live_ones_join_without_gap_or_duplicate() -> None:
    async def work(broker: Broker) -> tuple[list[Trade], list[Trade]]:
        async with broker.trades("SBER") as live:
            witnessed = await take(live, 200)
            async with broker.trades("SBER", depth=100) as joined:
                later = await take(joined, 150)
                witnessed += await take(live, 60)
        return witnessed, later

    witnessed, later = in_system(work, events_per_second=2_000)
    assert [trade.existing for trade in later] == [True] * 100 + [False] * 50
    ids = [trade.id for trade in later]
    assert ids == sorted(set(ids))
    seen = [trade.id for trade in witnessed if ids[0] <= trade.id <= ids[-1]]
    assert seen == ids[: len(seen)]
    assert len(seen) > 100


def test_the_same_seed_gives_the_same_run() -> None:
    async def work(broker: Broker) -> list[Any]:
        async with broker.trades("SBER") as trades, broker.book("GAZP") as books:
            return [*await take(trades, 100), *await take(books, 30)]

    assert in_system(work, seed=5) == in_system(work, seed=5)
    assert in_system(work, seed=5) != in_system(work, seed=6)


def test_an_unknown_symbol_is_refused_and_the_connection_lives_on() -> None:
    async def work(broker: Broker) -> Book:
        with pytest.raises(RefusedError, match="404 Unknown instrument MOEX:NOPE") as caught:
            await broker.book("NOPE").open()
        assert caught.value.code == 404
        async with broker.book("SBER") as books:
            return (await take(books, 1))[0]

    assert in_system(work).bids


def test_a_token_outlived_by_the_session_is_renewed_in_time() -> None:
    async def work(broker: Broker) -> tuple[str, str]:
        first = broker.access_token()
        async with broker.quotes("SBER", frequency_ms=60_000) as quotes:
            await asyncio.sleep(3_000)
            await take(quotes, 1)
        # Long after the first token has ended.
        async with broker.book("SBER") as books:
            await take(books, 1)
        return first, broker.access_token()

    async def main() -> tuple[str, str]:
        async with SimulatedSystem(symbols=1, events_per_second=1) as system, system.connect() as broker:
            return await work(broker)

    first, last = run_virtual(main, turns_max=20_000_000)
    assert first != last
