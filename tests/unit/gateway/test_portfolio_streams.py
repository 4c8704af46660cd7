"""Streams of portfolios on the data socket: what comes first, what comes live, and who may have them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from portfolio import RECORDS, order, position, stop_order, summary
from tapewire.model import OrderStatus, Record, Topic, TopicKind
from tapewire.protocol.requests import STREAMS
from tapewire.simulation import LinkConditions
from unit.gateway.world import BOOK, READER_REFRESH, SBER, Peer, World, run

KINDS = [kind for kind in TopicKind if kind.of_portfolio]
EVENTS = [kind for kind in KINDS if not kind.is_state]
STATES = [kind for kind in KINDS if kind.is_state]
ORDERS = STREAMS[TopicKind.ORDERS].opcode
POSITIONS = STREAMS[TopicKind.POSITIONS].opcode
SETTLED_S = 1.0


def topic_of(kind: TopicKind, portfolio: str = "D1", exchange: str = "MOEX") -> Topic:
    """Return what a venue publishes: the deprecated stream tells of the same orders."""
    told = TopicKind.STOP_ORDERS if kind is TopicKind.LEGACY_STOP_ORDERS else kind
    return Topic(told, exchange, portfolio)


def tell(world: World, kind: TopicKind, record: Record) -> None:
    if kind.is_state:
        world.venue.set_state(topic_of(kind), record)
    else:
        world.venue.publish(topic_of(kind), record)


async def asked(peer: Peer, kind: TopicKind, guid: str = "g", **fields: Any) -> int:
    request = {"exchange": "MOEX", "portfolio": "D1"} | fields
    return await peer.ask(STREAMS[kind].opcode, guid, **request)


def flag_of(kind: TopicKind, message_format: str) -> str:
    if message_format != "Slim":
        return "existing"
    return "e" if kind is TopicKind.LEGACY_STOP_ORDERS else "h"


@pytest.mark.parametrize("message_format", ["Simple", "Slim", "Heavy"])
@pytest.mark.parametrize("kind", EVENTS)
def test_the_past_comes_first_and_what_happens_behind_it(kind: TopicKind, message_format: str) -> None:
    async def scenario(world: World) -> None:
        first, second = RECORDS[kind]
        tell(world, kind, first)
        peer = await world.connect()
        assert await asked(peer, kind, format=message_format) == 200
        await peer.until(lambda: peer.data("g"))
        tell(world, kind, second)
        await asyncio.sleep(SETTLED_S)
        flag = flag_of(kind, message_format)
        assert [data[flag] for data in peer.data("g")] == [True, False]

    run(scenario)


@pytest.mark.parametrize("kind", STATES)
def test_a_state_comes_at_once_and_again_when_it_is_another(kind: TopicKind) -> None:
    async def scenario(world: World) -> None:
        first, second = RECORDS[kind]
        tell(world, kind, first)
        peer = await world.connect()
        assert await asked(peer, kind) == 200
        await peer.until(lambda: peer.data("g"))
        await asyncio.sleep(SETTLED_S)
        assert len(peer.data("g")) == 1
        tell(world, kind, second)
        await asyncio.sleep(SETTLED_S)
        before, after = peer.data("g")
        assert before != after

    run(scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_portfolio_is_answered_200_and_says_nothing(kind: TopicKind) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await asked(peer, kind) == 200
        await asyncio.sleep(SETTLED_S)
        assert peer.messages == []

    run(scenario)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not TopicKind.LEGACY_STOP_ORDERS])
def test_whoever_skips_the_history_gets_what_happens_only(kind: TopicKind) -> None:
    async def scenario(world: World) -> None:
        first, second = RECORDS[kind]
        tell(world, kind, first)
        peer = await world.connect()
        assert await asked(peer, kind, skipHistory=True) == 200
        await asyncio.sleep(SETTLED_S)
        assert peer.messages == []
        tell(world, kind, second)
        await asyncio.sleep(SETTLED_S)
        (live,) = peer.data("g")
        assert live.get("existing", False) is False

    run(scenario)


@pytest.mark.parametrize("kind", [TopicKind.ORDERS, TopicKind.STOP_ORDERS])
def test_statuses_choose_from_the_past_and_never_from_what_happens(kind: TopicKind) -> None:
    make = order if kind is TopicKind.ORDERS else stop_order

    async def scenario(world: World) -> None:
        for number, status in enumerate(OrderStatus, start=1):
            tell(world, kind, make(str(number), status=status))
        peer = await world.connect()
        assert await asked(peer, kind, orderStatuses=["Working", "filled"]) == 200
        assert await asked(peer, kind, "all", orderStatuses=[]) == 200
        tell(world, kind, make("9", status=OrderStatus.CANCELED))
        await asyncio.sleep(SETTLED_S)
        assert [(data["status"], data["existing"]) for data in peer.data("g")] == [
            ("working", True),
            ("filled", True),
            ("canceled", False),
        ]
        assert [data["id"] for data in peer.data("all")] == ["1", "2", "3", "4", "9"]
        assert await asked(peer, kind, "bad", orderStatuses=["pending"]) == 400

    run(scenario)


def test_the_past_holds_the_newest_row_of_each_order() -> None:
    async def scenario(world: World) -> None:
        for record in (order("1"), order("2"), order("1", status=OrderStatus.FILLED)):
            tell(world, TopicKind.ORDERS, record)
        peer = await world.connect()
        assert await asked(peer, TopicKind.ORDERS) == 200
        await asyncio.sleep(SETTLED_S)
        assert [(data["id"], data["status"]) for data in peer.data("g")] == [("1", "filled"), ("2", "working")]

    run(scenario)


def test_portfolios_and_exchanges_are_apart() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        for guid, fields in (("d", {}), ("g", {"portfolio": "G1"}), ("s", {"exchange": "SPBX"})):
            assert await asked(peer, TopicKind.POSITIONS, guid, **fields) == 200
        tell(world, TopicKind.POSITIONS, position())
        await asyncio.sleep(SETTLED_S)
        assert [len(peer.data(guid)) for guid in ("d", "g", "s")] == [1, 0, 0]

    run(scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_a_portfolio_that_is_not_united_is_unknown_there(kind: TopicKind) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        peer.send(STREAMS[kind].opcode, "g", exchange="UNITED", portfolio="D1")
        assert await peer.answer("g") == {
            "requestGuid": "g",
            "httpCode": 404,
            "message": "Unknown portfolio UNITED:D1",
        }
        assert world.gateway.hub.topics == 0

    run(scenario)


def test_a_united_portfolio_is_served_where_the_venue_has_it() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect(token=world.token(READER_REFRESH))
        assert await peer.ask(ORDERS, "g", exchange="united", portfolio="E3") == 200
        world.venue.publish(topic_of(TopicKind.ORDERS, "E3", "UNITED"), order(portfolio="E3"))
        await peer.until(lambda: peer.data("g"))

    run(scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_rights_are_asked_for(kind: TopicKind) -> None:
    texts = {
        TopicKind.FILLS: "The token carries no right to read trades",
        TopicKind.ORDERS: "Handled successfully",
        TopicKind.STOP_ORDERS: "Handled successfully",
        TopicKind.LEGACY_STOP_ORDERS: "Handled successfully",
    }

    async def scenario(world: World) -> None:
        peer = await world.connect(token=world.token(READER_REFRESH))
        peer.send(STREAMS[kind].opcode, "g", exchange="MOEX", portfolio="D1")
        text = texts.get(kind, "The token carries no right to read personal data")
        assert (await peer.answer("g"))["message"] == text

    run(scenario)


def test_a_past_that_cannot_be_read_ends_the_subscription_with_a_second_answer() -> None:
    async def scenario(world: World) -> None:
        world.venue.page_delays_s = (60.0, 0.0)
        peer = await world.connect()
        assert await asked(peer, TopicKind.ORDERS) == 200
        assert (await peer.answer("g"))["httpCode"] == 503
        assert world.venue.open_topics == ()

    run(scenario)


def test_an_order_that_ends_while_the_past_is_read_is_told() -> None:
    """It is none of the working ones of the past any more; what happens live is told whatever it is."""

    async def scenario(world: World) -> None:
        world.venue.page_delays_s = (0.5, 0.0)
        peer = await world.connect()
        tell(world, TopicKind.ORDERS, order("1", status=OrderStatus.WORKING))
        assert await asked(peer, TopicKind.ORDERS, orderStatuses=["working"]) == 200
        tell(world, TopicKind.ORDERS, order("2", status=OrderStatus.WORKING))
        tell(world, TopicKind.ORDERS, order("3", status=OrderStatus.WORKING))
        tell(world, TopicKind.ORDERS, order("2", status=OrderStatus.FILLED))
        await asyncio.sleep(SETTLED_S)
        got = [(row["id"], row["status"], row["existing"]) for row in peer.data("g")]
        assert got == [("1", "working", True), ("3", "working", True), ("2", "filled", False)]

    run(scenario)


def test_what_happens_in_a_portfolio_overtakes_a_market_that_rests() -> None:
    """While the pulse rests after a dear beat, orders, positions and sums are written all the same."""

    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await asked(peer, TopicKind.ORDERS, "o") == 200
        assert await asked(peer, TopicKind.SUMMARY, "s") == 200
        assert await peer.asked(BOOK, "b") == 200
        await asyncio.sleep(SETTLED_S)
        loop = asyncio.get_running_loop()
        rests_until = loop.time() + 60
        world.gateway._pulse._rests_until = rests_until
        world.venue.set_book(SBER, bids=[(300.0, 1)])
        tell(world, TopicKind.ORDERS, order())
        tell(world, TopicKind.SUMMARY, summary())
        await peer.until(lambda: peer.data("o") and peer.data("s"))
        assert loop.time() < rests_until - 59
        assert peer.data("b") == []

    run(scenario, conditions=LinkConditions(latency_s=0.001))
