"""Functions that are called with records: outside the reader, one after the other, never to the stream's harm."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tapewire.client.asking import ANSWER_TIMEOUT_S
from tapewire.client.buffer import Conflate, DropOldest, Fail
from tapewire.client.callback import (
    CANCEL_EVERY_S,
    CANCELS_MAX,
    FAILURE_TOLD_EVERY_S,
    REOPEN_PAUSE_MAX_S,
    REOPEN_PAUSE_S,
)
from tapewire.client.errors import ArgumentError, BufferOverflowError, ClosedError, LimitError, RefusedError
from tapewire.client.events import CallbackEndedEvent, CallbackFailedEvent, Event, Events
from tapewire.client.gap import Gap
from tapewire.client.states import SubscriptionState
from tapewire.model import Book, Order, Trade
from tapewire.simulation import run_virtual
from unit.client.rows import order_fields
from unit.client.stage import FakeHttp, Stage, answer, data, settle, silence, staged, trade


def run(scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            stage.http.listen("broker.test:443", FakeHttp())
            await scenario(stage)

    run_virtual(main)  # a task that is left is an error


def send(stage: Stage, *numbers: int) -> None:
    guid = stage.broker.subscribed[-1]
    stage.broker.send(*(data(guid, trade(number)) for number in numbers))


class Told:
    """What was told, for reading."""

    def __init__(self, events: Events) -> None:
        self.all: list[Event] = []
        self._tell = events.tell
        events.tell = self._note  # type: ignore[method-assign]

    def _note(self, event: Event) -> None:
        self.all.append(event)
        self._tell(event)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.all if isinstance(event, kind)]


# --- records --------------------------------------------------------------------------------------------


def test_plain_and_async_functions_get_every_record_in_order() -> None:
    async def scenario(stage: Stage) -> None:
        plain: list[int] = []
        waiting: list[int] = []

        @stage.client.on_trades("TEST", buffer=DropOldest(10_000))
        def tape(record: Trade) -> None:
            plain.append(record.id)

        @stage.client.on_trades("TEST", depth=1)
        async def slow(record: Trade) -> None:
            await asyncio.sleep(0.01)
            waiting.append(record.id)

        await stage.broker.asked(2)
        first, second = stage.broker.requests
        for request in (first, second):
            stage.broker.send(*(data(request["guid"], trade(number)) for number in range(5)))
        await settle()
        assert plain == waiting == list(range(5))
        assert (tape.called, tape.failed, slow.called) == (5, 0, 5)
        assert tape.subscription.buffer.policy == DropOldest(10_000)
        assert (tape.subscription.name, tape.subscription.received) == ("trades:TEST", 5)
        assert list(stage.client.callbacks) == [tape, slow]
        # As the function itself.
        tape(plain_trade := await _any_trade(stage))
        assert plain[-1] == plain_trade.id

    run(scenario)


async def _any_trade(stage: Stage) -> Trade:
    async with stage.client.trades("OTHER") as trades:
        send(stage, 77)
        return await anext(trades)


def test_streams_of_portfolios_call_functions_too() -> None:
    async def scenario(stage: Stage) -> None:
        seen: list[str] = []

        @stage.client.portfolio("D1").on_orders()
        def note(order: Order) -> None:
            seen.append(order.id)

        request = await stage.broker.asked()
        stage.broker.send(data(request["guid"], order_fields("7", price=10)))
        await settle()
        assert seen == ["7"]
        assert list(stage.client.callbacks) == [note]

    run(scenario)


def test_while_a_call_lasts_the_buffer_does_what_its_policy_says() -> None:
    async def scenario(stage: Stage) -> None:
        seen: list[int] = []

        @stage.client.on_trades("TEST", buffer=Conflate())
        async def newest(record: Trade) -> None:
            seen.append(record.id)
            await asyncio.sleep(1)

        await stage.broker.asked()
        await settle()
        for number in range(20):
            send(stage, number)
            await asyncio.sleep(0.1)
        await asyncio.sleep(5)
        assert seen[0] == 0
        assert seen[-1] == 19
        assert newest.subscription.dropped == 20 - len(seen) > 10

    run(scenario)


def test_wrong_options_are_refused_at_the_decorator() -> None:
    async def scenario(stage: Stage) -> None:
        with pytest.raises(LimitError, match="depth"):
            stage.client.on_book("TEST", depth=51)
        with pytest.raises(ArgumentError, match="timeframe"):
            stage.client.on_bars("TEST", "soon")
        with pytest.raises(TypeError):
            stage.client.on_trades("TEST", depht=5)  # type: ignore[call-arg]
        assert len(stage.client.callbacks) == 0

    run(scenario)


@pytest.mark.parametrize("name", ["on_trades", "on_orders"])
def test_a_decorator_without_its_stream_is_an_error_and_no_silence(name: str) -> None:
    async def scenario(stage: Stage) -> None:
        streams = stage.client if name == "on_trades" else stage.client.portfolio("D1")
        with pytest.raises(TypeError, match=rf"@….{name}\(…\) above the function"):
            getattr(streams, name)(lambda record: None)
        assert not len(stage.client.callbacks)

    run(scenario)


def test_a_function_that_never_waits_lets_others_have_their_turn() -> None:
    async def scenario(stage: Stage) -> None:
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        seen: list[int] = []

        @stage.client.on_trades("TEST", buffer=Fail(10_000))
        def tape(record: Trade) -> None:
            seen.append(turns)

        await stage.broker.asked()
        await settle()
        for number in range(1_000):
            tape.subscription.buffer.put(data("0" * 32, trade(number)))
        counting = asyncio.create_task(count_turns())
        async with asyncio.timeout(5):
            while len(seen) < 1_000:  # noqa: ASYNC110
                await asyncio.sleep(0)
        counting.cancel()
        assert len(set(seen)) >= 10

    run(scenario)


# --- failures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    "error", [ValueError, StopIteration, StopAsyncIteration, asyncio.CancelledError, KeyError]
)
def test_what_a_function_raises_costs_one_record_and_nothing_else(
    error: type[BaseException], is_async: bool
) -> None:
    async def scenario(stage: Stage) -> None:
        told = Told(stage.client.events)
        seen: list[int] = []

        def note(record: Trade) -> None:
            if record.id == 1:
                raise error("no")
            seen.append(record.id)

        async def note_later(record: Trade) -> None:
            await asyncio.sleep(0)
            note(record)

        function: Callable[[Trade], Any] = note_later if is_async else note
        tape = stage.client.on_trades("TEST")(function)
        others = await stage.client.trades("OTHER").open()
        await stage.broker.asked(2)
        trades = next(request for request in stage.broker.requests if request["code"] == "TEST")
        stage.broker.send(*(data(trades["guid"], trade(number)) for number in range(4)))
        await settle()
        assert seen == [0, 2, 3]
        assert (tape.called, tape.failed, tape.has_ended) == (4, 1, False)
        assert tape.subscription.state is others.state is SubscriptionState.ACTIVE
        (event,) = told.of(CallbackFailedEvent)
        assert (event.stream, event.failed) == ("trades:TEST", 1)
        assert isinstance(event.error, (error, RuntimeError))
        await others.close()

    run(scenario)


def test_a_function_that_always_fails_is_told_now_and_then_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(stage: Stage) -> None:
        told = Told(stage.client.events)

        @stage.client.on_trades("TEST")
        def tape(record: Trade) -> None:
            raise ValueError("wrong")

        await stage.broker.asked()
        await settle()
        with caplog.at_level(logging.WARNING, "tapewire"):
            caplog.clear()
            for _ in range(30):
                send(stage, *range(100))
                await asyncio.sleep(1)
        failures = told.of(CallbackFailedEvent)
        assert tape.failed == tape.called == 3_000
        assert len(failures) == 30 / FAILURE_TOLD_EVERY_S
        assert [event.failed for event in failures] == sorted({event.failed for event in failures})
        assert len(caplog.records) == len(failures)
        # Whoever looks for the mistake finds the line.
        assert "raise ValueError" in caplog.text

    run(scenario)


# --- the end --------------------------------------------------------------------------------------------


def test_a_callback_can_be_closed_and_cancels_its_running_call() -> None:
    async def scenario(stage: Stage) -> None:
        was_cancelled = False

        @stage.client.on_trades("TEST")
        async def tape(record: Trade) -> None:
            nonlocal was_cancelled
            try:
                await asyncio.sleep(1_000)
            except asyncio.CancelledError:
                was_cancelled = True
                raise

        await stage.broker.asked()
        await settle()
        send(stage, 1, 2)
        await settle()
        await tape.close()
        assert was_cancelled
        assert (tape.called, tape.failed, tape.error, tape.has_ended) == (1, 0, None, True)
        assert tape.subscription.state is SubscriptionState.CLOSED
        await settle()
        assert len(stage.broker.unsubscribed) == 1
        assert len(stage.client.callbacks) == 0
        await tape.close()

    run(scenario)


def test_a_callback_whose_task_is_ended_by_others_wants_its_stream_no_longer() -> None:
    async def scenario(stage: Stage) -> None:
        tape = stage.client.on_trades("TEST")(lambda record: None)
        await stage.broker.asked()
        await settle()
        (task,) = [one for one in asyncio.all_tasks() if one.get_name() == "callback of trades:TEST"]
        task.cancel()
        await settle()
        assert tape.has_ended
        assert tape.subscription.state is SubscriptionState.CLOSED
        assert len(stage.broker.unsubscribed) == 1

    run(scenario)


@pytest.mark.parametrize("how", ["stop", "close"])
def test_a_function_can_end_its_own_callback(how: str) -> None:
    async def scenario(stage: Stage) -> None:
        ended: list[int] = []

        @stage.client.on_trades("TEST")
        async def tape(record: Trade) -> None:
            if how == "stop":
                tape.stop()
            else:
                await tape.close()
            await asyncio.sleep(0.01)
            ended.append(record.id)

        await stage.broker.asked()
        await settle()
        send(stage, 1, 2, 3)
        await asyncio.sleep(1)
        assert ended == [1]
        assert tape.has_ended

    run(scenario)


def test_closing_the_broker_leaves_no_task_whatever_the_function_does() -> None:
    async def main() -> None:
        async with staged() as stage:
            told = Told(stage.client.events)
            cancelled = 0

            @stage.client.on_trades("TEST")
            async def stubborn(record: Trade) -> None:
                nonlocal cancelled
                for _ in range(CANCELS_MAX - 1):
                    try:
                        await asyncio.sleep(1_000)
                    except asyncio.CancelledError:
                        cancelled += 1

            @stage.client.on_book("TEST")
            def book(record: Book) -> None:
                pass

            @stage.client.on_quotes("OTHER")
            async def never_called(record: object) -> None:
                await asyncio.sleep(1)

            await stage.broker.asked(3)
            trades = next(one for one in stage.broker.requests if one["opcode"].startswith("AllTrades"))
            stage.broker.send(data(trades["guid"], trade(1)))
            await settle()
            started_at = asyncio.get_running_loop().time()
        assert cancelled == CANCELS_MAX - 1
        assert asyncio.get_running_loop().time() - started_at < CANCELS_MAX * CANCEL_EVERY_S + 10
        assert all(callback.has_ended for callback in (stubborn, book, never_called))
        assert told.of(CallbackEndedEvent) == []
        with pytest.raises(ClosedError):
            stage.client.on_trades("TEST")(lambda record: None)

    run_virtual(main)


def test_a_broker_that_is_closed_from_inside_a_function_closes() -> None:
    async def main() -> None:
        async with staged() as stage:
            closed = asyncio.Event()

            @stage.client.on_trades("TEST")
            async def tape(record: Trade) -> None:
                await stage.client.close()
                closed.set()

            await stage.broker.asked()
            await settle()
            send(stage, 1)
            async with asyncio.timeout(30):
                await closed.wait()
            await settle()
            assert tape.has_ended

    run_virtual(main)


def test_a_stream_that_is_refused_is_told_and_not_asked_for_again() -> None:
    async def scenario(stage: Stage) -> None:
        told = Told(stage.client.events)
        stage.broker.reply = lambda request: [answer(request["guid"], 404, "no such instrument")]

        @stage.client.on_trades("NOPE")
        def tape(record: Trade) -> None:
            raise AssertionError("there is no record")

        await asyncio.sleep(200)
        assert tape.has_ended
        assert isinstance(tape.error, RefusedError)
        assert len(stage.broker.requests) == 1
        (event,) = told.of(CallbackEndedEvent)
        assert (event.stream, event.seconds) == ("trades:NOPE", None)
        assert "no such instrument" in event.reason

    run(scenario)


def test_a_stream_that_nobody_answers_for_is_asked_for_until_somebody_does() -> None:
    async def scenario(stage: Stage) -> None:
        told = Told(stage.client.events)
        stage.broker.reply = silence
        seen: list[int] = []

        @stage.client.on_trades("TEST")
        def tape(record: Trade) -> None:
            seen.append(record.id)

        await asyncio.sleep(600)
        pauses = [event.seconds for event in told.of(CallbackEndedEvent)]
        assert pauses[:4] == [1, 2, 4, 8]
        assert max(pauses) == REOPEN_PAUSE_MAX_S
        assert len(pauses) < 20
        stage.broker.reply = lambda request: [answer(request["guid"])]
        await asyncio.sleep(REOPEN_PAUSE_MAX_S + 20)
        send(stage, 5)
        await settle()
        assert seen == [5]
        assert tape.error is None

    run(scenario)


def test_one_that_is_closed_between_two_tries_ends() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = silence
        tape = stage.client.on_trades("TEST")(lambda record: None)
        await asyncio.sleep(300)
        await tape.close()
        count = len(stage.broker.subscribed)
        await asyncio.sleep(300)
        assert len(stage.broker.subscribed) == count
        assert tape.has_ended

    run(scenario)


def test_one_that_is_stopped_between_two_tries_ends_at_once() -> None:
    async def scenario(stage: Stage) -> None:
        told = Told(stage.client.events)
        stage.broker.reply = silence
        tape = stage.client.on_trades("TEST")(lambda record: None)
        await asyncio.sleep(ANSWER_TIMEOUT_S + REOPEN_PAUSE_S / 4)
        stopped_at_s = asyncio.get_running_loop().time()
        tape.stop()
        await settle()
        assert asyncio.get_running_loop().time() - stopped_at_s < REOPEN_PAUSE_S / 2
        assert tape.has_ended
        assert list(stage.client.callbacks) == []
        assert len(told.of(CallbackEndedEvent)) == 1

    run(scenario)


def test_a_function_that_falls_too_far_behind_is_told_so() -> None:
    async def scenario(stage: Stage) -> None:
        told = Told(stage.client.events)
        seen: list[int] = []

        @stage.client.on_trades("TEST", buffer=Fail(2))
        async def slow(record: Trade) -> None:
            await asyncio.sleep(1)
            seen.append(record.id)

        await stage.broker.asked()
        await settle()
        send(stage, *range(10))
        await asyncio.sleep(20)
        assert seen == list(range(len(seen)))
        assert isinstance(slow.error, BufferOverflowError)
        assert len(told.of(CallbackEndedEvent)) == 1

    run(scenario)


# --- over a cut -----------------------------------------------------------------------------------------


def test_a_callback_goes_on_over_a_cut_and_hears_of_what_is_missing_in_its_place() -> None:
    async def scenario(stage: Stage) -> None:
        seen: list[int | str] = []

        @stage.client.on_trades("TEST")
        def tape(record: Trade) -> None:
            seen.append(record.id)

        @tape.on_gap
        async def missing(gap: Gap) -> None:
            seen.append(gap.state.value)

        await stage.broker.asked()
        await settle()
        send(stage, 1)
        await settle()
        stage.network.cut()
        await stage.broker.asked(2)
        await settle()
        # Nothing is there to be fetched: HTTP answers 404.
        send(stage, 9)
        await asyncio.sleep(1)
        assert seen == [1, "left", 9]
        assert tape.called == 2

    run(scenario)
