"""The order connection on virtual time: opening, tokens, cuts, silence, the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from tapewire.client import order_entry
from tapewire.client.attended import CLOSE_TIMEOUT_S
from tapewire.client.backoff import BLOCKED_AFTER, BLOCKED_S, HELD_S
from tapewire.client.command_end import CommandEnd, Taken, Untold
from tapewire.client.command_result import Rejected
from tapewire.client.command_session import CommandSession
from tapewire.client.errors import (
    ClosedError,
    ConnectError,
    LimitError,
    NotSentError,
    RefusedError,
    TokenRefusedError,
)
from tapewire.client.heartbeat import PING_EVERY_S, PING_TIMEOUT_S
from tapewire.client.order_entry import COMMAND_TIMEOUT_S, RESTORE_TRIES_MAX
from tapewire.client.order_terms import OrderTerms, create_command
from tapewire.client.quota import Quota
from tapewire.model import GroupedType, Side
from tapewire.ports.network import HandshakeRefusedError
from tapewire.simulation import run_virtual
from unit.client.stage import CLOSE, SECRET, Request, Stage, answer, numbered, settle, silence, staged, told
from unit.client.test_quota import FakeSlots

TERMS = OrderTerms(
    type=GroupedType.LIMIT, portfolio="D1", symbol="TEST", side=Side.BUY, lots=2, price=Decimal("10.50")
)


def run(scenario: Callable[[Stage], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with staged(**settings) as stage:
            await scenario(stage)

    run_virtual(main)


def now() -> float:
    return asyncio.get_running_loop().time()


async def submit(stage: Stage) -> CommandEnd:
    return await stage.entry.submit(create_command(TERMS, stage.entry.new_guid()))


def refuse(code: int, text: str = "no") -> Callable[[Request], list[bytes]]:
    return lambda request: [answer(request["guid"], code, text)]


# --- opening --------------------------------------------------------------------------------------------


def test_nothing_is_opened_before_the_first_command() -> None:
    async def scenario(stage: Stage) -> None:
        await asyncio.sleep(100)
        assert stage.broker.desk.peers == []
        assert await submit(stage) == Taken("1001")
        assert await submit(stage) == Taken("1002")
        assert (len(stage.broker.desk.peers), len(stage.broker.desk.tokens)) == (1, 1)

    run(scenario)


def test_commands_that_come_while_it_is_opened_share_one_connection() -> None:
    async def scenario(stage: Stage) -> None:
        ends = await asyncio.gather(*(submit(stage) for _ in range(20)))
        assert {end.number for end in ends if isinstance(end, Taken)} == {str(1_000 + n) for n in range(1, 21)}
        assert (len(stage.broker.desk.peers), len(stage.broker.desk.tokens)) == (1, 1)
        assert len({command["guid"] for command in stage.broker.desk.commands}) == 20

    run(scenario)


def test_commands_that_wait_for_the_opening_count_as_in_flight() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.desk.reply_authorize = silence
        waiting = [asyncio.create_task(submit(stage)) for _ in range(100)]
        await settle()
        with pytest.raises(LimitError, match="commands in flight: 101 asked for, the limit is 100"):
            await submit(stage)
        with pytest.raises(NotSentError, match="no answer within 10 s"):
            await waiting[0]
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(end, NotSentError) for end in ends)
        assert stage.broker.desk.commands == []

    run(scenario)


def test_a_connection_that_cannot_be_had_is_told_and_tried_again_by_the_next_command() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.address.refuse(503)
        with pytest.raises(NotSentError, match=r"cannot connect to wss://broker\.test/cws") as caught:
            await submit(stage)
        assert isinstance(caught.value.__cause__, ConnectError)
        with pytest.raises(NotSentError):
            await stage.entry.open()
        stage.broker.address.restore()
        assert await submit(stage) == Taken("1001")

    run(scenario)


def test_a_caller_who_gives_up_waiting_does_not_end_the_opening() -> None:
    async def scenario(stage: Stage) -> None:
        first, second = asyncio.create_task(submit(stage)), asyncio.create_task(submit(stage))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == Taken("1001")
        assert len(stage.broker.desk.commands) == 1

    run(scenario)


# --- tokens ---------------------------------------------------------------------------------------------


def test_each_new_token_is_shown_on_the_connection() -> None:
    async def scenario(stage: Stage) -> None:
        await submit(stage)
        await asyncio.sleep(3_000)
        assert len(stage.broker.desk.tokens) == stage.service.issued == 4
        assert len(set(stage.broker.desk.tokens)) == 4
        assert len(stage.broker.desk.peers) == 1

    run(scenario)


def test_a_token_that_is_not_taken_is_renewed_once() -> None:
    async def scenario(stage: Stage) -> None:
        replies = [refuse(401), lambda request: [answer(request["guid"])]]
        stage.broker.desk.reply_authorize = lambda request: replies.pop(0)(request)
        assert await submit(stage) == Taken("1001")
        assert stage.service.issued == 2

    run(scenario)


@pytest.mark.parametrize("code", [401, 403])
def test_a_right_that_cannot_be_had_is_told_with_nothing_sent(code: int) -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.desk.reply_authorize = refuse(code, "not you")
        with pytest.raises(NotSentError, match=f"refused: {code} not you") as caught:
            await submit(stage)
        assert isinstance(caught.value.__cause__, RefusedError)
        assert stage.broker.desk.commands == []
        await settle()
        assert stage.broker.desk.peer.end is not None

    run(scenario)


def test_a_refresh_token_that_is_not_good_is_told_without_a_secret() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.desk.reply_authorize = refuse(401)
        stage.oauth.answer_next(403)
        with pytest.raises(NotSentError, match="the refresh token was refused") as caught:
            await submit(stage)
        assert isinstance(caught.value.__cause__, TokenRefusedError)
        assert SECRET not in told(caught.value)

    run(scenario)


def test_after_401_to_a_command_it_is_rejected_and_the_next_one_is_sent_with_a_new_token() -> None:
    async def scenario(stage: Stage) -> None:
        await submit(stage)
        stage.broker.desk.reply_command = refuse(401, "Invalid JWT token!")
        end = await submit(stage)
        assert isinstance(end, Rejected)
        assert end.code == 401
        stage.broker.desk.reply_command = stage.broker.desk.take
        assert isinstance(await submit(stage), Taken)
        assert len(stage.broker.desk.commands) == 3
        assert len(set(stage.broker.desk.tokens)) == 2
        assert len(stage.broker.desk.peers) == 1

    run(scenario)


def test_a_right_that_is_taken_away_with_the_next_message_is_waited_for() -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk
        await submit(stage)
        desk.reply_command = silence
        early = asyncio.create_task(submit(stage))
        request = await desk.asked(2)
        desk.reply_command = refuse(401)
        await submit(stage)
        replies = [
            lambda shown: [answer(shown["guid"]), answer(request["guid"], 401, "too late")],
            lambda shown: [answer(shown["guid"])],
        ]
        desk.reply_authorize = lambda shown: replies.pop(0)(shown)
        desk.reply_command = desk.take
        assert isinstance(await submit(stage), Taken)
        assert isinstance(await early, Rejected)
        assert (replies, len(desk.peers)) == ([], 1)

    run(scenario)


def test_who_loses_a_command_with_the_right_to_it_is_told_so() -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk
        await submit(stage)
        desk.reply_command = silence
        waiting = asyncio.create_task(submit(stage))
        await desk.asked(2)
        desk.reply_authorize = refuse(403, "not you")
        desk.reply_command = refuse(401)
        await submit(stage)
        end = await waiting
        assert isinstance(end, Untold)
        assert end.why == "the connection was lost (1006: not authorized: the broker refused: 403 not you)"

    run(scenario)


def test_a_renewal_that_is_not_answered_leaves_the_old_right() -> None:
    async def scenario(stage: Stage) -> None:
        await submit(stage)
        stage.broker.desk.reply_authorize = silence
        await asyncio.sleep(1_100)
        assert len(stage.broker.desk.tokens) == 2
        assert isinstance(await submit(stage), Taken)
        assert len(stage.broker.desk.peers) == 1

    run(scenario)


# --- cuts and silence -----------------------------------------------------------------------------------


def test_a_cut_makes_what_is_in_flight_unknown_and_nothing_is_repeated() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.desk.reply_command = silence
        waiting = [asyncio.create_task(submit(stage)) for _ in range(3)]
        await stage.broker.desk.asked(3)
        stage.broker.desk.peer.transport.abort()
        for end in await asyncio.gather(*waiting):
            assert isinstance(end, Untold)
            assert "the connection was lost (1006" in end.why
        stage.broker.desk.reply_command = stage.broker.desk.take
        await stage.entry.open()
        await asyncio.sleep(100)
        assert len(stage.broker.desk.commands) == 3

    run(scenario)


def test_while_it_is_restored_a_command_is_refused_at_once_and_open_waits() -> None:
    async def scenario(stage: Stage) -> None:
        await submit(stage)
        stage.broker.address.refuse(503)
        stage.broker.desk.peer.transport.abort()
        await settle()
        began = now()
        with pytest.raises(NotSentError, match="is being restored"):
            await submit(stage)
        assert now() == began
        opening = asyncio.create_task(stage.entry.open())
        await asyncio.sleep(8)
        assert not opening.done()
        stage.broker.address.restore()
        await opening
        assert await submit(stage) == Taken("1002")
        assert len(stage.broker.desk.tokens) == 2

    run(scenario)


def test_restoring_is_given_up_after_so_many_tries_and_begun_again_by_a_command() -> None:
    async def scenario(stage: Stage) -> None:
        await submit(stage)
        tries = 0

        def swallow(path: str, client: str) -> None:
            nonlocal tries
            tries += 1

        # One that ends before it has held counts as a try.
        await asyncio.sleep(HELD_S)
        accept, stage.broker.address.acceptor = stage.broker.address.acceptor, swallow
        stage.broker.desk.peer.transport.abort()
        await asyncio.sleep(1_500)
        assert tries == RESTORE_TRIES_MAX - 1, "the loss counts"
        with pytest.raises(NotSentError, match="cannot connect"):
            await submit(stage)
        assert tries == RESTORE_TRIES_MAX
        stage.broker.address.acceptor = accept
        assert isinstance(await submit(stage), Taken)

    run(scenario)


def test_connections_that_do_not_hold_are_not_opened_without_end() -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk

        def cut(request: Request) -> list[bytes]:
            asyncio.get_running_loop().call_later(1, desk.peer.transport.abort)
            return [answer(request["guid"])]

        desk.reply_authorize = cut
        await submit(stage)
        await asyncio.sleep(1_500)
        assert len(desk.peers) == RESTORE_TRIES_MAX
        assert isinstance(await submit(stage), Taken)

    run(scenario)


def fail(*_args: object) -> bytes:
    raise RuntimeError("a fault of our own")


def test_a_connection_whose_keeper_fails_carries_no_more_commands(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(stage: Stage) -> None:
        desk, slots = stage.broker.desk, FakeSlots(1)
        stage.entry._quota = Quota(stage.tokens, slots)
        await submit(stage)
        desk.reply_command = silence
        await asyncio.sleep(PING_EVERY_S - 1)
        waiting = asyncio.create_task(submit(stage))
        with monkeypatch.context() as patched:
            patched.setattr(CommandSession, "ping", fail)
            end = await waiting
        assert isinstance(end, Untold)
        assert "the order connection has failed: RuntimeError('a fault of our own')" in end.why
        assert "the order connection has failed" in caplog.text
        await settle()
        assert desk.peer.end is not None
        assert slots.left == 1
        desk.reply_command = desk.take
        assert isinstance(await submit(stage), Taken)
        assert (len(desk.peers), slots.left) == (2, 0)

    run(scenario)


def test_who_waits_for_a_connection_is_told_that_its_keeper_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(CommandSession, "authorize", fail)
            ends = await asyncio.gather(submit(stage), submit(stage), return_exceptions=True)
        for end in ends:
            assert isinstance(end, NotSentError)
            assert isinstance(end.__cause__, ClosedError)
            assert "the order connection has failed: RuntimeError" in str(end)
        assert isinstance(await submit(stage), Taken)
        assert len(stage.broker.desk.peers) == 2

    run(scenario)


def test_no_answer_in_time_is_unknown_and_a_late_one_is_kept() -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk
        desk.reply_command = silence
        guid = stage.entry.new_guid()
        waiting = asyncio.create_task(stage.entry.submit(create_command(TERMS, guid)))
        await desk.asked()
        # Another answer comes meanwhile: the connection is alive.
        desk.reply_command = desk.take
        await submit(stage)
        assert await waiting == Untold(f"no answer within {COMMAND_TIMEOUT_S:g} s")
        assert stage.entry.late_end(guid) is None
        desk.peer.transport.send([numbered(guid, "77")])
        await settle()
        assert stage.entry.late_end(guid) == Taken("77")
        assert len(desk.peers) == 1

    run(scenario)


def test_a_connection_on_which_nothing_comes_any_more_is_replaced() -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk
        await submit(stage)
        desk.reply_command = silence
        desk.answers_pings = False
        first = asyncio.create_task(submit(stage))
        await asyncio.sleep(3)
        second = asyncio.create_task(submit(stage))
        assert isinstance(await first, Untold)
        began = now()
        assert isinstance(await second, Untold)
        assert now() - began < 1
        desk.reply_command = desk.take
        await stage.entry.open()
        assert isinstance(await submit(stage), Taken)
        assert len(desk.peers) == 2

    run(scenario)


def test_a_connection_that_answers_pings_is_kept_whatever_becomes_of_a_command() -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk
        await submit(stage)
        desk.reply_command = silence
        waiting = [asyncio.create_task(submit(stage)) for _ in range(50)]
        assert all(isinstance(end, Untold) for end in await asyncio.gather(*waiting))
        assert len(desk.pings) <= 2, "one for all that doubt"
        desk.reply_command = desk.take
        assert isinstance(await submit(stage), Taken)
        assert len(desk.peers) == 1

    run(scenario)


@pytest.mark.parametrize("idle_s", [0.0, 4.0, 9.9, 14.0, 999.0])
def test_a_dead_connection_is_noticed_by_the_time_when_a_command_is_given_up(idle_s: float) -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk
        await submit(stage)
        await asyncio.sleep(idle_s)
        desk.reply_command = desk.reply_authorize = silence
        desk.answers_pings = False
        dead = desk.peer
        assert isinstance(await submit(stage), Untold)
        await settle()
        assert dead.end is not None

    run(scenario)


def test_a_connection_that_dies_while_a_new_token_is_shown_is_noticed_as_soon() -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk
        await submit(stage)
        desk.reply_command = desk.reply_authorize = silence
        desk.answers_pings = False
        dead = desk.peer
        assert stage.entry._connection is not None
        stage.entry._connection.token_renewed()
        await settle()
        assert isinstance(await submit(stage), Untold)
        await settle()
        assert dead.end is not None
        assert len(desk.tokens) == 2

    run(scenario)


def test_a_caller_who_is_cancelled_leaves_its_place_when_the_answer_comes() -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk
        desk.reply_command = silence
        waiting = asyncio.create_task(submit(stage))
        request = await desk.asked()
        waiting.cancel()
        await settle()
        assert stage.entry._connection is not None
        assert stage.entry._connection.session.in_flight == 1
        desk.peer.transport.send([numbered(request["guid"], "7")])
        await settle()
        assert stage.entry._connection.session.in_flight == 0
        # Nor does its timer end a connection on which nothing else comes.
        await asyncio.sleep(60)
        assert len(desk.peers) == 1

    run(scenario)


def test_late_ends_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_entry, "LATE_ENDS_MAX", 2)

    async def scenario(stage: Stage) -> None:
        for guid in ("a", "b", "c"):
            stage.entry.came_late(guid, Taken(guid))
        assert [stage.entry.late_end(guid) for guid in ("a", "b", "c")] == [None, Taken("b"), Taken("c")]

    run(scenario)


# --- the end --------------------------------------------------------------------------------------------


def test_closing_says_goodbye_and_makes_what_is_in_flight_unknown() -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk
        desk.reply_command = silence
        waiting = asyncio.create_task(submit(stage))
        await desk.asked()
        await stage.entry.close()
        assert await waiting == Untold("the broker was closed")
        assert desk.peer.frames[-1][0] == CLOSE
        with pytest.raises(NotSentError, match="the broker was closed"):
            await submit(stage)

    run(scenario)


def test_closing_while_it_is_opened_tells_those_who_wait() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.desk.reply_authorize = silence
        waiting = asyncio.create_task(submit(stage))
        await settle()
        await stage.entry.close()
        with pytest.raises(NotSentError, match="the broker was closed"):
            await waiting

    run(scenario)


def test_a_broker_that_never_says_goodbye_is_left_after_a_second() -> None:
    async def scenario(stage: Stage) -> None:
        await submit(stage)
        stage.broker.desk.answers_close = False
        began = now()
        await stage.entry.close()
        assert now() - began == pytest.approx(CLOSE_TIMEOUT_S, abs=0.1)

    run(scenario)


def test_closing_that_is_cancelled_at_once_leaves_no_connection_open() -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk
        await submit(stage)
        closing = asyncio.create_task(stage.entry.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await settle()
        assert desk.peer.end is not None
        assert stage.entry._connection is not None
        assert stage.entry._connection._connection.is_closed

    run(scenario)


def test_the_right_to_a_connection_is_given_back_when_that_has_ended() -> None:
    async def scenario(stage: Stage) -> None:
        slots = FakeSlots(1)
        stage.entry._quota = Quota(stage.tokens, slots)
        await submit(stage)
        stage.broker.desk.answers_close = False
        closing = asyncio.create_task(stage.entry.close())
        await settle()
        assert (slots.left, stage.broker.desk.peer.end) == (0, None)
        await closing
        assert slots.left == 1

    run(scenario)


# --- signs of life --------------------------------------------------------------------------------------


def test_an_idle_order_connection_is_pinged_and_stays() -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk
        await stage.entry.open()
        await asyncio.sleep(10 * PING_EVERY_S + 1)
        assert len(desk.pings) == 10
        assert all("token" not in ping for ping in desk.pings), "it is authorized"
        connection = stage.entry._connection
        assert connection is not None
        assert connection.session.unclaimed == 0
        assert len(desk.peers) == 1

    run(scenario)


def test_an_idle_order_connection_that_answers_no_ping_is_replaced_before_a_command_is_lost_on_it() -> None:
    async def scenario(stage: Stage) -> None:
        desk = stage.broker.desk
        await stage.entry.open()
        desk.answers_pings = False
        await asyncio.sleep(PING_EVERY_S + PING_TIMEOUT_S + 2)
        desk.answers_pings = True
        await stage.entry.open()
        assert len(desk.peers) == 2
        assert isinstance(await submit(stage), Taken)

    run(scenario)


def refuse_orders(stage: Stage, status: int, *, retry_after_s: int | None = None) -> list[float]:
    """Let nobody open the order socket; returns when it is tried."""
    accept, tries = stage.broker.address.acceptor, list[float]()

    def decide(path: str, client: str) -> Any:
        if path != "/cws":
            return accept(path, client)
        tries.append(now())
        raise HandshakeRefusedError(status, "No", "not now", retry_after_s=retry_after_s)

    stage.broker.address.acceptor = decide
    return tries


@pytest.mark.parametrize("status", [401, 403, 406, 429])
def test_a_login_that_is_blocked_is_asked_for_by_orders_as_seldom_as_by_streams(status: int) -> None:
    async def scenario(stage: Stage) -> None:
        await submit(stage)
        await asyncio.sleep(HELD_S)
        tries = refuse_orders(stage, status)
        stage.broker.desk.peer.transport.abort()
        await asyncio.sleep(600 + 3 * BLOCKED_S)
        pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
        assert len(tries) > BLOCKED_AFTER
        assert all(pause < 60 for pause in pauses[: BLOCKED_AFTER - 1])
        assert all(BLOCKED_S <= pause <= 2 * BLOCKED_S for pause in pauses[BLOCKED_AFTER - 1 :])

    run(scenario)


def test_an_order_connection_that_was_given_up_may_be_woken_again() -> None:
    async def scenario(stage: Stage) -> None:
        await submit(stage)
        refuse_orders(stage, 503)
        stage.broker.desk.peer.transport.abort()
        await asyncio.sleep(15)
        stage.entry._reach.got_through()
        await asyncio.sleep(1_500)
        assert stage.entry._state.value == "idle"
        assert stage.entry not in stage.entry._reach._woken

    run(scenario)


def test_when_to_come_back_is_kept_by_the_order_connection_too() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.entry.open()
        accept = stage.broker.address.acceptor
        tries = refuse_orders(stage, 429, retry_after_s=60)
        stage.network.cut()
        await asyncio.sleep(200)
        stage.broker.address.acceptor = accept
        assert len(tries) >= 2
        assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(tries))

    run(scenario)


# --- what is told ---------------------------------------------------------------------------------------


async def told_of_orders(stage: Stage, seconds: float) -> list[str]:
    """Return what is said of the order connection in so many seconds from now on."""
    events, lines = aiter(stage.client.events), list[str]()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for event in events:
                lines += [str(event)] * ("the order connection" in str(event))
                assert getattr(event, "lane", "orders") != "orders" or getattr(event, "link", 0) == 0
    return lines


def test_what_happens_to_the_order_connection_is_told_as_of_any_other() -> None:
    async def scenario(stage: Stage) -> None:
        telling = asyncio.create_task(told_of_orders(stage, 10))
        await submit(stage)
        stage.broker.desk.peer.transport.abort()
        await stage.entry.open()
        opened, lost, waiting, again = await telling
        assert opened == "the order connection is open"
        assert lost == "the order connection was lost (1006)"
        assert re.fullmatch(
            r"the order connection: try 2 in 0\.\d s \(the connection was lost \(1006\)\)", waiting
        )
        assert again == "the order connection is open again"

    run(scenario)


def test_a_silent_order_connection_is_told_with_what_is_done() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.entry.open()
        stage.broker.desk.answers_pings = False
        told = await told_of_orders(stage, PING_EVERY_S + PING_TIMEOUT_S + 1)
        assert told[:2] == [
            "the order connection has been silent for 5 s: connecting anew",
            "the order connection was lost (1006: silent for 5 s after a ping)",
        ]

    run(scenario)


def test_a_block_of_orders_is_told_once() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.entry.open()
        refuse_orders(stage, 403)
        stage.broker.desk.peer.transport.abort()
        told = await told_of_orders(stage, 3 * BLOCKED_S)
        assert [line for line in told if "blocked" in line] == [
            "the order connection is blocked: broker.test:443: not now"
        ]
        assert len([line for line in told if "try" in line]) > BLOCKED_AFTER

    run(scenario)


def test_the_end_that_was_asked_for_and_a_first_opening_that_failed_are_no_events() -> None:
    async def scenario(stage: Stage) -> None:
        telling = asyncio.create_task(told_of_orders(stage, 10))
        accept = stage.broker.address.acceptor
        refuse_orders(stage, 503)
        with pytest.raises(NotSentError):
            await submit(stage)
        stage.broker.address.acceptor = accept
        await submit(stage)
        await stage.entry.close()
        assert await telling == ["the order connection is open"]

    run(scenario)
