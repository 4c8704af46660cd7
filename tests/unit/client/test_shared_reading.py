"""One reading for all who want it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tapewire.client.errors import ConnectError
from tapewire.client.shared_reading import SharedReading
from tapewire.simulation import run_virtual


class Source:
    """Says after a second how often it was read, or fails."""

    def __init__(self) -> None:
        self.read = 0
        self.fails = False

    async def __call__(self) -> int:
        self.read += 1
        number = self.read
        await asyncio.sleep(1)
        if self.fails:
            raise ConnectError("https://broker.test/orders", "refused")
        return number


def run(scenario: Callable[[SharedReading[int], Source], Awaitable[None]]) -> None:
    async def main() -> None:
        source = Source()
        reading = SharedReading(source)
        await scenario(reading, source)
        assert reading.wanted == 0

    run_virtual(main)


def test_who_comes_while_it_is_read_shares_the_next_reading() -> None:
    async def scenario(reading: SharedReading[int], source: Source) -> None:
        first = asyncio.create_task(reading.get())
        await asyncio.sleep(0.5)
        others = await asyncio.gather(*(reading.get() for _ in range(20)))
        # What it shows began after it was asked for.
        assert (await first, set(others)) == (1, {2})
        assert await reading.get() == 3

    run(scenario)


def test_a_failure_is_told_to_all_who_share_it() -> None:
    async def scenario(reading: SharedReading[int], source: Source) -> None:
        source.fails = True
        began_s = asyncio.get_running_loop().time()
        errors = await asyncio.gather(*(reading.get() for _ in range(20)), return_exceptions=True)
        assert {str(error) for error in errors} == {"cannot connect to https://broker.test/orders: refused"}
        assert len({id(error) for error in errors}) == 20
        assert (source.read, asyncio.get_running_loop().time() - began_s) == (2, pytest.approx(2))

    run(scenario)


def test_who_gives_up_takes_nothing_from_the_others() -> None:
    async def scenario(reading: SharedReading[int], source: Source) -> None:
        first, *others = [asyncio.create_task(reading.get()) for _ in range(5)]
        await asyncio.sleep(0.5)
        first.cancel()
        assert await asyncio.gather(*others) == [2] * 4

    run(scenario)
