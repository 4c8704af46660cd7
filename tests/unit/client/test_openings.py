"""Thousands of streams that are opened at once: some at a time, and nobody is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tapewire.client.errors import ClosedError, TapewireError
from tapewire.client.fleet import OPENINGS_MAX
from tapewire.client.states import SubscriptionState
from tapewire.simulation import run_virtual
from unit.client.stage import Request, Stage, accept_all, settle, silence, staged

MANY = 3 * OPENINGS_MAX


def run(scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            await scenario(stage)

    run_virtual(main)


def test_many_are_opened_in_turns_in_their_order() -> None:
    async def scenario(stage: Stage) -> None:
        most = 0

        def look(request: Request) -> list[bytes]:
            nonlocal most
            states = [feed.state for feed in stage.fleet._link_of]
            most = max(most, states.count(SubscriptionState.PENDING))
            return accept_all(request)

        stage.broker.reply = look
        streams = [stage.client.quotes(f"S{number}") for number in range(MANY)]
        await asyncio.gather(*(stream.open() for stream in streams))
        assert 0 < most <= OPENINGS_MAX
        assert [status.name for status in stage.client.streams] == [stream.name for stream in streams]
        assert [request["code"] for request in stage.broker.requests] == [f"S{number}" for number in range(MANY)]

    run(scenario)


def test_what_concerns_a_portfolio_and_what_is_there_already_wait_behind_nobody() -> None:
    async def scenario(stage: Stage) -> None:
        first = await stage.client.quotes("FIRST").open()
        stage.broker.reply = lambda request: accept_all(request) if "portfolio" in request else []
        opening = [asyncio.create_task(stage.client.quotes(f"S{number}").open()) for number in range(MANY)]
        await settle()
        joined = await stage.client.quotes("FIRST").open()
        orders = await stage.client.portfolio("D1").watch_orders().open()
        assert {one.state for one in (first, joined, orders)} == {SubscriptionState.ACTIVE}
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)

    run(scenario)


@pytest.mark.parametrize("end", ["cancelled", "closed", "broker closed", "not answered"])
def test_whoever_waits_for_a_turn_is_told_the_end(end: str) -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = silence
        streams = [stage.client.quotes(f"S{number}") for number in range(MANY)]
        opening = [asyncio.create_task(stream.open()) for stream in streams]
        await settle()
        assert streams[-1].state is SubscriptionState.NEW
        if end == "cancelled":
            for task in opening:
                task.cancel()
        elif end == "closed":
            for stream in streams:
                await stream.close()
        elif end == "broker closed":
            await stage.client.close()
        results = await asyncio.gather(*opening, return_exceptions=True)
        wanted: type[BaseException] = asyncio.CancelledError if end == "cancelled" else TapewireError
        assert all(isinstance(result, wanted) for result in results)
        if end in ("closed", "broker closed"):
            assert all(isinstance(result, ClosedError) for result in results)
        if end != "broker closed":
            assert {stream.state for stream in streams} == {SubscriptionState.CLOSED}
            # The turns are given back.
            stage.broker.reply = accept_all
            assert (await stage.client.quotes("LAST").open()).state is SubscriptionState.ACTIVE

    run(scenario)
