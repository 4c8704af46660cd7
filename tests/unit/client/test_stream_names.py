"""Streams of one name: numbered while there is need, and called the same wherever they are told of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tapewire.client.buffer import DropOldest
from tapewire.client.errors import RefusedError
from tapewire.client.events import OverflowEvent
from tapewire.client.stream_names import StreamNames
from tapewire.simulation import run_virtual
from unit.client.stage import Stage, answer, data, staged, trade


def run(scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            await scenario(stage)

    run_virtual(main)


def test_a_number_is_given_once_until_all_of_the_name_are_gone() -> None:
    names = StreamNames()
    assert [names.take("book:A"), names.take("book:A"), names.take("book:B")] == ["book:A", "book:A#2", "book:B"]
    names.give_back("book:A")
    assert names.take("book:A") == "book:A#3"
    names.give_back("book:A")
    names.give_back("book:A")
    assert [names.take("book:A"), names.take("book:B")] == ["book:A", "book:B#2"]


def test_losses_say_which_of_several_consumers_was_too_slow() -> None:
    async def scenario(stage: Stage) -> None:
        events = aiter(stage.client.events)
        first = await stage.client.trades("TEST").open()
        second = await stage.client.trades("TEST", buffer=DropOldest(1)).open()
        past = await stage.client.trades("TEST", depth=5).open()
        assert [status.name for status in stage.client.streams] == [
            "trades:TEST",
            "trades:TEST#2",
            "trades:TEST#3",
        ]
        assert [one.name for one in (first, second, past)] == ["trades:TEST", "trades:TEST#2", "trades:TEST#3"]
        stage.broker.send(*(data(stage.broker.subscribed[0], trade(number)) for number in range(5)))
        overflow = await anext(events)
        while not isinstance(overflow, OverflowEvent):
            overflow = await anext(events)
        assert (overflow.stream, overflow.dropped) == ("trades:TEST#2", 4)
        for stream in (first, second, past):
            await stream.close()
        assert (await stage.client.trades("TEST").open()).name == "trades:TEST"

    run(scenario)


def test_gaps_have_the_name_of_the_first_that_is_there() -> None:
    async def scenario(stage: Stage) -> None:
        first = await stage.client.book("TEST").open()
        await stage.client.book("TEST").open()
        other = await stage.client.book("TEST", depth=5).open()
        assert other.name == "book:TEST#3"
        await first.close()
        stage.network.cut()
        await stage.broker.asked(4)
        assert sorted(gap.stream for gap in stage.client.gaps) == ["book:TEST#2", "book:TEST#3"]

    run(scenario)


def test_a_stream_that_was_refused_leaves_its_name() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = lambda request: [answer(request["guid"], 404, "no such instrument")]
        for _ in range(2):
            trades = stage.client.trades("TEST")
            with pytest.raises(RefusedError):
                await trades.open()
            assert trades.name == "trades:TEST"
        assert stage.fleet._names._uses == {}

    run(scenario)
