"""A client on virtual time, with a broker and a token service that do what a test tells them."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tapewire.client.connection import Connection
from tapewire.client.endpoints import Endpoints
from tapewire.client.session import Session
from tapewire.client.tokens import TokenKeeper
from tapewire.connect import assembled
from tapewire.ports.network import Transport
from tapewire.simulation import HttpAddress, Network, SimulatedHttp, VirtualClock

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
SECRET = "s3cr3t"
REFRESH_TOKEN = f"refresh-{SECRET}"
ENDPOINTS = Endpoints(
    "wss://broker.test/ws", "wss://broker.test/cws", "https://broker.test", "https://oauth.broker.test"
)

Request = dict[str, Any]
#: What a broker says to a request: messages, in their order.
Reply = Callable[[Request], list[bytes]]


def answer(guid: str, code: int = 200, text: str = "Handled successfully") -> bytes:
    return json.dumps({"requestGuid": guid, "httpCode": code, "message": text}, separators=(",", ":")).encode()


def numbered(guid: str, number: str, code: int = 200, text: str = "done") -> bytes:
    """The answer to a command."""
    fields = {"requestGuid": guid, "httpCode": code, "message": text, "orderNumber": number}
    return json.dumps(fields, separators=(",", ":")).encode()


def data(guid: str, fields: object) -> bytes:
    return json.dumps({"data": fields, "guid": guid}, separators=(",", ":"), ensure_ascii=False).encode()


def trade(number: int, **fields: object) -> Request:
    """One trade in the Slim spelling."""
    return {
        "id": number,
        "sym": "TEST",
        "bd": "TQBR",
        "px": 10.5,
        "q": 1,
        "s": "buy",
        "t": 1,
        "oi": 0,
        "h": False,
    } | fields


def access_token(number: int = 1, *, life_s: int = 1_800, portfolios: str = "D1 G1") -> str:
    """A token whose text holds the secret, wherever it is cut."""
    claims = {"sub": "P1", "iat": 1_000, "exp": 1_000 + life_s, "portfolios": portfolios, "number": number}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{SECRET}.{payload}.{number}-{SECRET}"


def token_answer(number: int = 1, *, life_s: int = 1_800) -> bytes:
    return json.dumps({"AccessToken": access_token(number, life_s=life_s)}).encode()


def accept_all(request: Request) -> list[bytes]:
    return [answer(request["guid"])]


def silence(request: Request) -> list[bytes]:
    return []


class Peer:
    """The broker's end of one connection."""

    def __init__(self, broker: FakeBroker | FakeDesk) -> None:
        self._broker = broker
        self.transport: Transport
        self.frames: list[tuple[int, bytes]] = []
        self.end: tuple[int, str] | None = None

    def connected(self, transport: Transport) -> None:
        self.transport = transport

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        self.frames.append((opcode, payload))
        if opcode == TEXT:
            request = json.loads(payload)
            if request["opcode"] == "ping":
                self._broker.pings.append(request)
                if self._broker.answers_pings:
                    loop = asyncio.get_running_loop()
                    loop.call_later(self._broker.ping_delay_s, self.transport.send, accept_all(request))
                self._broker.changed.set()
                return
            self._broker.requests.append(request)
            is_end = request["opcode"] == "unsubscribe"
            reply = self._broker.reply_to_end if is_end else self._broker.reply
            self.transport.send(reply(request))
        elif opcode == CLOSE and self._broker.answers_close:
            self.transport.close(int.from_bytes(payload[:2], "big") or 1000)
        self._broker.changed.set()

    def writable(self) -> None:
        pass

    def disconnected(self, code: int, reason: str) -> None:
        self.end = (code, reason)
        self._broker.changed.set()


class FakeDesk:
    """The broker's end of the order socket: takes every command and gives its order a number."""

    def __init__(self) -> None:
        self.reply_to_end: Reply = accept_all
        #: Commands, without ``authorize``.
        self.commands: list[Request] = []
        self.tokens: list[str] = []
        self.pings: list[Request] = []
        self.answers_close = True
        self.answers_pings = True
        self.ping_delay_s = 0.0
        self.peers: list[Peer] = []
        self.changed = asyncio.Event()
        self.reply_authorize: Reply = accept_all
        self.reply_command: Reply = self.take
        self.requests: list[Request] = []

    def accept(self) -> Peer:
        self.peers.append(Peer(self))
        return self.peers[-1]

    @property
    def peer(self) -> Peer:
        return self.peers[-1]

    def reply(self, request: Request) -> list[bytes]:
        if request["opcode"] == "authorize":
            self.tokens.append(request["token"])
            return self.reply_authorize(request)
        self.commands.append(request)
        return self.reply_command(request)

    def take(self, request: Request) -> list[bytes]:
        is_new = not request["opcode"].startswith("delete")
        number = str(1_000 + len(self.commands)) if is_new else request["orderId"]
        return [numbered(request["guid"], number)]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that the desk hears."""
        async with asyncio.timeout(600):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def asked(self, count: int = 1) -> Request:
        """Wait for the n-th command."""
        await self.until(lambda: len(self.commands) >= count)
        return self.commands[count - 1]


class FakeBroker:
    """Writes down what it is asked and answers as told."""

    def __init__(self, network: Network) -> None:
        self.desk = FakeDesk()
        #: To what takes a stream back.
        self.reply_to_end: Reply = accept_all
        self.requests: list[Request] = []
        #: The client sends one when its connection opens.
        self.pings: list[Request] = []
        self.reply: Reply = accept_all
        self.answers_close = True
        self.answers_pings = True
        self.ping_delay_s = 0.0
        self.peers: list[Peer] = []
        self.changed = asyncio.Event()
        self.address = network.listen("broker.test:443", self._accept)

    def _accept(self, path: str, client: str) -> Peer:
        if path == "/cws":
            return self.desk.accept()
        assert path == "/ws"
        self.peers.append(Peer(self))
        return self.peers[-1]

    @property
    def peer(self) -> Peer:
        return self.peers[-1]

    @property
    def unsubscribed(self) -> list[str]:
        return [request["guid"] for request in self.requests if request["opcode"] == "unsubscribe"]

    @property
    def subscribed(self) -> list[str]:
        return [request["guid"] for request in self.requests if request["opcode"] != "unsubscribe"]

    def send(self, *messages: bytes) -> None:
        self.peer.transport.send(messages)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that the broker hears."""
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def asked(self, count: int = 1) -> Request:
        """Wait for the n-th request."""
        await self.until(lambda: len(self.requests) >= count)
        return self.requests[count - 1]


class TokenService:
    """An ASGI application that gives out numbered tokens."""

    def __init__(self, *, life_s: int = 1_800) -> None:
        self.issued = 0
        self.life_s = life_s
        self.asked_at: list[float] = []

    async def __call__(self, scope: object, receive: object, send: Callable[[Any], Any]) -> None:
        self.issued += 1
        self.asked_at.append(asyncio.get_running_loop().time())
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": token_answer(self.issued, life_s=self.life_s)})


class FakeHttp:
    """An ASGI application that answers by method and path as told, and writes down what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, object]] = {}
        #: Method, path, query and body of each request.
        self.asked: list[tuple[str, str, str, object]] = []

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        body = (await receive())["body"]
        key = f"{scope['method']} {scope['path']}"
        self.asked.append(
            (scope["method"], scope["path"], scope["query_string"].decode(), json.loads(body or b"null"))
        )
        status, said = self.answers.get(key, (404, {"code": "NotFound", "message": key}))
        await send({"type": "http.response.start", "status": status})
        await send(
            {"type": "http.response.body", "body": said if isinstance(said, bytes) else json.dumps(said).encode()}
        )


class Stage:
    """Network, HTTP, broker and token service of one test."""

    def __init__(self, *, life_s: int = 1_800) -> None:
        self.network = Network()
        self.http = SimulatedHttp()
        self.broker = FakeBroker(self.network)
        self.service = TokenService(life_s=life_s)
        self.oauth: HttpAddress = self.http.listen("oauth.broker.test:443", self.service)
        rng = random.Random(7)
        self.tokens = TokenKeeper(self.http, ENDPOINTS.oauth, REFRESH_TOKEN, rng)
        self.client = assembled(ENDPOINTS, self.network.connector(), self.tokens, self.http, rng, VirtualClock())
        self.fleet, self.entry = self.client._fleet, self.client._entry

    @property
    def session(self) -> Session | None:
        """What the first connection carries."""
        return self.fleet.links[0].session if self.fleet.links else None

    @property
    def connection(self) -> Connection[Session] | None:
        """The first connection."""
        return self.fleet.links[0]._connection if self.fleet.links else None

    def nothing_is_left(self) -> bool:
        """Whether the client's session waits for nothing and carries nothing."""
        links = [link for link in self.fleet.links if link.session is not None]
        sessions = [link.session for link in links if link.session is not None]
        # The answer to a ping is waited for at any time.
        awaited = {guid for session in sessions for guid in session._answers} - {
            link._pings.guid for link in links
        }
        return not (
            any(session.streams or session._ends for session in sessions)
            or awaited
            or self.fleet._feed_of
            or self.fleet._link_of
            or self.fleet._shared
            or self.fleet._gaps.is_filling
            or self.fleet.gaps.open
            or self.entry._waiting
            or (self.entry._connection is not None and self.entry._connection.session.in_flight)
        )


@asynccontextmanager
async def staged(*, life_s: int = 1_800) -> AsyncIterator[Stage]:
    """A started client; when the test is over, nothing of it may be left."""
    stage = Stage(life_s=life_s)
    try:
        await stage.client.start()
        yield stage
    finally:
        await stage.client.close()
    assert stage.nothing_is_left()
    await asyncio.sleep(5)  # virtual: the far end has learnt it too
    assert not stage.network.connections


def told(error: BaseException) -> str:
    """All that anybody could print of an error: text, repr, traceback with the variables of its frames."""
    printed = traceback.TracebackException.from_exception(error, capture_locals=True)
    lines = [str(error), repr(error), *printed.format()]
    # The frames of the test itself hold what it likes.
    return "".join(lines)


async def settle() -> None:
    """Let everything that is on its way arrive."""
    await asyncio.sleep(0.1)
