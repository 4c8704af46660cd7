"""What tests of orders in the whole system share: a quiet venue behind the gateway, and both doors of commands."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

from accounting import BOND, instruments
from tapewire.exchange import AccountTerms
from tapewire.gateway.gateway import Gateway
from tapewire.gateway.limits import Limits
from tapewire.gateway.tokens import TokenAuthority, User, hash_refresh_token
from tapewire.market import Market
from tapewire.model import ClientType, Command, CommandKey, Outcome
from tapewire.ports.venue import CommandSink
from tapewire.simulation import Network, SimulatedHttp, VirtualClock, run_virtual
from tapewire.venues import EmbeddedVenue
from unit.gateway.world import KEY, OTHER_REFRESH, REFRESH, Peer

ORDERS = "/commandapi/warptrans/TRADE/v2/client/orders"

ACCOUNTS = (
    AccountTerms(name="D1", cash=Decimal(100_000)),
    AccountTerms(name="D2", cash=Decimal(100_000)),
    AccountTerms(name="D3", cash=Decimal(100_000), client_type=ClientType.LOW_RISK),
    AccountTerms(name="D4", cash=Decimal(100_000), is_blocked=True),
    AccountTerms(name="D5", cash=Decimal(1_000_000_000)),
    AccountTerms(name="751", cash=Decimal(10_000)),
    AccountTerms(name="752", cash=Decimal(10_000), tests_passed=frozenset()),
)
USERS = (
    User(
        login="P1",
        client_id="1",
        agreement="1",
        portfolios=("D1", "D3", "D4", "D5", "751", "752"),
        refresh_token_hashes=(hash_refresh_token(REFRESH),),
    ),
    User(
        login="P2",
        client_id="2",
        agreement="2",
        portfolios=("D2",),
        refresh_token_hashes=(hash_refresh_token(OTHER_REFRESH),),
    ),
)

SHARE = {"symbol": "SHARE", "exchange": "MOEX", "instrumentGroup": "TQBR"}
MARKET: dict[str, Any] = {"side": "buy", "quantity": 1, "instrument": SHARE, "user": {"portfolio": "D1"}}
LIMIT = MARKET | {"price": 10.00}
STOP = MARKET | {"condition": "less", "triggerPrice": 9.50, "stopEndUnixTime": 0}
#: Good fields of every kind of order. The band of prices is 9.00 to 11.00, the step 0.01, a lot ten shares.
GOOD = {"market": MARKET, "limit": LIMIT, "stop": STOP, "stopLimit": STOP | {"price": 9.40}}


class Answer(NamedTuple):
    """What a door said, in words that both have."""

    status: int
    #: ``NotEnoughCash (401)``, or empty: it was not the venue that refused.
    code: str
    text: str
    #: Empty unless something was done.
    order_number: str = ""


class Slow:
    """A sink that takes its time for each command, as one does that writes to a disk."""

    def __init__(self, sink: CommandSink, takes_s: float) -> None:
        self._sink = sink
        self._takes_s = takes_s
        # First come, first served: the place of a command is that of the call.
        self._turn = asyncio.Lock()

    async def submit(self, command: Command, key: CommandKey | None = None) -> Outcome:
        async with self._turn:
            await asyncio.sleep(self._takes_s)
            return await self._sink.submit(command, key)


class TwoDoors:
    """Gateway and embedded venue in virtual time, without participants: only the test trades.

    ``BOND`` is not traded now. Two users: P1 with all portfolios but D2, and P2 with D2.
    """

    def __init__(self, limits: Limits | None = None, venue_takes_s: float = 0.0) -> None:
        self.clock = VirtualClock()
        self.venue = EmbeddedVenue(
            Market(instruments(), seed=1, events_per_second=1), clock=self.clock, accounts=ACCOUNTS
        )
        self.venue._hall._desk.set_rules(BOND, (900, 1100), is_open=False)
        self.tokens = TokenAuthority(KEY, USERS, self.clock)
        commands = Slow(self.venue, venue_takes_s) if venue_takes_s else self.venue
        self.gateway = Gateway(self.venue, self.venue, self.tokens, self.clock, commands=commands, limits=limits)
        self.network = Network(seed=1)
        self.network.listen("gateway:80", self.gateway.accept)
        self.http = SimulatedHttp()
        self.http.listen("gateway:80", self.gateway.http)
        self._guids = (f"guid-{number}" for number in itertools.count(1))

    async def __aenter__(self) -> Self:
        self.peer = await self.connect(REFRESH)
        self.other = await self.connect(OTHER_REFRESH)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.gateway.close()
        await asyncio.sleep(0.01)

    async def connect(self, refresh: str, path: str = "/cws") -> Peer:
        """Open a connection of a user; one of the order socket is authorised."""
        peer = Peer(self.token(refresh))
        await self.network.connector().connect(f"ws://gateway{path}", peer, timeout_s=10)
        if path == "/cws":
            assert await peer.ask("authorize", "hello") == 200
        return peer

    def token(self, refresh: str = REFRESH) -> str:
        token = self.tokens.refresh(refresh)
        assert token is not None
        return token

    def digest(self) -> tuple[str, str]:
        """Return a hash of all that orders can change."""
        hall = self.venue._hall
        return hall.exchange.state_digest(), hall.accounts.digest()

    async def by_socket(self, opcode: str, fields: dict[str, Any], peer: Peer | None = None) -> Answer:
        """Send a command over ``/cws``."""
        peer = peer or self.peer
        guid = next(self._guids)
        peer.send(opcode, guid, **({"token": None} | fields))
        answer = await peer.answer(guid)
        code, colon, reason = answer["message"].partition(": ")
        if answer["httpCode"] == 400 and colon and code.endswith(")"):
            return Answer(400, code, reason)
        return Answer(answer["httpCode"], "", answer["message"], answer.get("orderNumber", ""))

    async def by_http(self, opcode: str, fields: dict[str, Any]) -> Answer:
        """Send the twin of a command over HTTP."""
        verb, _, kind = opcode.partition(":")
        body = dict(fields)
        number = str(body.pop("orderId", ""))
        if verb == "delete":
            query = {
                "portfolio": fields["user"]["portfolio"],
                "exchange": fields["exchange"],
                "stop": str("stop" in kind).lower(),
                "jsonResponse": "true",
            }
            return await self.ask("DELETE", f"{ORDERS}/{number}?{urlencode(query)}")
        if verb == "create":
            return await self.ask("POST", f"{ORDERS}/actions/{kind}", body)
        return await self.ask("PUT", f"{ORDERS}/actions/{kind}/{number}", body)

    async def ask(self, method: str, path: str, body: object = None, refresh: str = REFRESH) -> Answer:
        """Send a request about orders with the token of a user."""
        reply = await self.http.request(
            method,
            f"http://gateway{path}",
            headers={"Authorization": f"Bearer {self.token(refresh)}"},
            body=b"" if body is None else json.dumps(body).encode(),
            timeout_s=10,
        )
        told = json.loads(reply.body)
        code = told.get("code", "")
        is_venues = code.endswith(")") or reply.status == 200
        return Answer(reply.status, code if is_venues else "", told["message"], told.get("orderNumber", ""))

    async def placed(self, kind: str = "limit", peer: Peer | None = None, **changes: Any) -> str:
        """Place a good order and return its number."""
        answer = await self.by_socket(f"create:{kind}", GOOD[kind] | changes, peer)
        assert answer.status == 200, answer
        return answer.order_number


def run(scenario: Callable[[TwoDoors], Coroutine[Any, Any, None]], **settings: Any) -> None:
    """Run a scenario with a venue of its own."""

    async def main() -> None:
        async with TwoDoors(**settings) as doors:
            await scenario(doors)

    run_virtual(main)
