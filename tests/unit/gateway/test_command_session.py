"""The order socket: who may command, what reaches the venue, what is answered, and in which order."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from tapewire.gateway.command_session import (
    COMMANDS_AT_VENUE_MAX,
    COMMANDS_WAITING_MAX,
    CommandSession,
    CommandState,
)
from tapewire.gateway.limits import Limit, Limits
from tapewire.gateway.order_entry import COMMAND_DEADLINE_S
from tapewire.model import (
    CancelOrder,
    CancelStopOrder,
    CommandKey,
    Done,
    PlaceOrder,
    PlaceStopOrder,
    Refused,
    ReplaceOrder,
    ReplaceStopOrder,
    Unavailable,
)
from tapewire.simulation import START_NS
from unit.gateway.commands import DELETE, LIMIT, MARKET, ORDERS
from unit.gateway.world import BINARY, FOREIGN_KEY, OTHER_REFRESH, READER_REFRESH, Peer, World, forged, run


async def authorised(world: World, refresh: str | None = None) -> Peer:
    peer = await world.connect("/cws", None if refresh is None else world.token(refresh))
    assert await peer.ask("authorize", "hello") == 200
    return peer


async def answered(peer: Peer, opcode: str, guid: str, **fields: Any) -> tuple[int, str]:
    """Send a command and return code and text of its answer; nothing else of it is unexpected."""
    peer.send(opcode, guid, token=None, **fields)
    answer = await peer.answer(guid)
    assert list(answer)[:3] == ["requestGuid", "httpCode", "message"]
    return answer["httpCode"], answer["message"]


# --- authorisation --------------------------------------------------------------------------------------


def test_authorising_is_answered_once_and_may_be_repeated() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        peer.send("authorize", "a")
        assert await peer.answer("a") == {
            "requestGuid": "a",
            "httpCode": 200,
            "message": "The connection has been initialized.",
        }
        assert await peer.ask("authorize", "b", token=world.token()) == 200
        assert world.gateway._reception.quota._by_login == {"P1": 1}

    run(scenario)


def test_a_bad_token_or_none_is_answered_401() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        alien = forged({"sub": "P1", "exp": START_NS, "iat": 1}, FOREIGN_KEY)
        for token in (alien, "", "x"):
            assert await peer.ask("authorize", "a", token=token) == 401
        assert not world.gateway._reception.quota._by_login
        assert await peer.ask("authorize", "a") == 200

    run(scenario)


def session_of(world: World) -> CommandSession:
    (connection,) = world.gateway.connections
    session = connection._handler
    assert isinstance(session, CommandSession)
    return session


def test_a_session_is_open_then_authorised_then_expired_and_may_be_authorised_anew() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        session = session_of(world)
        assert session.state is CommandState.OPEN
        assert await answered(peer, "create:limit", "1", **LIMIT) == (401, "Invalid JWT token!")
        assert await peer.ask("authorize", "a") == 200
        assert session.state is CommandState.AUTHORIZED
        assert (await answered(peer, "create:limit", "1", **LIMIT))[0] == 200
        # A bad token takes nothing away.
        assert await peer.ask("authorize", "a", token="x") == 401
        assert session.state is CommandState.AUTHORIZED
        await asyncio.sleep(1_800)
        assert session.state is CommandState.EXPIRED
        assert await answered(peer, "create:limit", "2", **LIMIT) == (401, "Invalid JWT token!")
        assert await peer.ask("ping", "p", token=None) == 200
        assert await peer.ask("authorize", "a", token=world.token()) == 200
        assert (await answered(peer, "create:limit", "2", **LIMIT))[0] == 200
        assert len(world.venue.commands) == 2

    run(scenario)


def test_the_token_that_a_command_brings_is_not_looked_at() -> None:
    """The web terminal sends one with every command."""

    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        assert await peer.ask("create:limit", "1", token=world.token(), **LIMIT) == 401
        assert await peer.ask("authorize", "a") == 200
        assert await peer.ask("create:limit", "1", token="x", **LIMIT) == 200

    run(scenario)


@pytest.mark.parametrize("opcode", ORDERS)
def test_a_foreign_portfolio_is_forbidden(opcode: str) -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        fields = ORDERS[opcode] | {"user": {"portfolio": "D2"}}
        assert await answered(peer, opcode, "1", **fields) == (403, "The portfolio D2 is not in the token")
        assert world.venue.commands == []

    run(scenario)


@pytest.mark.parametrize("opcode", ORDERS)
def test_a_token_that_only_reads_cannot_trade(opcode: str) -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world, READER_REFRESH)
        code, text = await answered(peer, opcode, "1", **ORDERS[opcode])
        assert (code, text) == (403, "The token carries no right to create orders")
        assert world.venue.commands == []

    run(scenario)


# --- what reaches the venue -----------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", ORDERS)
def test_every_command_reaches_the_venue_and_is_answered_byte_by_byte(opcode: str) -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        world.venue.answer_next(Done("2030000000000000003"))
        peer.send(opcode, "c_1", token=None, **ORDERS[opcode])
        await peer.until(lambda: peer.messages)
        texts = {
            "create": "An order '2030000000000000003' has been created.",
            "update": "An order has been updated. New order Id is '2030000000000000003'.",
            "delete": "An order '2030000000000000003' has been deleted.",
        }
        text = texts[opcode.partition(":")[0]]
        expected = (
            '{"requestGuid":"c_1","httpCode":200,"message":"' + text + '","orderNumber":"2030000000000000003"}'
        )
        assert peer.messages == [expected.encode()]
        (command,) = world.venue.commands
        kinds = {
            "create:market": PlaceOrder,
            "create:limit": PlaceOrder,
            "create:stop": PlaceStopOrder,
            "create:stopLimit": PlaceStopOrder,
            "update:market": ReplaceOrder,
            "update:limit": ReplaceOrder,
            "update:stop": ReplaceStopOrder,
            "update:stopLimit": ReplaceStopOrder,
            "delete:market": CancelOrder,
            "delete:limit": CancelOrder,
            "delete:stop": CancelStopOrder,
            "delete:stopLimit": CancelStopOrder,
        }
        assert type(command) is kinds[opcode]

    run(scenario)


def test_an_instrument_that_does_not_exist_is_not_found_and_an_update_leaves_it_to_the_venue() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        for instrument, text in (
            ({"symbol": "NONE", "exchange": "MOEX"}, "Unknown instrument MOEX:NONE"),
            (
                {"symbol": "SBER", "exchange": "MOEX", "instrumentGroup": "XXXX"},
                "Unknown instrument MOEX:SBER on XXXX",
            ),
            ({"symbol": "SBER", "exchange": "UNITED"}, "Unknown instrument UNITED:SBER"),
        ):
            fields = LIMIT | {"instrument": instrument}
            assert await answered(peer, "create:limit", "1", **fields) == (404, text)
        assert world.venue.commands == []
        # On derivatives it is that of the old order, whatever an update says.
        code, _ = await answered(peer, "update:limit", "2", **fields, orderId="7")
        assert code == 200

    run(scenario)


BAD = {
    "quantity 0": ({"quantity": 0}, "Invalid or unsupported quantity"),
    "quantity -1": ({"quantity": -1}, "Invalid or unsupported quantity"),
    "quantity 1.5": ({"quantity": 1.5}, "Invalid or unsupported quantity"),
    "quantity 2^31": ({"quantity": 2**31}, "Invalid or unsupported quantity"),
    "quantity 10^30": ({"quantity": 10**30}, "Invalid or unsupported quantity"),
    "price that is no number": ({"price": "much"}, "Invalid or unsupported price"),
    "price NaN as text": ({"price": "NaN"}, "Invalid or unsupported price"),
    "price 1e308": ({"price": 1e308}, "Invalid or unsupported price"),
    "price 0": ({"price": 0}, "Invalid or unsupported price"),
    "price -1": ({"price": -1}, "Invalid or unsupported price"),
    "a comment of 101 characters": ({"comment": "x" * 101}, "Invalid or unsupported comment"),
    "a side that is none": ({"side": "hold"}, "Invalid or unsupported side"),
    "icebergVariance that is not whole": (
        {"icebergFixed": 1, "icebergVariance": 2.5},
        "Invalid or unsupported icebergVariance",
    ),
    "icebergFixed that is the whole order": ({"icebergFixed": 3}, "Invalid or unsupported icebergFixed"),
    "no user": ({"user": None}, "The field user is missing"),
    "no instrument": ({"instrument": None}, "The field instrument is missing"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_fields_are_refused_and_nothing_reaches_the_venue(case: str) -> None:
    changes, text = BAD[case]

    async def scenario(world: World) -> None:
        peer = await authorised(world)
        assert await answered(peer, "create:limit", "1", **(LIMIT | changes)) == (400, text)
        assert world.venue.commands == []
        # The guid is free: nothing was handled under it.
        assert (await answered(peer, "create:limit", "1", **LIMIT))[0] == 200

    run(scenario)


def test_a_price_may_be_a_text_and_nan_is_no_json() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        assert (await answered(peer, "create:limit", "1", **(LIMIT | {"price": "301.45"})))[0] == 200
        (command,) = world.venue.commands
        assert isinstance(command, PlaceOrder)
        assert command.price == Decimal("301.45")
        peer.send_raw(json.dumps({"opcode": "create:limit", "guid": "2"} | LIMIT | {"price": float("nan")}))
        assert (await peer.answer(""))["message"] == "The message is not valid JSON"

    run(scenario)


# --- what the venue says --------------------------------------------------------------------------------


def test_a_refusal_of_the_venue_is_passed_on_with_its_code() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        world.venue.answer_next(Refused(409, "301.455 is no multiple of 0.01"), Refused(4711, "not today"))
        assert await answered(peer, "create:limit", "1", **(LIMIT | {"price": 301.455})) == (
            400,
            "InternalErrorWithPrices (409): 301.455 is no multiple of 0.01",
        )
        assert await answered(peer, "create:limit", "2", **LIMIT) == (400, "4711: not today")

    run(scenario)


@pytest.mark.parametrize("code", [253, 403, 404])
def test_commands_about_orders_that_do_not_exist_cost_a_hundred_points(code: int) -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        # One of them is for the connection.
        for number in range(2):
            world.venue.answer_next(Refused(code, "there is no such order"))
            assert (await answered(peer, "delete:limit", f"d{number}", **DELETE))[0] == 400
        world.venue.answer_next(Refused(304, "too few"))
        assert (await answered(peer, "create:market", "m", **MARKET))[0] == 400
        assert 200 < world.gateway._misuse.points("login P1") <= 201
        world.venue.answer_next(Refused(code, "there is no such order"))
        assert (await answered(peer, "delete:limit", "d", **DELETE))[0] == 400
        code_, text = await answered(peer, "create:market", "n", **MARKET)
        assert code_ == 429
        assert text.startswith("Too many points for misuse")
        assert await peer.ask("ping", "p", token=None) == 200

    run(scenario, limits=Limits(misuse_points=300))


def test_a_venue_that_takes_nothing_is_unavailable_and_the_guid_stays_free() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        world.venue.answer_next(Unavailable("the journal cannot write"))
        assert await answered(peer, "create:limit", "1", **LIMIT) == (
            503,
            "Nothing was done: the journal cannot write",
        )
        assert (await answered(peer, "create:limit", "1", **LIMIT))[0] == 200

    run(scenario)


def test_a_venue_that_does_not_answer_leaves_the_outcome_unknown_and_the_next_command_goes_on() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        world.venue.desk.delay_next(COMMAND_DEADLINE_S + 1)
        began = asyncio.get_running_loop().time()
        peer.send("create:limit", "1", **LIMIT)
        peer.send("create:limit", "2", **LIMIT)
        assert await peer.answer("1") == {
            "requestGuid": "1",
            "httpCode": 504,
            "message": "CommandResponseTimeout (900): The venue did not answer within 5 s. The outcome is unknown",
        }
        assert asyncio.get_running_loop().time() - began == pytest.approx(COMMAND_DEADLINE_S, abs=0.1)
        assert (await peer.answer("2"))["httpCode"] == 200
        # It was carried out after all: the repeat says so.
        code, text = await answered(peer, "create:limit", "1", **LIMIT)
        assert code == 400
        assert "it was done" in text
        assert len(world.venue.commands) == 2

    run(scenario)


def test_a_venue_that_fails_leaves_the_outcome_unknown_and_the_session_lives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        world.venue.answer_next(RuntimeError("a sink has failed"))
        assert await answered(peer, "create:limit", "1", **LIMIT) == (
            504,
            "CommandResponseTimeout (900): The venue has failed. The outcome is unknown",
        )
        assert (await answered(peer, "create:limit", "2", **LIMIT))[0] == 200

    run(scenario)
    assert "a sink has failed" in caplog.text


# --- guids that come again ------------------------------------------------------------------------------


def test_a_repeated_guid_is_not_executed_again_and_tells_what_became_of_the_first() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        world.venue.answer_next(Done("77"), Refused(401, "not enough money"))
        assert (await answered(peer, "create:limit", "1", **LIMIT))[0] == 200
        assert (await answered(peer, "create:limit", "2", **LIMIT))[0] == 400
        peer.send("create:limit", "1", **LIMIT)
        assert await peer.answer("1") == {
            "requestGuid": "1",
            "httpCode": 400,
            "message": "A command with such guid was already handled and is not executed again; "
            "it was done, order '77'",
            "orderNumber": "77",
        }
        # Another command under the same guid is a repeat too: it must never be taken for done.
        peer.send("delete:limit", "1", **DELETE)
        assert (await peer.answer("1"))["httpCode"] == 400
        code, text = await answered(peer, "create:limit", "2", **LIMIT)
        assert code == 400
        assert text.endswith("it was refused: NotEnoughCash (401): not enough money")
        assert len(world.venue.commands) == 2

    run(scenario)


def test_without_the_check_a_guid_may_come_again() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        for _ in range(2):
            assert (await answered(peer, "create:limit", "1", **LIMIT, checkDuplicates=False))[0] == 200
        assert world.venue.desk.keys == [None, None]
        # It was not remembered either.
        assert (await answered(peer, "create:limit", "1", **LIMIT))[0] == 200
        assert world.venue.desk.keys[2] == CommandKey("P1", "1")

    run(scenario)


def test_guids_are_a_logins_own_and_are_known_on_all_its_connections() -> None:
    async def scenario(world: World) -> None:
        first, second = await authorised(world), await authorised(world)
        other = await authorised(world, OTHER_REFRESH)
        world.venue.desk.delay_s = 0.5
        first.send("create:limit", "1", **LIMIT)
        await asyncio.sleep(0.1)
        # While the first one is still under way.
        code, text = await answered(second, "create:limit", "1", **LIMIT)
        assert code == 400
        assert "it was done" in text
        assert (await first.answer("1"))["httpCode"] == 200
        assert (await answered(other, "create:limit", "1", **(LIMIT | {"user": {"portfolio": "D2"}})))[0] == 200
        assert world.venue.desk.keys == [CommandKey("P1", "1"), CommandKey("P2", "1")]

    run(scenario)


def test_a_guid_that_comes_again_while_the_first_is_under_way_waits_for_it() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        world.venue.desk.delay_s = 0.5
        for _ in range(2):
            peer.send("create:limit", "1", **LIMIT)
        await peer.until(lambda: len(peer.messages) == 2)
        assert [answer["httpCode"] for answer in peer.answers()] == [200, 400]
        assert len({answer["orderNumber"] for answer in peer.answers()}) == 1
        assert len(world.venue.commands) == 1

    run(scenario)


# --- order and number -----------------------------------------------------------------------------------


def test_everything_is_answered_in_the_order_in_which_it_came() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        world.venue.desk.delay_next(1.0, 0.0, 0.5)
        peer.send("create:limit", "1", **LIMIT)
        peer.send("ping", "2", token=None)
        peer.send("create:market", "3", **MARKET)
        peer.send("create:limit", "4", **(LIMIT | {"quantity": 0}))
        peer.send("authorize", "5")
        peer.send("delete:limit", "6", **DELETE)
        peer.send_raw("no JSON")
        await peer.until(lambda: len(peer.messages) == 7)
        assert [answer["requestGuid"] for answer in peer.answers()] == ["1", "2", "3", "4", "5", "6", ""]

    run(scenario)


def test_a_command_too_many_is_refused_at_once_and_the_others_are_carried_out_in_order() -> None:
    count = 10_000

    async def scenario(world: World) -> None:
        peer = await authorised(world)
        # The request that authorised it is of another second: that limit is ten thousand too.
        await asyncio.sleep(1)
        world.venue.desk.delay_next(1.0)
        for number in range(count):
            peer.send("create:limit", f"c{number}", token=None, **LIMIT)
        await peer.until(lambda: len(peer.messages) == count)
        done = [answer["requestGuid"] for answer in peer.answers() if answer["httpCode"] == 200]
        refused = [answer["requestGuid"] for answer in peer.answers() if answer["httpCode"] == 429]
        assert len(done) + len(refused) == count
        assert done == sorted(done, key=lambda guid: int(guid[1:]))
        assert len(world.venue.commands) == len(done)
        # The first of them and all that waited behind it.
        assert done[: COMMANDS_WAITING_MAX + 1] == [f"c{number}" for number in range(COMMANDS_WAITING_MAX + 1)]
        assert refused[0] == f"c{COMMANDS_WAITING_MAX + 1}"
        text = next(answer["message"] for answer in peer.answers() if answer["httpCode"] == 429)
        assert text == "Too many commands: at most 1000 wait on a connection"
        assert world.gateway.counters.refusals[Limit.COMMANDS_WAITING] == len(refused)

    run(scenario)


def test_the_venue_is_given_the_next_commands_before_it_has_answered_the_first() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        world.venue.desk.delay_s = 1.0
        began = asyncio.get_running_loop().time()
        count = 2 * COMMANDS_AT_VENUE_MAX
        for number in range(count):
            peer.send("create:limit", f"{number}", **(LIMIT | {"quantity": number + 1}))
        await asyncio.sleep(0.1)
        assert len(world.venue.commands) == COMMANDS_AT_VENUE_MAX
        await peer.until(lambda: len(peer.messages) == count)
        assert [answer["requestGuid"] for answer in peer.answers()] == [str(number) for number in range(count)]
        assert [command.quantity_lots for command in world.venue.commands] == list(range(1, count + 1))
        assert asyncio.get_running_loop().time() - began == pytest.approx(2.0, abs=0.1)

    run(scenario)


def test_connections_do_not_wait_for_each_other() -> None:
    async def scenario(world: World) -> None:
        first, second = await authorised(world), await authorised(world)
        world.venue.desk.delay_next(2.0)
        first.send("create:limit", "1", **LIMIT)
        await asyncio.sleep(0.1)
        assert (await answered(second, "create:limit", "2", **LIMIT))[0] == 200
        assert first.messages == []

    run(scenario)


def test_what_waits_ends_with_its_connection_and_the_gateway_keeps_nothing() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        world.venue.desk.delay_s = 60.0
        for number in range(COMMANDS_AT_VENUE_MAX + 3):
            peer.send("create:limit", f"{number}", **LIMIT)
        await asyncio.sleep(0.1)
        peer.transport.abort()
        await asyncio.sleep(1)
        assert world.gateway._tasks == set()
        assert len(world.venue.commands) == COMMANDS_AT_VENUE_MAX

    run(scenario)


def test_a_gateway_that_drains_waits_for_the_answer_of_a_command() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        world.venue.desk.delay_s = 0.5
        peer.send("create:limit", "1", **LIMIT)
        peer.send("create:limit", "2", **LIMIT)
        await asyncio.sleep(0.1)
        await world.gateway.close(drain_s=5.0)
        assert [answer["httpCode"] for answer in peer.answers()] == [200, 200]
        assert (await peer.closed())[0] == 1001

    run(scenario)


# --- pings, garbage, silence ----------------------------------------------------------------------------


def test_a_ping_needs_nothing() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        assert await peer.ask("ping", "p", token=None) == 200

    run(scenario)


def test_garbage_and_unknown_commands_are_answered_400_and_the_session_lives() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        for garbage in ("", "x", "[]", "{}", '{"opcode":"ping"}', "[" * 50_000):
            peer.send_raw(garbage)
            assert (await peer.answer(""))["httpCode"] == 400
        peer.transport.send_frame(BINARY, b"\x00")
        assert (await peer.answer(""))["httpCode"] == 400
        assert await peer.ask("create:everything", "g") == 400
        assert await peer.ask("ping", "p") == 200

    run(scenario)


def test_nothing_unsolicited_is_sent() -> None:
    async def scenario(world: World) -> None:
        peer = await authorised(world)
        assert (await answered(peer, "create:limit", "1", **LIMIT))[0] == 200
        await asyncio.sleep(3000)
        assert peer.messages == []

    run(scenario)
