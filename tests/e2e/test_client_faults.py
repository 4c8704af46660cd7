"""The client over real sockets on bad days: a wire that is cut, a server that goes and comes, faults."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from e2e.tape_program import fast, port_of, program, restored, run, settings
from e2e.wire import Wire
from tapewire.app import System
from tapewire.client import heartbeat
from tapewire.client.buffer import DropOldest, Fail, Spill
from tapewire.client.errors import BufferOverflowError
from tapewire.client.events import LostEvent, OverflowEvent
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription
from tapewire.connect import admin
from tapewire.model import Trade

__all__ = ["fast"]  # a fixture that pytest finds here


def test_a_wire_that_is_cut_again_and_again_costs_no_trade() -> None:
    async def main() -> None:
        async with (
            System(settings()) as system,
            Wire(port_of(system)).open() as wire,
            program(wire.url, system.refresh_token) as (broker, tape),
        ):
            events = aiter(broker.events)
            for _ in range(4):
                wire.cut()
                assert await restored(events)
                await tape.more()
            await tape.check(broker)
            assert broker.gaps.left == 0

    run(main)


def test_a_wire_that_passes_nothing_on_is_noticed_and_left() -> None:
    async def main() -> None:
        async with (
            System(settings()) as system,
            Wire(port_of(system)).open() as wire,
            program(wire.url, system.refresh_token) as (broker, tape),
        ):
            events = aiter(broker.events)
            wire.hold()
            assert "silent" in str(await anext(events))
            wire.flow()
            await restored(events)
            await tape.more()
            await tape.check(broker)

    run(main)


def test_a_server_that_comes_back_on_its_port_is_found_again(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        kept = settings(port, data=tmp_path / "data")
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(System(kept))
            async with program(first.url, first.refresh_token) as (broker, tape):
                events = aiter(broker.events)
                await stack.aclose()
                assert isinstance(await anext(events), LostEvent)
                async with System(kept):
                    await restored(events)
                    assert tape.stream.state is SubscriptionState.ACTIVE
                    await tape.more()
                    assert tape.ids == sorted(set(tape.ids))

    run(main)


def test_consumers_that_stall_keep_what_they_may_and_harm_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            System(settings()) as system,
            program(system.url, system.refresh_token) as (broker, tape),
            broker.trades("SBER", buffer=DropOldest(50)) as newest,
            broker.trades("SBER", buffer=Fail(50)) as strict,
            broker.trades("SBER", buffer=Spill(tmp_path, size=50)) as spilling,
            broker.quotes("SBER", frequency_ms=25) as quotes,
        ):
            events = aiter(broker.events)
            opened_with = len(tape.ids)
            await tape.more(400)
            assert (newest.waiting, strict.waiting, quotes.waiting) == (50, 50, 1)
            assert newest.dropped == newest.received - 50
            assert spilling.dropped == quotes.buffer.lost == 0
            assert spilling.buffer.spilled == spilling.received - 50 > 0
            tape_of = {
                "newest": [trade.id for trade in await anext(newest.batches())],
                "strict": await _until_the_end(strict),
                "spilling": [(await anext(spilling)).id for _ in range(spilling.waiting)],
            }
            assert len(tape_of["newest"]) == len(tape_of["strict"]) == 50
            assert (await anext(quotes)).last_price > 0
            told = await _overflows(events)
            assert told == {True, False}, "one stream has ended, the other has dropped"
            await tape.more(100)
            for ids in tape_of.values():
                start = tape.ids.index(ids[0])
                assert ids == tape.ids[start : start + len(ids)]
            assert tape.ids.index(tape_of["spilling"][0]) <= opened_with + 1
            await tape.check(broker)
            assert not len(broker.gaps), "the connection was never lost"

    run(main)


async def _until_the_end(stream: Subscription[Trade]) -> list[int]:
    ids: list[int] = []
    try:
        async for trade in stream:
            ids.append(trade.id)  # noqa: PERF401  (what came before the error counts)
    except BufferOverflowError:
        return ids
    raise AssertionError("it has not overflowed")


async def _overflows(events: AsyncIterator[object]) -> set[bool]:
    """Wait until a stream has said that it dropped something, and one that it has ended for it."""
    told: set[bool] = set()
    while len(told) < 2:
        event = await anext(events)
        if isinstance(event, OverflowEvent):
            told.add(event.has_ended)
    return told


def test_a_reader_that_stops_is_cut_at_the_bound_and_another_program_notices_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The client would leave a silent connection long before.
    monkeypatch.setattr(heartbeat, "PING_EVERY_S", 60.0)

    async def main() -> None:
        async with (
            System(settings()) as system,
            Wire(port_of(system), window_bytes=8_192).open() as wire,
            program(wire.url, system.refresh_token) as (broker, tape),
            program(system.url, system.refresh_token) as (other, other_tape),
            admin(system.url, admin_token=system.admin_token.reveal()) as operator,
        ):
            # A stream with a past is not shared: each is one more message for every trade.
            pasts = [broker.trades("SBER", depth=1, buffer=DropOldest(10)) for _ in range(80)]
            for stream in pasts:
                await stream.open()
            events = aiter(broker.events)
            wire.hold_down()
            while 1013 not in [one["code"] for one in (await operator.sessions()).ended]:
                await other_tape.more(50)
            wire.flow()
            assert await restored(events)
            await tape.more()
            await tape.check(broker)
            assert all(stream.waiting <= 1 + 10 for stream in pasts)  # its past, and what the policy keeps
            await other_tape.check(other)
            assert not len(other.gaps)

    run(main)


FORCED = """
[[fault]]
kind = "overflow"
path = "/ws"
after = "700ms"
times = 2
"""


def test_a_forced_cut_costs_no_trade() -> None:
    async def main() -> None:
        async with (
            System(settings(faults=FORCED)) as system,
            program(system.url, system.refresh_token) as (broker, tape),
        ):
            events = aiter(broker.events)
            assert "1013" in await restored(events)
            assert "1013" in await restored(events)
            await tape.more()
            await tape.check(broker)

    run(main)


LOST = """
[[fault]]
kind = "half-open"
path = "/ws"
after = "500ms"
connection = 1

[[fault]]
kind = "late-answer"
opcode = "AllTrades*"
by = "300ms"
connection = 2
"""


def test_a_half_open_connection_and_an_answer_behind_its_data_cost_no_trade() -> None:
    async def main() -> None:
        async with (
            System(settings(faults=LOST)) as system,
            program(system.url, system.refresh_token) as (broker, tape),
        ):
            assert "silent" in await restored(aiter(broker.events))
            await tape.more()
            await tape.check(broker)

    run(main)
