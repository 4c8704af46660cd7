"""The operator's view: sessions with true figures, the reason of each end, metrics, and who may see them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tapewire.gateway.gateway import Gateway
from tapewire.gateway.limits import Limits
from tapewire.gateway.presence import ENDED_MAX
from tapewire.protocol.frames import frame_header
from tapewire.simulation import LinkConditions, ScriptedVenue, SimulatedHttp, VirtualClock, run_virtual
from unit.gateway.world import BOOK, KEY, SBER, TEXT, TRADES, USERS, TokenAuthority, World, run


async def listed(world: World) -> dict[str, Any]:
    status, body = await world.ask_admin("/admin/sessions")
    assert status == 200
    return dict(json.loads(body))


async def metrics(world: World) -> dict[str, float]:
    """Return every sample, by its name and the values of its labels."""
    status, body = await world.ask_admin("/metrics")
    assert status == 200
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_a_session_is_shown_with_what_it_has_and_does() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect(host="10.0.0.7")
        stranger = await world.connect("/CWS/?token=secret")
        assert await peer.asked(TRADES, "t") == 200
        assert await peer.asked(BOOK, "b") == 200
        for _ in range(10):
            world.venue.publish_trade(SBER, 1)
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.2)
        first, second = (await listed(world))["sessions"]
        sent = [*peer.messages, b'{"requestGuid":"t","httpCode":200,"message":"Handled successfully"}']
        sent.append(sent[-1])
        assert first["messages"] == len(sent) == 12
        assert first["bytes"] == sum(len(frame_header(TEXT, len(message))) + len(message) for message in sent)
        assert first == first | {
            "id": "1",
            "path": "/ws",
            "peer": "10.0.0.7:40000",
            "login": "P1",
            "opened_at": "2026-01-12T07:00:00.001000Z",
            "subscriptions": 2,
            "queued": 0,
            "oldest_s": None,
            "requests": 2,
        }
        assert (second["path"], second["login"], second["subscriptions"]) == ("/cws", None, 0)
        assert "secret" not in json.dumps([first, second])
        stranger.transport.abort()

    run(scenario)


def test_rates_are_those_of_the_last_second() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        await asyncio.sleep(2.05)
        for _ in range(50):
            world.venue.publish_trade(SBER, 1)
        await asyncio.sleep(1)
        [busy] = (await listed(world))["sessions"]
        assert busy["messages_per_second"] == pytest.approx(50)
        assert busy["bytes_per_second"] == pytest.approx(
            50 * (4 + len(peer.messages[-1])), rel=0.01
        )  # with the frame's header
        assert busy["requests_per_second"] == 0
        await asyncio.sleep(1)
        [quiet] = (await listed(world))["sessions"]
        assert (quiet["messages_per_second"], quiet["messages"]) == (0, 51)

    run(scenario)


def test_what_waits_for_a_reader_that_has_stopped_is_shown_with_its_age() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        peer.transport.pause_reading()
        for _ in range(100):
            world.venue.publish_trade(SBER, 1)
            await asyncio.sleep(0.01)
        await asyncio.sleep(30)
        [session] = (await listed(world))["sessions"]
        assert 0 < session["queued"] <= 100
        assert session["oldest_s"] == pytest.approx(30.5, abs=1)
        seen = await metrics(world)
        assert seen["tapewire_queued_messages"] == seen["tapewire_queued_messages_largest"] == session["queued"]
        assert seen["tapewire_queued_oldest_seconds"] == pytest.approx(session["oldest_s"], abs=0.1)

    run(scenario, conditions=LinkConditions(window_bytes=4_096))


def test_the_operator_ends_a_session_and_sees_that_it_ended() -> None:
    async def scenario(world: World) -> None:
        peer, other = await world.connect(), await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        assert (await world.ask_admin("/admin/sessions/1", "DELETE")) == (204, b"")
        assert await peer.closed() == (1008, "ended by the operator")
        await asyncio.sleep(1)
        shown = await listed(world)
        assert [session["id"] for session in shown["sessions"]] == ["2"]
        [ended] = shown["ended"]
        assert (ended["id"], ended["login"], ended["code"], ended["reason"], ended["limit"]) == (
            "1",
            "P1",
            1008,
            "ended by the operator",
            None,
        )
        assert (ended["messages"], ended["requests"]) == (1, 1)
        for gone in ("1", "99", "x"):
            assert (await world.ask_admin(f"/admin/sessions/{gone}", "DELETE"))[0] == 404
        assert other.end is None

    run(scenario)


def test_the_sessions_that_ended_are_remembered_newest_first_up_to_a_bound() -> None:
    async def scenario(world: World) -> None:
        for _ in range(ENDED_MAX + 3):
            (await world.connect()).transport.abort()
        await asyncio.sleep(1)
        ended = world.gateway.presence.ended()
        assert [session.id for session in ended] == [str(n) for n in range(ENDED_MAX + 3, 3, -1)]
        assert {session.code for session in ended} == {1006}

    run(scenario)


@pytest.mark.parametrize("path", ["/admin/sessions", "/metrics"])
def test_only_the_admin_token_opens_the_operators_side(path: str) -> None:
    async def scenario(world: World) -> None:
        assert (await world.ask_admin(path))[0] == 200
        for token in (world.token(), "x", "", "admin-token-of-the-operatoR", "admin-token-of-the-operator2"):
            status, body = await world.ask_admin(path, token=token)
            assert (status, json.loads(body)["code"]) == (401, "Unauthorized")
        answer = await world.http.request("GET", f"http://gateway{path}", timeout_s=10)
        assert answer.status == 401

    run(scenario)


def test_without_an_admin_token_there_is_no_operators_side() -> None:
    async def main() -> None:
        clock = VirtualClock()
        venue = ScriptedVenue([SBER], clock=clock)
        gateway = Gateway(venue, venue, TokenAuthority(KEY, USERS, clock), clock, commands=venue)
        http = SimulatedHttp()
        http.listen("gateway:80", gateway.http)
        for path in ("/admin/sessions", "/metrics"):
            assert (await http.request("GET", f"http://gateway{path}", timeout_s=10)).status == 404
        await gateway.close()

    run_virtual(main)


def test_metrics_count_what_has_happened() -> None:
    async def scenario(world: World) -> None:
        peer, orders = await world.connect(), await world.connect("/cws")
        gone = await world.connect(token="bad")
        assert await gone.asked(TRADES, "t") == 401
        gone.transport.abort()
        assert await peer.asked(TRADES, "t") == 200
        assert await peer.asked(BOOK, "b") == 200
        assert await orders.ask("ping", "p") == 200
        for price in range(10):
            world.venue.publish_trade(SBER, price + 1)
            world.venue.set_book(SBER, [(price + 1, 1)])
            await asyncio.sleep(0.5)
        await world.http.request("GET", "http://gateway/md/v2/time", timeout_s=10)
        await world.http.request("GET", "http://gateway/nothing", timeout_s=10)
        seen = await metrics(world)
        expected = {
            "tapewire_sessions /ws": 1,
            "tapewire_sessions /cws": 1,
            "tapewire_sessions_unauthorised": 1,
            "tapewire_sessions_opened_total /ws": 2,
            "tapewire_sessions_opened_total /cws": 1,
            "tapewire_sessions_ended_total 1006": 1,
            "tapewire_subscriptions": 2,
            "tapewire_topics": 2,
            "tapewire_feeds": 2,
            "tapewire_requests_total": 4,
            # Answers and data, also those of a session that is gone.
            "tapewire_delivered_messages_total": 1 + 2 + 1 + 10 + 10,
            "tapewire_windows_ended_total": 10,
            "tapewire_window_lateness_seconds_max": 0,
            "tapewire_queued_messages": 0,
            "tapewire_queued_oldest_seconds": 0,
            "tapewire_refusals_total http_requests_per_second": 0,
            "tapewire_http_answers_total 2xx": 1,
            "tapewire_http_answers_total 4xx": 1,
            "tapewire_http_requests_active": 1,
            "tapewire_misuse_blocked": 0,
        }
        assert {name: seen.get(name) for name in expected} == expected
        assert seen["tapewire_encoded_records_total"] >= 20
        assert seen["tapewire_delivered_bytes_total"] > sum(map(len, peer.messages))
        assert seen["process_start_time_seconds"] > 0

    run(scenario)


def test_cuts_and_refusals_are_metrics_by_limit() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        assert await peer.asked(TRADES, "u") == 429
        stranger = await world.connect()
        assert await stranger.closed() == (1008, "no good token within 5 s")
        await asyncio.sleep(1)
        seen = await metrics(world)
        assert seen["tapewire_cuts_total unauthorised"] == 1
        assert seen["tapewire_refusals_total subscriptions_per_connection"] == 1

    run(scenario, limits=Limits(authorise_within_s=5, subscriptions_per_connection=1))


# --- going away -------------------------------------------------------------------------------------------


def drained(scenario: Callable[[World], Coroutine[Any, Any, None]], **settings: Any) -> None:
    async def main() -> None:
        async with World(**settings) as world:
            await scenario(world)

    run_virtual(main)


def test_what_waits_is_sent_before_the_goodbye() -> None:
    async def scenario(world: World) -> None:
        slow = await world.connect()
        assert await slow.asked(TRADES, "t") == 200
        slow.transport.pause_reading()
        for _ in range(500):
            world.venue.publish_trade(SBER, 1)
        await asyncio.sleep(0.1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        closing = asyncio.create_task(world.gateway.close(drain_s=5))
        await asyncio.sleep(1)
        slow.send("ping", "late")
        world.venue.publish_trade(SBER, 2)
        slow.transport.resume_reading()
        assert await slow.closed() == (1001, "the server is going away")
        await closing
        assert loop.time() - began < 2
        assert [trade["price"] for trade in slow.data("t")] == [1] * 500
        assert slow.answers() == [], "a request that came too late is not read"

    drained(scenario, conditions=LinkConditions(window_bytes=4_096))


def test_what_waits_for_a_beat_is_sent_before_the_goodbye() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        # As behind a dear beat.
        world.gateway._pulse._rests_until = asyncio.get_running_loop().time() + 1
        world.venue.publish_trade(SBER, 1)
        await world.gateway.close(drain_s=5)
        assert await peer.closed() == (1001, "the server is going away")
        assert [trade["price"] for trade in peer.data("t")] == [1]

    drained(scenario)


def test_a_reader_that_has_stopped_holds_the_end_up_no_longer_than_the_bound() -> None:
    async def scenario(world: World) -> None:
        stalled, healthy = await world.connect(), await world.connect()
        for peer in (stalled, healthy):
            assert await peer.asked(TRADES, "t") == 200
        stalled.transport.pause_reading()
        for _ in range(500):
            world.venue.publish_trade(SBER, 1)
        await asyncio.sleep(0.1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        closing = asyncio.create_task(world.gateway.close(drain_s=5))
        assert await healthy.closed() == (1001, "the server is going away")
        assert loop.time() - began < 0.5
        await closing
        assert 5 <= loop.time() - began < 6

    drained(scenario, conditions=LinkConditions(window_bytes=4_096))


def test_a_past_that_is_being_read_is_sent_before_the_goodbye() -> None:
    async def scenario(world: World) -> None:
        for _ in range(100):
            world.venue.publish_trade(SBER, 1)
        peer = await world.connect()
        world.venue.page_delays_s = (1.0, 0.0)
        assert await peer.asked(TRADES, "t", depth=100) == 200
        closing = asyncio.create_task(world.gateway.close(drain_s=5))
        assert await peer.closed() == (1001, "the server is going away")
        assert len(peer.data("t")) == 100
        await closing

    drained(scenario)


def test_an_answer_of_http_is_finished_first() -> None:
    async def scenario(world: World) -> None:
        world.venue.page_delays_s = (1.0, 0.0)
        url = "http://gateway/md/v2/history?exchange=MOEX&symbol=SBER&tf=60&from=1&to=9999999999"
        asking = asyncio.create_task(
            world.http.request("GET", url, headers={"Authorization": f"Bearer {world.token()}"}, timeout_s=10)
        )
        await asyncio.sleep(0.1)
        assert len(world.gateway.counters.http_requests) == 1
        began = asyncio.get_running_loop().time()
        await world.gateway.close(drain_s=5)
        assert not world.gateway.counters.http_requests
        assert 0.8 < asyncio.get_running_loop().time() - began < 1.2
        assert (await asking).status == 200

    drained(scenario)


def test_requests_of_http_that_come_meanwhile_do_not_hold_the_end_up() -> None:
    async def scenario(world: World) -> None:
        world.venue.page_delays_s = (0.4, 0.0)
        url = "http://gateway/md/v2/history?exchange=MOEX&symbol=SBER&tf=60&from=1&to=9999999999"
        headers = {"Authorization": f"Bearer {world.token()}"}

        async def ask_again_and_again(after_s: float) -> None:
            await asyncio.sleep(after_s)
            while True:
                await world.http.request("GET", url, headers=headers, timeout_s=10)

        asking = [asyncio.create_task(ask_again_and_again(after_s)) for after_s in (0.0, 0.2)]
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        await world.gateway.close(drain_s=5)
        assert asyncio.get_running_loop().time() - began < 0.5
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)

    drained(scenario)


def test_a_second_request_to_end_ends_at_once() -> None:
    async def scenario(world: World) -> None:
        stalled = await world.connect()
        assert await stalled.asked(TRADES, "t") == 200
        stalled.transport.pause_reading()
        for _ in range(500):
            world.venue.publish_trade(SBER, 1)
        await asyncio.sleep(0.1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        closing = asyncio.create_task(world.gateway.close(drain_s=60))
        await asyncio.sleep(1)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert loop.time() - began == 1
        await asyncio.sleep(0.01)
        world.check_nothing_is_left()

    drained(scenario, conditions=LinkConditions(window_bytes=4_096))
