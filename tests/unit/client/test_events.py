"""The stream of events: all who listen get all, in order; who does not take them loses the oldest, counted."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tapewire.client.events import EVENTS_KEPT_MAX, Event, Events, RefusedEvent
from tapewire.simulation import run_virtual


def event(number: int) -> Event:
    return RefusedEvent(stream="trades:A", code=number, text="no")


def codes(events: list[Event]) -> list[int]:
    return [each.code for each in events if isinstance(each, RefusedEvent)]


def test_each_listener_gets_all_from_when_it_began_and_ends_with_the_broker() -> None:
    async def main() -> None:
        events = Events()
        first = aiter(events)
        events.tell(event(1))
        second = aiter(events)
        events.tell(event(2))
        events.close()
        assert codes([each async for each in first]) == [1, 2]
        assert codes([each async for each in second]) == [2]
        assert events.count == 2

    run_virtual(main)


def test_who_waits_is_woken_by_an_event_and_by_the_end() -> None:
    async def main() -> None:
        events = Events()
        listener = aiter(events)
        waiting = asyncio.ensure_future(anext(listener))
        await asyncio.sleep(1)
        events.tell(event(1))
        assert codes([await waiting]) == [1]
        waiting = asyncio.ensure_future(anext(listener))
        await asyncio.sleep(1)
        events.close()
        with pytest.raises(StopAsyncIteration):
            await waiting

    run_virtual(main)


def test_who_begins_after_the_end_does_not_wait_for_ever() -> None:
    async def main() -> None:
        events = Events()
        events.close()
        async with asyncio.timeout(1):
            assert [each async for each in events] == []

    run_virtual(main)


def test_one_that_takes_nothing_loses_the_oldest_and_the_count_says_so() -> None:
    async def main() -> None:
        events = Events()
        listener = aiter(events)
        for number in range(EVENTS_KEPT_MAX + 3):
            events.tell(event(number))
        assert events.dropped == 3
        events.close()
        assert codes([each async for each in listener])[0] == 3

    run_virtual(main)


def test_who_leaves_the_loop_is_forgotten() -> None:
    async def main() -> None:
        events = Events()
        for number in range(10):
            waiting = asyncio.ensure_future(anext(aiter(events)))
            await asyncio.sleep(1)
            events.tell(event(number))
            await waiting
            del waiting
        gc.collect()
        assert not events._listeners

    run_virtual(main)


def test_a_cancelled_wait_loses_nothing() -> None:
    async def main() -> None:
        events = Events()
        listener = aiter(events)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await anext(listener)
        events.tell(event(5))
        assert codes([await anext(listener)]) == [5]

    run_virtual(main)


def test_a_task_that_does_nothing_but_listen_is_not_collected() -> None:
    async def main() -> None:
        events = Events()
        heard: list[Event] = []
        take = heard.append

        async def listen() -> None:
            async for each in events:
                take(each)

        # Kept by nobody: the loop knows tasks only weakly while they wait.
        asyncio.create_task(listen())  # noqa: RUF006
        await asyncio.sleep(0)
        gc.collect()
        events.tell(event(1))
        await asyncio.sleep(0)
        gc.collect()
        events.tell(event(2))
        events.close()
        await asyncio.sleep(0.1)
        assert codes(heard) == [1, 2]
        assert not events._waiting

    run_virtual(main)
