"""Opening streams against a scripted broker, and everything that can come between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tapewire.client import links
from tapewire.client.asking import ANSWER_TIMEOUT_S
from tapewire.client.attended import CLOSE_TIMEOUT_S, CONNECT_TIMEOUT_S
from tapewire.client.buffer import Spill
from tapewire.client.connection import ConnectionState
from tapewire.client.errors import (
    AnswerTimeoutError,
    ClosedError,
    ConnectError,
    ConnectionLostError,
    LimitError,
    RefusedError,
    TapewireError,
    TokenRefusedError,
    TokenServiceError,
)
from tapewire.client.planner import place
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription
from tapewire.model import Trade
from tapewire.protocol.frames import close_payload
from tapewire.simulation import run_virtual
from unit.client.stage import (
    CLOSE,
    SECRET,
    Request,
    Stage,
    accept_all,
    access_token,
    answer,
    data,
    settle,
    silence,
    staged,
    told,
    trade,
)

NEW, PENDING, ACTIVE = SubscriptionState.NEW, SubscriptionState.PENDING, SubscriptionState.ACTIVE
REFUSED, CLOSED = SubscriptionState.REFUSED, SubscriptionState.CLOSED
RESTORING = SubscriptionState.RESTORING


def run(scenario: Callable[[Stage], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with staged(**settings) as stage:
            await scenario(stage)

    run_virtual(main)


def now() -> float:
    return asyncio.get_running_loop().time()


async def ids_of(stream: Subscription[Trade]) -> list[int]:
    return [record.id async for record in stream]


def refuse(code: int, text: str = "no") -> Callable[[Request], list[bytes]]:
    return lambda request: [answer(request["guid"], code, text)]


# --- the answer -----------------------------------------------------------------------------------------


def test_open_waits_for_the_answer_and_sends_the_token() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = silence
        trades = stage.client.trades("TEST", depth=3)
        opening = asyncio.create_task(trades.open())
        request = await stage.broker.asked()
        assert (trades.state, opening.done()) == (PENDING, False)
        expected = {
            "opcode": "AllTradesGetAndSubscribe",
            "guid": request["guid"],
            "token": access_token(1),
            "code": "TEST",
            "exchange": "MOEX",
            "depth": 3,
            "format": "Slim",
        }
        assert {key: request[key] for key in expected} == expected
        stage.broker.send(answer(request["guid"]))
        assert await opening is trades
        assert trades.state is ACTIVE
        await trades.close()

    run(scenario)


def test_data_before_the_answer_are_not_lost() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = lambda request: [
            data(request["guid"], trade(1)),
            data(request["guid"], trade(2)),
            answer(request["guid"]),
            data(request["guid"], trade(3)),
        ]
        async with stage.client.trades("TEST") as trades:
            assert [(await anext(trades)).id for _ in range(3)] == [1, 2, 3]

    run(scenario)


def test_a_refusal_carries_code_and_text_and_the_stream_says_so_for_ever() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = refuse(404, "no such instrument")
        trades = stage.client.trades("TEST")
        with pytest.raises(RefusedError) as caught:
            await trades.open()
        assert (caught.value.code, caught.value.text) == (404, "no such instrument")
        assert trades.state is REFUSED
        assert stage.nothing_is_left()
        # Whoever iterates all the same is told and does not wait for ever.
        with pytest.raises(RefusedError):
            await anext(trades)
        with pytest.raises(ClosedError):
            await trades.open()
        await trades.close()
        assert trades.state is REFUSED
        assert not stage.broker.unsubscribed, "there is nothing to cancel"

    run(scenario)


def test_a_stream_that_is_refused_after_it_was_granted_ends_loudly_and_alone() -> None:
    async def scenario(stage: Stage) -> None:
        other = await stage.client.trades("OTHER").open()
        trades = await stage.client.trades("TEST").open()
        guid = stage.broker.subscribed[1]
        stage.broker.send(data(guid, trade(1)), answer(guid), answer(guid, 503, "The history cannot be read"))
        stage.broker.send(data(guid, trade(2)))
        assert (await anext(trades)).id == 1
        for _ in range(2):
            with pytest.raises(RefusedError) as caught:
                await anext(trades)
            assert (caught.value.code, caught.value.text) == (503, "The history cannot be read")
        assert (trades.state, other.state) == (REFUSED, ACTIVE)
        await trades.close()
        assert not stage.broker.unsubscribed, "there is nothing to cancel"
        stage.broker.send(data(stage.broker.subscribed[0], trade(3)))
        assert (await anext(other)).id == 3
        # The good answer and the trade after the end.
        assert stage.client.unclaimed == 2
        await other.close()

    run(scenario)


def test_a_stream_that_is_refused_in_the_turn_of_its_grant_is_refused() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = lambda request: [answer(request["guid"]), answer(request["guid"], 503, "no past")]
        trades = stage.client.trades("TEST")
        with pytest.raises(RefusedError) as caught:
            await trades.open()
        assert (caught.value.code, caught.value.text, trades.state) == (503, "no past", REFUSED)
        assert stage.nothing_is_left()

    run(scenario)


def test_a_refused_token_is_renewed_once_and_the_request_repeated_once() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = lambda request: [
            answer(request["guid"], 200 if request["token"] == access_token(2) else 401, "Invalid JWT token!")
        ]
        async with stage.client.trades("TEST") as trades:
            assert trades.state is ACTIVE
        first, second = stage.broker.requests[:2]
        assert (first["token"], second["token"]) == (access_token(1), access_token(2))
        assert first["guid"] == second["guid"]
        assert stage.service.issued == 2

    run(scenario)


def test_a_token_refused_twice_is_a_refusal() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = refuse(401, "Invalid JWT token!")
        trades = stage.client.trades("TEST")
        with pytest.raises(RefusedError) as caught:
            await trades.open()
        assert (caught.value.code, len(stage.broker.requests), stage.service.issued) == (401, 2, 2)
        assert trades.state is REFUSED

    run(scenario)


def test_many_streams_refused_for_one_token_ask_for_one_new_token() -> None:
    async def scenario(stage: Stage) -> None:
        waiting: list[Request] = []
        stage.broker.reply = lambda request: (
            [answer(request["guid"])] if request["token"] != access_token(1) else waiting.append(request) or []
        )
        streams = [stage.client.trades(f"T{number}") for number in range(20)]
        async with asyncio.TaskGroup() as tasks:
            for stream in streams:
                tasks.create_task(stream.open())
            await stage.broker.until(lambda: len(waiting) == len(streams))
            # Each answer comes when the renewal for the one before is long over.
            for request in waiting:
                stage.broker.send(answer(request["guid"], 401))
                await settle()
        assert {stream.state for stream in streams} == {ACTIVE}
        assert stage.service.issued == 2

    run(scenario)


@pytest.mark.parametrize(("status", "kind"), [(403, TokenRefusedError), (500, TokenServiceError)])
def test_a_renewal_that_fails_ends_the_opening(status: int, kind: type[TapewireError]) -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = refuse(401)
        stage.oauth.answer_next(status)
        trades = stage.client.trades("TEST")
        with pytest.raises(kind) as caught:
            await trades.open()
        assert trades.state is CLOSED
        assert SECRET not in told(caught.value)
        with pytest.raises(kind):
            await anext(trades)
        assert stage.nothing_is_left()

    run(scenario)


def test_a_refused_refresh_token_is_told_by_the_next_opening() -> None:
    async def scenario(stage: Stage) -> None:
        stage.oauth.answer_next(403)
        await asyncio.sleep(1_000)
        trades = stage.client.trades("TEST")
        with pytest.raises(TokenRefusedError):
            await trades.open()
        assert not stage.broker.subscribed
        with pytest.raises(TokenRefusedError):
            stage.client.access_token()

    run(scenario)


def test_without_an_answer_the_stream_is_taken_back_after_a_while() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = silence
        trades = stage.client.trades("TEST")
        began = now()
        with pytest.raises(AnswerTimeoutError) as caught:
            await trades.open()
        assert now() - began == pytest.approx(ANSWER_TIMEOUT_S)
        assert caught.value.seconds == ANSWER_TIMEOUT_S
        assert SECRET not in told(caught.value)
        await settle()
        guid = stage.broker.subscribed[0]
        assert stage.broker.unsubscribed == [guid]
        assert stage.broker.requests[-1]["token"] == access_token(1)
        assert trades.state is CLOSED
        assert stage.nothing_is_left()
        # What comes after all belongs to nobody and harms nobody; one late answer was to be expected.
        unclaimed = stage.client.unclaimed
        stage.broker.send(data(guid, trade(1)), answer(guid), answer(guid))
        await settle()
        assert stage.client.unclaimed == unclaimed + 2
        with pytest.raises(AnswerTimeoutError):
            await anext(trades)

    run(scenario)


def test_what_came_before_an_answer_that_never_does_is_not_kept(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = lambda request: [data(request["guid"], trade(number)) for number in range(3)]
        trades = stage.client.trades("TEST", buffer=Spill(tmp_path, size=1))
        with pytest.raises(AnswerTimeoutError):
            await trades.open()
        assert (trades.received, trades.waiting, trades.dropped) == (3, 0, 3)

    run(scenario)


def test_the_answer_to_an_unsubscribe_is_no_stranger() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST"):
            pass
        await settle()
        assert len(stage.broker.unsubscribed) == 1
        assert stage.client.unclaimed == 0

    run(scenario)


def test_late_data_of_a_closed_stream_are_counted_and_delivered_to_nobody() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST") as trades:
            guid = stage.broker.subscribed[0]
        stage.broker.send(data(guid, trade(1)))
        await settle()
        assert (trades.received, stage.client.unclaimed) == (0, 1)
        assert await ids_of(trades) == []

    run(scenario)


# --- cancellation ---------------------------------------------------------------------------------------


async def opening(stage: Stage) -> tuple[Subscription[Trade], asyncio.Task[Subscription[Trade]]]:
    trades = stage.client.trades("TEST")
    task = asyncio.create_task(trades.open())
    return trades, task


def test_a_fault_in_a_renewal_ends_the_opening_and_what_is_to_be_withdrawn_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(stage: Stage) -> None:
        async def broken() -> str:
            raise EOFError

        stage.broker.reply = refuse(401)
        trades = stage.client.trades("TEST")
        with monkeypatch.context() as patched:
            patched.setattr(stage.tokens, "renew", broken)
            with pytest.raises(TokenServiceError, match="EOFError"):
                await trades.open()
        assert stage.nothing_is_left()

        stage.broker.reply = accept_all
        stage.broker.reply_to_end = lambda request: [
            answer(request["guid"], 401 if request["token"] == access_token(1) else 200)
        ]
        with monkeypatch.context() as patched:
            patched.setattr(stage.tokens, "renew", broken)
            async with stage.client.trades("TEST"):
                pass
            await asyncio.sleep(20)
            (withdrawn,) = stage.broker.unsubscribed
        await asyncio.sleep(20)
        assert stage.broker.unsubscribed == [withdrawn] * 2

    run(scenario)


@pytest.mark.parametrize("waits_for", ["the answer", "the renewal", "the second answer"])
def test_cancelled_at_any_point_of_opening_nothing_is_left(waits_for: str) -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = silence if waits_for == "the answer" else refuse(401)
        stage.oauth.delay_s = 5 if waits_for == "the renewal" else 0
        trades, task = await opening(stage)
        await stage.broker.asked(1)
        if waits_for == "the second answer":
            stage.broker.reply = silence
            await stage.broker.asked(2)
        await settle()
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert trades.state is CLOSED
        assert stage.nothing_is_left()
        await settle()
        assert stage.broker.unsubscribed == [stage.broker.subscribed[0]]
        assert await ids_of(trades) == []
        # The connection is as good as before.
        stage.broker.reply = lambda request: [answer(request["guid"])]
        async with stage.client.trades("TEST") as other:
            assert other.state is ACTIVE

    run(scenario)


def test_cancelled_at_every_turn_of_the_loop_nothing_is_left() -> None:
    """Wherever the cancellation strikes: either the stream is open, or nothing of it is left."""
    outcomes = set()

    async def scenario(stage: Stage) -> None:
        for turns in range(60):
            stage.broker.requests.clear()
            known = access_token(stage.service.issued)
            stage.broker.reply = lambda request, known=known: [
                answer(request["guid"], 401 if request["token"] == known else 200)
            ]
            trades, task = await opening(stage)
            for _ in range(turns):
                await asyncio.sleep(0 if turns % 2 else 0.0005)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                outcomes.add("cancelled")
                assert trades.state in (CLOSED, NEW)
                assert stage.nothing_is_left()
                await settle()
                assert set(stage.broker.unsubscribed) >= set(stage.broker.subscribed)
            else:
                outcomes.add("opened")
                assert trades.state is ACTIVE
                await trades.close()
            assert stage.nothing_is_left()

    run(scenario)
    assert outcomes == {"cancelled", "opened"}


def test_a_cancellation_that_meets_the_answer_takes_the_stream_back() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = silence
        trades, task = await opening(stage)
        request = await stage.broker.asked()
        session = stage.session
        assert session is not None
        session.receive(answer(request["guid"]))  # the answer is here, the task has not run yet
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert trades.state is CLOSED
        assert stage.nothing_is_left()

    run(scenario)


# --- closing while somebody waits -----------------------------------------------------------------------


@pytest.mark.parametrize("waits_for", ["the answer", "the renewal"])
def test_a_stream_closed_while_it_is_being_opened_ends_the_opening_at_once(waits_for: str) -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = silence if waits_for == "the answer" else refuse(401)
        stage.oauth.delay_s = 3
        trades, task = await opening(stage)
        await stage.broker.asked()
        await settle()
        await trades.close()
        with pytest.raises(ClosedError, match="trades:TEST was closed while"):
            await task
        assert trades.state is CLOSED
        assert stage.nothing_is_left()
        await settle()
        assert len(stage.broker.subscribed) == 1
        assert len(stage.broker.unsubscribed) == 1

    run(scenario)


def test_a_stream_closed_in_the_turn_of_its_answer_stays_closed() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = silence
        trades, task = await opening(stage)
        request = await stage.broker.asked()
        session = stage.session
        assert session is not None
        session.receive(answer(request["guid"]))
        await trades.close()
        with pytest.raises(ClosedError):
            await task
        assert trades.state is CLOSED

    run(scenario)


@pytest.mark.parametrize("code", [200, 404])
def test_a_connection_that_ends_with_the_answer_does_not_undo_it(code: int) -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = silence
        trades, task = await opening(stage)
        request = await stage.broker.asked()
        session, connection = stage.session, stage.connection
        assert session is not None
        assert connection is not None
        session.receive(answer(request["guid"], code))
        connection.disconnected(1006, "")
        stage.network.cut()
        if code == 200:
            await task
            await settle()
            assert trades.state is RESTORING
        else:
            with pytest.raises(RefusedError):
                await task
            assert trades.state is REFUSED

    run(scenario)


@pytest.mark.parametrize("waits_for", ["the answer", "the renewal"])
def test_a_broker_closed_while_a_stream_is_being_opened_ends_the_opening(waits_for: str) -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = silence if waits_for == "the answer" else refuse(401)
        stage.oauth.delay_s = 3
        trades, task = await opening(stage)
        await stage.broker.asked()
        await settle()
        await stage.client.close()
        with pytest.raises(ClosedError):
            await task
        assert trades.state is CLOSED

    run(scenario)


# --- the connection -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "closed", "broken"])
def test_streams_outlive_their_connection(how: str) -> None:
    async def scenario(stage: Stage) -> None:
        trades, books = await stage.client.trades("OTHER").open(), await stage.client.book("TEST").open()
        waiting = asyncio.create_task(anext(books))
        stage.broker.reply = silence
        pending, task = await opening(stage)
        await stage.broker.asked(3)
        guid = stage.broker.subscribed[0]
        stage.broker.send(data(guid, trade(1)), data(guid, trade(2)))
        await settle()
        stage.broker.reply = accept_all
        if how == "cut":
            stage.network.cut()
        elif how == "closed":
            stage.broker.peer.transport.close(1013, "too slow")
        else:
            stage.broker.peer.transport.send_frame(0, b"", fin=True)
        # What was never granted is the caller's to ask for again.
        with pytest.raises(ConnectionLostError) as caught:
            await task
        error = caught.value
        expected = {
            "cut": (1006, ""),
            "closed": (1013, "too slow"),
            "broken": (1002, "the broker broke the protocol: nothing to continue"),
        }
        assert (error.code, error.reason) == expected[how]
        assert error.retriable
        assert pending.state is CLOSED
        assert (trades.state, books.state) == (RESTORING, RESTORING)
        assert [record.id for record in await anext(trades.batches())] == [1, 2]
        await stage.broker.asked(5)
        await settle()
        assert (trades.state, books.state) == (ACTIVE, ACTIVE)
        assert not waiting.done(), "a consumer that waits notices nothing but the next book"
        waiting.cancel()

    run(scenario)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ((0, b""), (1002, "the broker broke the protocol: nothing to continue")),
        ((CLOSE, close_payload(1013, "too slow")), (1013, "too slow")),
    ],
)
def test_opening_while_the_connection_is_ending_tells_why_it_ends(
    end: tuple[int, bytes], told: tuple[int, str]
) -> None:
    async def scenario(stage: Stage) -> None:
        connection = stage.connection
        assert connection is not None
        # The far end has not heard of it, so the connection is not lost yet.
        connection.frame_received(*end, True, 0)
        assert connection.state is ConnectionState.CLOSING
        trades = stage.client.trades("TEST")
        with pytest.raises(ConnectionLostError) as caught:
            await trades.open()
        assert (caught.value.code, caught.value.reason) == told
        assert trades.state is CLOSED
        await stage.client.close()
        with pytest.raises(ClosedError, match="the broker was closed"):
            await stage.client.trades("TEST").open()

    run(scenario)


def test_each_stream_gets_an_error_of_its_own() -> None:
    async def scenario(stage: Stage) -> None:
        streams = [await stage.client.trades(symbol).open() for symbol in ("ONE", "TWO")]
        stage.oauth.answer_next(403)
        stage.broker.reply = refuse(401)
        stage.network.cut()
        errors = await asyncio.gather(*(anext(stream) for stream in streams), return_exceptions=True)
        assert [type(error) for error in errors] == [TokenRefusedError] * 2
        assert errors[0] is not errors[1]

    run(scenario)


def test_a_connection_that_ends_during_a_renewal_ends_the_opening() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = refuse(401)
        stage.oauth.delay_s = 3
        _, task = await opening(stage)
        await stage.broker.asked()
        await settle()
        stage.network.cut()
        with pytest.raises(ConnectionLostError):
            await task
        assert len(stage.broker.requests) == 1

    run(scenario)


def test_a_broker_that_cannot_be_reached_is_a_connect_error_and_nothing_is_left() -> None:
    async def main() -> None:
        for status, text in ((None, "connection refused"), (503, "connection refused")):
            stage = Stage()
            stage.broker.address.refuse(status)
            with pytest.raises(ConnectError, match=r"cannot connect to wss://broker\.test/ws") as caught:
                await stage.client.start()
            assert text in caught.value.reason
            assert SECRET not in told(caught.value)
            await stage.client.close()

    run_virtual(main)


def test_a_handshake_without_an_answer_times_out() -> None:
    async def main() -> None:
        stage = Stage()
        stage.broker.address.swallow()
        began = now()
        with pytest.raises(ConnectError, match="no answer within 10 s"):
            await stage.client.start()
        assert now() - began == pytest.approx(CONNECT_TIMEOUT_S, abs=0.01)
        await stage.client.close()

    run_virtual(main)


@pytest.mark.parametrize("at_s", [0.0, 0.0005, 0.0015, 0.0025, 0.0035, 0.005])
def test_a_start_cancelled_anywhere_leaves_nothing(at_s: float) -> None:
    async def main() -> None:
        stage = Stage()
        starting = asyncio.create_task(stage.client.start())
        await asyncio.sleep(at_s)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await stage.client.close()
        await asyncio.sleep(5)
        assert stage.network.connections == ()

    run_virtual(main)


def test_opening_before_the_start_is_refused() -> None:
    async def main() -> None:
        stage = Stage()
        await stage.tokens.start()
        trades = stage.client.trades("TEST")
        with pytest.raises(ClosedError, match="not connected"):
            await trades.open()
        await stage.client.close()

    run_virtual(main)


# --- closing --------------------------------------------------------------------------------------------


def test_close_with_open_streams_says_goodbye_and_ends_them_plainly() -> None:
    async def scenario(stage: Stage) -> None:
        trades = await stage.client.trades("TEST").open()
        consuming = asyncio.create_task(ids_of(trades))
        await settle()
        await stage.client.close()
        assert stage.broker.peer.end == (1000, "")
        assert await consuming == []
        assert trades.state is CLOSED
        with pytest.raises(ClosedError, match="the broker was closed"):
            await stage.client.trades("TEST").open()
        await trades.close()

    run(scenario)


def test_a_peer_that_never_answers_the_close_frame_is_left_after_a_second() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.answers_close = False
        began = now()
        await stage.client.close()
        assert now() - began == pytest.approx(CLOSE_TIMEOUT_S, abs=0.01)

    run(scenario)


def test_a_dead_line_does_not_hold_the_close_up() -> None:
    async def scenario(stage: Stage) -> None:
        (line,) = stage.network.connections
        line.drop()
        began = now()
        await stage.client.close()
        assert now() - began == pytest.approx(CLOSE_TIMEOUT_S, abs=0.01)
        line.cut()

    run(scenario)


def test_close_twice_and_at_the_same_time() -> None:
    async def scenario(stage: Stage) -> None:
        await asyncio.gather(stage.client.close(), stage.client.close())
        await stage.client.close()

    run(scenario)


def test_a_cancelled_close_leaves_no_connection() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.answers_close = False
        closing = asyncio.create_task(stage.client.close())
        await asyncio.sleep(0.1)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await settle()
        assert stage.network.connections == ()

    run(scenario)


def test_close_after_a_loss_returns_at_once() -> None:
    async def scenario(stage: Stage) -> None:
        stage.network.cut()
        await settle()
        began = now()
        await stage.client.close()
        assert now() == began

    run(scenario)


# --- limits ---------------------------------------------------------------------------------------------


def test_one_stream_too_many_is_refused_locally_and_may_be_opened_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "DATA_LINKS_MAX", 3)
    monkeypatch.setattr(links, "place", partial(place, streams_max=50))

    async def scenario(stage: Stage) -> None:
        # One link of the three is kept for what is critical.
        streams = [stage.client.trades(f"T{number}") for number in range(100)]
        async with asyncio.TaskGroup() as tasks:
            for stream in streams:
                tasks.create_task(stream.open())
        extra = stage.client.trades("TEST")
        with pytest.raises(LimitError, match="subscriptions: 101 asked for, the limit is 100"):
            await extra.open()
        assert len(stage.broker.requests) == 100
        assert len(stage.fleet.links) == 2
        assert extra.state is CLOSED
        await streams[0].close()
        again = stage.client.trades("TEST")
        await again.open()
        assert again.state is ACTIVE

    run(scenario)


def test_requests_and_subscriptions_show_no_token() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST") as trades:
            assert SECRET not in repr(trades) + repr(trades.request) + repr(vars(trades))

    run(scenario)


def test_the_connection_says_whose_it_is_before_anything_is_asked_for() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.broker.until(lambda: stage.broker.pings)
        [ping] = stage.broker.pings
        assert (ping["opcode"], ping["token"], ping["confirm"]) == ("ping", access_token(1), True)
        assert len(ping["guid"]) == 32
        await settle()
        assert (stage.client.received, stage.client.unclaimed) == (1, 0)
        assert stage.broker.requests == []

    run(scenario)
