"""Every fault as a client sees it on the wire, on virtual time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from faulty import ROUND_S, FaultyWorld, run_with
from tapewire import RefusedError
from tapewire.client.events import Event, LostEvent, RestoredEvent
from tapewire.faults import FaultKind, FaultRule, Faults, read_faults
from tapewire.model import TopicKind
from tapewire.ports.network import ConnectError, HttpAnswer
from tapewire.simulation import SimulatedSystem, run_virtual
from tapewire.simulation.system import HOST_PORT, REFRESH_TOKEN
from unit.gateway.world import BOOK, GAZP, PING, PONG, QUOTE, SBER, TRADES, Peer

MINUTE = 60.0


def prices(peer: Peer, guid: str = "t") -> list[float]:
    return [trade["price"] for trade in peer.data(guid)]


def now_s() -> float:
    return asyncio.get_running_loop().time()


# --- the connection -------------------------------------------------------------------------------------


def test_a_cut_has_no_close_frame_and_comes_at_its_moment() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.closed() == (1006, "")
        assert peer.end == (1006, "")
        assert now_s() == pytest.approx(60, abs=ROUND_S)
        again = await world.connect()
        assert await again.closed() == (1006, "")
        assert now_s() == pytest.approx(120, abs=2 * ROUND_S)
        assert world.struck == {"cut-1": 2}

    run_with('[[fault]]\nkind = "cut"\nafter = "60s"', scenario)


def test_a_cut_at_a_message_comes_in_its_place() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        await world.print_trades(1, 9)
        assert await peer.closed() == (1006, "")
        assert prices(peer) == [1, 2, 3]

    run_with('[[fault]]\nkind = "cut"\non = "data"\nnth = 4', scenario)


def test_a_cut_on_one_clock_strikes_every_connection_at_once_and_counts_as_one_time() -> None:
    async def scenario(world: FaultyWorld) -> None:
        first = await world.connect()
        await world.until_s(30)
        second = await world.connect("/cws")
        await first.closed()
        await second.closed()
        assert now_s() == pytest.approx(60, abs=ROUND_S)
        third = await world.connect()
        await world.until_s(200)
        assert third.end is None
        assert world.struck == {"all": 2}

    run_with('[[fault]]\nname = "all"\nkind = "cut"\nevery = "60s"\nsince = "start"\ntimes = 1', scenario)


@pytest.mark.parametrize(("lost", "seen"), [("false", [1, 2, 3, 4, 5, 6]), ("true", [1, 2, 6])])
def test_a_muted_server_is_silent_and_what_it_said_meanwhile_is_kept_or_lost(lost: str, seen: list[int]) -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        await world.print_trades(1, 2)
        await world.until_s(12)
        peer.send("ping", "p")
        peer.transport.send_frame(PING, b"?")
        await world.print_trades(3, 5)
        await world.until_s(19.9)
        assert prices(peer) == [1, 2]
        assert [opcode for opcode, _ in peer.frames if opcode == PONG] == []
        await world.until_s(21)
        world.print_trade(6)
        await asyncio.sleep(ROUND_S)
        assert prices(peer) == seen
        is_kept = lost == "false"
        assert len(peer.answers()) == is_kept
        assert [payload for opcode, payload in peer.frames if opcode == PONG] == [b"?"] * is_kept
        assert await peer.ask("ping", "q") == 200

    run_with(f'[[fault]]\nkind = "mute"\nafter = "10s"\nfor = "10s"\nlost = {lost}', scenario)


def test_one_subscription_can_be_mute_alone() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        assert await peer.asked(TRADES, "u", code="GAZP") == 200
        await world.until_s(2)
        world.print_trade(1)
        world.venue.publish_trade(GAZP, 2)
        await asyncio.sleep(ROUND_S)
        assert (prices(peer, "t"), prices(peer, "u")) == ([], [2])
        await world.until_s(11.1)
        assert (prices(peer, "t"), prices(peer, "u")) == ([1], [2])

    run_with('[[fault]]\nkind = "mute"\nafter = "1s"\nfor = "10s"\nsymbol = "SBER"', scenario)


def test_a_mute_server_that_closes_says_so_when_it_is_over() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        await world.until_s(1)
        next(iter(world.gateway.connections)).close(1001, "bye")
        await world.until_s(2)
        assert peer.frames == []
        assert await peer.closed() == (1001, "bye")
        assert now_s() == pytest.approx(2.5, abs=ROUND_S)

    run_with('[[fault]]\nkind = "mute"\nfor = "2500ms"', scenario)


@pytest.mark.parametrize(
    "fault",
    [
        'kind = "half-open"',
        'kind = "mute"',
        'kind = "mute"\nfor = "1h"',
        'kind = "delay"\non = "message"\nby = "1h"',
    ],
)
def test_an_operator_ends_a_session_whatever_the_faults_do_to_it(fault: str) -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        await world.until_s(3)
        peer.subscribe(TRADES, "t")
        await world.until_s(5)
        (session,) = json.loads((await world.ask_admin("/admin/sessions"))[1])["sessions"]
        assert (await world.ask_admin(f"/admin/sessions/{session['id']}", "DELETE"))[0] == 204
        asked_s = now_s()
        assert await peer.closed() == (1006, "")
        assert now_s() == pytest.approx(asked_s + 2, abs=ROUND_S)
        await asyncio.sleep(ROUND_S)
        listed = json.loads((await world.ask_admin("/admin/sessions"))[1])
        assert (listed["sessions"], listed["ended"][0]["reason"]) == ([], "ended by the operator")
        world.check_nothing_is_left()

    run_with(f"[[fault]]\n{fault}", scenario)


def test_nothing_passes_a_half_open_connection_and_nobody_is_told() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        await world.until_s(5.5)
        peer.send("ping", "p")
        peer.transport.send_frame(PING, b"?")
        await world.print_trades(1, 3)
        await world.until_s(100)
        assert peer.frames[1:] == []
        peer.transport.close(1000)
        # The peer waits for a close frame in vain and gives up.
        assert await peer.closed() == (1006, "")
        assert now_s() == pytest.approx(102, abs=ROUND_S)
        await asyncio.sleep(ROUND_S)
        world.check_nothing_is_left()

    run_with('[[fault]]\nkind = "half-open"\nafter = "5s"', scenario)


def test_the_forced_cut_is_the_gateways_own() -> None:
    async def forced(world: FaultyWorld) -> tuple[int, str]:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        peer.transport.pause_reading()
        # More than the window of the network takes, and 5,000 beyond it.
        for _ in range(30):
            for price in range(1_000):
                world.print_trade(price)
            await asyncio.sleep(0.01)
        peer.transport.resume_reading()
        return await peer.closed()

    async def ordered(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        await world.print_trades(1, 2)
        ends.append(await peer.closed())
        assert prices(peer) == [1]

    async def genuine(world: FaultyWorld) -> None:
        ends.append(await forced(world))

    ends: list[tuple[int, str]] = []
    run_with("", genuine)
    run_with('[[fault]]\nkind = "overflow"\non = "data"\nnth = 2', ordered)
    assert ends == [(1013, "too many unprocessed messages")] * 2


def test_maintenance_closes_all_and_lets_nobody_in_for_a_while() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peers = [await world.connect(), await world.connect("/cws")]
        for peer in peers:
            assert await peer.closed() == (1012, "back soon")
        with pytest.raises(ConnectError, match="back soon") as refused:
            await world.connect()
        assert refused.value.status == 503
        await world.until_s(39.9)
        with pytest.raises(ConnectError):
            await world.connect("/cws")
        await world.until_s(40.1)
        late = await world.connect()
        assert await late.ask("ping", "p") == 200
        assert world.struck == {"maintenance-1": 4}

    faults = '[[fault]]\nkind = "maintenance"\nafter = "10s"\nfor = "30s"\ncode = 1012\ntext = "back soon"'
    run_with(faults, scenario)


def test_maintenance_says_its_own_words_where_none_were_ordered() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.closed() == (1001, "maintenance")

    run_with('[[fault]]\nkind = "maintenance"\nafter = "10s"', scenario)


def test_handshakes_are_refused_by_count_and_path() -> None:
    async def scenario(world: FaultyWorld) -> None:
        await world.connect()
        await world.connect("/cws")
        with pytest.raises(ConnectError) as refused:
            await world.connect("/WS/?token=x")
        assert refused.value.status == 429
        await world.connect()
        assert world.struck == {"second": 1}

    run_with(
        '[[fault]]\nname = "second"\nkind = "refused"\non = "connect"\npath = "/ws"\nnth = 2\ncode = 429', scenario
    )


# --- messages -------------------------------------------------------------------------------------------


def test_delayed_data_keep_their_order_and_answers_overtake_them() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        began = now_s()
        await world.print_trades(1, 50)
        assert prices(peer) == []
        assert await peer.ask("ping", "p") == 200
        await peer.until(lambda: len(prices(peer)) == 50)
        assert prices(peer) == list(range(1, 51))
        assert 2.5 <= now_s() - began <= 3.5
        assert world.struck == {"delay-1": 50}

    run_with('seed = 3\n[[fault]]\nkind = "delay"\nby = "2s"\njitter = "1s"', scenario)


def test_behind_what_is_late_for_everything_pongs_are_late_too() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        began = now_s()
        peer.send("ping", "p")
        await asyncio.sleep(0.1)
        peer.transport.send_frame(PING, b"?")
        await peer.until(lambda: len(peer.frames) == 2)
        assert now_s() - began == pytest.approx(1, abs=ROUND_S)
        assert [opcode for opcode, _ in peer.frames] == [1, PONG]

    run_with('[[fault]]\nkind = "delay"\non = "message"\nby = "1s"', scenario)


def test_data_come_exactly_twice() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        assert await peer.asked(TRADES, "u", code="GAZP") == 200
        await world.print_trades(1, 7)
        world.venue.publish_trade(GAZP, 1)
        await asyncio.sleep(ROUND_S)
        assert prices(peer) == [1, 2, 2, 3, 4, 4, 5, 6, 6, 7]
        assert prices(peer, "u") == [1]

    run_with('[[fault]]\nkind = "duplicate"\neach = 2\nsymbol = "SB*"\nopcode = "alltrades*"', scenario)


def test_an_answer_comes_behind_data_of_its_subscription() -> None:
    async def scenario(world: FaultyWorld) -> None:
        await world.print_trades(1, 5)
        peer = await world.connect()
        peer.subscribe(TRADES, "t", depth=5)
        assert await peer.ask("ping", "p") == 200
        await asyncio.sleep(ROUND_S)
        assert peer.order() == ["data t", "data t", "data t", "answer t", "data t", "data t"]
        # A refusal has no data to wait for.
        assert await peer.asked(TRADES, "n", code="NOPE") == 404
        assert await peer.ask("unsubscribe", "t") == 200
        assert world.struck == {"late-answer-1": 1}

    run_with('[[fault]]\nkind = "late-answer"\nbehind = 3', scenario)


def test_an_answer_behind_data_waits_no_longer_than_it_was_told() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        began = now_s()
        assert await peer.asked(TRADES, "t") == 200
        assert now_s() - began == pytest.approx(2, abs=ROUND_S)

    run_with('[[fault]]\nkind = "late-answer"\nbehind = 1\nby = "2s"', scenario)


def test_an_answer_that_still_waits_comes_when_its_subscription_is_cancelled() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        peer.subscribe(TRADES, "t")
        peer.send("unsubscribe", "t")
        await peer.until(lambda: len(peer.messages) == 2)
        assert peer.order() == ["answer t", "answer t"]

    run_with('[[fault]]\nkind = "late-answer"\nbehind = 1\nopcode = "All*"', scenario)


def test_an_answer_comes_late_and_data_before_it() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        peer.subscribe(TRADES, "t")
        await asyncio.sleep(0.1)
        world.print_trade(1)
        assert (await peer.answer("t"))["httpCode"] == 200
        assert now_s() == pytest.approx(0.5, abs=ROUND_S)
        assert prices(peer) == [1]

    run_with('[[fault]]\nkind = "late-answer"\nby = "500ms"', scenario)


def test_no_answer_comes_but_the_request_was_handled() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        peer.subscribe(TRADES, "t")
        await asyncio.sleep(1)
        world.print_trade(1)
        assert await peer.ask("ping", "p") == 200
        assert peer.order() == ["data t"]

    run_with('[[fault]]\nkind = "no-answer"\nopcode = "AllTrades*"', scenario)


def test_a_request_is_refused_and_not_handled() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.asked(BOOK, "b") == 200
        peer.subscribe(QUOTE, "q")
        assert await peer.answer("q") == {"requestGuid": "q", "httpCode": 429, "message": "slow down"}
        assert world.venue.open_topics == (world.venue.topic(TopicKind.BOOK, SBER),)
        assert await peer.asked(QUOTE, "q") == 200
        commands = await world.connect("/cws")
        assert await commands.ask("authorize", "a") == 200
        instrument = {"symbol": "SBER", "exchange": "MOEX"}
        fields: dict[str, Any] = {
            "side": "buy",
            "quantity": 1,
            "instrument": instrument,
            "user": {"portfolio": "D1"},
        }
        assert await commands.ask("create:market", "c", **fields) == 503
        assert await commands.ask("create:market", "c", **fields | {"user": {"portfolio": "G1"}}) == 200

    faults = """
        [[fault]]
        kind = "refused"
        opcode = "quotes*"
        nth = 1
        code = 429
        text = "slow down"

        [[fault]]
        kind = "refused"
        opcode = "create:*"
        portfolio = "D1"
        symbol = "SBER"
        exchange = "MOEX"
    """
    run_with(faults, scenario)


def test_a_peer_that_takes_no_refusals_is_cut() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        peer.transport.pause_reading()
        text = "x" * 200
        # Refusals of 4 KB each: the network takes a little, 8 MiB may wait.
        for number in range(3_000):
            peer.send("ping", f"{text}{number}")
            if number % 500 == 0:
                await asyncio.sleep(0.01)
                assert bool(world.gateway.connections) == (number < 2_500)
        await asyncio.sleep(1)
        assert not world.gateway.connections
        peer.transport.resume_reading()
        await peer.closed()

    run_with(f'[[fault]]\nkind = "refused"\ntext = "{"y" * 4_000}"', scenario)


def test_garbage_stands_between_the_messages() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        await world.print_trades(1, 2)
        assert peer.messages[1] == b'{"data":{"symbol":'
        assert [json.loads(message)["data"]["price"] for message in (peer.messages[0], peer.messages[2])] == [1, 2]
        await world.until_s(20.1)
        assert peer.messages[3:] == ["привет".encode()] * 2

    faults = """
        [[fault]]
        kind = "garbage"
        on = "data"
        nth = 2

        [[fault]]
        kind = "garbage"
        every = "10s"
        text = "привет"
    """
    run_with(faults, scenario)


# --- tokens ---------------------------------------------------------------------------------------------


def test_a_token_that_ends_is_401_until_a_newer_one_comes_and_subscriptions_go_on() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer, other = await world.connect(), await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        await world.until_s(10.5)
        assert (await _refusal(peer, BOOK, "b")) == (401, "Invalid JWT token!")
        assert await peer.ask("unsubscribe", "t") == 401
        assert await peer.ask("ping", "p") == 200
        world.print_trade(1)
        await asyncio.sleep(ROUND_S)
        assert prices(peer) == [1]
        peer.token = world.token()
        assert await peer.asked(BOOK, "b") == 200
        # The other connection had never shown its token; its own moment has come as well.
        assert await other.asked(BOOK, "b") == 401
        assert world.struck == {"token-expiry-1": 2}

    run_with('[[fault]]\nkind = "token-expiry"\nafter = "10s"', scenario)


async def _refusal(peer: Peer, opcode: str, guid: str) -> tuple[int, str]:
    peer.subscribe(opcode, guid)
    answer = await peer.answer(guid)
    return answer["httpCode"], answer["message"]


def test_a_token_renewed_in_the_second_of_its_end_is_good() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 401
        peer.token = world.token()
        assert await peer.asked(TRADES, "t") == 200

    run_with('[[fault]]\nkind = "token-expiry"\non = "request"\nnth = 1', scenario)


def test_the_order_socket_is_authorised_again_after_its_token_has_ended() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect("/cws")
        instrument = {"symbol": "SBER", "exchange": "MOEX"}
        order: dict[str, Any] = {
            "side": "buy",
            "quantity": 1,
            "instrument": instrument,
            "user": {"portfolio": "D1"},
        }
        assert await peer.ask("authorize", "a") == 200
        assert await peer.ask("create:market", "c", token=None, **order) == 200
        await world.until_s(10.5)
        assert await peer.ask("create:market", "d", token=None, **order) == 401
        assert await peer.ask("authorize", "a") == 401
        peer.token = world.token()
        assert await peer.ask("authorize", "a") == 200
        assert await peer.ask("create:market", "e", token=None, **order) == 200

    run_with('[[fault]]\nkind = "token-expiry"\nafter = "10s"', scenario)


def test_the_tokens_of_a_login_end_on_all_its_connections_and_of_nobody_else() -> None:
    async def scenario(world: FaultyWorld) -> None:
        ivan, also_ivan = await world.connect(), await world.connect()
        anna = await world.connect(token=world.token("refresh-token-of-anna"))
        for peer in (ivan, also_ivan, anna):
            assert await peer.asked(TRADES, "t") == 200
        await world.until_s(10.5)
        assert [await peer.asked(BOOK, "b") for peer in (ivan, also_ivan, anna)] == [401, 401, 200]
        also_ivan.token = world.token()
        assert await also_ivan.asked(BOOK, "b") == 200
        assert await ivan.asked(BOOK, "b") == 401

    run_with('[[fault]]\nkind = "token-expiry"\nafter = "10s"\nlogin = "p1"\nwhose = "login"\ntimes = 1', scenario)


def test_every_token_may_end_early() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        for _ in range(3):
            assert await peer.asked(BOOK, "b") == 200
            await asyncio.sleep(60)
            assert await peer.asked(BOOK, "b") == 401
            peer.token = world.token()
        assert world.struck == {"token-expiry-1": 3}

    run_with('[[fault]]\nkind = "token-expiry"\nlife = "60s"', scenario)


def test_a_request_in_pieces_is_refused_whole_and_one_in_too_many_passes() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        message = json.dumps({"opcode": "ping", "guid": "p"}).encode()

        def send_pieces(count: int) -> None:
            peer.transport.send_frame(1, message[:5], fin=False)
            for _ in range(count):
                peer.transport.send_frame(0, b"", fin=False)
            peer.transport.send_frame(0, message[5:])

        send_pieces(10)
        assert (await peer.answer("p"))["httpCode"] == 503
        send_pieces(1_200)
        assert (await peer.answer("p"))["httpCode"] == 200
        # What comes behind it is read again.
        send_pieces(10)
        assert (await peer.answer("p"))["httpCode"] == 503
        assert await peer.ask("ping", "q") == 503

    run_with('[[fault]]\nkind = "refused"', scenario)


def test_requests_in_one_go_with_one_guid_are_told_apart() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        peer.subscribe(TRADES, "t")
        peer.send("ping", "t")
        await peer.until(lambda: len(peer.answers()) == 2)
        world.print_trade(1)
        await asyncio.sleep(ROUND_S)
        assert prices(peer) == [1, 1]
        assert world.struck == {"duplicate-1": 1}

    run_with('[[fault]]\nkind = "duplicate"\nopcode = "AllTrades*"\nsymbol = "SBER"', scenario)


def test_the_log_numbers_sessions_as_the_gateway_does(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tapewire.faults")

    async def scenario(world: FaultyWorld) -> None:
        for path in ("/cws", "/ws", "/cws", "/ws"):
            await world.connect(path)
        await asyncio.sleep(2)
        listed = json.loads((await world.ask_admin("/admin/sessions"))[1])
        expected = [(int(session["id"]), "/ws", session["peer"]) for session in reversed(listed["ended"])]
        fields = [record.__dict__["fields"] for record in caplog.records]
        assert [(each["session"], each["path"], each["peer"]) for each in fields] == expected
        assert [number for number, *_ in expected] == [2, 4]

    run_with('[[fault]]\nkind = "cut"\nafter = "1s"\npath = "/ws"', scenario)


# --- HTTP and the whole system --------------------------------------------------------------------------


def in_system(faults: str, work: Any, **settings: Any) -> Any:
    async def main() -> Any:
        async with SimulatedSystem(symbols=2, faults=read_faults(faults), **settings) as system:
            return await work(system)

    return run_virtual(main)


async def refresh(system: SimulatedSystem) -> HttpAnswer:
    body = json.dumps({"token": REFRESH_TOKEN}).encode()
    return await system.http.request("POST", f"http://{HOST_PORT}/refresh", body=body, timeout_s=5)


async def clock(system: SimulatedSystem, token: str = "") -> HttpAnswer:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await system.http.request("GET", f"http://{HOST_PORT}/md/v2/time", headers=headers, timeout_s=5)


def test_http_is_refused_late_or_never_answered_by_path() -> None:
    async def work(system: SimulatedSystem) -> None:
        refused = await refresh(system)
        assert refused == (503, b'{"code":"Unavailable","message":"no tokens today"}', None)
        began = now_s()
        assert (await clock(system)).status == 200
        assert now_s() - began == pytest.approx(1, abs=ROUND_S)
        with pytest.raises(ConnectError, match="no answer within 5 s"):
            await refresh(system)
        assert (await refresh(system)).status == 200
        assert system.injector is not None
        assert system.injector.plan.struck == {"refused-1": 1, "slow clock": 1, "no-answer-3": 1}

    faults = """
        [[fault]]
        kind = "refused"
        on = "http"
        path = "/refresh"
        nth = 1
        text = "no tokens today"

        [[fault]]
        kind = "delay"
        name = "slow clock"
        on = "http"
        path = "/md/*"
        by = "1s"

        [[fault]]
        kind = "no-answer"
        on = "http"
        path = "/refresh"
        nth = 2
    """
    in_system(faults, work)


def test_tokens_that_end_early_end_over_http_too() -> None:
    async def work(system: SimulatedSystem) -> None:
        token = json.loads((await refresh(system)).body)["AccessToken"]
        assert (await clock(system, token)).status == 200
        await asyncio.sleep(30)
        ended = await clock(system, token)
        assert ended == (401, b'{"code":"Unauthorized","message":"Invalid JWT token!"}', None)

    in_system('[[fault]]\nkind = "token-expiry"\nlife = "30s"', work)


def test_our_client_renews_a_token_that_has_ended_early_and_asks_again() -> None:
    async def work(system: SimulatedSystem) -> dict[str, int]:
        async with system.connect() as broker:
            await asyncio.sleep(120)
            async with broker.book("SBER") as books:
                async for book in books:
                    assert book.bids
                    break
        assert system.injector is not None
        return system.injector.plan.struck

    assert in_system('[[fault]]\nkind = "token-expiry"\nlife = "60s"', work) == {"token-expiry-1": 1}


async def _until(events: AsyncIterator[Event], last: type[Event]) -> AsyncIterator[Event]:
    async for event in events:
        yield event
        if isinstance(event, last):
            return


def test_our_client_is_told_of_a_cut_and_of_a_refusal() -> None:
    async def work(system: SimulatedSystem) -> None:
        async with system.connect() as broker:
            with pytest.raises(RefusedError, match="503 Refused on command"):
                await broker.quotes("SBER").open()
            events = aiter(broker.events)
            async with broker.trades("SBER") as trades:
                await anext(trades)
                lost = [event async for event in _until(events, RestoredEvent) if isinstance(event, LostEvent)]
                assert [event.code for event in lost] == [1006]
                await anext(trades)

    faults = '[[fault]]\nkind = "cut"\nafter = "5s"\n[[fault]]\nkind = "refused"\nopcode = "Quotes*"'
    in_system(faults, work)


def test_our_client_takes_data_that_come_before_the_answer() -> None:
    async def work(system: SimulatedSystem) -> list[bool]:
        async with system.connect() as broker, broker.trades("SBER", depth=3) as trades:
            return [(await anext(aiter(trades))).existing for _ in range(4)]

    faults = '[[fault]]\nkind = "late-answer"\nbehind = 2'
    assert in_system(faults, work, events_per_second=500) == [True, True, True, False]


def test_the_same_seed_gives_the_same_faults() -> None:
    async def work(system: SimulatedSystem) -> tuple[list[tuple[float, int]], dict[str, int]]:
        seen = []
        async with system.connect() as broker, broker.trades("SBER") as trades:
            async for trade in trades:
                seen.append((now_s(), trade.id))
                if len(seen) == 60:
                    break
        assert system.injector is not None
        return seen, system.injector.plan.struck

    def once(seed: int) -> Any:
        faults = f"""
            seed = {seed}

            [[fault]]
            kind = "duplicate"
            probability = 0.3

            [[fault]]
            kind = "delay"
            probability = 0.3
            by = "10ms"
            jitter = "200ms"
        """
        return in_system(faults, work, events_per_second=1_000)

    first = once(1)
    assert first == once(1)
    assert first != once(2)
    assert all(first[1].values())


def test_rules_can_be_made_without_a_file() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.closed() == (1006, "")
        assert now_s() == pytest.approx(2, abs=ROUND_S)

    run_with(Faults((FaultRule(kind=FaultKind.CUT, after_s=2),)), scenario)


def test_without_a_rule_for_it_a_connection_is_not_wrapped() -> None:
    async def scenario(world: FaultyWorld) -> None:
        accept = world.injector.acceptor(world.gateway.accept)
        for path, is_wrapped in (("/ws", True), ("/cws", False)):
            listener = accept(path, "peer")
            assert (listener in world.gateway.connections) is not is_wrapped
            assert listener is not None
            listener.disconnected(1006, "")
        assert accept("/nope", "peer") is None

    run_with('[[fault]]\nkind = "cut"\nafter = "1h"\npath = "/ws"', scenario)
