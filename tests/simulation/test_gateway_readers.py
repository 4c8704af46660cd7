"""Slow readers, readers that stop, and readers that vanish: who is cut, who is not, and what is left behind."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewire.gateway.connection import (
    PASTS_AT_ONCE_MAX,
    READING_PAUSED_AT,
    WRITE_BYTES,
    Connection,
    ConnectionState,
)
from tapewire.gateway.outbox import OutboxMode
from tapewire.gateway.session import DataSession
from tapewire.protocol.limits import SUBSCRIPTIONS_PER_CONNECTION_MAX, UNPROCESSED_MESSAGES_MAX
from tapewire.simulation import LinkConditions, run_virtual
from unit.gateway.world import BOOK, GAZP, LKOH, QUOTE, SBER, TRADES, Peer, World, run

SLOW = LinkConditions(latency_s=0.05, bandwidth_bytes_s=200_000, window_bytes=16 * 1024)


async def slow_reader(world: World) -> Peer:
    """Return a peer that asks fast and reads slowly."""
    peer = await world.connect()
    world.network.connections[-1].to_client.conditions = SLOW
    return peer


def connection_of(world: World, peer: Peer) -> Connection:
    """Return the gateway's end of a peer's connection."""
    [found] = [
        connection
        for connection in world.gateway.connections
        if any(
            each.client is peer.transport and each.server.peer == connection.peer
            for each in world.network.connections
        )
    ]
    return found


# --- subscribing to a lot -------------------------------------------------------------------------------


def test_five_thousand_requests_at_once_of_a_slow_reader_are_all_answered_with_snapshots() -> None:
    async def scenario(world: World) -> None:
        for instrument in (SBER, GAZP, LKOH):
            world.venue.set_book(instrument, [(1, 1)])
        peer = await slow_reader(world)
        connection = connection_of(world, peer)
        symbols = ("SBER", "GAZP", "LKOH")
        for number in range(SUBSCRIPTIONS_PER_CONNECTION_MAX):
            peer.subscribe(BOOK, f"g{number}", code=symbols[number % 3], frequency=1000)
        most_waiting, pauses = 0, 0
        while len(peer.messages) < 2 * SUBSCRIPTIONS_PER_CONNECTION_MAX:
            await asyncio.sleep(0.01)
            most_waiting = max(most_waiting, connection.outbox.count)
            pauses += connection._is_reading_paused
        assert peer.end is None
        assert pauses > 10
        assert most_waiting <= READING_PAUSED_AT + 2
        assert all(answer["httpCode"] == 200 for answer in peer.answers())
        seen = Counter(peer.order())
        assert seen == Counter(f"{what} g{n}" for n in range(5000) for what in ("answer", "data"))
        order = {line: place for place, line in enumerate(peer.order())}
        assert all(order[f"answer g{n}"] < order[f"data g{n}"] for n in range(5000))
        world.venue.set_book(SBER, [(2, 1)])
        await asyncio.sleep(30)
        assert len(peer.data("g0")) == 2

    run(scenario)


def test_a_slow_reader_of_thousands_of_busy_books_is_still_heard_and_not_cut() -> None:
    async def scenario(world: World) -> None:
        peer = await slow_reader(world)
        connection = connection_of(world, peer)
        world.venue.set_book(SBER, [(0, 1)])
        for number in range(SUBSCRIPTIONS_PER_CONNECTION_MAX):
            peer.subscribe(BOOK, f"g{number}", frequency=500)
        session = connection._handler
        assert isinstance(session, DataSession)
        price = 0
        while session.subscriptions < SUBSCRIPTIONS_PER_CONNECTION_MAX:
            price += 1
            world.venue.set_book(SBER, [(price, 1)])
            await asyncio.sleep(0.5)
            assert price < 300
        for _ in range(20):
            price += 1
            world.venue.set_book(SBER, [(price, 1)])
            await asyncio.sleep(0.5)
        assert connection.outbox.count > 3000  # all of them have news that wait
        peer.send("ping", "p")
        for number in range(SUBSCRIPTIONS_PER_CONNECTION_MAX):
            peer.send("unsubscribe", f"g{number}")
        while session.subscriptions:
            price += 1
            world.venue.set_book(SBER, [(price, 1)])
            await asyncio.sleep(0.5)
            assert price < 600
        await asyncio.sleep(30)
        assert peer.end is None
        assert Counter(answer["httpCode"] for answer in peer.answers()) == {200: 10_001}
        first = Counter(line for line in peer.order() if line.startswith("data"))
        assert len(first) == SUBSCRIPTIONS_PER_CONNECTION_MAX

    run(scenario)


def test_a_slow_reader_of_busy_books_gets_its_answers_and_always_the_newest_state() -> None:
    async def scenario(world: World) -> None:
        peer = await slow_reader(world)
        for number in range(200):
            peer.subscribe(BOOK, f"g{number}", frequency=25)
        price = 0.0
        for _ in range(400):
            price += 1
            world.venue.set_book(SBER, [(price, 1)])
            await asyncio.sleep(0.025)
        assert peer.end is None
        peer.send("ping", "p")
        await peer.answer("p")
        await asyncio.sleep(30)
        for number in range(200):
            prices = [book["bids"][0]["price"] for book in peer.data(f"g{number}")]
            assert prices == sorted(set(prices))
            assert prices[-1] == price
        assert len(peer.messages) < 400 * 200 / 2  # the reader was slow indeed

    run(scenario)


def test_histories_that_nobody_reads_are_not_all_held_in_memory() -> None:
    async def scenario(world: World) -> None:
        for _ in range(5000):
            world.venue.publish_trade(SBER, 300)
        peer = await slow_reader(world)
        connection = connection_of(world, peer)
        for number in range(100):
            peer.subscribe(TRADES, f"g{number}", depth=5000)
        # Answers are taken, histories hardly.
        await asyncio.sleep(5)
        assert connection.outbox.pasts == PASTS_AT_ONCE_MAX
        assert connection.outbox.count < 10
        world.network.connections[-1].to_client.conditions = LinkConditions()
        await asyncio.sleep(60)
        assert [len(peer.data(f"g{number}")) for number in (0, 1, 50, 99)] == [5000] * 4
        assert len(peer.messages) == 100 + 100 * 5000
        assert (connection.outbox.pasts, peer.end) == (0, None)

    run(scenario)


def test_a_long_history_never_cuts_the_reader_who_asked_for_it() -> None:
    async def scenario(world: World) -> None:
        for _ in range(5000):
            world.venue.publish_trade(SBER, 300)
        peer = await slow_reader(world)
        peer.subscribe(TRADES, "t", depth=5000)
        for _ in range(100):
            await asyncio.sleep(0.05)
            last = world.venue.publish_trade(SBER, 300)
        await asyncio.sleep(60)
        ids = [trade["id"] for trade in peer.data("t")]
        assert ids == list(range(ids[0], last.id + 1))
        assert [trade["existing"] for trade in peer.data("t")].count(True) == 5000
        assert peer.end is None

    run(scenario)


# --- stopping to read -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["live", "behind a past", "while the past is read"])
def test_a_reader_that_stops_is_cut_at_the_bound_and_another_one_is_unharmed(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World) -> None:
        stalled, healthy = await world.connect(), await world.connect()
        depth = 0
        if how != "live":
            depth = 5000
            for _ in range(5000):
                world.venue.publish_trade(SBER, 300)
        assert await healthy.asked(TRADES, "t") == 200
        if how == "while the past is read":
            world.venue.page_delays_s = (9.0, 0.0)
        assert await stalled.asked(TRADES, "t", depth=depth) == 200
        stalled.transport.pause_reading()
        connection = connection_of(world, stalled)
        [server_end] = [each.server for each in world.network.connections if each.client is stalled.transport]
        most, published, published_open = 0, 0, 0
        while connection in world.gateway.connections:
            for _ in range(50):
                world.venue.publish_trade(SBER, 300)
                published += 1
            await asyncio.sleep(0.01)
            most = max(most, connection.outbox.count)
            assert server_end.unsent_bytes <= WRITE_BYTES + 4096
            if connection.state is ConnectionState.OPEN:
                published_open = published
            else:
                assert (connection.outbox.count, connection.outbox.pasts) == (0, 0)
        # Besides the 5,000, the sockets hold some.
        assert UNPROCESSED_MESSAGES_MAX - 100 < most <= UNPROCESSED_MESSAGES_MAX
        assert most <= published_open < 8_000
        stalled.transport.resume_reading()
        await asyncio.sleep(5)
        # The reader sees the reason if it still can.
        assert stalled.end is not None
        assert stalled.end[0] in (1013, 1006)
        ids = [trade["id"] for trade in healthy.data("t")]
        assert len(ids) == published
        assert ids == sorted(set(ids))
        assert healthy.end is None

    run(scenario, conditions=LinkConditions(window_bytes=64 * 1024))
    assert len(caplog.records) == 1


def test_a_cut_reader_that_comes_back_in_time_reads_1013() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        peer.transport.pause_reading()
        for _ in range(UNPROCESSED_MESSAGES_MAX + 3000):
            world.venue.publish_trade(SBER, 300)
            await asyncio.sleep(0)
        await asyncio.sleep(0.5)
        peer.transport.resume_reading()
        assert await peer.closed() == (1013, "too many unprocessed messages")
        # What had been handed to the socket has come, whole and in order.
        ids = [trade["id"] for trade in peer.data("t")]
        assert ids == list(range(ids[0], ids[0] + len(ids)))

    run(scenario)


def test_a_stalled_reader_of_states_keeps_one_slot_each_and_is_not_cut() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.set_quote(SBER, 299)
        for number in range(1000):
            peer.subscribe(QUOTE, f"g{number}")
        await asyncio.sleep(5)
        peer.transport.pause_reading()
        connection = connection_of(world, peer)
        for step in range(300):
            world.venue.set_quote(SBER, 300 + step)
            await asyncio.sleep(0.2)
            assert connection.outbox.count <= 1000
        peer.transport.resume_reading()
        await asyncio.sleep(5)
        assert peer.end is None
        assert all(peer.data(f"g{number}")[-1]["last_price"] == 599 for number in range(1000))

    run(scenario)


def test_in_strict_mode_the_same_reader_is_cut() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.set_quote(SBER, 299)
        for number in range(1000):
            peer.subscribe(QUOTE, f"g{number}")
        await asyncio.sleep(5)
        peer.transport.pause_reading()
        for step in range(20):
            world.venue.set_quote(SBER, 300 + step)
            await asyncio.sleep(0.2)
        peer.transport.resume_reading()
        assert (await peer.closed())[0] in (1013, 1006)

    run(scenario, mode=OutboxMode.STRICT)


# --- vanishing ------------------------------------------------------------------------------------------


async def hectic(seed: int) -> None:
    """Many peers do everything at random and leave in every way there is; the world checks what is left."""
    source = random.Random(seed)
    async with World(seed=seed, conditions=LinkConditions(latency_s=0.002, jitter_s=0.005)) as world:
        world.venue.page_delays_s = (source.choice([0, 0.01]), source.choice([0, 0.01]))
        peers: list[Peer] = []
        for _ in range(150):
            match source.randrange(12):
                case 0 | 1 if len(peers) < 14:
                    peers.append(await world.connect(source.choice(["/ws", "/ws", "/cws"])))
                case 2 | 3 | 4 if peers:
                    peer = source.choice(peers)
                    opcode = source.choice([BOOK, QUOTE, TRADES])
                    fields = {"depth": source.choice([1, 20]), "frequency": 25}
                    peer.subscribe(opcode, source.choice("abcd"), code=source.choice(["SBER", "GAZP"]), **fields)
                case 5 if peers:
                    source.choice(peers).send(source.choice(["unsubscribe", "ping", "authorize"]), "a")
                case 6 | 7:
                    world.venue.publish_trade(source.choice([SBER, GAZP]), 300)
                case 8:
                    world.venue.set_book(source.choice([SBER, GAZP]), [(source.randrange(1, 9), 1)])
                    world.venue.set_quote(source.choice([SBER, GAZP]), 300)
                case 9 if peers:
                    peer = peers.pop(source.randrange(len(peers)))
                    source.choice([peer.transport.abort, lambda peer=peer: peer.transport.close(1000)])()
                case 10 if peers:
                    connection = source.choice(world.network.connections or [None])
                    if connection is not None:
                        source.choice([connection.cut, connection.stall, connection.drop, connection.resume])()
                case 11:
                    world.venue.restart()
            await asyncio.sleep(source.choice([0, 0, 0.001, 0.003, 0.03]))
            peers = [peer for peer in peers if peer.end is None]
        live = {session for connection in world.gateway.connections for session in [connection._handler]}
        wanted = sum(getattr(session, "subscriptions", 0) for session in live)
        feeds = [
            feed
            for kinds in (world.gateway.hub._state_feeds, world.gateway.hub._event_feeds)
            for of_topic in kinds.values()
            for feed in of_topic.values()
        ]
        assert sum(len(feed.subscribers) for feed in feeds) == wanted
        assert all(feed.subscribers for feed in feeds)
        assert len(world.venue.open_topics) == world.gateway.hub.topics
        if seed % 2:
            world.network.cut()
            await asyncio.sleep(0.1)
            world.check_nothing_is_left()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_nothing_is_left_of_sessions_that_end_at_random_moments(seed: int) -> None:
    run_virtual(lambda: hectic(seed))


@pytest.mark.parametrize("at_s", [step / 1000 for step in range(0, 40, 3)])
@pytest.mark.parametrize("how", ["abort", "close", "cut"])
def test_a_peer_that_leaves_at_any_moment_of_subscribing_leaves_nothing(at_s: float, how: str) -> None:
    async def scenario(world: World) -> None:
        world.venue.page_delays_s = (0.01, 0.01)
        for _ in range(10):
            world.venue.publish_trade(SBER, 300)
        world.venue.set_book(SBER, [(1, 1)])
        peer = await world.connect()
        for number in range(5):
            peer.subscribe(TRADES, f"t{number}", depth=10)
            peer.subscribe(BOOK, f"b{number}", frequency=25)
        for _ in range(int(at_s * 1000)):
            world.venue.publish_trade(SBER, 300)
            world.venue.set_book(SBER, [(1, 1)])
            await asyncio.sleep(0.001)
        match how:
            case "abort":
                peer.transport.abort()
            case "close":
                peer.transport.close(1000)
            case "cut":
                world.network.cut()
        await asyncio.sleep(0.5)
        world.check_nothing_is_left()
        world.venue.publish_trade(SBER, 300)

    run(scenario)


def test_the_bytes_of_a_session_that_lives_long_are_all_valid_json() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        for number, opcode in enumerate((BOOK, QUOTE, TRADES) * 3):
            peer.subscribe(opcode, f"g{number}", format=("Simple", "Slim", "Heavy")[number // 3], depth=5)
        for step in range(200):
            world.venue.set_book(SBER, [(step + 1, 1)], [(step + 2, 1)])
            world.venue.set_quote(SBER, 300 + step)
            world.venue.publish_trade(SBER, 300)
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        assert all(isinstance(json.loads(message), dict) for message in peer.messages)
        assert all(len(peer.data(f"g{number}")) >= 20 for number in range(9))

    run(scenario)
