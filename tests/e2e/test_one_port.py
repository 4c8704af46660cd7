"""One port, real sockets, both loops: handshakes of every shape, HTTP beside them, and an end in time."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple, cast

import pytest
import uvloop
import websockets
from websockets.asyncio.client import connect

from tapewire.adapters import one_port
from tapewire.adapters.clock import SystemClock
from tapewire.adapters.http_server import ANSWER_GRACE_S, HttpServer, ListenError, open_listener
from tapewire.adapters.one_port import HEAD_BYTES_MAX
from tapewire.gateway.connection import ConnectionState
from tapewire.gateway.gateway import Gateway
from tapewire.gateway.http import bodies
from tapewire.gateway.limits import Limit
from tapewire.gateway.tokens import TokenAuthority
from tapewire.market.catalogue import catalogue
from tapewire.ports.network import HandshakeRefusedError
from tapewire.protocol.limits import MESSAGE_BYTES_MAX
from tapewire.simulation import ScriptedVenue
from unit.gateway.world import BINARY, BOOK, CLOSE, KEY, PING, PONG, REFRESH, SBER, TEXT, TRADES, USERS

DEADLINE_S = 10.0
#: What stopping may take, whoever is connected.
STOP_S = 2.0

Run = Callable[[Callable[["System"], Coroutine[Any, Any, None]]], None]


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """A loop of one kind."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.SelectorEventLoop
    with asyncio.Runner(loop_factory=factory) as made:
        yield made


@pytest.fixture(scope="module")
def shared(runner: asyncio.Runner) -> Iterator[System]:
    """A served gateway for all tests that leave it as it was; stopping one takes a while."""
    serving = served()
    yield runner.run(serving.__aenter__())
    runner.run(serving.__aexit__(None, None, None))


async def until(condition: Callable[[], object]) -> None:
    """Wait for what nobody announces."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.001)


def play(runner: asyncio.Runner, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    reported: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        tasks = asyncio.all_tasks()
        async with asyncio.timeout(3 * DEADLINE_S):
            await scenario()
        await until(lambda: asyncio.all_tasks() == tasks)

    runner.run(main())
    assert reported == []


@pytest.fixture
def run(runner: asyncio.Runner, shared: System) -> Run:
    """Run a scenario against the served gateway and see that it lets everything go."""

    def go(scenario: Callable[[System], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            await scenario(shared)
            await shared.emptied()

        play(runner, main)

    return go


@pytest.fixture
def run_alone(runner: asyncio.Runner) -> Run:
    """Run a scenario against a gateway of its own, which it may stop."""

    def go(scenario: Callable[[System], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            async with served() as system:
                await scenario(system)

        play(runner, main)

    return go


class System(NamedTuple):
    """A gateway that is being served."""

    gateway: Gateway
    venue: ScriptedVenue
    tokens: TokenAuthority
    server: HttpServer
    port: int

    def token(self) -> str:
        token = self.tokens.refresh(REFRESH)
        assert token is not None
        return token

    async def emptied(self) -> None:
        """Wait until the gateway has let every connection go."""
        await until(lambda: not (self.gateway.connections or self.gateway.hub.topics))


@asynccontextmanager
async def served() -> AsyncIterator[System]:
    clock = SystemClock()
    venue = ScriptedVenue(catalogue(3), portfolios=("D1", "G1"), clock=clock)
    tokens = TokenAuthority(KEY, USERS, clock)
    gateway = Gateway(venue, venue, tokens, clock, commands=venue)
    listener = open_listener("127.0.0.1", 0)
    server = HttpServer(gateway.http, gateway.accept, listener, gateway.counters.handshakes_refused)
    await server.start()
    try:
        yield System(gateway, venue, tokens, server, listener.getsockname()[1])
    finally:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await gateway.close()
        await server.stop()
        assert loop.time() - began < STOP_S
        await asyncio.sleep(0)
        assert gateway.connections == set()
        assert venue.open_topics == ()


# --- a client that can do everything wrong --------------------------------------------------------------


class Frame(NamedTuple):
    opcode: int
    payload: bytes


def frame(opcode: int, payload: bytes, *, fin: bool = True, mask: bool = True, rsv: int = 0) -> bytes:
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload)
    bit = 0x80 if mask else 0
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes((key * (size // 4 + 1))[:size], "big")).to_bytes(
        size, "big"
    )
    return head + key + masked


def text(**fields: Any) -> bytes:
    return frame(TEXT, json.dumps(fields).encode())


def upgrade(path: str = "/ws", *, method: str = "GET", drop: str = "", **changes: str) -> bytes:
    headers = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    headers.pop(drop, None)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def get(path: str = "/md/v2/time", *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers]).encode() + b"\r\n\r\n"


class Client:
    """A TCP connection, its bytes in the hands of a test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def write(self, data: bytes, *, at_once: int = 0) -> None:
        """Send bytes, in pieces of ``at_once`` if given."""
        pieces = [data[at : at + at_once] for at in range(0, len(data), at_once)] if at_once else [data]
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read the head of an HTTP answer."""
        async with asyncio.timeout(DEADLINE_S):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value for name, value in headers.items()}

    async def answer(self) -> tuple[int, bytes]:
        """Read a whole HTTP answer."""
        status, headers = await self.head()
        return status, await self.reader.readexactly(int(headers["content-length"]))

    async def opened(self, path: str = "/ws") -> Client:
        await self.write(upgrade(path))
        assert (await self.head())[0] == 101
        return self

    async def frame(self) -> Frame:
        async with asyncio.timeout(DEADLINE_S):
            first, second = await self.reader.readexactly(2)
            assert first & 0x70 == 0
            assert second & 0x80 == 0
            size = second & 0x7F
            if size > 125:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
            return Frame(first & 0x0F, await self.reader.readexactly(size))

    async def message(self) -> dict[str, Any]:
        opcode, payload = await self.frame()
        assert opcode == TEXT, (opcode, payload)
        return dict(json.loads(payload))

    async def answer_to(self, guid: str) -> int:
        """Read on to the answer to a request and return its code."""
        while (message := await self.message()).get("requestGuid") != guid:
            pass
        return int(message["httpCode"])

    async def ping(self, guid: str = "p") -> None:
        await self.write(text(opcode="ping", guid=guid))
        assert await self.answer_to(guid) == 200

    async def end(self) -> bytes:
        """Read to the end of the connection."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    def reset(self) -> None:
        """End the connection as a crash does."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def dialled(system: System, *, receive_buffer: int | None = None) -> AsyncIterator[Client]:
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", system.port))
    except OSError:
        sock.close()
        raise
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 22)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):  # a test may have broken it
            await writer.wait_closed()


# --- handshakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 7, 0])
def test_a_handshake_may_come_in_pieces_of_any_size(run: Run, at_once: int) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(upgrade("/ws?x=y") + text(opcode="ping", guid="one"), at_once=at_once)
            status, headers = await client.head()
            assert status == 101
            assert headers["upgrade"] == "websocket"
            assert headers["sec-websocket-accept"] == "BACScCJPNqyz+UBoqMH89VmURoA="
            assert (await client.message())["requestGuid"] == "one"
            await client.write(text(opcode="ping", guid="two"), at_once=at_once)
            assert (await client.message())["requestGuid"] == "two"

    run(scenario)


@pytest.mark.parametrize("count", [1, 50, 3000])
def test_frames_may_stand_behind_the_handshake(run: Run, count: int) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            asking = b"".join(text(opcode="ping", guid=f"{number}", pad="x" * 100) for number in range(count))
            await client.write(upgrade() + asking)
            assert (await client.head())[0] == 101
            assert [(await client.message())["requestGuid"] for _ in range(count)] == [
                str(n) for n in range(count)
            ]

    run(scenario)


@pytest.mark.parametrize(
    "changes",
    [
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "upgrade"},
        {"Upgrade": "WebSocket"},
        {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits=10; server_max_window_bits=10"},
        {"Cookie": "x" * 12_000},
        {"Cookie": "x" * 40_000},
        {"Origin": "https://пример.рф".encode().decode("latin-1")},
        {"Authorization": "Bearer x"},
        {"Content_Length": "0"},
    ],
    ids=lambda changes: next(iter(changes.values()))[:24],
)
def test_handshakes_of_real_clients_are_taken(run: Run, changes: dict[str, str]) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(upgrade(**changes).decode().encode("latin-1"))
            status, headers = await client.head()
            assert status == 101
            assert "sec-websocket-extensions" not in headers
            await client.ping()

    run(scenario)


@pytest.mark.parametrize(
    ("handshake", "status"),
    [
        (upgrade("/"), 404),
        (upgrade("/nothing"), 404),
        (upgrade("/ws/x?y=z"), 404),
        (upgrade(drop="Sec-WebSocket-Key"), 400),
        (upgrade(drop="Sec-WebSocket-Version"), 400),
        (upgrade(drop="Host"), 400),
        (upgrade()[:-2] + b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZw==\r\n\r\n", 400),
        (upgrade()[:-2] + b"Host: elsewhere\r\n\r\n", 400),
        (upgrade(Sec_WebSocket_Key="short"), 400),
        (upgrade(Sec_WebSocket_Version="99"), 426),
        (upgrade(Sec_WebSocket_Version="8"), 426),
        (upgrade(method="POST"), 400),
        (upgrade(Content_Length="5") + b"12345", 400),
    ],
)
def test_a_handshake_that_cannot_be_is_refused_and_leaves_nothing(run: Run, handshake: bytes, status: int) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(handshake)
            got, headers = await client.head()
            assert got == status
            assert headers.get("sec-websocket-version") == ("13" if status == 426 else None)
            body = json.loads(await client.end())
            assert body.keys() == {"code", "message"}
            assert body["code"] == {400: "BadRequest", 404: "NotFound", 426: "UpgradeRequired"}[status]
            assert system.gateway.connections == set()

    run(scenario)


def test_a_handshake_may_be_refused_for_now(run: Run) -> None:
    async def scenario(system: System) -> None:
        def refuse(path: str, peer: str) -> None:
            raise HandshakeRefusedError(429, "TooManyRequests", "Later", retry_after_s=7)

        listener = open_listener("127.0.0.1", 0)
        server = HttpServer(system.gateway.http, refuse, listener)
        await server.start()
        try:
            async with dialled(system._replace(port=listener.getsockname()[1])) as client:
                await client.write(upgrade())
                status, headers = await client.head()
                assert (status, headers["retry-after"]) == (429, "7")
                assert json.loads(await client.end()) == {"code": "TooManyRequests", "message": "Later"}
        finally:
            await server.stop()

    run(scenario)


@pytest.mark.parametrize("target", ["http://x/ws", "HTTP://x:80/ws/", "http://x/ws?y=z", "/ws/"])
def test_a_target_may_name_the_server_and_end_with_a_slash(run: Run, target: str) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await (await client.opened(target)).ping()

    run(scenario)


@pytest.mark.parametrize("origin", ["", "http://x"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_slash_behind_a_path_of_http_redirects_nobody(run: Run, origin: str, slash: str) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(get(f"{origin}/md/v2/time{slash}"))
            status, headers = await client.head()
            assert (status, "location" in headers) == (200, False)

    run(scenario)


def test_what_follows_a_refused_handshake_is_not_read(run: Run) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(upgrade("/nothing") + upgrade() * 200)
            assert (await client.head())[0] == 404
            rest = await client.end()
            assert b"HTTP/1.1" not in rest
            assert system.gateway.connections == set()

    run(scenario)


def test_another_kind_of_upgrade_is_answered_as_plain_http(run: Run) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(get("/md/v2/time", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"))
            status, body = await client.answer()
            assert (status, body.isdigit()) == (200, True)
            await client.write(get())
            assert (await client.answer())[0] == 200

    run(scenario)


def test_a_body_behind_another_kind_of_upgrade_is_not_taken_for_a_request(run: Run) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            body = get()
            await client.write(
                get("/md/v2/time", "Connection: Upgrade", "Upgrade: h2c", f"Content-Length: {len(body)}") + body
            )
            assert (await client.answer())[0] == 200
            assert await client.end() == b""

    run(scenario)


# --- HTTP beside it -------------------------------------------------------------------------------------


def test_http_requests_share_the_connection_and_a_handshake_may_follow_them(run: Run) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            for _ in range(3):
                await client.write(get())
                assert (await client.answer())[0] == 200
            await client.opened()
            await client.ping()
            await asyncio.sleep(0)
            await client.ping()

    run(scenario)


def test_two_pipelined_requests_are_answered_in_order(run: Run) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            body = json.dumps({"token": REFRESH}).encode()
            head = f"POST /refresh HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            await client.write(get() + head + body + get("/none") + get())
            answers = [await client.answer() for _ in range(4)]
            assert [status for status, _ in answers] == [200, 200, 404, 200]
            assert answers[0][1].isdigit()
            assert list(json.loads(answers[1][1])) == ["AccessToken"]

    run(scenario)


@pytest.mark.parametrize("at_once", [0, 1])
@pytest.mark.parametrize("requests", [1, 3])
def test_a_handshake_behind_unanswered_requests_never_mixes_the_two(run: Run, requests: int, at_once: int) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(get() * requests + upgrade() + text(opcode="ping", guid="p"), at_once=at_once)
            for _ in range(requests):
                status, body = await client.answer()
                assert (status, body.isdigit()) == (200, True)
            # Either the handshake follows, or the connection ends: never one inside the other.
            rest = await client.end() if not at_once else b""
            assert b"HTTP/1.1 200" not in rest
            if at_once:
                assert (await client.head())[0] == 101
                assert (await client.message())["requestGuid"] == "p"

    # In single bytes the answers are out before the handshake is complete; then it is taken.
    run(scenario)


def test_garbage_is_no_request(run: Run) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200))  # TLS on a plain port
            assert (await client.head())[0] == 400
            assert json.loads(await client.end())["code"] == "BadRequest"

    run(scenario)


def test_garbage_behind_a_request_never_lands_inside_its_answer(run: Run) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(get() + b"\x16\x03\x01")
            assert (await client.answer())[0] == 200
            assert await client.end() == b""

    run(scenario)


def test_a_body_that_never_comes_whole_is_let_go(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(b"POST /refresh HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            client.reset()
        async with dialled(system) as client:
            await client.write(get())
            assert (await client.answer())[0] == 200

    run(scenario)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# --- bounds ---------------------------------------------------------------------------------------------

POST_CHUNKED = b"POST /refresh HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def connections_of(system: System) -> set[Any]:
    return system.server._server.server_state.connections


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nX: " + b"x" * 4_000_000,
        b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 500_000,
        b"GET /" + b"x" * 4_000_000,
        b"\r\n" * 500_000,
        upgrade(Cookie="x" * HEAD_BYTES_MAX),
        POST_CHUNKED + b"0\r\nX: " + b"x" * 4_000_000,
        POST_CHUNKED + b"1\r\n{\r\n1;" + b"x" * 4_000_000,
    ],
    ids=["header", "headers", "url", "blank lines", "handshake", "trailers", "chunk extension"],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_head_or_trailers_beyond_the_bound_are_refused_at_once(run: Run, sent: bytes, is_first: bool) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            if not is_first:
                await client.write(get())
                assert (await client.answer())[0] == 200
            began = time.process_time()
            await client.write(sent)
            status, headers = await client.head()
            assert (status, headers["connection"]) == (431, "close")
            assert json.loads(await client.end())["code"] == "RequestHeaderFieldsTooLarge"
            assert time.process_time() - began < 1
        await until(lambda: not connections_of(system))

    run(scenario)


@pytest.mark.parametrize("at_once", [0, 3000])
def test_the_bound_of_a_head_is_exact(run: Run, at_once: int) -> None:
    async def scenario(system: System) -> None:
        pad = HEAD_BYTES_MAX - len(get("/md/v2/time", "X: "))
        for more, status in ((0, 200), (1, 431)):
            async with dialled(system) as client:
                await client.write(get("/md/v2/time", "X: " + "x" * (pad + more)), at_once=at_once)
                assert (await client.head())[0] == status

    run(scenario)


def test_an_answer_that_is_under_way_comes_before_the_end_of_a_peer_that_is_refused(run: Run) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(get() * 2 + POST_CHUNKED + b"0\r\nX: " + b"x" * 200_000)
            assert [(await client.answer())[0] for _ in range(2)] == [200, 200]
            assert await client.end() == b""

    run(scenario)


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        (b"", 0),
        (b"\r\n", 0),
        (b"GET /md/v2/time HTTP/1.1\r\nHost: x\r\n", 0),
        (get() + b"G", 1),
        (get("/md/v2/time", "Content-Length: 9") + b"x", 1),
    ],
    ids=["nothing", "blank line", "half a head", "half a second head", "half a body that nobody reads"],
)
def test_a_peer_that_does_not_finish_a_request_is_cut(
    run: Run, monkeypatch: pytest.MonkeyPatch, sent: bytes, answers: int
) -> None:
    monkeypatch.setattr(one_port, "HEAD_DEADLINE_S", 0.05)

    async def scenario(system: System) -> None:
        refused_before = system.gateway.counters.handshakes_refused["none"]
        async with dialled(system) as client:
            await client.write(sent)
            for _ in range(answers):
                assert (await client.answer())[0] == 200
            assert await client.end() == b""
        await until(lambda: not connections_of(system))
        assert system.gateway.counters.handshakes_refused["none"] == refused_before + 1

    run(scenario)


def test_the_deadline_of_a_head_runs_from_its_first_byte_to_its_last(run: Run) -> None:
    async def scenario(system: System) -> None:
        await until(lambda: not connections_of(system))
        async with dialled(system) as client:
            await until(lambda: connections_of(system))
            [connection] = connections_of(system)
            await until(lambda: connection._deadline is not None)
            for _ in range(2):
                request = get()
                await client.write(request[:9])
                await until(lambda: connection._is_in_head)
                assert connection._deadline is not None
                assert connection.timeout_keep_alive_task is None
                await client.write(request[9:])
                assert (await client.answer())[0] == 200
                # Between two requests uvicorn's own timeout counts; blank lines do not end it.
                await client.write(b"\r\n")
                assert connection._deadline is None
                assert connection.timeout_keep_alive_task is not None
            await client.write(get() + b"GET")
            assert (await client.answer())[0] == 200
            assert connection._deadline is not None
            assert connection.timeout_keep_alive_task is None
            await client.write(upgrade()[3:])
            assert (await client.head())[0] == 101
            assert connection._deadline is None

    run(scenario)


def test_a_body_that_does_not_come_in_time_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_DEADLINE_S", 0.05)

    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(b"POST /refresh HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            status, body = await client.answer()
            assert (status, json.loads(body)["code"]) == (408, "RequestTimeout")
            assert await client.end() == b""

    run(scenario)


# --- what is logged -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        get("/md/v2/time", "Connection: close, Upgrade, HTTP2-Settings", "Upgrade: h2c"),
        POST_CHUNKED + b"x\r\n",
        upgrade("/nothing"),
        upgrade(Sec_WebSocket_Key="short"),
        upgrade() + frame(TEXT, b"{}", mask=False),
        upgrade() + frame(TEXT, b"{}", rsv=4),
        upgrade() + frame(3, b""),
        upgrade() + frame(CLOSE, b"\x03\xe8\xff"),
        upgrade() + frame(CLOSE, b"\x03"),
        upgrade() + frame(TEXT, b"\xff\xfe"),
        upgrade() + b"\x81\xff" + b"\xff" * 100,
    ],
)
def test_what_a_peer_does_wrong_is_not_logged(run: Run, caplog: pytest.LogCaptureFixture, sent: bytes) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(sent)
            await client.head()
            if sent.startswith(upgrade()):
                while (got := await client.frame()).opcode != CLOSE:
                    pass
                await client.write(frame(CLOSE, got.payload[:2]))
            await client.end()

    run(scenario)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_connections_cannot_fill_the_log_of_the_transport(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tapewire.gateway.websocket")

    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.opened()
            await client.ping()

    run(scenario)
    assert caplog.records == []


class Faulty:
    """A listener with a fault in every call but the last."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    def connected(self, transport: object) -> None:
        if self._fault == "connected":
            raise LookupError(self._fault)

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        raise LookupError(self._fault)

    def writable(self) -> None:
        pass

    def disconnected(self, code: int, reason: str) -> None:
        pass


@asynccontextmanager
async def listening(application: Any, accept: Any) -> AsyncIterator[System]:
    """Serve what a test has made."""
    listener = open_listener("127.0.0.1", 0)
    server = HttpServer(application, accept, listener)
    await server.start()
    try:
        yield System(cast(Any, None), cast(Any, None), cast(Any, None), server, listener.getsockname()[1])
    finally:
        await server.stop()


@pytest.mark.parametrize("fault", ["connected", "frame_received"])
def test_a_fault_of_ours_is_logged(runner: asyncio.Runner, caplog: pytest.LogCaptureFixture, fault: str) -> None:
    async def scenario() -> None:
        async with listening(None, lambda path, peer: Faulty(fault)) as system, dialled(system) as client:
            await client.opened()
            await client.write(text(opcode="ping", guid="p"))
            assert (await client.frame()).opcode == CLOSE
            await client.end()

    play(runner, scenario)
    logged = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert {(record.name, record.levelno) for record in logged} == {("tapewire.gateway.websocket", logging.ERROR)}


# --- frames ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, b"{}", mask=False), 1002),
        (frame(TEXT, b"{}", rsv=4), 1002),
        (frame(3, b""), 1002),
        (frame(0, b"x"), 1002),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
        (frame(TEXT, b"x" * (MESSAGE_BYTES_MAX + 1)), 1009),
        (frame(TEXT, b" " * MESSAGE_BYTES_MAX, fin=False) + frame(0, b" "), 1009),
        (frame(CLOSE, b"\x03\xe8"), 1000),
        (frame(CLOSE, b""), 1000),
        (frame(CLOSE, struct.pack("!H", 4001) + b"bye"), 4001),
        (frame(CLOSE, struct.pack("!H", 1005)), 1002),
        (frame(CLOSE, struct.pack("!H", 5000)), 1002),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    ],
)
def test_the_end_has_the_right_code_and_comes_at_once(run: Run, sent: bytes, code: int) -> None:
    async def scenario(system: System) -> None:
        too_large = system.gateway.counters.cuts[Limit.MESSAGE_BYTES]
        async with dialled(system) as client:
            await client.opened()
            await client.ping()
            await client.write(sent)
            while (got := await client.frame()).opcode != CLOSE:
                pass
            assert int.from_bytes(got.payload[:2], "big") == code
            if sent[0] & 0x0F != CLOSE:
                await client.write(frame(CLOSE, got.payload[:2]))
            assert await client.end() == b""
        await system.emptied()
        # However the frame was found to be too large: by the transport or by the assembler.
        assert system.gateway.counters.cuts[Limit.MESSAGE_BYTES] - too_large == (code == 1009)
        ended = system.gateway.presence.ended()[0]
        assert (ended.code, "bye" in ended.reason) == (code, False)

    run(scenario)


def test_nothing_follows_a_close_frame(run: Run) -> None:
    async def scenario(system: System) -> None:
        fields = {"opcode": TRADES, "token": system.token(), "exchange": "MOEX", "code": "SBER", "guid": "t"}
        async with dialled(system) as client:
            await client.opened()
            await client.write(text(**fields))
            assert await client.answer_to("t") == 200
            await client.write(frame(TEXT, b"{}", mask=False))
            assert (await client.frame()).opcode == CLOSE
            for _ in range(10):
                system.venue.publish_trade(SBER, 300)
            assert await client.end() == b""

    run(scenario)


def test_pings_fragments_and_binary_messages_are_answered(run: Run) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.opened()
            await client.write(frame(PING, b"hello") + frame(PONG, b"unsolicited"))
            assert await client.frame() == (PONG, b"hello")
            request = json.dumps({"opcode": "ping", "guid": "ы"}, ensure_ascii=False).encode()
            parts = [request[at : at + 1] for at in range(len(request))]
            await client.write(frame(TEXT, parts[0], fin=False))
            for part in parts[1:-1]:
                await client.write(frame(0, part, fin=False) + frame(PING, b""))
            await client.write(frame(0, parts[-1]))
            got = [await client.frame() for _ in range(len(parts) - 1)]
            assert [opcode for opcode, _ in got] == [PONG] * (len(parts) - 2) + [TEXT]
            assert json.loads(got[-1].payload)["requestGuid"] == "ы"
            await client.write(frame(BINARY, b"\x00"))
            assert (await client.message())["httpCode"] == 400
            big = json.dumps({"opcode": "ping", "guid": "big", "x": "x" * (MESSAGE_BYTES_MAX - 50)}).encode()
            await client.write(frame(TEXT, big))
            assert (await client.message())["requestGuid"] == "big"

    run(scenario)


def test_the_websockets_library_is_served_without_compression(run: Run) -> None:
    async def scenario(system: System) -> None:
        system.venue.set_book(SBER, [(300, 1)])
        async with connect(f"ws://127.0.0.1:{system.port}/ws") as socket_:
            assert socket_.protocol.extensions == []
            request = {"opcode": BOOK, "guid": "b", "token": system.token(), "exchange": "MOEX", "code": "SBER"}
            await socket_.send(json.dumps(request))
            assert json.loads(await socket_.recv())["httpCode"] == 200
            assert json.loads(await socket_.recv())["data"]["existing"] is True
            system.venue.set_book(SBER, [(301, 1)])
            assert json.loads(await socket_.recv())["data"]["bids"][0]["price"] == 301
            pong = await socket_.ping()
            await pong
        assert socket_.close_code == 1000
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            async with connect(f"ws://127.0.0.1:{system.port}/nothing"):
                pass
        assert refused.value.response.status_code == 404

    run(scenario)


# --- readers --------------------------------------------------------------------------------------------


def test_five_thousand_requests_of_a_reader_that_pauses_are_all_answered(run: Run) -> None:
    async def scenario(system: System) -> None:
        system.venue.set_book(SBER, [(300 - step, 1) for step in range(50)])
        token = system.token()
        fields = {
            "opcode": BOOK,
            "token": token,
            "exchange": "MOEX",
            "code": "SBER",
            "frequency": 60_000,
            "depth": 50,
        }
        async with dialled(system, receive_buffer=4096) as client:
            await client.opened()
            asking = asyncio.create_task(
                client.write(b"".join(text(guid=f"g{number}", **fields) for number in range(5000)))
            )
            [connection] = system.gateway.connections
            await until(lambda: connection._is_reading_paused)
            seen = [await client.message() for _ in range(10_000)]
            await asking
            answered = [each["requestGuid"] for each in seen if "requestGuid" in each]
            shown = [each["guid"] for each in seen if "guid" in each]
            assert answered == shown == [f"g{number}" for number in range(5000)]
            await client.ping()

    run(scenario)


def test_a_reader_that_stops_is_cut_and_another_is_not(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(system: System) -> None:
        fields = {"opcode": TRADES, "token": system.token(), "exchange": "MOEX", "code": "SBER", "guid": "t"}
        async with dialled(system, receive_buffer=4096) as stalled, dialled(system) as healthy:
            for client in (stalled, healthy):
                await client.opened()
                await client.write(text(**fields))
                assert (await client.message())["httpCode"] == 200
            stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
            published = 0
            async with asyncio.timeout(DEADLINE_S):
                while all(each.state is ConnectionState.OPEN for each in system.gateway.connections):
                    for _ in range(200):
                        system.venue.publish_trade(SBER, 300)
                    published += 200
                    for _ in range(200):
                        await healthy.message()
            assert published > 5000
            await healthy.ping()
            stalled.reset()

    run(scenario)
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == ["tapewire.gateway"]


def test_a_reset_connection_leaves_nothing(run: Run) -> None:
    async def scenario(system: System) -> None:
        system.venue.set_book(SBER, [(1, 1)])
        token = system.token()
        for number in range(5):
            async with dialled(system) as client:
                await client.opened()
                for opcode in (BOOK, TRADES):
                    fields = {"token": token, "exchange": "MOEX", "code": "SBER", "frequency": 25, "depth": 5}
                    await client.write(text(opcode=opcode, guid=opcode, **fields))
                    assert await client.answer_to(opcode) == 200
                if number % 2:
                    system.venue.publish_trade(SBER, 1)
                client.reset()
            system.venue.publish_trade(SBER, 1)
            system.venue.set_book(SBER, [(2, 1)])
            await system.emptied()

    run(scenario)


# --- the end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_gateway_first", [True, False])
def test_stopping_with_every_kind_of_connection_open_takes_less_than_two_seconds(
    run_alone: Run, is_gateway_first: bool
) -> None:
    async def scenario(system: System) -> None:
        loop = asyncio.get_running_loop()
        async with (
            dialled(system) as idle,
            dialled(system, receive_buffer=4096) as stalled,
            dialled(system) as http,
            dialled(system) as half_sent,
            dialled(system),
        ):
            await idle.opened()
            await stalled.opened()
            fields = {"opcode": TRADES, "token": system.token(), "exchange": "MOEX", "code": "SBER"}
            await stalled.write(text(guid="t", **fields))
            await stalled.message()
            stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
            for _ in range(4000):
                system.venue.publish_trade(SBER, 300)
            await http.write(get())
            assert (await http.answer())[0] == 200
            await half_sent.write(b"POST /refresh HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
            began = loop.time()
            if is_gateway_first:
                await system.gateway.close()
                opcode, payload = await idle.frame()
                assert (opcode, payload[:2]) == (CLOSE, (1001).to_bytes(2, "big"))
            await system.server.stop()
            assert loop.time() - began < STOP_S
            with pytest.raises(OSError):
                async with dialled(system):
                    pass

    run_alone(scenario)


def test_stopping_waits_for_no_body_and_for_no_reader_and_logs_nothing(
    runner: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/endless":
            while (await receive())["type"] != "http.disconnect":
                await send({"type": "http.response.body", "body": b"x" * 4_000_000, "more_body": True})
                await send({"type": "http.response.body", "body": b"x" * 4_000_000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            system = await stack.enter_async_context(listening(application, lambda path, peer: None))
            clients = [await stack.enter_async_context(dialled(system, receive_buffer=4096)) for _ in range(12)]
            for client in clients[:8]:
                await client.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
            await clients[8].write(b"GET / HT")
            await clients[9].write(b"nonsense\r\n\r\n")
            await clients[9].head()
            await clients[10].write(get("/endless"))
            clients[10].writer.transport.pause_reading()  # type: ignore[attr-defined]
            tasks = system.server._server.server_state.tasks
            await until(lambda: len(tasks) == 9 and len(connections_of(system)) == 12)
            await until(lambda: any(each.flow.write_paused for each in connections_of(system)))
            began = asyncio.get_running_loop().time()
            await system.server.stop()
            took_s = asyncio.get_running_loop().time() - began
            assert took_s < 1
            assert not connections_of(system)

    play(runner, scenario)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_trailers_do_not_become_headers_and_a_pipelining_peer_that_leaves_ends_its_answers(
    runner: asyncio.Runner,
) -> None:
    seen: list[list[bytes]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] != "http.disconnect" and message["more_body"]:
            pass
        seen.append([name for name, _ in scope["headers"]])
        while message["type"] != "http.disconnect":
            message = await receive()

    async def scenario() -> None:
        async with listening(application, lambda path, peer: None) as system, dialled(system) as client:
            await client.write(POST_CHUNKED + b"0\r\nAuthorization: x\r\n\r\n" + get())
            await until(lambda: seen)
            assert seen == [[b"host", b"transfer-encoding"]]
            client.reset()
            await until(lambda: not system.server._server.server_state.tasks)

    play(runner, scenario)


def test_stopping_with_half_a_body_takes_well_under_a_second(run_alone: Run) -> None:
    async def scenario(system: System) -> None:
        async with dialled(system) as client:
            await client.write(b"POST /refresh HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
            await until(lambda: system.server._server.server_state.tasks)
            began = asyncio.get_running_loop().time()
            await system.server.stop()
            assert asyncio.get_running_loop().time() - began < ANSWER_GRACE_S

    run_alone(scenario)


def test_a_closed_gateway_refuses_handshakes_while_http_still_answers(run_alone: Run) -> None:
    async def scenario(system: System) -> None:
        await system.gateway.close()
        async with dialled(system) as client:
            await client.write(get())
            assert (await client.answer())[0] == 200
            await client.write(upgrade())
            assert (await client.head())[0] == 503

    run_alone(scenario)


def test_an_address_in_use_is_refused_in_one_line() -> None:
    listener = open_listener("127.0.0.1", 0)
    try:
        with pytest.raises(ListenError, match="cannot listen on 127") as refused:
            open_listener("127.0.0.1", listener.getsockname()[1])
        assert "\n" not in str(refused.value)
    finally:
        listener.close()
    with pytest.raises(ListenError):
        open_listener("no.such.host.invalid", 0)


def test_of_many_requests_before_an_answer_few_are_taken(run: Run) -> None:
    async def scenario(system: System) -> None:
        system.gateway.throttle._buckets.clear()
        async with dialled(system) as client:
            await client.write(get() * 10_000)
            answers = []
            with contextlib.suppress(asyncio.IncompleteReadError):
                while True:
                    answers.append(await client.answer())
            # Those that were taken are answered; then the connection ends.
            assert 1 <= len(answers) <= one_port.PIPELINED_MAX + 1 + one_port._PIECE_BYTES // len(get())
            assert {status for status, _ in answers} == {200}

    run(scenario)


def test_a_peer_that_takes_nothing_of_an_answer_is_gone_after_a_while(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(system: System) -> None:
        monkeypatch.setattr(one_port, "STALL_S", 0.3)
        async with dialled(system) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.write(get("/openapi.json") * one_port.PIPELINED_MAX)
            await until(lambda: system.server._server.server_state.connections)
            # What the network takes is not waited for; nothing more is kept for what it does not.
            await until(lambda: not system.server._server.server_state.connections)

    run(scenario)


def test_one_read_of_a_socket_takes_no_more_than_others_may_wait_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(system: System) -> None:
        taken: list[int] = []
        real = one_port._BoundedProtocol.buffer_updated

        def noted(self: object, size: int) -> None:
            taken.append(size)
            real(self, size)

        monkeypatch.setattr(one_port._BoundedProtocol, "buffer_updated", noted, raising=False)
        async with dialled(system) as client:
            await client.opened()
            await client.write(frame(TEXT, b"x" * 1_000_000))
            await client.ping()
        assert sum(taken) > 1_000_000
        assert max(taken) <= one_port.READ_BYTES_MAX

    run(scenario)
