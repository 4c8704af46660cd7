"""The safety extension at the order socket: what is answered, and what reaches the venue without its client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from portfolio import order, stop_order
from tapewire.gateway import command_session
from tapewire.gateway.limits import Limit
from tapewire.gateway.order_entry import COMMAND_DEADLINE_S
from tapewire.gateway.safeguards import DETACHED_MAX, RETRY_DELAYS_S
from tapewire.gateway.safety import GUARDED_ORDERS_MAX, Cause
from tapewire.model import (
    CancelOrder,
    CancelStopOrder,
    Command,
    Done,
    OrderStatus,
    PlaceOrder,
    Refused,
    Topic,
    TopicKind,
    Unavailable,
)
from tapewire.simulation import run_virtual
from unit.gateway.commands import DELETE, LIMIT, MARKET, STOP
from unit.gateway.world import READER_REFRESH, Peer, World

#: Longer than any link here takes.
SOON_S = 0.1


def run(scenario: Callable[[World], Coroutine[Any, Any, None]], **settings: Any) -> None:
    async def main() -> None:
        async with World(safety=True, **settings) as world:
            await scenario(world)

    run_virtual(main)


async def safe(world: World, **asked: Any) -> Peer:
    """Return an authorised peer that has asked for safety."""
    peer = await world.connect("/cws")
    assert await peer.ask("authorize", "hello") == 200
    assert await peer.ask("safety", "safety", token=None, **asked) == 200
    return peer


async def placed(peer: Peer, guid: str, opcode: str = "create:limit", **fields: Any) -> str:
    peer.send(opcode, guid, token=None, **(LIMIT | fields))
    answer = await peer.answer(guid)
    assert answer["httpCode"] == 200, answer
    return str(answer["orderNumber"])


def cancelled(world: World) -> list[str]:
    """Return the numbers of the orders that the gateway has cancelled, in order."""
    return [each.order_number for each in world.venue.commands if isinstance(each, CancelOrder | CancelStopOrder)]


def cut(world: World) -> None:
    world.network.connections[0].cut()


# --- what is answered -----------------------------------------------------------------------------------


def test_without_the_operators_switch_the_opcode_is_unknown_in_every_state() -> None:
    async def main() -> None:
        async with World() as world:
            peer = await world.connect("/cws")
            for guid in ("1", "2"):
                for opcode in ("safety", "Safety", "nonsense"):
                    peer.send(opcode, guid, token=None, cancelOnDisconnect="what", cancelAfterSeconds=-1)
                    expected = {"requestGuid": guid, "httpCode": 400, "message": f"Unknown opcode {opcode}"}
                    assert await peer.answer(guid) == expected
                assert await peer.ask("authorize", "a") == 200
            assert b"safety" not in (await world.ask_admin("/metrics"))[1]

    run_virtual(main)


def test_what_is_agreed_on_is_answered() -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True, cancelAfterSeconds=30)
        await placed(peer, "1")
        await asyncio.sleep(10)
        peer.send("SAFETY", "q", token=None)
        await peer.until(lambda: peer.messages)
        (raw,) = peer.messages
        assert raw.startswith(b'{"requestGuid":"q","httpCode":200,"message":"Handled successfully",')
        answer = json.loads(raw)
        assert answer.pop("secondsLeft") == pytest.approx(20, abs=0.1)
        assert answer == {
            "requestGuid": "q",
            "httpCode": 200,
            "message": "Handled successfully",
            "cancelOnDisconnect": True,
            "cancelAfterSeconds": 30,
            "timerFired": 0,
            "guardedOrders": 1,
        }
        peer.send("safety", "d", token=None, cancelOnDisconnect=False, cancelAfterSeconds=0)
        answer = await peer.answer("d")
        assert (answer["cancelOnDisconnect"], answer["cancelAfterSeconds"], answer["secondsLeft"]) == (False, 0, 0)
        await asyncio.sleep(60)
        assert cancelled(world) == []

    run(scenario)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"cancelAfterSeconds": -1}, "cancelAfterSeconds"),
        ({"cancelAfterSeconds": 86_401}, "cancelAfterSeconds"),
        ({"cancelAfterSeconds": 1.5}, "cancelAfterSeconds"),
        ({"cancelOnDisconnect": "perhaps"}, "cancelOnDisconnect"),
    ],
)
def test_bad_values_are_refused_and_change_nothing(fields: dict[str, Any], name: str) -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelAfterSeconds=9)
        peer.send("safety", "b", token=None, **fields)
        answer = await peer.answer("b")
        assert (answer["httpCode"], answer["message"]) == (400, f"Invalid or unsupported {name}")
        peer.send("safety", "q", token=None)
        assert (await peer.answer("q"))["cancelAfterSeconds"] == 9

    run(scenario)


def test_who_may_not_place_orders_may_not_guard_any() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        assert await peer.ask("safety", "s", token=None) == 401
        reader = await world.connect("/cws", world.token(READER_REFRESH))
        assert await reader.ask("authorize", "a") == 200
        assert await reader.ask("safety", "s", token=None) == 403

    run(scenario)


# --- the end of the connection --------------------------------------------------------------------------


def test_a_lost_connection_takes_its_orders_with_it_and_no_others() -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True)
        other = await safe(world, cancelOnDisconnect=True)
        first, stop = await placed(peer, "1"), await placed(peer, "2", "create:stop", **STOP)
        await placed(other, "3")
        second = await placed(peer, "4", "update:limit", orderId=first)
        gone = await placed(peer, "5")
        assert await peer.ask("delete:limit", "6", token=None, **(DELETE | {"orderId": gone})) == 200
        world.venue.commands.clear()
        cut(world)
        await asyncio.sleep(SOON_S)
        assert cancelled(world) == [stop, second]
        assert isinstance(world.venue.commands[0], CancelStopOrder)
        assert set(world.venue.desk.keys[-2:]) == {None}, "no guid of a client is used up"
        assert world.gateway.counters.safety_fired == {Cause.DISCONNECT: 1}
        assert world.gateway.counters.safety_cancelled == 2
        other.transport.close(1000)
        await other.closed()

    run(scenario)


@pytest.mark.parametrize("code", [1000, 1001, 1005])
def test_a_clean_close_leaves_the_orders_and_disarms(code: int) -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True, cancelAfterSeconds=1)
        await placed(peer, "1")
        peer.transport.close(code)
        await asyncio.sleep(60)
        assert cancelled(world) == []

    run(scenario)


@pytest.mark.parametrize("how", ["protocol error", "1011", "flood", "operator", "server"])
def test_every_other_end_is_not_clean(how: str) -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True)
        number = await placed(peer, "1")
        match how:
            case "protocol error":
                peer.transport.send_frame(0, b"goes on, but with what?")
            case "1011":
                peer.transport.close(1011)
            case "flood":
                for _ in range(20_001):
                    peer.transport.send_frame(9, b"")
            case "operator":
                assert (await world.ask_admin("/admin/sessions/1", "DELETE"))[0] == 204
            case "server":
                await world.gateway.close(drain_s=1)
        await asyncio.sleep(5)
        assert cancelled(world) == [number]

    run(scenario)


def test_the_end_of_the_token_is_no_end_of_the_connection() -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True)
        number = await placed(peer, "1")
        await asyncio.sleep(2_000)
        assert await peer.ask("safety", "s", token=None) == 401
        assert cancelled(world) == []
        cut(world)
        await asyncio.sleep(SOON_S)
        assert cancelled(world) == [number]

    run(scenario)


@pytest.mark.parametrize("delay_s", [0.5, COMMAND_DEADLINE_S + 1])
def test_an_order_under_way_at_the_cut_is_cancelled_and_one_that_waits_never_placed(
    delay_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_session, "COMMANDS_AT_VENUE_MAX", 1)

    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True)
        world.venue.desk.delay_next(delay_s)
        world.venue.answer_next(Done("71"))
        peer.send("create:limit", "1", token=None, **LIMIT)
        peer.send("create:market", "2", token=None, **MARKET)
        await asyncio.sleep(SOON_S)
        cut(world)
        await asyncio.sleep(delay_s - 2 * SOON_S)
        assert cancelled(world) == []
        await asyncio.sleep(3 * SOON_S)
        assert cancelled(world) == ["71"]
        assert len(world.venue.commands) == 2

    run(scenario)


def test_an_order_of_which_nobody_knew_is_guarded_once_the_venue_has_answered() -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True)
        world.venue.desk.delay_next(COMMAND_DEADLINE_S + 1)
        world.venue.answer_next(Done("71"))
        assert await peer.ask("create:limit", "1", token=None, **LIMIT) == 504
        await asyncio.sleep(2)
        peer.send("safety", "q", token=None)
        assert (await peer.answer("q"))["guardedOrders"] == 1
        assert peer.messages == [], "nothing unasked"
        cut(world)
        await asyncio.sleep(SOON_S)
        assert cancelled(world) == ["71"]

    run(scenario)


# --- the timer ------------------------------------------------------------------------------------------


def test_the_timer_cancels_unless_it_is_renewed_and_the_connection_lives_on() -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelAfterSeconds=10)
        number = await placed(peer, "1")
        for _ in range(5):
            await asyncio.sleep(9)
            assert await peer.ask("safety", "r", token=None, cancelAfterSeconds=10) == 200
            assert await peer.ask("ping", "p", token=None) == 200
        assert cancelled(world) == []
        await asyncio.sleep(10)
        assert cancelled(world) == [number]
        assert peer.messages == [], "nothing unasked"
        later = await placed(peer, "2")
        peer.send("safety", "q", token=None)
        answer = await peer.answer("q")
        assert (answer["timerFired"], answer["cancelAfterSeconds"], answer["guardedOrders"]) == (1, 0, 1)
        await asyncio.sleep(60)
        assert later not in cancelled(world)

    run(scenario)


def test_a_command_that_waits_when_the_timer_runs_out_is_not_carried_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command_session, "COMMANDS_AT_VENUE_MAX", 1)

    async def scenario(world: World) -> None:
        peer = await safe(world, cancelAfterSeconds=1)
        world.venue.desk.delay_next(3)
        world.venue.answer_next(Done("71"))
        peer.send("create:limit", "1", token=None, **LIMIT)
        peer.send("create:market", "2", token=None, **MARKET)
        assert (await peer.answer("1"))["httpCode"] == 200
        answer = await peer.answer("2")
        assert answer["httpCode"] == 503
        assert answer["message"].startswith("Nothing was done: the timer of the connection ran out")
        await asyncio.sleep(SOON_S)
        assert cancelled(world) == ["71"]
        assert len(world.venue.commands) == 2

    run(scenario)


def test_a_renewal_counts_when_it_comes_not_when_it_is_answered() -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelAfterSeconds=2)
        world.venue.desk.delay_next(4)
        peer.send("create:limit", "1", token=None, **LIMIT)
        await asyncio.sleep(1.5)
        peer.send("safety", "r", token=None, cancelAfterSeconds=30)
        assert (await peer.answer("r"))["timerFired"] == 0
        assert cancelled(world) == []

    run(scenario)


def test_the_timer_outlives_a_lost_connection() -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelAfterSeconds=10)
        number = await placed(peer, "1")
        world.network.connections[0].drop()
        await asyncio.sleep(1)
        cut(world)
        await asyncio.sleep(8)
        assert cancelled(world) == []
        await asyncio.sleep(2)
        assert cancelled(world) == [number]
        assert world.gateway.counters.safety_fired == {Cause.TIMER: 1}

    run(scenario)


def test_timers_of_lost_connections_are_bounded_and_the_oldest_goes_first() -> None:
    async def scenario(world: World) -> None:
        numbers = []
        for _ in range(DETACHED_MAX + 2):
            peer = await safe(world, cancelAfterSeconds=86_400)
            numbers.append(await placed(peer, "1", checkDuplicates=False))
            cut(world)
            await peer.closed()
        await asyncio.sleep(SOON_S)
        assert cancelled(world) == numbers[:2]

    run(scenario)


# --- what can fail --------------------------------------------------------------------------------------


def test_an_order_that_is_filled_meanwhile_is_left() -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True)
        await placed(peer, "1")
        world.venue.answer_next(Refused(404, "the account has no working order"))
        cut(world)
        await asyncio.sleep(60)
        assert len(cancelled(world)) == 1
        assert world.gateway.counters.safety_cancelled == world.gateway.counters.safety_left == 0

    run(scenario)


@pytest.mark.parametrize("failure", [Unavailable("no disk"), Refused(900, "silent"), RuntimeError("broken")])
def test_a_venue_that_takes_no_cancellations_is_asked_again(failure: Any) -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True)
        number = await placed(peer, "1")
        world.venue.answer_next(failure, failure)
        cut(world)
        await asyncio.sleep(10)
        assert cancelled(world) == [number] * 3
        assert world.gateway.counters.safety_cancelled == 1

    run(scenario)


def test_what_the_venue_never_takes_is_given_up_loudly(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True)
        number = await placed(peer, "1")
        tries = len(RETRY_DELAYS_S) + 1
        world.venue.answer_next(*[Unavailable("no disk")] * 100)
        cut(world)
        await asyncio.sleep(sum(RETRY_DELAYS_S) + 60)
        assert cancelled(world) == [number] * tries
        assert world.gateway.counters.safety_left == 1
        metrics = (await world.ask_admin("/metrics"))[1]
        for line in (
            b"tapewire_safety_orders_left_total 1.0",
            b'tapewire_safety_fired_total{cause="disconnect"} 1.0',
            b'tapewire_safety_fired_total{cause="timer"} 0.0',
            b"tapewire_safety_connections 0.0",
        ):
            assert line in metrics

    run(scenario)
    assert "orders given up" in caplog.text


def test_a_venue_that_hangs_at_the_end_of_the_server_does_not_hold_it_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True)
        await placed(peer, "1")
        world.venue.desk.delay_s = 1_000
        peer.send("create:limit", "2", token=None, **LIMIT)
        await asyncio.sleep(SOON_S)
        began = asyncio.get_running_loop().time()
        await world.gateway.close()
        assert asyncio.get_running_loop().time() - began < 4
        # The one that is known, and the one on its way.
        assert world.gateway.counters.safety_left == 2

    run(scenario)
    assert "orders not cancelled in time" in caplog.text


def test_a_conditional_order_that_has_fired_is_followed_to_the_order_that_it_placed() -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True)
        number = await placed(peer, "1", "create:stop", **STOP)
        fired = stop_order(number, status=OrderStatus.FILLED, exchange_order_id="555")
        world.venue.publish(Topic(TopicKind.STOP_ORDERS, "MOEX", "D1"), fired)
        world.venue.publish(Topic(TopicKind.ORDERS, "MOEX", "D1"), order("555"))
        world.venue.answer_next(Refused(404, "the account has no working order"))
        cut(world)
        await asyncio.sleep(SOON_S)
        assert cancelled(world) == [number, "555"]

    run(scenario)


def test_a_program_that_trades_a_lot_does_not_fill_its_guard() -> None:
    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True)
        for number in range(600):
            await placed(peer, f"c{number}", checkDuplicates=False)
        await asyncio.sleep(SOON_S)
        peer.send("safety", "q", token=None)
        # The venue shows none of the first 500 as working.
        assert (await peer.answer("q"))["guardedOrders"] == 100

    run(scenario)


def test_one_order_too_many_is_refused_and_cancellations_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapewire.gateway.safety.GUARDED_ORDERS_MAX", 3)
    monkeypatch.setattr("tapewire.gateway.safety._LOOK_FROM", GUARDED_ORDERS_MAX)

    async def scenario(world: World) -> None:
        peer = await safe(world, cancelOnDisconnect=True)
        numbers = [await placed(peer, str(number)) for number in range(3)]
        assert await peer.ask("create:limit", "x", token=None, **LIMIT) == 429
        assert world.gateway.counters.refusals[Limit.GUARDED_ORDERS] == 1
        assert await peer.ask("delete:limit", "d", token=None, **(DELETE | {"orderId": numbers[0]})) == 200
        assert await peer.ask("create:limit", "x", token=None, **LIMIT) == 200

    run(scenario)


def made_orders(commands: list[Command]) -> int:
    return sum(isinstance(command, PlaceOrder) for command in commands)


def test_a_client_that_asks_for_nothing_is_guarded_in_nothing() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        assert await peer.ask("authorize", "hello") == 200
        await placed(peer, "1")
        cut(world)
        await asyncio.sleep(60)
        assert cancelled(world) == []
        assert made_orders(world.venue.commands) == 1

    run(scenario)
