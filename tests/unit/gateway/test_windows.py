"""The timing wheel: on time, in order, one timer armed, nobody forgotten."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tapewire.gateway.windows import Windows
from tapewire.simulation import VirtualTimeLoop, run_virtual

TICK_S = 0.001


def armed_timers() -> int:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return sum(not handle.cancelled() for handle in loop._scheduled)


def test_a_callback_comes_at_its_time_or_within_a_tick() -> None:
    async def main() -> None:
        windows = Windows(asyncio.get_running_loop())
        source = random.Random(1)
        due = [source.uniform(0, 2) for _ in range(500)] + [0.175, 0.025, 1.0, 0.5]
        late: list[float] = []
        for when in due:
            windows.wake_at(when, lambda when=when: late.append(windows.now() - when))
        await asyncio.sleep(3)
        assert len(late) == len(due)
        assert all(-1e-9 <= seconds <= TICK_S + 1e-9 for seconds in late)

    run_virtual(main)


def test_ten_thousand_feeds_arm_one_timer() -> None:
    async def main() -> None:
        windows = Windows(asyncio.get_running_loop())
        woken: list[int] = []
        for number in range(10_000):
            windows.wake_at(0.010 + number % 500 / 1000, lambda number=number: woken.append(number))
        assert armed_timers() == 1
        await asyncio.sleep(0.2)
        assert armed_timers() == 1
        await asyncio.sleep(1)
        assert len(woken) == 10_000
        assert armed_timers() == 0

    run_virtual(main)


def test_callbacks_come_in_the_order_of_their_ticks_and_of_their_asking() -> None:
    async def main() -> None:
        windows = Windows(asyncio.get_running_loop())
        woken: list[str] = []
        for name, when in (("c", 0.3), ("a", 0.1), ("b", 0.2), ("a2", 0.1), ("c2", 0.3)):
            windows.wake_at(when, lambda name=name: woken.append(name))
        await asyncio.sleep(1)
        assert woken == ["a", "a2", "b", "c", "c2"]

    run_virtual(main)


def test_a_callback_that_asks_again_delays_nobody() -> None:
    async def main() -> None:
        windows = Windows(asyncio.get_running_loop())
        woken: list[tuple[str, float]] = []

        def again() -> None:
            woken.append(("first", windows.now()))
            windows.wake_at(0.9, lambda: woken.append(("again", windows.now())))

        windows.wake_at(0.1, again)
        windows.wake_at(0.2, lambda: woken.append(("second", windows.now())))
        await asyncio.sleep(2)
        assert [name for name, _ in woken] == ["first", "second", "again"]
        assert [when for _, when in woken] == pytest.approx([0.1, 0.2, 0.9], abs=TICK_S * 1.01)

    run_virtual(main)


def test_a_callback_that_raises_is_reported_and_harms_nobody_else() -> None:
    async def main() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        windows = Windows(asyncio.get_running_loop())
        woken: list[str] = []

        def broken() -> None:
            raise ValueError("broken feed")

        windows.wake_at(0.1, broken)
        windows.wake_at(0.1, lambda: woken.append("same tick"))
        windows.wake_at(0.2, lambda: woken.append("later"))
        await asyncio.sleep(1)
        assert woken == ["same tick", "later"]
        assert [str(context["exception"]) for context in reported] == ["broken feed"]

    run_virtual(main)


def test_nobody_is_woken_after_close() -> None:
    async def main() -> None:
        windows = Windows(asyncio.get_running_loop())
        windows.wake_at(0.1, lambda: pytest.fail("woken"))
        windows.close()
        assert armed_timers() == 0
        await asyncio.sleep(1)

    run_virtual(main)


def test_what_is_forgotten_leaves_nothing_behind() -> None:
    async def main() -> None:
        windows = Windows(asyncio.get_running_loop())

        def wake() -> None:
            raise AssertionError

        kept: list[float] = []
        windows.wake_at(3_000, lambda: kept.append(windows.now()))
        for hour_ms in range(2_000_000, 2_050_000):
            windows.forget(windows.wake_at(hour_ms / 1000, wake), wake)
        assert len(windows._due) == 1
        assert len(windows._ticks) < 100
        await asyncio.sleep(3_500)
        assert kept == pytest.approx([3_000], abs=0.002)
        assert windows.ended == 1

    run_virtual(main)
