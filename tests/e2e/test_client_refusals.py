"""The client over real sockets when the broker is there and does not want it: handshakes, requests, tokens."""

from __future__ import annotations

import asyncio
import gc

import pytest

import tapewire
from e2e.tape_program import fast, port_of, program, restored, run, settings
from e2e.wire import Wire
from tapewire.app import System
from tapewire.client import backoff, subscriber
from tapewire.client.events import BlockedEvent, LostEvent, WaitingEvent
from tapewire.model import Trade

__all__ = ["fast"]  # a fixture that pytest finds here

TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "LAST_S", 0.2)
    monkeypatch.setattr(backoff, "BLOCKED_S", 0.3)
    monkeypatch.setattr(subscriber, "REFUSED_PAUSE_S", (0.05, 0.1))


def test_a_wire_that_is_cut_in_every_handshake_is_tried_until_it_holds() -> None:
    async def main() -> None:
        async with (
            System(settings()) as system,
            Wire(port_of(system)).open() as wire,
            program(wire.url, system.refresh_token) as (broker, tape),
        ):
            events = aiter(broker.events)
            wire.refuse()
            wire.cut()
            tries = 0
            async for event in events:
                tries += isinstance(event, WaitingEvent)
                if tries == 4:
                    break
            assert wire.refused >= 3
            wire.admit()
            await restored(events)
            await tape.more()
            await tape.check(broker)

    run(main)


def test_a_broker_that_refuses_again_and_again_is_left_in_peace_and_found_again() -> None:
    async def main() -> None:
        async with (
            System(settings()) as system,
            Wire(port_of(system)).open() as wire,
            program(wire.url, system.refresh_token) as (broker, tape),
        ):
            events = aiter(broker.events)
            wire.refuse(TOO_MANY + b"\r\n")
            wire.cut()
            async for event in events:
                if isinstance(event, BlockedEvent):
                    break
            assert wire.refused == backoff.BLOCKED_AFTER
            assert "429" in event.reason
            event = await anext(events)
            assert isinstance(event, WaitingEvent)
            assert event.seconds >= backoff.BLOCKED_S
            wire.admit()
            await restored(events)
            await tape.more()
            await tape.check(broker)

    run(main)


def test_a_pause_that_the_broker_asks_for_is_kept() -> None:
    async def main() -> None:
        async with (
            System(settings()) as system,
            Wire(port_of(system)).open() as wire,
            program(wire.url, system.refresh_token) as (broker, tape),
        ):
            events = aiter(broker.events)
            wire.refuse(TOO_MANY + b"Retry-After: 2\r\n\r\n")
            wire.cut()
            waits = []
            async for event in events:
                if isinstance(event, WaitingEvent):
                    waits.append(event.seconds)
                if len(waits) == 2:
                    break
            assert waits[0] < 2 <= waits[1]
            assert wire.refused == 1
            wire.admit()
            await restored(events)
            await tape.more()
            await tape.check(broker)

    run(main)


REFUSED = """
[[fault]]
kind = "refused"
on = "request"
opcode = "AllTrades*"
code = 503
connection = 2
times = 2

[[fault]]
kind = "token-expiry"
on = "request"
opcode = "AllTrades*"
whose = "login"
connection = 2
after = "1ms"
times = 1
"""


def test_a_stream_that_is_refused_and_a_token_that_ends_while_it_is_restored_cost_no_trade() -> None:
    async def main() -> None:
        async with (
            System(settings(faults=REFUSED)) as system,
            Wire(port_of(system)).open() as wire,
            program(wire.url, system.refresh_token) as (broker, tape),
        ):
            events = aiter(broker.events)
            wire.cut()
            await restored(events)
            await tape.more()
            await tape.check(broker)
            assert broker.gaps.left == 0
            assert tape.stream.state.value == "active"

    run(main)


def test_a_function_that_raises_gets_every_trade_over_a_cut() -> None:
    async def main() -> None:
        async with (
            System(settings()) as system,
            Wire(port_of(system)).open() as wire,
            program(wire.url, system.refresh_token) as (broker, tape),
        ):
            got: list[int] = []
            news = asyncio.Event()

            @broker.on_trades("SBER")
            def take(trade: Trade) -> None:
                got.append(trade.id)
                news.set()
                raise ValueError("the program is wrong")

            async def more(count: int = 20) -> None:
                wanted = len(got) + count
                while len(got) < wanted:
                    news.clear()
                    await news.wait()

            events = aiter(broker.events)
            await more()
            wire.cut()
            await restored(events)
            await more()
            await tape.more()
            both = got[: min(len(got), len(tape.ids) - tape.ids.index(got[0]))]
            start = tape.ids.index(got[0])
            assert both == tape.ids[start : start + len(both)]
            [callback] = broker.callbacks
            assert callback.failed >= len(got) - 1

    run(main)


def test_a_function_may_end_the_program(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with (
            System(settings()) as system,
            tapewire.connect(system.url, refresh_token=system.refresh_token) as broker,
        ):

            @broker.on_trades("SBER")
            def take(trade: Trade) -> None:
                raise SystemExit(3)

            await asyncio.Event().wait()

    with pytest.raises(SystemExit, match="3"):
        run(main)
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_a_program_may_leave_while_it_waits_for_the_broker() -> None:
    async def main() -> None:
        async with System(settings()) as system, Wire(port_of(system)).open() as wire:
            before = asyncio.all_tasks()
            async with tapewire.connect(wire.url, refresh_token=system.refresh_token) as broker:
                events = aiter(broker.events)
                stream = await broker.trades("SBER").open()
                await anext(stream)
                wire.refuse()
                wire.cut()
                async for event in events:
                    if isinstance(event, WaitingEvent):
                        break
            assert not [task for task in asyncio.all_tasks() - before if "connection" in task.get_name()]
            told = [event async for event in events]
            assert not any(isinstance(event, LostEvent) for event in told)

    run(main)
