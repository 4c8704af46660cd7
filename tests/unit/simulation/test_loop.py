"""Virtual time: what moves it, what bounds it, and what a run refuses to leave behind."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import threading
from datetime import UTC, datetime

import pytest

from tapewire.simulation import (
    START,
    START_NS,
    DeadlockError,
    LeakedTasksError,
    RealWorldError,
    RunLimitError,
    UnhandledError,
    VirtualClock,
    VirtualTimeLoop,
    run_virtual,
)
from tapewire.simulation import loop as loop_module


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def tick_for_ever(step_s: float) -> None:
    for _ in itertools.count():
        await asyncio.sleep(step_s)


def test_time_jumps_to_the_next_timer() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        seen = [loop.time()]
        for seconds in (0.5, 1000.0, 0.25):
            await asyncio.sleep(seconds)
            seen.append(loop.time())
        return seen

    assert run_virtual(main) == [0.0, 0.5, 1000.5, 1000.75]


def test_a_wait_longer_than_a_day_takes_one_call() -> None:
    async def main() -> float:
        await asyncio.sleep(40 * 86_400.0)
        return asyncio.get_running_loop().time()

    assert run_virtual(main, limit_s=50 * 86_400.0) == 40 * 86_400.0


def test_timeouts_end_in_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await wait_for_ever()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 30.0


def test_the_clock_follows_the_loop_and_jumps_apart_from_it() -> None:
    async def main() -> list[int]:
        clock = VirtualClock()
        seen = [clock.wall_ns()]
        await asyncio.sleep(1.5)
        seen.append(clock.wall_ns())
        clock.jump(-3600)
        seen.append(clock.wall_ns())
        await asyncio.sleep(1)
        seen.append(clock.wall_ns())
        return seen

    assert int(START.timestamp()) * 10**9 == START_NS
    assert run_virtual(main) == [START_NS + ns * 10**8 for ns in (0, 15, -35_985, -35_975)]


def test_the_clock_begins_where_the_run_says() -> None:
    async def main() -> int:
        return VirtualClock().wall_ns()

    assert run_virtual(main, start=datetime(2000, 1, 1, tzinfo=UTC)) == 946_684_800 * 10**9


def test_a_start_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        run_virtual(wait_for_ever, start=datetime(2000, 1, 1))  # noqa: DTZ001


def test_the_clock_refuses_a_real_loop() -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="VirtualTimeLoop"):
            VirtualClock()

    asyncio.run(main())


def test_a_deadlock_is_raised_and_names_tasks_and_lines() -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait_for_ever(), name="reader")
            group.create_task(wait_for_ever())

    with pytest.raises(DeadlockError) as caught:
        run_virtual(main)
    assert [line.split(",")[0] for line in caught.value.tasks] == [
        "main in TaskGroup.__aexit__",
        "reader in Event.wait",
        "task-3 in Event.wait",
    ]
    assert all("test_loop.py:" in line for line in caught.value.tasks)


def test_cleanup_runs_after_a_deadlock_and_may_take_time() -> None:
    cleaned = []

    async def main() -> None:
        try:
            await wait_for_ever()
        finally:
            await asyncio.sleep(1)
            cleaned.append(asyncio.get_running_loop().time())

    with pytest.raises(DeadlockError):
        run_virtual(main)
    assert cleaned == [1.0]


def test_virtual_time_is_bounded() -> None:
    with pytest.raises(RunLimitError, match="60 virtual seconds"):
        run_virtual(tick_for_ever(1), limit_s=60)


def test_turns_are_bounded() -> None:
    with pytest.raises(RunLimitError, match="500 turns of the loop"):
        run_virtual(tick_for_ever(1e-6), turns_max=500)


def test_a_spin_at_one_instant_is_bounded() -> None:
    async def main() -> None:
        await asyncio.sleep(2)
        await tick_for_ever(0)

    with pytest.raises(RunLimitError, match="turns at second 2"):
        run_virtual(main)


def test_many_turns_are_no_spin_as_long_as_time_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "TURNS_AT_ONE_INSTANT_MAX", 10)
    with pytest.raises(RunLimitError, match="60 virtual seconds"):
        run_virtual(tick_for_ever(1), limit_s=60)


def test_a_task_without_an_owner_is_reported_and_ended() -> None:
    ended = []

    async def orphan() -> None:
        try:
            await wait_for_ever()
        finally:
            ended.append(True)

    async def main() -> None:
        task = asyncio.create_task(orphan(), name="orphan")
        await asyncio.sleep(0)
        assert not task.done()

    with pytest.raises(LeakedTasksError, match=r"orphan in Event\.wait"):
        run_virtual(main)
    assert ended == [True]


def test_the_error_of_the_run_wins_over_its_leaks() -> None:
    async def main() -> None:
        task = asyncio.create_task(wait_for_ever())
        await asyncio.sleep(0)
        raise KeyError(task.get_name())

    with pytest.raises(KeyError, match="task-2"):
        run_virtual(main)


def test_a_task_that_swallows_cancellation_is_named() -> None:
    async def stubborn() -> None:
        while True:
            try:
                await wait_for_ever()
            except asyncio.CancelledError:
                continue

    async def main() -> None:
        tasks.append(asyncio.create_task(stubborn(), name="stubborn"))
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    with pytest.raises(DeadlockError, match="stubborn"):
        run_virtual(main)
    # The coroutine cannot be ended by any means; at least the task does not complain about it later.
    tasks[0]._log_destroy_pending = False


def test_an_exception_in_a_callback_ends_the_run() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(1, [].pop)
        await wait_for_ever()

    with pytest.raises(UnhandledError, match="IndexError") as caught:
        run_virtual(main)
    assert isinstance(caught.value.__cause__, IndexError)


def test_an_exception_in_the_last_turn_is_not_lost() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon([].pop)

    with pytest.raises(UnhandledError, match="IndexError"):
        run_virtual(main)


def test_an_executor_job_runs_inline_in_no_time() -> None:
    async def main() -> tuple[int, bool, float]:
        thread = await asyncio.to_thread(threading.get_ident)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return 1, thread == threading.get_ident(), asyncio.get_running_loop().time()

    assert run_virtual(main) == (1, True, 0.0)


@pytest.mark.parametrize(
    "reach",
    [
        lambda loop: asyncio.open_connection("127.0.0.1", 9),
        lambda loop: asyncio.start_server(lambda *_: None, "127.0.0.1", 0),
        lambda loop: loop.getaddrinfo("localhost", 80),
        lambda loop: loop.subprocess_exec(asyncio.SubprocessProtocol, "true"),
    ],
)
def test_the_real_world_is_refused(reach) -> None:
    async def main() -> None:
        await reach(asyncio.get_running_loop())

    with pytest.raises(RealWorldError, match="does not exist in virtual time"):
        run_virtual(main)


def test_watching_a_socket_is_refused() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            asyncio.get_running_loop().add_reader(ours, print)

    with pytest.raises(RealWorldError):
        run_virtual(main)


def test_another_thread_is_refused() -> None:
    refused = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def call() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except RealWorldError as error:
                refused.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        loop.call_soon_threadsafe(refused.append, "own thread is fine")
        await asyncio.sleep(0)

    run_virtual(main)
    assert len(refused) == 2


def test_the_order_of_tasks_does_not_depend_on_addresses() -> None:
    def order() -> list[int]:
        ends: list[int] = []

        async def member(number: int) -> None:
            try:
                await wait_for_ever()
            finally:
                ends.append(number)

        async def main() -> None:
            # A failing member makes the group cancel the others, which it keeps in a set.
            async with asyncio.TaskGroup() as group:
                for number in range(50):
                    group.create_task(member(number))
                await asyncio.sleep(1)
                raise KeyError

        with pytest.raises(ExceptionGroup):
            run_virtual(main)
        return ends

    keep_addresses_apart = [bytearray(n) for n in range(1000)]
    first = order()
    del keep_addresses_apart[::2]
    assert order() == first == list(range(50))


def test_the_loop_is_closed_and_quiet_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> VirtualTimeLoop:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        return loop

    with caplog.at_level(logging.DEBUG, "asyncio"):
        assert run_virtual(main).is_closed()
    assert [r for r in caplog.records if r.levelno > logging.DEBUG] == []
