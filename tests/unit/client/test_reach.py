"""Connections that wait hear of it when another has got through."""

from __future__ import annotations

import asyncio
import random

import pytest

from tapewire.client.reach import WOKEN_SPREAD_S, Reach
from tapewire.simulation import run_virtual


def now() -> float:
    return asyncio.get_running_loop().time()


def test_who_waits_tries_shortly_after_another_has_got_through() -> None:
    async def scenario() -> None:
        reach = Reach(random.Random(1))
        ended: list[float] = []

        async def wait(who: int) -> None:
            await reach.pause(who, 30)
            ended.append(now() - 2)

        waits = [asyncio.create_task(wait(number)) for number in range(5)]
        await asyncio.sleep(2)
        reach.got_through()
        await asyncio.gather(*waits)
        assert all(0 <= at <= WOKEN_SPREAD_S for at in ended)
        assert len(set(ended)) > 1

    run_virtual(scenario)


def test_nobody_waits_longer_for_being_woken_nor_without_it() -> None:
    async def scenario() -> None:
        reach = Reach(random.Random(1))
        wait = asyncio.create_task(reach.pause("a", 2.0))
        await asyncio.sleep(1.99)
        reach.got_through()
        await wait
        assert now() == pytest.approx(2.0)
        await reach.pause("b", 5)
        assert now() == pytest.approx(7.0)

    run_virtual(scenario)


def test_one_that_was_woken_waits_its_time_until_it_has_held() -> None:
    async def scenario() -> None:
        reach = Reach(random.Random(1))
        for wakes in (True, False, False):
            began = now()
            wait = asyncio.create_task(reach.pause("a", 20))
            await asyncio.sleep(1)
            reach.got_through()
            await wait
            assert (now() - began < 2) is wakes
        reach.held("a")
        began = now()
        wait = asyncio.create_task(reach.pause("a", 20))
        await asyncio.sleep(1)
        reach.got_through()
        await wait
        assert now() - began < 2

    run_virtual(scenario)


def test_a_pause_that_is_cancelled_leaves_nothing() -> None:
    async def scenario() -> None:
        reach = Reach(random.Random(1))
        wait = asyncio.create_task(reach.pause("a", 20))
        await asyncio.sleep(1)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        assert not reach._waiting

    run_virtual(scenario)
