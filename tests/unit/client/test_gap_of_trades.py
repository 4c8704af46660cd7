"""Gaps of trades, which are fetched over HTTP: what a broker may say wrong costs no trade and repeats none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tapewire.client.events import GapClosedEvent, GapOpenedEvent
from tapewire.client.gap import GapState
from tapewire.client.states import SubscriptionState
from tapewire.simulation import run_virtual
from unit.client.stage import FakeHttp, Request, Stage, data, settle, staged, trade

PATH = "GET /md/v2/Securities/MOEX/TEST/alltrades"


def run(scenario: Callable[[Stage, FakeHttp], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            http = FakeHttp()
            stage.http.listen("broker.test:443", http)
            await scenario(stage, http)

    run_virtual(main)


async def cut(stage: Stage) -> Request:
    """Cut the connection and return the request with which the only stream is restored."""
    count = len(stage.broker.requests)
    stage.network.cut()
    request = await stage.broker.asked(count + 1)
    await settle()
    return request


def row(number: object) -> dict[str, object]:
    """One trade as HTTP tells it."""
    return {
        "id": number,
        "symbol": "TEST",
        "board": "TQBR",
        "price": 10.5,
        "qty": 1,
        "side": "buy",
        "timestamp": 1,
        "time": "1970-01-01T00:00:00Z",
        "oi": 0,
        "existing": False,
    }


def test_a_trade_without_a_number_leaves_the_gap_and_nothing_comes_twice_after_the_next() -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        trades = await stage.client.trades("TEST").open()
        stage.broker.send(data(stage.broker.subscribed[-1], trade(5)))
        await settle()
        http.answers[PATH] = (200, [row(6), row(None)])
        request = await cut(stage)
        stage.broker.send(data(request["guid"], trade(7)))
        await settle()
        (gap,) = stage.client.gaps
        assert gap.state is GapState.LEFT
        assert "a trade says no number" in gap.reason
        http.answers[PATH] = (200, [row(8)])
        request = await cut(stage)
        stage.broker.send(data(request["guid"], trade(9)))
        await settle()
        assert [asked[2] for asked in http.asked if "alltrades" in asked[1]][-1].startswith("take=5000")
        assert "fromId=8" in http.asked[-1][2]
        seen = []
        async for item in trades.with_gaps():
            seen.append(getattr(item, "id", None))
            if not trades.waiting:
                break
        assert seen == [5, None, 7, 8, 9]
        await trades.close()

    run(scenario)


@pytest.mark.parametrize("number", [None, "6", 6.5])
def test_a_live_trade_without_a_number_harms_nobody_while_late_ones_are_left_out(number: object) -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        trades = await stage.client.trades("TEST").open()
        stage.broker.send(data(stage.broker.subscribed[-1], trade(5)))
        await settle()
        http.answers[PATH] = (200, [row(6), row(7)])
        request = await cut(stage)
        odd = trade(0) | {"id": number}
        stage.broker.send(*(data(request["guid"], one) for one in (trade(6), odd, trade(8))))
        await settle()
        assert [(await anext(trades)).id for _ in range(3)] == [5, 6, 7]
        rest = [(await anext(trades)).id]
        while rest[-1] != 8:
            rest.append((await anext(trades)).id)
        assert len(rest) <= 2, "the odd one, if it could be read, and the next"
        assert trades.state is SubscriptionState.ACTIVE
        assert len(stage.broker.peers) == 2
        await trades.close()

    run(scenario)


def test_a_gap_that_was_told_when_it_opened_says_afterwards_what_it_said_then() -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        events = aiter(stage.client.events)
        http.answers[PATH] = (200, [])
        trades = await stage.client.trades("TEST").open()
        stage.broker.send(data(stage.broker.subscribed[-1], trade(5)))
        await settle()
        await cut(stage)
        await asyncio.sleep(1)
        await trades.close()
        stage.client.events.close()
        told = [event async for event in events if isinstance(event, GapOpenedEvent | GapClosedEvent)]
        assert [event.gap.state for event in told] == [GapState.OPEN, GapState.FILLED]
        assert told[0].gap.until is None

    run(scenario)


def test_messages_of_a_shared_stream_count_once_whoever_joins_or_leaves() -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        streams = [await stage.client.trades("TEST").open() for _ in range(5)]
        (feed,) = set(stage.fleet._feed_of.values())
        guid = stage.broker.subscribed[-1]
        stage.broker.send(*(data(guid, trade(number)) for number in range(3)))
        await settle()
        assert feed.received == 3
        await streams.pop(0).close()
        streams.append(await stage.client.trades("TEST").open())
        assert feed.received == 3
        stage.broker.send(data(guid, trade(4)))
        await settle()
        for stream in streams[:-1]:
            await stream.close()
            assert feed.received == 4
        stage.broker.send(data(guid, trade(5)))
        await settle()
        assert feed.received == 5
        await streams[-1].close()

    run(scenario)
