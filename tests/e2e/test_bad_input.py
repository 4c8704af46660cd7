"""Bad input over real sockets: every row of the table "Bad input" in docs/protocol.md gets the answer it states.

The table is what is expected; the rows here are how to get there. Beside each of them a subscription runs on the
same connection, which loses nothing unless the row ends it, and another connection, which must not notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
import uvloop

from conformance.document_tables import DOCUMENT
from conformance.test_document import pattern
from e2e.test_one_port import DEADLINE_S, Client, System, dialled, frame, served, text, until
from tapewire.protocol.limits import GUID_CHARACTERS_MAX, MESSAGE_BYTES_MAX
from unit.gateway.world import (
    BINARY,
    CLOSE,
    FOREIGN_KEY,
    KEY,
    OTHER_REFRESH,
    PING,
    PONG,
    SBER,
    TEXT,
    TRADES,
    forged,
)

WS, CWS, HTTP = "`/ws`", "`/cws`", "HTTP"
ENDS = (WS, CWS, HTTP)
#: Trades that are published before the input, behind it and after its answer.
TRADES_AT_ONCE = 20
FLOOD = 10_000
#: Guids: of what must be said before the input, of the subscription beside it, of the ping behind it.
BEFORE, OWN, BEHIND = "before", "own", "behind"
TOO_MANY_FRAMES = 60_000


class Tokens(NamedTuple):
    """What the inputs of the rows are made with."""

    good: str
    expired: str
    foreign: str
    forged: str


Input = Callable[[Tokens], bytes]


class Row(NamedTuple):
    """How to send one bad thing to each of the three ends; None: it cannot be said there."""

    ws: Input | None = None
    cws: Input | None = None
    http: Input | None = None


# --- making inputs --------------------------------------------------------------------------------------


def both(make: Input, http: Input | None = None) -> Row:
    """The same to both sockets."""
    return Row(make, make, http)


def message(content: str | bytes) -> Input:
    payload = content.encode() if isinstance(content, str) else content
    return lambda _: frame(TEXT, payload)


def asking(opcode: str, **fields: Any) -> Input:
    """A request of the data socket with a good token, unless the fields say otherwise."""
    known = {"opcode": opcode, "guid": "bad", "exchange": "MOEX", "code": "SBER"}
    return lambda tokens: text(**({"token": tokens.good} | known | fields))


def commanding(**fields: Any) -> Input:
    """A command behind an authorisation."""
    command = {
        "opcode": "create:market",
        "guid": "bad",
        "side": "buy",
        "quantity": 1,
        "instrument": {"symbol": "SBER", "exchange": "MOEX"},
        "user": {"portfolio": "D1"},
    }
    return lambda tokens: authorisation(tokens) + text(**(command | fields))


def authorisation(tokens: Tokens) -> bytes:
    """What comes before a command; its answer is not the one that is looked at."""
    return text(opcode="authorize", guid=BEFORE, token=tokens.good)


def with_token(pick: Callable[[Tokens], str]) -> Row:
    return Row(
        lambda tokens: text(opcode=TRADES, guid="bad", exchange="MOEX", code="SBER", token=pick(tokens)),
        lambda tokens: text(opcode="authorize", guid="bad", token=pick(tokens)),
        lambda tokens: get("/md/v2/orderbooks/MOEX/SBER", pick(tokens)),
    )


def get(target: str, token: str = "") -> bytes:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n".encode()


def getting(target: str) -> Input:
    return lambda tokens: get(target, tokens.good)


def refreshing(body: bytes) -> Input:
    head = f"POST /refresh HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return lambda _: head + body


def history(**query: object) -> Input:
    known: dict[str, object] = {"symbol": "SBER", "exchange": "MOEX", "tf": 60, "from": 0, "to": 100}
    return getting("/md/v2/history?" + "&".join(f"{name}={value}" for name, value in (known | query).items()))


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


def in_fragments(payload: bytes, size: int) -> bytes:
    parts = [payload[at : at + size] for at in range(0, len(payload), size)]
    first, *middle, last = parts
    frames = [frame(TEXT, first, fin=False), *(frame(0, part, fin=False) for part in middle), frame(0, last)]
    return b"".join(frames)


LONG = b'{"opcode":"ping","guid":"bad","x":"' + b"x" * MESSAGE_BYTES_MAX + b'"}'
PINGED = '{"opcode":"ping","guid":"bad","x":%s}'
BARS = "BarsGetAndSubscribe"
BOOK = "OrderBookGetAndSubscribe"
BOOK_PATH = "/md/v2/orderbooks/MOEX/SBER"
PAST = "/md/v2/Securities/MOEX/SBER/alltrades/history"

ROWS = {
    "not JSON": both(message('{"guid":"bad",'), refreshing(b'{"token":')),
    "nothing": both(message(""), refreshing(b"")),
    "JSON that is no object": both(message('["ping","bad"]'), refreshing(b'["token"]')),
    "no `guid`": both(message('{"opcode":"ping"}')),
    "an empty `guid`": both(message('{"opcode":"ping","guid":""}')),
    "a `guid` that is no text": both(message('{"opcode":"ping","guid":7}')),
    "a `guid` of 257 characters": both(
        message(json.dumps({"opcode": "ping", "guid": "g" * (GUID_CHARACTERS_MAX + 1)}))
    ),
    "no `opcode`": both(message('{"guid":"bad"}')),
    "an unknown `opcode`; of HTTP, an unknown path": Row(
        asking("Nonsense"), message('{"opcode":"create:nonsense","guid":"bad"}'), getting("/md/v2/nonsense")
    ),
    "an unknown instrument": Row(
        asking(TRADES, code="NOPE"),
        commanding(instrument={"symbol": "NOPE", "exchange": "MOEX"}),
        getting("/md/v2/orderbooks/MOEX/NOPE"),
    ),
    "an unknown board": Row(
        asking(TRADES, instrumentGroup="NOPE"),
        commanding(board="NOPE"),
        getting(f"{BOOK_PATH}?instrumentGroup=NOPE"),
    ),
    "an unknown exchange": Row(
        asking(TRADES, exchange="NYSE"),
        commanding(instrument={"symbol": "SBER", "exchange": "NYSE"}),
        getting("/md/v2/orderbooks/NYSE/SBER"),
    ),
    "`depth` 0 of a book": Row(asking(BOOK, depth=0), None, getting(f"{BOOK_PATH}?depth=0")),
    "`depth` 51 of a book": Row(asking(BOOK, depth=51), None, getting(f"{BOOK_PATH}?depth=51")),
    '`depth` "x"': Row(asking(BOOK, depth="x"), None, getting(f"{BOOK_PATH}?depth=x")),
    "`tf` H": Row(asking(BARS, tf="H", **{"from": 0}), None, history(tf="H")),
    "`tf` 0": Row(asking(BARS, tf=0, **{"from": 0}), None, history(tf=0)),
    "`from` above `to`": Row(None, None, history(**{"from": 101})),
    "`from` that has not come yet": Row(
        asking(BARS, tf=60, **{"from": 99_999_999_999}),
        None,
        history(**{"from": 99_999_999_998, "to": 99_999_999_999}),
    ),
    "`from` below 0": Row(asking(BARS, tf=60, **{"from": -1}), None, history(**{"from": -1})),
    "9,999,999 past trades (`depth`, `limit`)": Row(
        asking(TRADES, depth=9_999_999), None, getting(f"{PAST}?limit=9999999")
    ),
    "`limit` 9,999,999 of instruments": Row(None, None, getting("/md/v2/Securities?limit=9999999")),
    "`frequency` below the floor": Row(asking(BOOK, frequency=1)),
    "`frequency` below 0": Row(asking(BOOK, frequency=-1)),
    "`quantity` 0": Row(None, commanding(quantity=0)),
    "a command before `authorize`": Row(None, lambda tokens: commanding()(tokens)[len(authorisation(tokens)) :]),
    "no token where one is needed": with_token(lambda _: ""),
    "a token that is none": with_token(lambda _: "x.y.z"),
    "an expired token": with_token(lambda tokens: tokens.expired),
    "a forged token (other claims under a good signature)": with_token(lambda tokens: tokens.forged),
    "a foreign token (signed by somebody else)": with_token(lambda tokens: tokens.foreign),
    "a message over 1 MiB; of HTTP, a body over 64 KiB": both(
        lambda _: frame(TEXT, LONG), refreshing(b'{"token":"' + b"x" * 65_536 + b'"}')
    ),
    "the same in fragments": both(lambda _: in_fragments(LONG, 1 << 18)),
    "a head of HTTP over 64 KiB": Row(
        http=lambda _: f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 65_536}\r\n\r\n".encode()
    ),
    "JSON 200 deep, nothing else": both(message(deep(200)), refreshing(deep(200).encode())),
    "JSON 200 deep in a key that nobody reads": both(
        message(PINGED % deep(200)), refreshing(b'{"token":"wrong","x":' + deep(200).encode() + b"}")
    ),
    "JSON 200 deep in a key that is read": Row(
        lambda tokens: frame(
            TEXT,
            b'{"opcode":"%s","guid":"bad","token":"%s","exchange":"MOEX","code":%s}'
            % (TRADES.encode(), tokens.good.encode(), deep(200).encode()),
        ),
        lambda _: frame(TEXT, b'{"opcode":"authorize","guid":"bad","token":%s}' % deep(200).encode()),
        refreshing(b'{"token":%s}' % deep(200).encode()),
    ),
    "JSON 100,000 deep": both(message(PINGED % deep(100_000)), refreshing(b'{"x":%s}' % deep(30_000).encode())),
    "text that is no UTF-8": both(
        lambda _: frame(TEXT, b'{"opcode":"ping","guid":"\xff"}'), refreshing(b'{"token":"\xff"}')
    ),
    "a path that is no UTF-8": Row(http=getting("/md/v2/orderbooks/MOEX/%FF%FE")),
    "a binary message": both(lambda _: frame(BINARY, b'{"opcode":"ping","guid":"bad"}')),
    "a message in fragments of a byte": both(lambda _: in_fragments(b'{"opcode":"ping","guid":"bad"}', 1)),
    "a fragment of nothing": both(lambda _: frame(0, b"x")),
    "a message inside a message": both(lambda _: frame(TEXT, b"{", fin=False) + frame(TEXT, b"}")),
    "a frame without a mask": both(lambda _: frame(TEXT, b"{}", mask=False)),
    "a reserved bit": both(lambda _: frame(TEXT, b"{}", rsv=4)),
    "10,000 pings at once; of HTTP, 300 requests before an answer": both(
        lambda _: b"".join(frame(PING, b"%d" % number) for number in range(FLOOD)),
        lambda tokens: get("/md/v2/time", tokens.good) * 300,
    ),
    "more than 20,000 frames within a second": both(lambda _: frame(PONG, b"") * TOO_MANY_FRAMES),
}


# --- the table ------------------------------------------------------------------------------------------


class Stated(NamedTuple):
    """One row of the document: what each end answers, and what becomes of the session."""

    answers: dict[str, str]
    afterwards: str

    def lives_on(self, end: str) -> bool:
        of_sockets, _, of_http = self.afterwards.partition("; HTTP ")
        return (of_http if end == HTTP and of_http else of_sockets) == "lives on"


def stated() -> dict[str, Stated]:
    part = DOCUMENT.read_text().partition("<!-- bad input -->")[2].partition("<!-- /bad input -->")[0]
    head, _, *rows = [
        [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        for line in part.splitlines()
        if line.startswith("|")
    ]
    assert [cell.strip() for cell in head] == ["input", *ENDS, "the session afterwards"]
    return {name: Stated(dict(zip(ENDS, answers, strict=True)), afterwards) for name, *answers, afterwards in rows}


STATED = stated()
CASES = [
    (name, end) for name, row in ROWS.items() for end, make in zip(ENDS, row, strict=True) if make is not None
]


def test_the_table_and_the_rows_here_are_the_same() -> None:
    assert list(STATED) == list(ROWS)
    for name, row in STATED.items():
        said = {end for end, answer in row.answers.items() if answer != "–"}
        assert said == {end for end in ENDS if (name, end) in CASES}, name
        assert row.afterwards in ("lives on", "ends", "lives on; HTTP ends", "ends; HTTP lives on")


# --- playing --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as made:
        yield made


@pytest.fixture(scope="module")
def shared(runner: asyncio.Runner) -> Iterator[System]:
    """One gateway for all rows: what one of them leaves behind the next would notice."""
    serving = served()
    yield runner.run(serving.__aenter__())
    runner.run(serving.__aexit__(None, None, None))


def publish(system: System) -> list[int]:
    return [system.venue.publish_trade(SBER, 300).id for _ in range(TRADES_AT_ONCE)]


class Seen:
    """What has come on a connection, by kind."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.pongs: list[bytes] = []
        self.trades: list[int] = []
        self.closed: int | None = None

    @property
    def outcome(self) -> str:
        """What the input was answered with, as the table says it."""
        if self.closed is not None:
            assert self.answers == [], "an answer, and yet the end"
            return f"close {self.closed}"
        if self.pongs:
            assert self.answers == []
            numbers = [int(pong) for pong in self.pongs]
            assert numbers == sorted(set(numbers)), "in their order, none twice"
            return "pongs"
        assert len(self.answers) == 1, "exactly one answer"
        return self.answers[0]

    async def read(self, client: Client) -> None:
        """Read to the answer of the ping behind everything, or to the end."""
        while self.closed is None:
            try:
                opcode, payload = await client.frame()
            except (asyncio.IncompleteReadError, ConnectionError):
                self.closed = 1006
                return
            if opcode == CLOSE:
                self.closed = int.from_bytes(payload[:2], "big")
            elif opcode == PONG:
                self.pongs.append(payload)
            elif self._take(json.loads(payload)):
                return

    def _take(self, fields: dict[str, Any]) -> bool:
        if "data" in fields:
            if fields["guid"] == OWN:
                self.trades.append(fields["data"]["id"])
            return False
        if fields["requestGuid"] == BEHIND:
            assert fields["httpCode"] == 200
            return True
        if fields["requestGuid"] == BEFORE:
            assert fields["httpCode"] == 200
        elif fields["httpCode"] == 200:
            self.answers.append("200")
        else:
            self.answers.append(f"{fields['httpCode']} `{fields['message']}`")
        return False


@asynccontextmanager
async def subscribed(system: System, token: str) -> AsyncIterator[Client]:
    async with dialled(system) as client:
        await client.opened()
        await client.write(text(opcode=TRADES, guid=OWN, exchange="MOEX", code="SBER", token=token))
        assert await client.answer_to(OWN) == 200
        yield client


async def delivered(system: System) -> None:
    """Wait for the beat: answers do not, and would overtake what has happened before them."""
    await until(lambda: not system.gateway._pulse._due)


async def behind(system: System, client: Client, seen: Seen) -> None:
    """Ask for a last answer, so that all that came before it has been seen."""
    await delivered(system)
    await client.write(text(opcode="ping", guid=BEHIND))
    await seen.read(client)


async def play_socket(system: System, path: str, sent: bytes, token: str) -> tuple[str, bool]:
    """Send the input on a connection with a subscription; return what came of it, and whether it lives on."""
    opening = subscribed(system, token) if path == "/ws" else dialled(system)
    async with opening as client:
        if path != "/ws":
            await client.opened(path)
        seen = Seen()
        expected = publish(system)
        reading = asyncio.create_task(seen.read(client))
        if path == "/ws":
            # What has not been handed to the socket when a connection ends is not sent.
            await until(lambda: len(seen.trades) == TRADES_AT_ONCE)
        # A peer that is cut while it writes reads why all the same.
        with contextlib.suppress(ConnectionError):
            await client.write(sent)
            expected += publish(system)
            await delivered(system)
            await client.write(text(opcode="ping", guid=BEHIND))
        await reading
        outcome = seen.outcome
        if path == "/ws":
            # Of a connection that ends all that came before the input has come.
            if seen.closed is None:
                assert seen.trades == expected
            else:
                assert seen.trades == expected[: max(TRADES_AT_ONCE, len(seen.trades))]
        if seen.closed is None:
            expected += publish(system)
            await behind(system, client, seen)
            if path == "/ws":
                assert seen.trades == expected
        return outcome, seen.closed is None


async def play_http(system: System, sent: bytes) -> tuple[str, bool]:
    """Send a request and, on the same connection, one that is good."""
    async with dialled(system) as client:
        await client.write(sent)
        answers = []
        for _ in range(max(1, sent.count(b"GET /md/v2/time "))):
            try:
                answers.append(await client.answer())
            except asyncio.IncompleteReadError:
                break
        status, body = max(answers)
        outcome = "200" if status == 200 else f"{status} `{json.loads(body)['message']}`"
        system.gateway.throttle._buckets.clear()
        try:
            await client.write(get("/md/v2/time"))
            return outcome, (await client.answer())[0] == 200
        except (asyncio.IncompleteReadError, ConnectionError):
            return outcome, False


@pytest.mark.parametrize(("name", "end"), CASES)
def test_bad_input_has_its_stated_answer_and_harms_nobody(
    runner: asyncio.Runner, shared: System, name: str, end: str
) -> None:
    runner.run(check(shared, name, end))


async def check(system: System, name: str, end: str) -> None:
    make = ROWS[name][ENDS.index(end)]
    assert make is not None
    system.gateway.throttle._buckets.clear()
    other = system.tokens.refresh(OTHER_REFRESH)
    assert other is not None
    tokens = tokens_of(system)
    async with asyncio.timeout(DEADLINE_S), subscribed(system, other) as bystander:
        first = publish(system)[0]
        if end == HTTP:
            outcome, lives_on = await play_http(system, make(tokens))
        else:
            outcome, lives_on = await play_socket(system, end.strip("`"), make(tokens), tokens.good)
        last = publish(system)[-1]
        seen = Seen()
        await behind(system, bystander, seen)
        assert seen.trades == list(range(first, last + 1)), "the other connection has lost something"
        await asyncio.sleep(0)
    said = STATED[name]
    assert pattern(said.answers[end]).fullmatch(outcome), outcome
    assert lives_on is said.lives_on(end)


def tokens_of(system: System) -> Tokens:
    """Return a good token and the bad ones; all are for the same user."""
    now = int(time.time())
    claims = {"sub": "P1", "iat": now - 3600, "exp": now + 600, "portfolios": "D1 G1"}
    good = system.token()
    head, _, signature = good.split(".")
    payload = forged(claims | {"portfolios": "D1 G1 D2"}).split(".")[1]
    return Tokens(
        good=good,
        expired=forged(claims | {"exp": now - 1}, KEY),
        foreign=forged(claims, FOREIGN_KEY),
        forged=f"{head}.{payload}.{signature}",
    )
