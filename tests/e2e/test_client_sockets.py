"""The client over real sockets: handshakes that fail, frames that are broken, ends of all kinds, a real system."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import json
import random
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

import tapewire
from tapewire import (
    ConfigurationError,
    ConnectError,
    TokenRefusedError,
)
from tapewire.adapters.clock import SystemClock
from tapewire.adapters.picows_client import PicowsConnector
from tapewire.app import Settings, System
from tapewire.client.broker import Broker
from tapewire.client.endpoints import Endpoints
from tapewire.client.errors import ConnectError as ClientConnectError
from tapewire.client.events import LostEvent
from tapewire.client.states import SubscriptionState
from tapewire.client.tokens import TokenKeeper
from tapewire.configuration import find_configuration
from tapewire.connect import assembled, fetch_token
from tapewire.ports.network import ConnectError as TransportError
from tapewire.ports.network import Transport
from tapewire.simulation import SimulatedHttp
from unit.client.stage import SECRET, TokenService, answer, data, trade

DEADLINE_S = 10.0
WS_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test on each loop; nothing may reach the handler of last resort, and no task may be left."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("TAPEWIRE_URL", raising=False)
    monkeypatch.delenv("TAPEWIRE_REFRESH_TOKEN", raising=False)

    def start(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        complaints: list[object] = []

        async def guarded() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            async with asyncio.timeout(DEADLINE_S):
                await main()
            gc.collect()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        (asyncio.run if request.param == "asyncio" else uvloop.run)(guarded())
        gc.collect()
        assert complaints == []

    return start


# --- a broker of frames ---------------------------------------------------------------------------------


def frame(opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0, mask: bool = False) -> bytes:
    head = bytes([fin << 7 | rsv << 4 | opcode])
    flag = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([flag | 126]) + len(payload).to_bytes(2, "big")
    else:
        head += bytes([flag | 127]) + len(payload).to_bytes(8, "big")
    return head + (b"\0\0\0\0" if mask else b"") + payload


class Peer:
    """The broker's end of one real connection, frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def handshake(self) -> None:
        head = await self.reader.readuntil(b"\r\n\r\n")
        key = next(
            line.split(b":", 1)[1].strip()
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key:")
        )
        accept = base64.b64encode(hashlib.sha1(key + WS_KEY).digest())
        self.writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    async def frame(self) -> tuple[int, bytes]:
        """Read one frame of the client, leaving out the ping by which it says who it is."""
        while (frame := await self.any_frame())[0] == TEXT and b'"opcode":"ping"' in frame[1]:
            pass
        return frame

    async def any_frame(self) -> tuple[int, bytes]:
        """Read one frame of the client, which masks."""
        first, second = await self.reader.readexactly(2)
        assert second & 0x80, "a client masks"
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        mask = await self.reader.readexactly(4)
        payload = await self.reader.readexactly(size)
        return first & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))

    async def request(self) -> str:
        """Read a request and return its guid."""
        opcode, payload = await self.frame()
        assert opcode == TEXT
        return str(json.loads(payload)["guid"])

    async def end(self) -> None:
        await self.reader.read()


Serve = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Listen on a free port; each connection is served to its end, and what serving raises is raised here."""
    serving: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await serve(Peer(reader, writer))
        finally:
            writer.close()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*serving)
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()


@asynccontextmanager
async def client_of(port: int, *, scheme: str = "ws") -> AsyncIterator[Broker]:
    http = SimulatedHttp()
    http.listen("oauth.test:443", TokenService())
    url = f"{scheme}://127.0.0.1:{port}/ws?token={SECRET}"
    where = Endpoints(url, url, f"http://127.0.0.1:{port}", "https://oauth.test")
    rng = random.Random(1)
    tokens = TokenKeeper(http, where.oauth, f"refresh-{SECRET}", rng)
    broker = assembled(where, PicowsConnector(), tokens, http, rng, SystemClock())
    try:
        await broker.start()
        yield broker
    finally:
        await broker.close()


# --- handshakes -----------------------------------------------------------------------------------------


async def hang_up(peer: Peer) -> None:
    pass


async def hang_up_after_the_request(peer: Peer) -> None:
    await peer.reader.readuntil(b"\r\n\r\n")


def says(answer_bytes: bytes) -> Serve:
    async def serve(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.writer.write(answer_bytes)
        await peer.writer.drain()

    return serve


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (hang_up, "the connection ended during the handshake|[Cc]onnection reset"),
        (hang_up_after_the_request, "the connection ended during the handshake"),
        (says(b"HTTP/1.1 406 Not Acceptable\r\nContent-Length: 0\r\n\r\n"), r"the handshake was refused \(406\)"),
        (
            says(b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
            r"refused \(302\)",
        ),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), r"refused \(200\)"),
        (says(b"SSH-2.0-OpenSSH\r\n\r\n"), r"refused \(no answer\)"),
        (
            says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
            "refused",
        ),
    ],
)
def test_a_handshake_that_fails_is_a_connect_error_that_says_how(run: Run, serve: Serve, reason: str) -> None:
    async def main() -> None:
        async with listening(serve) as port:
            with pytest.raises(ConnectError, match=reason) as caught:
                async with client_of(port):
                    raise AssertionError("there is no connection")
            assert caught.value.url == f"ws://127.0.0.1:{port}/ws"
            assert SECRET not in str(caught.value) + repr(caught.value)

    run(main)


class Deaf:
    """A listener that hears nothing, which is right where no connection comes about."""

    def connected(self, transport: Transport) -> None:
        raise AssertionError

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        raise AssertionError

    def writable(self) -> None:
        raise AssertionError

    def disconnected(self, code: int, reason: str) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"ws://127.0.0.1:1/ws?token={SECRET}", "[Cc]onn"),
        (f"wss://127.0.0.1:1/ws?token={SECRET}", "[Cc]onn"),
        (f"ws://no.such.host.invalid/ws?token={SECRET}", "."),
        (f"ws:///?token={SECRET}", "the address is not like"),
        (f"http://127.0.0.1/{SECRET}", "the address is not like"),
        (f"ws://127.0.0.1:{SECRET}/", "the address is not like"),
    ],
)
def test_where_nobody_is_the_error_says_so_and_keeps_the_address_to_itself(
    run: Run, url: str, reason: str
) -> None:
    async def main() -> None:
        with pytest.raises(TransportError, match=reason) as caught:
            await PicowsConnector().connect(url, Deaf(), timeout_s=5)
        assert SECRET not in str(caught.value)
        assert "\n" not in str(caught.value)

    run(main)


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
def test_a_handshake_given_up_leaves_no_socket_open(run: Run, how: str) -> None:
    async def main() -> None:
        asked, gone = asyncio.Event(), asyncio.Event()

        async def silent(peer: Peer) -> None:
            await peer.reader.readuntil(b"\r\n\r\n")
            asked.set()
            await peer.end()
            gone.set()

        async with listening(silent) as port:
            url = f"ws://127.0.0.1:{port}/ws"
            timeout_s = 30 if how == "cancelled" else 0.1
            connecting = asyncio.create_task(PicowsConnector().connect(url, Deaf(), timeout_s=timeout_s))
            await asked.wait()
            if how == "cancelled":
                connecting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await connecting
            else:
                with pytest.raises(TransportError, match=r"no connection within 0\.1 s"):
                    await connecting
            # At once, not when picows' own time is up.
            async with asyncio.timeout(2):
                await gone.wait()

    run(main)


def test_tls_is_checked(run: Run) -> None:
    async def main() -> None:
        async def plain(peer: Peer) -> None:
            await peer.reader.read(1)
            peer.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with listening(plain) as port:
            with pytest.raises(ClientConnectError) as caught:
                async with client_of(port, scheme="wss"):
                    raise AssertionError("there is no connection")
            assert SECRET not in str(caught.value)

    run(main)


# --- messages and frames --------------------------------------------------------------------------------


def test_fragments_pings_and_other_alphabets_arrive_whole(run: Run) -> None:
    async def main() -> None:
        pongs: list[bytes] = []

        async def serve(peer: Peer) -> None:
            await peer.handshake()
            guid = await peer.request()
            message = data(guid, trade(1, sym="Газпром"))
            middle = message.index("Г".encode()) + 1  # inside a character
            peer.writer.write(frame(TEXT, answer(guid)))
            peer.writer.write(frame(TEXT, message[:middle], fin=False))
            peer.writer.write(frame(PING, b"are you there"))
            peer.writer.write(frame(0, message[middle:]))
            peer.writer.write(frame(TEXT, data(guid, trade(2))))
            peer.writer.write(frame(TEXT, data(guid, trade(3, sym="x" * 900_000))))
            opcode, payload = await peer.frame()
            assert opcode == PONG
            pongs.append(payload)
            await peer.end()

        async with listening(serve) as port:
            async with client_of(port) as broker, broker.trades("GAZP") as trades:
                records = [await anext(trades) for _ in range(3)]
            assert [record.id for record in records] == [1, 2, 3]
            assert records[0].symbol == "Газпром"
            assert len(records[2].symbol) == 900_000
        assert pongs == [b"are you there"]

    run(main)


async def loss(broker: Broker) -> LostEvent:
    """Wait for the end of a connection."""
    async with asyncio.timeout(DEADLINE_S):
        async for event in broker.events:
            if isinstance(event, LostEvent):
                return event
    raise AssertionError("the broker was closed before")


@pytest.mark.parametrize(
    ("broken", "sent_code", "code", "reason"),
    [
        (frame(TEXT, b"x", rsv=4), 1002, 1002, "reserved bit without an extension"),
        (frame(TEXT, b"\xff"), 1007, 1007, "invalid UTF-8"),
        (frame(0, b"x"), 1002, 1002, "nothing to continue"),
        (frame(TEXT, b"x", mask=True), 1002, 1002, "masked frame"),
        (frame(3, b"x"), 1002, 1002, "invalid opcode"),
        (frame(PING, b"x", fin=False), 1002, 1002, "fragmented control frame"),
        (frame(CLOSE, b"x"), 1002, 1002, "invalid close code"),
        (frame(TEXT, b"x" * (1 << 20 | 1))[:100], 1009, 1009, "exceeding max allowed size"),
    ],
)
def test_broken_frames_end_the_connection_with_their_code_and_a_clear_reason(
    run: Run, broken: bytes, sent_code: int, code: int, reason: str
) -> None:
    async def main() -> None:
        heard: list[tuple[int, bytes]] = []

        async def serve(peer: Peer) -> None:
            await peer.handshake()
            guid = await peer.request()
            peer.writer.write(frame(TEXT, answer(guid)) + frame(TEXT, data(guid, trade(1))) + broken)
            heard.append(await peer.frame())
            # Hangs up as a broken broker does, without the answering close frame.

        async with listening(serve) as port, client_of(port) as broker:
            losing = asyncio.create_task(loss(broker))
            await asyncio.sleep(0)
            async with broker.trades("GAZP") as trades:
                lost = await losing
                assert lost.code == code
                assert "broke the protocol" in lost.reason
                assert reason in lost.reason
                assert trades.received <= 1  # picows looks a frame ahead
                assert trades.state is SubscriptionState.RESTORING
        opcode, payload = heard[0]
        assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, sent_code)

    run(main)


@pytest.mark.parametrize("sent", [0, 999, 1005, 1006, 1016, 65_535])
def test_a_close_code_that_may_not_be_sent_is_told_as_a_breach_also_where_the_peer_closes_in_order_then(
    run: Run, sent: int
) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.handshake()
            guid = await peer.request()
            peer.writer.write(frame(TEXT, answer(guid)) + frame(CLOSE, sent.to_bytes(2, "big")))
            await peer.frame()
            peer.writer.write(frame(CLOSE, (1000).to_bytes(2, "big")))
            await peer.end()

        async with listening(serve) as port, client_of(port) as broker:
            losing = asyncio.create_task(loss(broker))
            await asyncio.sleep(0)
            async with broker.trades("GAZP"):
                lost = await losing
                assert (lost.code, "broke the protocol" in lost.reason) == (1002, True)

    run(main)


def test_the_brokers_goodbye_is_answered_and_told(run: Run) -> None:
    async def main() -> None:
        heard: list[tuple[int, bytes]] = []

        async def serve(peer: Peer) -> None:
            await peer.handshake()
            guid = await peer.request()
            peer.writer.write(frame(TEXT, answer(guid)))
            peer.writer.write(frame(CLOSE, (1013).to_bytes(2, "big") + b"too slow"))
            heard.append(await peer.frame())

        async with listening(serve) as port, client_of(port) as broker:
            losing = asyncio.create_task(loss(broker))
            await asyncio.sleep(0)
            async with broker.trades("GAZP"):
                lost = await losing
            assert (lost.code, lost.reason) == (1013, "too slow")
        assert heard[0] == (CLOSE, (1013).to_bytes(2, "big"))

    run(main)


def test_a_broker_that_never_answers_the_goodbye_is_left_within_the_bound(run: Run) -> None:
    async def main() -> None:
        heard: list[tuple[int, bytes]] = []

        async def serve(peer: Peer) -> None:
            await peer.handshake()
            heard.append(await peer.frame())
            await peer.end()

        async with listening(serve) as port:
            async with client_of(port):
                began = asyncio.get_running_loop().time()
            assert asyncio.get_running_loop().time() - began < 2
        assert heard == [(CLOSE, (1000).to_bytes(2, "big"))]

    run(main)


# --- a whole system -------------------------------------------------------------------------------------


def test_a_system_is_found_used_and_left_without_a_trace(run: Run) -> None:
    async def main() -> None:
        async with System(Settings(port=0, symbols=2, events_per_second=1_000)) as system:
            async with tapewire.connect() as broker:
                assert broker.portfolios == system.portfolios
                assert (await broker.time()).tzinfo is not None
                async with broker.book("SBER", depth=3) as books, broker.trades("GAZP") as trades:
                    book, tape = await anext(books), await anext(trades.batches())
                assert len(book.bids) == 3
                assert tape[0].symbol == "GAZP"
            with pytest.raises(TokenRefusedError):
                async with tapewire.connect(system.url, refresh_token="wrong"):
                    raise AssertionError("nobody is let in")
            token = await fetch_token()
            assert token.count(".") == 2
            assert find_configuration().endpoints.http == system.url

    run(main)


def test_an_exception_in_the_block_of_connect_leaves_nothing(run: Run) -> None:
    class OwnError(Exception):
        pass

    async def use() -> None:
        async with tapewire.connect() as broker, broker.book("SBER") as books:
            async for _ in books:
                raise OwnError

    async def main() -> None:
        async with System(Settings(port=0, symbols=1)):
            with pytest.raises(OwnError):
                await use()

    run(main)


def test_without_an_address_it_is_not_clear_where_to_connect_to(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match="no broker"):
            async with tapewire.connect():
                raise AssertionError("to where?")

    run(main)


FORGETFUL = """
import asyncio, sys
import tapewire

async def main() -> None:
    broker = await tapewire.connect(sys.argv[1], refresh_token=sys.argv[2]).__aenter__()
    await broker.time()

asyncio.run(main())
"""


def test_a_program_that_forgets_to_close_is_told_what_to_do() -> None:
    async def main() -> bytes:
        async with System(Settings(port=0, symbols=1)) as system:
            program = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-W", "default", "-c", FORGETFUL, system.url, system.ready_line()["refresh_token"]),
                stderr=asyncio.subprocess.PIPE,
            )
            _, complaints = await program.communicate()
            assert program.returncode == 0
            return complaints

    said = asyncio.run(asyncio.wait_for(main(), 20)).decode()
    assert "tapewire ERROR: <Broker 127.0.0.1:" in said
    assert "was not closed: leave its block, `async with tapewire.connect() as broker:`" in said
    assert "ResourceWarning: <Broker 127.0.0.1:" in said
