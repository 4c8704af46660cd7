"""Sessions of the data socket, through a whole gateway in virtual time: every request, every refusal."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from tapewire.gateway.session import PAST_SPARE_TRADES
from tapewire.model import TopicKind
from tapewire.ports.query import TradesPage
from tapewire.ports.venue import UnknownTopicError
from tapewire.protocol.limits import CONNECTIONS_PER_USER_MAX, SUBSCRIPTIONS_PER_CONNECTION_MAX
from tapewire.protocol.requests import STREAMS
from tapewire.simulation import START_NS
from unit.gateway.world import (
    BINARY,
    BOOK,
    FOREIGN_KEY,
    GAZP,
    OTHER_REFRESH,
    QUOTE,
    SBER,
    TRADES,
    Peer,
    World,
    forged,
    run,
)

START_S = START_NS // 1_000_000_000
SETTLED_S = 2.0


async def lives(peer: Peer) -> bool:
    """Whether the session still answers."""
    return await peer.ask("ping", "are you there") == 200


# --- each request ---------------------------------------------------------------------------------------


def test_a_book_comes_as_answer_then_snapshot_then_live() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.set_book(SBER, [(300, 5)], [(301, 6)])
        peer.subscribe(BOOK, "b", depth=5, frequency=100)
        await peer.until(lambda: peer.data("b"))
        world.venue.set_book(SBER, [(302, 5)], [(303, 6)])
        await asyncio.sleep(SETTLED_S)
        assert peer.order() == ["answer b", "data b", "data b"]
        assert [book["existing"] for book in peer.data("b")] == [True, False]
        assert [book["bids"][0]["price"] for book in peer.data("b")] == [300, 302]

    run(scenario)


def test_a_quote_comes_as_answer_then_first_then_live() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.set_quote(SBER, 300.5)
        peer.subscribe(QUOTE, "q", format="slim")
        await peer.until(lambda: peer.data("q"))
        world.venue.set_quote(SBER, 300.6)
        await asyncio.sleep(SETTLED_S)
        assert peer.order() == ["answer q", "data q", "data q"]
        assert [quote["c"] for quote in peer.data("q")] == [300.5, 300.6]

    run(scenario)


@pytest.mark.parametrize("opcode", [TRADES, "AllTradesSubscribe", "alltradessubscribe"])
def test_trades_come_as_answer_then_past_then_live(opcode: str) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        past = [world.venue.publish_trade(SBER, 300 + step) for step in range(5)]
        peer.subscribe(opcode, "t", depth=3)
        await peer.until(lambda: len(peer.data("t")) == 3)
        live = [world.venue.publish_trade(SBER, 310 + step) for step in range(2)]
        await asyncio.sleep(SETTLED_S)
        assert peer.order() == ["answer t"] + ["data t"] * 5
        assert [trade["id"] for trade in peer.data("t")] == [trade.id for trade in past[2:] + live]
        assert [trade["existing"] for trade in peer.data("t")] == [True] * 3 + [False] * 2

    run(scenario)


@pytest.mark.parametrize("meanwhile", [1, 3, 4, 150])
def test_a_past_that_is_read_late_ends_where_live_trades_begin(meanwhile: int) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.page_delays_s = (0.5, 0.5)
        past = [world.venue.publish_trade(SBER, 300 + step) for step in range(200)]
        assert await peer.asked(TRADES, "t", depth=3) == 200
        live = [world.venue.publish_trade(SBER, 310 + step) for step in range(meanwhile)]
        await asyncio.sleep(0.7)
        live.append(world.venue.publish_trade(SBER, 320))
        await asyncio.sleep(SETTLED_S)
        # More than the spare ones leave no room for what was before, but nothing is missed.
        before = past[-3:] if meanwhile <= PAST_SPARE_TRADES else []
        assert [trade["id"] for trade in peer.data("t")] == [trade.id for trade in before + live]
        assert [trade["existing"] for trade in peer.data("t")] == [True] * len(before) + [False] * len(live)

    run(scenario)


def test_trades_without_depth_begin_with_the_next_one() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.publish_trade(SBER, 300)
        assert await peer.asked(TRADES, "t") == 200
        trade = world.venue.publish_trade(SBER, 301)
        await asyncio.sleep(SETTLED_S)
        assert [data["id"] for data in peer.data("t")] == [trade.id]

    run(scenario)


@pytest.mark.parametrize("token", ["good", "", None, "nonsense", forged({"sub": "P1", "exp": 1, "iat": 1})])
def test_a_ping_is_answered_with_and_without_a_token(token: str | None) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        sent = world.token() if token == "good" else token
        assert await peer.ask("ping", "p", token=sent, confirm=True) == 200
        assert await peer.ask("unsubscribe", "p") == 200
        assert await lives(peer)

    run(scenario)


@pytest.mark.parametrize("opcode", ["unsubscribe", "Unsubscribe", "UNSUBSCRIBE"])
def test_unsubscribing_ends_the_stream_and_an_unknown_guid_is_taken_calmly(opcode: str) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.set_book(SBER, [(1, 1)])
        assert await peer.ask(opcode, "never heard of") == 200
        assert await peer.asked(BOOK, "b") == 200
        assert await peer.ask(opcode, "b") == 200
        assert world.gateway.hub.topics == 0
        count = len(peer.data("b"))
        world.venue.set_book(SBER, [(2, 1)])
        await asyncio.sleep(SETTLED_S)
        assert len(peer.data("b")) == count
        assert await peer.ask(opcode, "b") == 200

    run(scenario)


def test_every_request_has_one_answer_in_the_order_of_asking() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        for number in range(300):
            match number % 4:
                case 0:
                    peer.subscribe(BOOK, f"g{number}")
                case 1:
                    peer.send("unsubscribe", f"g{number - 1}")
                case 2:
                    peer.send("ping", f"g{number}")
                case 3:
                    peer.subscribe(TRADES, f"g{number}", code="NONE")
        await asyncio.sleep(SETTLED_S)
        expected = [f"g{number - 1 if number % 4 == 1 else number}" for number in range(300)]
        assert [answer["requestGuid"] for answer in peer.answers()] == expected
        assert [answer["httpCode"] for answer in peer.answers()] == [200, 200, 200, 404] * 75

    run(scenario)


def test_answers_and_data_have_the_bytes_that_clients_look_for() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.set_book(SBER, [(1, 1)])
        guid = 'кириллица "quoted" \\ 🙂'
        peer.subscribe(BOOK, guid)
        await asyncio.sleep(SETTLED_S)
        answer, data = peer.messages
        echoed = json.dumps(guid, ensure_ascii=False).encode()
        assert answer == b'{"requestGuid":' + echoed + b',"httpCode":200,"message":"Handled successfully"}'
        assert data.startswith(b'{"data":{"')
        assert data.endswith(b',"guid":' + echoed + b"}")
        assert json.loads(data)["guid"] == guid

    run(scenario)


# --- guids ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_same_feed", [True, False])
def test_a_live_guid_is_replaced_by_the_new_request(is_same_feed: bool) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        for instrument, price in ((SBER, 1), (GAZP, 100)):
            world.venue.set_book(instrument, [(price, 1)])
        assert await peer.asked(BOOK, "b") == 200
        world.venue.set_book(SBER, [(2, 1)])  # waits for the window of the old request
        peer.subscribe(BOOK, "b", code="SBER" if is_same_feed else "GAZP")
        await asyncio.sleep(SETTLED_S)
        world.venue.set_book(SBER, [(3, 1)])
        world.venue.set_book(GAZP, [(101, 1)])
        await asyncio.sleep(SETTLED_S)
        new = [2, 3] if is_same_feed else [100, 101]
        assert peer.order()[-3:] == ["answer b", "data b", "data b"]
        assert [book["bids"][0]["price"] for book in peer.data("b")] == [1, *new]
        assert [book["existing"] for book in peer.data("b")] == [True, True, False]
        assert world.gateway.hub.topics == 1

    run(scenario)


def test_replacing_drops_what_the_old_request_still_had_to_get() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.page_delays_s = (0.5, 0.5)
        for step in range(10):
            world.venue.publish_trade(GAZP, 1 + step)
        peer.subscribe(TRADES, "t", code="GAZP", depth=10)
        await asyncio.sleep(0.7)
        world.venue.publish_trade(GAZP, 99)
        peer.subscribe(TRADES, "t", code="SBER")
        await asyncio.sleep(SETTLED_S)
        world.venue.publish_trade(GAZP, 99)
        trade = world.venue.publish_trade(SBER, 300)
        await asyncio.sleep(SETTLED_S)
        assert [data["id"] for data in peer.data("t")] == [trade.id]
        assert [topic.subject for topic in world.venue.open_topics] == ["SBER"]

    run(scenario)


def test_a_refused_replacement_leaves_the_live_subscription_alone() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.set_book(SBER, [(1, 1)])
        assert await peer.asked(BOOK, "b") == 200
        for code, fields in ((404, {"code": "NONE"}), (400, {"depth": 51}), (401, {"token": "x"})):
            assert await peer.asked(BOOK, "b", **fields) == code
        world.venue.set_book(SBER, [(2, 1)])
        await asyncio.sleep(SETTLED_S)
        assert [book["bids"][0]["price"] for book in peer.data("b")] == [1, 2]

    run(scenario)


def test_two_guids_with_equal_parameters_are_two_streams_of_one_feed() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.set_book(SBER, [(1, 1)])
        assert await peer.asked(BOOK, "one") == 200
        assert (
            await peer.asked(BOOK, "two", format="SIMPLE", frequency="175", depth="20", instrumentGroup="TQBR")
            == 200
        )
        [feeds] = world.gateway.hub._state_feeds.values()
        assert len(feeds) == 1
        world.venue.set_book(SBER, [(2, 1)])
        await asyncio.sleep(SETTLED_S)
        assert peer.data("one") == peer.data("two")
        assert len(peer.data("one")) == 2
        assert await peer.ask("unsubscribe", "one") == 200
        world.venue.set_book(SBER, [(3, 1)])
        await asyncio.sleep(SETTLED_S)
        assert (len(peer.data("one")), len(peer.data("two"))) == (2, 3)

    run(scenario)


def test_guids_are_told_apart_by_letter_case() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "abc") == 200
        assert await peer.asked(TRADES, "ABC") == 200
        assert await peer.ask("unsubscribe", "ABC") == 200
        world.venue.publish_trade(SBER, 1)
        await asyncio.sleep(SETTLED_S)
        assert (len(peer.data("abc")), len(peer.data("ABC"))) == (1, 0)

    run(scenario)


def test_a_guid_may_have_256_characters_and_not_257() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "ы" * 256) == 200
        peer.subscribe(TRADES, "ы" * 257)
        assert (await peer.answer(""))["message"] == "The guid is longer than 256 characters"
        world.venue.publish_trade(SBER, 1)
        await asyncio.sleep(SETTLED_S)
        assert len(peer.data("ы" * 256)) == 1

    run(scenario)


# --- limits ---------------------------------------------------------------------------------------------


def test_the_5001st_subscription_is_refused_and_the_others_live_on() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        for number in range(SUBSCRIPTIONS_PER_CONNECTION_MAX):
            peer.subscribe(QUOTE, f"g{number}", frequency=1000)
        peer.subscribe(QUOTE, "one too many")
        assert (await peer.answer("one too many"))["httpCode"] == 429
        assert all(answer["httpCode"] == 200 for answer in peer.answers())
        peer.messages.clear()
        assert await peer.asked(QUOTE, "g7", frequency=1000) == 200  # replacing is no new one
        world.venue.set_quote(SBER, 300)
        await asyncio.sleep(SETTLED_S)
        shown = [line for line in peer.order() if line.startswith("data")]
        assert len(shown) == len(set(shown)) == SUBSCRIPTIONS_PER_CONNECTION_MAX
        assert await peer.ask("unsubscribe", "g0") == 200
        assert await peer.asked(QUOTE, "one too many") == 200

    run(scenario)


def test_the_11th_connection_of_a_user_is_told_so_and_others_are_not() -> None:
    async def scenario(world: World) -> None:
        peers = [await world.connect() for _ in range(CONNECTIONS_PER_USER_MAX)]
        for peer in peers:
            assert await peer.asked(TRADES, "t") == 200
        eleventh = await world.connect()
        assert await eleventh.asked(TRADES, "t") == 429
        assert await eleventh.ask("unsubscribe", "t") == 429
        assert await eleventh.ask("ping", "p") == 429
        assert await eleventh.ask("ping", "q", token=None) == 200
        stranger = await world.connect(token=world.token(OTHER_REFRESH))
        assert await stranger.asked(TRADES, "t") == 200
        orders = await world.connect("/cws")
        assert await orders.ask("authorize", "a") == 429
        peers[0].transport.close(1000)
        await peers[0].closed()
        assert await eleventh.asked(TRADES, "t") == 200
        assert await orders.ask("authorize", "a") == 429

    run(scenario)


# --- who may ask ----------------------------------------------------------------------------------------


def claims(**changes: object) -> dict[str, object]:
    return {"sub": "P1", "exp": START_S + 1800, "iat": START_S, "portfolios": "D1"} | changes


BAD_TOKENS = {
    "missing": None,
    "empty": "",
    "null": json.loads("null"),
    "no token at all": "nonsense",
    "number": 12345,
    "list": ["x"],
    "not ascii": "токен.токен.токен",
    "expired": forged(claims(exp=START_S - 1)),
    "ends now": forged(claims(exp=START_S)),
    "without end": forged({"sub": "P1", "iat": START_S}),
    "without login": forged({"exp": START_S + 1800, "iat": START_S}),
    "of another environment": forged(claims(), FOREIGN_KEY),
    "unsigned": forged(claims()).rpartition(".")[0] + ".",
    "changed": forged(claims(portfolios="D1 D2")).rpartition(".")[0] + "." + forged(claims()).rpartition(".")[2],
    "very long": "x" * 100_000,
    "deeply nested": "W1tb" * 2_000 + "..",
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_is_answered_401_and_the_session_lives(name: str) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        for opcode in (TRADES, BOOK):
            peer.subscribe(opcode, "g", token=BAD_TOKENS[name])
            answer = await peer.answer("g")
            assert answer == {"requestGuid": "g", "httpCode": 401, "message": "Invalid JWT token!"}
        assert await peer.ask("unsubscribe", "g", token=BAD_TOKENS[name]) == 401
        assert not world.gateway._reception.quota._by_login
        assert await peer.asked(TRADES, "g") == 200

    run(scenario)


def test_a_token_is_good_to_the_second_of_its_end_even_if_it_is_remembered() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        await asyncio.sleep(1798)
        assert await peer.ask("unsubscribe", "no matter") == 200
        await asyncio.sleep(2)
        assert await peer.ask("unsubscribe", "no matter") == 401
        assert await peer.asked(BOOK, "b") == 401
        peer.token = world.token()
        assert await peer.asked(BOOK, "b") == 200

    run(scenario)


def test_a_live_subscription_outlives_its_token() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        await asyncio.sleep(3000)
        trade = world.venue.publish_trade(SBER, 1)
        await asyncio.sleep(SETTLED_S)
        assert [data["id"] for data in peer.data("t")] == [trade.id]

    run(scenario)


PORTFOLIO_OPCODES = [stream.opcode for kind, stream in STREAMS.items() if kind.of_portfolio]


@pytest.mark.parametrize("opcode", PORTFOLIO_OPCODES)
def test_a_foreign_portfolio_is_forbidden_and_an_own_one_is_not(opcode: str) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        for portfolio, code in (("D2", 403), ("NONE", 403), ("D1 G1", 403), ("", 403), ("D1", 200), ("G1", 200)):
            assert await peer.ask(opcode, "g" + portfolio, exchange="MOEX", portfolio=portfolio) == code
        limited = world.token(allowed_portfolios=["G1"])
        assert await peer.ask(opcode, "l", exchange="MOEX", portfolio="D1", token=limited) == 403
        assert await peer.ask(opcode, "l", exchange="MOEX", portfolio="G1", token=limited) == 200

    run(scenario)


# --- what there is --------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [BOOK, QUOTE, TRADES, "InstrumentsGetAndSubscribeV2"])
@pytest.mark.parametrize(
    "fields", [{"code": "NONE"}, {"code": ""}, {"instrumentGroup": "NONE"}, {"exchange": "SPBX"}, {"code": "sber"}]
)
def test_an_unknown_instrument_board_or_exchange_is_not_found(opcode: str, fields: dict[str, str]) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await peer.asked(opcode, "g", **fields) == 404
        assert world.venue.open_topics == ()
        assert await lives(peer)

    run(scenario)


@pytest.mark.parametrize("board", [None, "", "TQBR"])
def test_no_board_an_empty_one_and_the_primary_one_are_the_same(board: str | None) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        peer.send_raw(
            json.dumps(
                {"opcode": BOOK, "guid": "b", "token": peer.token, "exchange": "MOEX", "code": "SBER"}
                | {"instrumentGroup": board}
            )
        )
        assert (await peer.answer("b"))["httpCode"] == 200
        assert world.venue.open_topics[0].board == "TQBR"

    run(scenario)


@pytest.mark.parametrize("kind", list(TopicKind))
def test_a_kind_that_the_venue_does_not_serve_is_said_to_be_so(
    kind: TopicKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_nothing(*_: object) -> None:
        raise UnknownTopicError("not served")

    async def scenario(world: World) -> None:
        monkeypatch.setattr(world.venue, "open", open_nothing)
        peer = await world.connect()
        fields = {"exchange": "MOEX", "code": "SBER", "portfolio": "D1", "tf": "60", "from": 1}
        answers = [await peer.ask(STREAMS[kind].opcode, f"g{number}", **fields) for number in range(3)]
        assert answers == [501] * 3
        assert world.gateway.hub.topics == 0

    run(scenario)


# --- what cannot be read --------------------------------------------------------------------------------

GARBAGE = [
    "",
    " ",
    "x",
    "pong",
    "null",
    "1",
    "[]",
    '"text"',
    "{}",
    "{",
    '{"opcode":"ping"}',
    '{"opcode":"ping","guid":""}',
    '{"opcode":"ping","guid":5}',
    '{"opcode":"ping","guid":null}',
    '{"opcode":"ping","guid":"\\ud800"}',
    "[" * 100_000,
    '{"guid":' * 50_000,
    '{"guid":"g","opcode":"ping","x":' + "9" * 10_000 + "e",
]


@pytest.mark.parametrize("number", range(len(GARBAGE)))
def test_garbage_is_answered_400_without_a_guid_and_the_session_lives(number: int) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        peer.send_raw(GARBAGE[number])
        assert (await peer.answer(""))["httpCode"] == 400
        assert await lives(peer)

    run(scenario)


UNUSABLE = [
    {"opcode": "Subscribe"},
    {"opcode": ""},
    {"opcode": None},
    {"opcode": 5},
    {"opcode": "x" * 100_000},
    {"opcode": "{}"},
    {"code": None},
    {"code": 5},
    {"exchange": None},
    {"exchange": "NYSE"},
    {"format": "Fat"},
    {"format": 1},
    {"depth": 0},
    {"depth": 51},
    {"depth": -1},
    {"depth": "many"},
    {"depth": 1e400},
    {"depth": 10**30},
    {"depth": [5]},
    {"frequency": -1},
    {"frequency": "soon"},
    {"instrumentGroup": 5},
    {"instrumentGroup": {}},
]


@pytest.mark.parametrize("number", range(len(UNUSABLE)))
def test_an_unusable_request_is_answered_400_and_the_session_lives(number: int) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        request = {"opcode": BOOK, "guid": "g", "token": peer.token, "exchange": "MOEX", "code": "SBER"}
        peer.send_raw(json.dumps(request | UNUSABLE[number]).replace("Infinity", "1e400"))
        assert (await peer.answer("g"))["httpCode"] == 400
        assert world.venue.open_topics == ()
        assert await lives(peer)

    run(scenario)


def test_a_binary_message_is_answered_400_and_the_session_lives() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        peer.transport.send_frame(BINARY, b'{"opcode":"ping","guid":"p"}')
        assert (await peer.answer(""))["httpCode"] == 400
        assert await lives(peer)

    run(scenario)


def test_what_real_clients_add_is_ignored() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        extra = {"repeatCount": 1, "confirm": True, "prev": {"data": {"x": [1]}}, "delayed": False}
        assert await peer.asked(TRADES, "t", frequency=0, includeVirtualTrades="false", **extra) == 200
        assert await peer.asked(BOOK, "b", depth="10", frequency="0", format="slim", **extra) == 200
        assert await lives(peer)

    run(scenario)


# --- a venue that fails ---------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", ["raises", "hangs"])
def test_a_past_that_cannot_be_read_ends_its_subscription_and_says_so(
    failure: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> TradesPage:
        await asyncio.sleep(0.1 if failure == "raises" else 10_000)
        raise OSError("the archive is away")

    async def scenario(world: World) -> None:
        monkeypatch.setattr(world.venue, "recent_trades", fail)
        peer = await world.connect()
        assert await peer.asked(TRADES, "without past") == 200
        assert await peer.asked(TRADES, "t", depth=5) == 200
        world.venue.publish_trade(SBER, 1)
        answer = await peer.answer("t")
        assert answer["httpCode"] == 503
        world.venue.publish_trade(SBER, 2)
        await asyncio.sleep(SETTLED_S)
        assert peer.data("t") == []
        assert len(peer.data("without past")) == 2
        [connection] = world.gateway.connections
        assert (connection.outbox.count, connection.outbox.pasts) == (0, 0)
        assert connection._handler.subscriptions == 1  # type: ignore[attr-defined]
        assert await peer.ask("unsubscribe", "t") == 200

    run(scenario)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("how", ["unsubscribed", "replaced", "cut"])
def test_a_past_that_nobody_wants_any_more_is_not_read_on(how: str) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        world.venue.page_delays_s = (5.0, 0.0)
        assert await peer.asked(TRADES, "t", depth=5) == 200
        assert len(world.gateway._tasks) == 1
        match how:
            case "unsubscribed":
                peer.send("unsubscribe", "t")
            case "replaced":
                peer.subscribe(TRADES, "t")
            case "cut":
                world.network.cut()
        await asyncio.sleep(0.1)
        assert world.gateway._tasks == set()

    run(scenario)


def test_a_past_that_fails_after_its_end_is_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        async def fail(*_: object) -> TradesPage:
            try:
                await asyncio.sleep(100)
            finally:
                # A venue whose clean-up fails while its caller is cancelled.
                raise OSError("the archive is away")

        monkeypatch.setattr(world.venue, "recent_trades", fail)
        peer = await world.connect()
        assert await peer.asked(TRADES, "t", depth=5) == 200
        assert await peer.asked(TRADES, "t") == 200
        await asyncio.sleep(200)
        world.venue.publish_trade(SBER, 2)
        await asyncio.sleep(SETTLED_S)
        assert len(peer.data("t")) == 1
        assert peer.answers() == []

    run(scenario)


def test_a_late_state_comes_as_the_first_one_when_the_venue_has_it() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        topic = world.venue.topic(TopicKind.BOOK, SBER)
        world.venue.hold_snapshot(topic)
        world.venue.set_book(SBER, [(1, 1)])
        assert await peer.asked(BOOK, "b") == 200
        await asyncio.sleep(SETTLED_S)
        assert peer.data("b") == []
        world.venue.release_snapshot(topic)
        await asyncio.sleep(SETTLED_S)
        world.venue.set_book(SBER, [(2, 1)])
        await asyncio.sleep(SETTLED_S)
        assert [book["existing"] for book in peer.data("b")] == [True, False]

    run(scenario)


def test_a_past_that_cannot_be_written_ends_its_subscription_and_no_other() -> None:
    async def scenario(world: World) -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        for price in (1, 2, 3):
            world.venue.publish_trade(SBER, price)
        tape = world.venue._tapes[world.venue.topic(TopicKind.TRADES, SBER)]
        tape[1] = msgspec.structs.replace(tape[1], price=object())
        peer = await world.connect()
        world.venue.page_delays_s = (0.0, 0.0)
        assert await peer.asked(TRADES, "well", code="GAZP", depth=10) == 200
        peer.subscribe(TRADES, "ill", depth=10)
        codes = [(await peer.answer("ill"))["httpCode"], (await peer.answer("ill"))["httpCode"]]
        assert codes == [200, 503]
        world.venue.publish_trade(SBER, 4)
        world.venue.publish_trade(GAZP, 5)
        await asyncio.sleep(1)
        assert [trade["price"] for trade in peer.data("well")] == [5]
        assert [trade["price"] for trade in peer.data("ill")] in ([], [1])
        assert len(reported) == 1

    run(scenario)
