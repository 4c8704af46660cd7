"""Gaps of streams whose next message says all: filled when it has come, and not before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tapewire.client.gap import GapState
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription
from tapewire.model import Book
from tapewire.simulation import run_virtual
from unit.client.stage import Request, Stage, accept_all, answer, data, settle, silence, staged

EMPTY = {"b": [], "a": [], "t": 1, "h": True}


def run(scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            await scenario(stage)

    run_virtual(main)


async def cut(stage: Stage) -> Request:
    """Cut the connection and return the request with which the only stream is restored."""
    count = len(stage.broker.requests)
    stage.network.cut()
    request = await stage.broker.asked(count + 1)
    await settle()
    return request


async def shown(stage: Stage, stream: Subscription[Book], request: Request) -> None:
    stage.broker.send(data(request["guid"], EMPTY))
    await settle()
    assert (await anext(stream)).time_ms == 1


def test_it_is_open_until_the_first_message_after_the_answer() -> None:
    async def scenario(stage: Stage) -> None:
        books = await stage.client.book("TEST").open()
        request = await cut(stage)
        assert books.state is SubscriptionState.ACTIVE
        (gap,) = stage.client.gaps
        assert (gap.state, gap.until) == (GapState.OPEN, None)
        await shown(stage, books, request)
        assert gap.state is GapState.FILLED
        assert gap.until is not None
        assert not stage.client.gaps.open

    run(scenario)


def test_a_message_before_the_answer_fills_it_with_the_answer() -> None:
    async def scenario(stage: Stage) -> None:
        books = await stage.client.book("TEST").open()
        stage.broker.reply = silence
        request = await cut(stage)
        await shown(stage, books, request)
        (gap,) = stage.client.gaps
        assert gap.state is GapState.OPEN
        stage.broker.send(answer(request["guid"]))
        await settle()
        assert gap.state is GapState.FILLED

    run(scenario)


def test_one_more_cut_before_the_first_message_goes_on_with_the_same_gap() -> None:
    async def scenario(stage: Stage) -> None:
        books = await stage.client.book("TEST").open()
        await cut(stage)
        request = await cut(stage)
        (gap,) = stage.client.gaps
        assert gap.state is GapState.OPEN
        await shown(stage, books, request)
        assert [one.state for one in stage.client.gaps] == [GapState.FILLED]

    run(scenario)


def test_a_stream_closed_before_its_first_message_leaves_its_gap() -> None:
    async def scenario(stage: Stage) -> None:
        books = await stage.client.book("TEST").open()
        await cut(stage)
        await books.close()
        (gap,) = stage.client.gaps
        assert (gap.state, gap.reason) == (GapState.LEFT, "the stream was closed")

    run(scenario)


@pytest.mark.parametrize("has_come", [False, True])
def test_a_successor_fills_the_gap_of_the_one_it_replaces(has_come: bool) -> None:
    async def scenario(stage: Stage) -> None:
        books = await stage.client.book("TEST").open()
        await cut(stage)
        feed = stage.fleet._feed_of[books]
        if has_come:
            stage.broker.reply = lambda request: [*accept_all(request), data(request["guid"], EMPTY)]
        assert await stage.fleet.replace(feed, feed.request, on_own_link=False)
        (gap,) = stage.client.gaps
        assert gap.state is (GapState.FILLED if has_come else GapState.OPEN)
        if not has_come:
            guid = stage.fleet._feed_of[books].guid
            stage.broker.send(data(guid, EMPTY))
            await settle()
        assert gap.state is GapState.FILLED
        assert (await anext(books)).time_ms == 1

    run(scenario)
