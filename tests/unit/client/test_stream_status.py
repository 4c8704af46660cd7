"""What can be seen of a stream and of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tapewire.client.buffer import DropOldest
from tapewire.client.states import SubscriptionState
from tapewire.protocol.words import Format
from tapewire.simulation import run_virtual
from unit.client.stage import Stage, data, settle, silence, staged, trade

ACTIVE, RESTORING, PENDING = SubscriptionState.ACTIVE, SubscriptionState.RESTORING, SubscriptionState.PENDING


def run(scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            await scenario(stage)

    run_virtual(main)


def test_a_stream_says_since_when_it_is_active_and_counts() -> None:
    async def scenario(stage: Stage) -> None:
        trades = stage.client.trades("TEST", buffer=DropOldest(2))
        assert trades.active_since is None
        before = stage.fleet.now()
        await trades.open()
        opened = trades.active_since
        assert opened is not None
        assert before <= opened <= stage.fleet.now()
        guid = stage.broker.subscribed[0]
        stage.broker.send(*(data(guid, trade(number)) for number in range(3)), data(guid, {"id": "x"}))
        await settle()
        assert (trades.received, trades.dropped, trades.waiting, trades.malformed) == (4, 2, 2, 0)
        await anext(trades)
        waiting = asyncio.ensure_future(anext(trades))
        await settle()
        assert (trades.waiting, trades.malformed) == (0, 1)
        stage.network.cut()
        await stage.broker.until(lambda: trades.state is RESTORING)
        assert trades.active_since is None
        await stage.broker.asked(2)
        await settle()
        assert trades.active_since is not None
        assert trades.active_since > opened
        waiting.cancel()
        await trades.close()
        assert trades.active_since is None

    run(scenario)


def test_the_overview_has_all_streams_that_are_wanted_in_the_order_of_opening() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.client.streams == ()
        one = await stage.client.trades("TEST").open()
        other = await stage.client.trades("TEST").open()
        quotes = await stage.client.quotes("OTHER").open()
        stage.broker.reply = silence
        opening = asyncio.create_task(stage.client.book("TEST").open())
        await stage.broker.asked(3)
        stage.broker.send(data(stage.broker.subscribed[0], trade(1)))
        await settle()
        rows = stage.client.streams
        assert [(row.name, row.state, row.format, row.sharing, row.received, row.waiting) for row in rows] == [
            ("trades:TEST", ACTIVE, Format.SLIM, 2, 1, 1),
            ("trades:TEST#2", ACTIVE, Format.SLIM, 2, 1, 1),
            ("quotes:OTHER", ACTIVE, Format.SIMPLE, 1, 0, 0),
            ("book:TEST", PENDING, Format.SLIM, 1, 0, 0),
        ]
        assert {row.connection for row in rows} == {1}
        assert (
            str(rows[0]) == "trades:TEST active since 07:00:00 UTC: 1 received, 0 dropped, 0 malformed, 1 waiting"
        )
        assert str(rows[3]) == "book:TEST pending: 0 received, 0 dropped, 0 malformed, 0 waiting"
        opening.cancel()
        await asyncio.wait([opening])
        for stream in (one, other, quotes):
            await stream.close()
        assert stage.client.streams == ()

    run(scenario)
