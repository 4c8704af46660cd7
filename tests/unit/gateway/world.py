"""A gateway whole in virtual time, and the clients that tests hold in their hands.

``World`` joins the gateway to a scripted venue over a simulated network; leaving it checks that the gateway has
let everything go. ``Peer`` is a client at frame level that sends what a test tells it, right or wrong.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, Self

import jwt

from tapewire.gateway.gateway import Gateway
from tapewire.gateway.limits import Limits
from tapewire.gateway.outbox import OutboxMode
from tapewire.gateway.tokens import TokenAuthority, User, hash_refresh_token, new_signing_key
from tapewire.gateway.user_watch import UserWatch
from tapewire.market.catalogue import catalogue
from tapewire.model.user_book import grant_id
from tapewire.ports.network import Transport
from tapewire.protocol.tokens import Secret
from tapewire.simulation import (
    LinkConditions,
    Network,
    ScriptedVenue,
    SimulatedHttp,
    VirtualClock,
    run_virtual,
)

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
SBER, GAZP, LKOH = catalogue(3)
KEY = new_signing_key()
FOREIGN_KEY = new_signing_key()
REFRESH, OTHER_REFRESH = "refresh-token-of-ivan", "refresh-token-of-anna"
#: Of a user who may read orders and no more.
READER_REFRESH = "refresh-token-of-oleg"
USERS = (
    User(
        login="P1",
        client_id="1",
        agreement="1",
        portfolios=("D1", "G1"),
        refresh_token_hashes=(hash_refresh_token(REFRESH),),
    ),
    User(
        login="P2",
        client_id="2",
        agreement="2",
        portfolios=("D2",),
        refresh_token_hashes=(hash_refresh_token(OTHER_REFRESH),),
    ),
    User(
        login="P3",
        client_id="3",
        agreement="3",
        portfolios=("D1", "E3"),
        refresh_token_hashes=(hash_refresh_token(READER_REFRESH),),
        scopes=("OrdersRead",),
    ),
)
ADMIN_TOKEN = Secret("admin-token-of-the-operator")
BOOK = "OrderBookGetAndSubscribe"
QUOTE = "QuotesSubscribe"
TRADES = "AllTradesGetAndSubscribe"
DEADLINE_S = 600.0


def forged(claims: dict[str, Any], key: bytes = KEY) -> str:
    """Return a token that says what a test wants, signed with a key, as if for a refresh token that is good."""
    grant = {"azp": grant_id(hash_refresh_token(REFRESH))}
    return jwt.encode(grant | claims, key.decode(), algorithm="ES256")


class Peer:
    """A client on one connection: writes down what comes, answers a close, answers nothing else."""

    def __init__(self, token: str = "") -> None:
        self.token = token
        self.frames: list[tuple[int, bytes]] = []
        self.messages: list[bytes] = []
        self.end: tuple[int, str] | None = None
        self._transport: Transport | None = None
        self._changed = asyncio.Event()

    @property
    def transport(self) -> Transport:
        assert self._transport is not None
        return self._transport

    # --- FrameListener ----------------------------------------------------------------------------------

    def connected(self, transport: Transport) -> None:
        self._transport = transport

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        assert fin
        assert rsv == 0
        assert self.end is None
        self.frames.append((opcode, payload))
        if opcode == TEXT:
            self.messages.append(payload)
        elif opcode == CLOSE:
            self.transport.close(int.from_bytes(payload[:2], "big") or 1000)
        self._changed.set()

    def writable(self) -> None:
        pass

    def disconnected(self, code: int, reason: str) -> None:
        self.end = (code, reason)
        self._changed.set()

    # --- what tests do ----------------------------------------------------------------------------------

    def send(self, opcode: str, guid: str, **fields: Any) -> None:
        """Send a request with this peer's token; a field that is None is left out."""
        request = {"opcode": opcode, "guid": guid, "token": self.token} | fields
        self.send_raw(json.dumps({key: value for key, value in request.items() if value is not None}))

    def send_raw(self, message: str | bytes) -> None:
        self.transport.send([message.encode() if isinstance(message, str) else message])

    def subscribe(self, opcode: str, guid: str, code: str = "SBER", **fields: Any) -> None:
        self.send(opcode, guid, **({"exchange": "MOEX", "code": code} | fields))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def answer(self, guid: str) -> dict[str, Any]:
        """Wait for an answer to ``guid`` that no call has returned yet."""
        await self.until(lambda: self._first_answer(guid))
        found = self._first_answer(guid)
        assert found is not None
        self.messages.remove(found)
        return dict(json.loads(found))

    async def ask(self, opcode: str, guid: str, **fields: Any) -> int:
        """Send a request and return the code of its answer."""
        self.send(opcode, guid, **fields)
        return int((await self.answer(guid))["httpCode"])

    async def asked(self, opcode: str, guid: str, code: str = "SBER", **fields: Any) -> int:
        """Subscribe and return the code of the answer."""
        self.subscribe(opcode, guid, code, **fields)
        return int((await self.answer(guid))["httpCode"])

    async def closed(self) -> tuple[int, str]:
        """Wait for the end; return code and reason of the server's close frame, 1006 if there was none."""
        await self.until(lambda: self.end)
        frame = next((payload for opcode, payload in self.frames if opcode == CLOSE), None)
        if frame is None:
            return 1006, ""
        return int.from_bytes(frame[:2], "big"), frame[2:].decode()

    def data(self, guid: str) -> list[dict[str, Any]]:
        """Return the records of a guid, oldest first."""
        end = b',"guid":' + json.dumps(guid, ensure_ascii=False).encode() + b"}"
        return [json.loads(message)["data"] for message in self.messages if message.endswith(end)]

    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(message) for message in self.messages if message.startswith(b'{"requestGuid":"')]

    def order(self) -> list[str]:
        """Return what came, in order: ``answer g`` or ``data g``."""
        shown = []
        for message in self.messages:
            fields = json.loads(message)
            is_answer = "requestGuid" in fields
            shown.append(f"answer {fields['requestGuid']}" if is_answer else f"data {fields['guid']}")
        return shown

    def _first_answer(self, guid: str) -> bytes | None:
        start = b'{"requestGuid":' + json.dumps(guid, ensure_ascii=False).encode() + b","
        return next((message for message in self.messages if message.startswith(start)), None)


class World:
    """Gateway, venue, network, clients. ``async with World() as world``."""

    def __init__(
        self,
        *,
        mode: OutboxMode = OutboxMode.CONFLATE,
        conditions: LinkConditions | None = None,
        seed: int = 0,
        limits: Limits | None = None,
        users: Callable[[TokenAuthority], UserWatch] | None = None,
        safety: bool = False,
    ) -> None:
        self.clock = VirtualClock()
        self.venue = ScriptedVenue(catalogue(3), portfolios=("D1", "G1", "D2", "E3"), clock=self.clock)
        self.tokens = TokenAuthority(KEY, USERS, self.clock)
        self.gateway = Gateway(
            self.venue,
            self.venue,
            self.tokens,
            self.clock,
            commands=self.venue,
            mode=mode,
            limits=limits,
            admin_token=ADMIN_TOKEN,
            users=users(self.tokens) if users is not None else None,
            safety=safety,
        )
        self.network = Network(seed=seed, conditions=conditions)
        self.network.listen("gateway:80", self.gateway.accept)
        self.http = SimulatedHttp()
        self.http.listen("gateway:80", self.gateway.http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.gateway.close()
        if error[0] is None:
            # Ends that were aborted are told in the next turn.
            await asyncio.sleep(0.01)
            self.check_nothing_is_left()

    def token(self, refresh: str = REFRESH, **arguments: Any) -> str:
        token = self.tokens.refresh(refresh, **arguments)
        assert token is not None
        return token

    async def ask_admin(self, path: str, method: str = "GET", token: str | None = None) -> tuple[int, bytes]:
        """Ask the operator's interface; return status and body."""
        shown = ADMIN_TOKEN.reveal() if token is None else token
        answer = await self.http.request(
            method, f"http://gateway{path}", headers={"Authorization": f"Bearer {shown}"}, timeout_s=10
        )
        return answer.status, answer.body

    async def connect(self, path: str = "/ws", token: str | None = None, host: str = "127.0.0.1") -> Peer:
        peer = Peer(self.token() if token is None else token)
        await self.network.connector(host).connect(f"ws://gateway{path}", peer, timeout_s=10)
        return peer

    def check_nothing_is_left(self) -> None:
        """Every list of the gateway is empty once everybody has gone."""
        assert self.gateway.connections == set()
        assert self.gateway.hub.topics == 0
        assert self.venue.open_topics == ()
        assert self.gateway._tasks == set()
        assert self.gateway._safeguards is None or self.gateway._safeguards.guarded == 0
        assert not self.gateway._reception.quota._by_login
        assert not self.gateway._addresses._by_address
        assert self.gateway.presence._timer is None
        assert not self.gateway._pulse._dirty
        assert not self.gateway._pulse._urgent


def run(scenario: Callable[[World], Coroutine[Any, Any, None]], **settings: Any) -> None:
    """Run a scenario in a world of its own."""

    async def main() -> None:
        async with World(**settings) as world:
            await scenario(world)

    run_virtual(main)
