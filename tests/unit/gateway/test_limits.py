"""Every limit is reached: what is answered, what goes on, what is counted."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from tapewire.gateway.addresses import address_of
from tapewire.gateway.connection import FRAMES_PER_SECOND_MAX, PASTS_AT_ONCE_MAX
from tapewire.gateway.limits import Limit, Limits
from tapewire.ports.network import ConnectError
from tapewire.protocol.limits import (
    HTTP_REQUESTS_PER_SECOND_MAX,
    MESSAGE_BYTES_MAX,
    REQUEST_BACKLOG_BYTES_MAX,
)
from tapewire.simulation import LinkConditions
from unit.gateway.world import BOOK, OTHER_REFRESH, PONG, QUOTE, SBER, TEXT, TRADES, Peer, World, run


def cuts(world: World) -> dict[str, int]:
    return {limit.value: count for limit, count in world.gateway.counters.cuts.items()}


def refusals(world: World) -> dict[str, int]:
    return {limit.value: count for limit, count in world.gateway.counters.refusals.items()}


async def refused(peer: Peer, guid: str) -> tuple[int, str]:
    answer = await peer.answer(guid)
    return answer["httpCode"], answer["message"]


def test_one_connection_of_a_user_too_many_is_refused_and_counted() -> None:
    async def scenario(world: World) -> None:
        first, second = await world.connect(), await world.connect()
        assert await first.asked(TRADES, "t") == 200
        second.subscribe(TRADES, "t")
        assert await refused(second, "t") == (429, "Too many connections of this user")
        assert refusals(world) == {"connections_per_user": 1}
        await world.connect("/cws")
        first.transport.abort()
        await asyncio.sleep(1)
        assert await second.asked(TRADES, "t") == 200

    run(scenario, limits=Limits(connections_per_user=1))


def test_one_subscription_too_many_is_refused_and_the_others_live_on() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert [await peer.asked(TRADES, guid) for guid in "ab"] == [200, 200]
        peer.subscribe(BOOK, "c")
        assert await refused(peer, "c") == (429, "Too many subscriptions: at most 2 a connection")
        assert refusals(world) == {"subscriptions_per_connection": 1}
        world.venue.publish_trade(SBER, 1)
        await peer.until(lambda: peer.data("a") and peer.data("b"))
        assert await peer.ask("unsubscribe", "a") == 200
        assert await peer.asked(BOOK, "c") == 200

    run(scenario, limits=Limits(subscriptions_per_connection=2))


def test_more_unprocessed_messages_than_may_wait_end_the_session() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        peer.transport.pause_reading()
        for _ in range(200):
            world.venue.publish_trade(SBER, 1)
            await asyncio.sleep(0.01)
        peer.transport.resume_reading()
        assert await peer.closed() == (1013, "too many unprocessed messages")
        await asyncio.sleep(5)
        assert cuts(world) == {"unprocessed_messages": 1}
        [ended] = world.gateway.presence.ended()
        assert (ended.code, ended.limit) == (1013, Limit.UNPROCESSED_MESSAGES)

    run(scenario, limits=Limits(unprocessed_messages=50), conditions=LinkConditions(window_bytes=4_096))


def test_a_message_that_is_too_large_ends_the_session() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        peer.transport.send_frame(TEXT, b"x" * MESSAGE_BYTES_MAX, fin=False)
        peer.transport.send_frame(0, b"x")
        assert (await peer.closed())[0] == 1009
        await asyncio.sleep(1)
        assert cuts(world) == {"message_bytes": 1}

    run(scenario)


def test_a_client_that_closes_with_the_code_of_a_large_message_is_not_counted_as_cut() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        peer.transport.close(1009, "eyJhbGciOiJFUzI1NiJ9.mine")
        assert (await peer.closed())[0] == 1009
        await asyncio.sleep(1)
        assert cuts(world) == {}
        [ended] = world.gateway.presence.ended()
        assert (ended.code, ended.reason, ended.limit) == (1009, "", None)

    run(scenario)


def test_too_many_frames_end_the_session() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        for _ in range(FRAMES_PER_SECOND_MAX + 1_000):
            peer.transport.send_frame(PONG, b"")
        await peer.closed()
        await asyncio.sleep(1)
        assert cuts(world) == {"frames_per_second": 1}

    run(scenario)


def test_too_many_requests_are_refused_for_the_rest_of_the_second() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        await asyncio.sleep(1.5)
        for number in range(7):
            peer.send("ping", f"p{number}")
        peer.subscribe(TRADES, "t")
        answers = [(await peer.answer(f"p{number}"))["httpCode"] for number in range(7)]
        assert answers == [200] * 5 + [429] * 2
        assert await refused(peer, "t") == (429, "Too many requests: at most 5 a second")
        assert refusals(world) == {"requests_per_second": 3}
        await asyncio.sleep(1.5)
        assert await peer.asked(TRADES, "t") == 200
        orders = await world.connect("/cws")
        codes = [await orders.ask("ping", f"p{number}") for number in range(6)]
        assert codes == [200] * 5 + [429]

    run(scenario, limits=Limits(requests_per_second=5))


def test_requests_that_pile_up_end_the_session() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.page_delays_s = (9.0, 0.0)
        for number in range(20):
            peer.subscribe(TRADES, f"t{number}", depth=1)
        await peer.until(lambda: len(peer.answers()) == PASTS_AT_ONCE_MAX)
        # A network may deliver in one piece what it took before reading was paused.
        [connection] = world.gateway.connections
        for _ in range(REQUEST_BACKLOG_BYTES_MAX // MESSAGE_BYTES_MAX + 1):
            connection.frame_received(TEXT, b"x" * MESSAGE_BYTES_MAX, True, 0)
        assert await peer.closed() == (
            1008,
            f"more than {REQUEST_BACKLOG_BYTES_MAX} bytes of requests are waiting",
        )
        await asyncio.sleep(1)
        assert cuts(world) == {"request_backlog": 1}

    run(scenario)


@pytest.mark.parametrize("path", ["/ws", "/cws"])
def test_a_connection_that_never_shows_a_good_token_is_ended(path: str) -> None:
    async def scenario(world: World) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        silent = await world.connect(path)
        noisy = await world.connect(path, token="bad")
        greeted = await world.connect()
        authorised = await world.connect("/cws")
        assert await greeted.ask("ping", "p") == 200
        assert await authorised.ask("authorize", "a") == 200
        while loop.time() < began + 50:
            await noisy.ask("ping", "p")
            await asyncio.sleep(5)
        assert silent.end is noisy.end is None
        for peer in (silent, noisy):
            assert await peer.closed() == (1008, "no good token within 60 s")
        assert 60 <= loop.time() - began < 62
        await asyncio.sleep(100)
        assert greeted.end is authorised.end is None
        assert cuts(world) == {"unauthorised": 2}

    run(scenario)


def test_no_deadline_for_tokens_where_none_is_wanted() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        await asyncio.sleep(3_000)
        assert peer.end is None

    run(scenario, limits=Limits(authorise_within_s=None))


def test_a_ping_with_a_good_token_takes_a_place_of_its_user_and_one_without_is_answered() -> None:
    async def scenario(world: World) -> None:
        first, second = await world.connect(), await world.connect()
        assert await first.ask("ping", "p", token=None) == 200
        assert await first.ask("ping", "p", token="bad") == 200
        assert world.gateway._reception.quota._by_login == {}
        assert await first.ask("ping", "p") == 200
        assert await first.ask("ping", "p") == 200
        assert world.gateway._reception.quota._by_login == {"P1": 1}
        assert await second.ask("ping", "p") == 429
        assert await second.ask("ping", "p", token=None) == 200

    run(scenario, limits=Limits(connections_per_user=1))


def test_one_connection_of_an_address_too_many_is_refused_at_the_door(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tapewire.gateway")

    async def scenario(world: World) -> None:
        first = await world.connect(host="10.0.0.1")
        await world.connect("/cws", host="10.0.0.1")
        with pytest.raises(ConnectError) as caught:
            await world.connect(host="10.0.0.1")
        assert caught.value.status == 429
        assert refusals(world) == {"connections_per_address": 1}
        assert [record.message for record in caplog.records] == ["handshake refused"]
        await world.connect(host="10.0.0.2")
        first.transport.abort()
        await asyncio.sleep(1)
        await world.connect(host="10.0.0.1")

    run(scenario, limits=Limits(connections_per_address=2))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::2", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::2", "2001:db8:1:3::/64"),
        ("", ""),
        ("somewhere", "somewhere"),
    ],
)
def test_hosts_are_counted_by_what_one_household_has(host: str, address: str) -> None:
    assert address_of(host) == address


def test_too_many_requests_over_http_are_refused() -> None:
    async def scenario(world: World) -> None:
        async def status() -> int:
            return (await world.http.request("GET", "http://gateway/md/v2/time", timeout_s=10)).status

        statuses = await asyncio.gather(*(status() for _ in range(HTTP_REQUESTS_PER_SECOND_MAX + 3)))
        assert sorted(statuses) == [200] * HTTP_REQUESTS_PER_SECOND_MAX + [429] * 3
        assert world.gateway.throttle.refused == 3

    run(scenario)


# --- misuse -----------------------------------------------------------------------------------------------


def test_a_login_with_too_many_points_is_refused_new_requests_and_keeps_what_it_has() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        other = await world.connect(token=world.token(OTHER_REFRESH))
        # One point for the connection, three for subscriptions: the fourth point is the one too many.
        assert [await peer.asked(TRADES, guid) for guid in "abc"] == [200, 200, 200]
        peer.subscribe(QUOTE, "d")
        code, text = await refused(peer, "d")
        assert (code, text) == (429, "Too many points for misuse: blocked for 600 s more")
        world.venue.publish_trade(SBER, 1)
        await peer.until(lambda: all(peer.data(guid) for guid in "abc"))
        assert await peer.ask("ping", "p") == 200
        assert await peer.ask("unsubscribe", "c") == 200
        assert await other.asked(TRADES, "t") == 200
        again = await world.connect()
        assert await again.asked(TRADES, "t") == 429
        orders = await world.connect("/cws")
        assert await orders.ask("authorize", "a") == 200
        assert (
            await orders.ask("delete:market", "o", orderId="1", exchange="MOEX", user={"portfolio": "D1"}) == 429
        )
        bearer = {"Authorization": f"Bearer {world.token()}"}
        answer = await world.http.request("GET", "http://gateway/md/v2/time", headers=bearer, timeout_s=10)
        assert (answer.status, json.loads(answer.body)["code"]) == (429, "TooManyRequests")
        assert refusals(world) == {"misuse": 4}
        # Refusals make the block no longer, and afterwards the count begins anew.
        await asyncio.sleep(601)
        assert await peer.asked(QUOTE, "d", token=world.token()) == 200

    run(scenario, limits=Limits(misuse_points=3, misuse_block_s=600))


def test_a_message_that_is_no_json_is_charged_to_the_login_or_else_to_the_address() -> None:
    async def scenario(world: World) -> None:
        misuse = world.gateway._misuse
        stranger = await world.connect(host="10.0.0.1")
        stranger.send_raw("{]")
        await stranger.answer("")
        assert misuse.points("address 10.0.0.1") == pytest.approx(5_000, abs=1)
        peer = await world.connect(host="10.0.0.1")
        assert await peer.ask("ping", "p") == 200
        peer.send_raw("{]")
        await peer.answer("")
        assert misuse.points("login P1") == pytest.approx(5_001, abs=1)
        stranger.send_raw("{]")
        await stranger.answer("")
        # The address is blocked: whoever has a good token is not.
        stranger.subscribe(TRADES, "t", token="bad")
        assert (await refused(stranger, "t"))[1].startswith("Too many points for misuse: blocked for 7200 s")
        assert await peer.asked(TRADES, "t") == 200
        assert await stranger.asked(TRADES, "t") == 200
        assert refusals(world) == {"unreadable": 3, "misuse": 1}

    run(scenario, limits=Limits(misuse_points=9_000))


def test_a_connection_that_ends_without_a_login_is_charged_to_its_address() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect(host="10.0.0.1")
        peer.transport.abort()
        await asyncio.sleep(1)
        assert world.gateway._misuse.points("address 10.0.0.1") == pytest.approx(1, abs=0.1)

    run(scenario, limits=Limits(misuse_points=10))


def test_nobody_is_charged_where_no_score_is_kept() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        for _ in range(20):
            peer.send_raw("{]")
        assert await peer.asked(TRADES, "t") == 200
        assert world.gateway._misuse._scores == {}
        assert refusals(world) == {"unreadable": 20}

    run(scenario)


def test_nesting_without_end_is_a_message_that_cannot_be_read() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        deep = "[" * 400_000 + "]" * 400_000
        peer.send_raw('{"guid":"g","opcode":"ping","x":' + deep + "}")
        assert await peer.ask("ping", "p") == 200
        assert [answer["httpCode"] for answer in peer.answers()] == [400]
        assert refusals(world) == {"unreadable": 1}

    run(scenario)
