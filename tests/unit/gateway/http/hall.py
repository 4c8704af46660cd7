"""A market to ask over HTTP: instruments of every kind, bars and trades, callers with and without a token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from tapewire.gateway.http import Throttle, http_application
from tapewire.gateway.misuse import Misuse
from tapewire.gateway.order_entry import OrderEntry
from tapewire.gateway.tokens import TokenAuthority
from tapewire.model import Bar, Instrument, InstrumentKind, OptionSide, Topic, TopicKind
from tapewire.simulation import START_NS, ScriptedVenue, SimulatedHttp, VirtualClock, run_virtual
from trading import instrument
from unit.gateway.world import KEY, REFRESH, USERS

START_S = START_NS // 1_000_000_000
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
#: Midnight in Moscow of the day on which virtual runs begin.
MIDNIGHT_S = START_S - 10 * HOUR_S

SBER = instrument(
    "SBER",
    short_name="Сбербанк",
    description="Сбербанк России ПАО ао",
    cfi_code="ESXXXX",
    isin="RU0009029540",
    rating=500,
    is_marginal=True,
    risk_rate_down=Decimal("0.25"),
)
SBER_SMALL = instrument("SBER", short_name="Сбербанк", board="SMAL", lot_size=1)
GAZP = instrument("GAZP", short_name="ГАЗПРОМ ао", cfi_code="ESXXXX", rating=900)
OLD = instrument("OLDS", cancels_on=date(2025, 6, 30))
_FUTURE = {
    "kind": InstrumentKind.FUTURE,
    "board": "RFUD",
    "underlying": "Si",
    "cfi_code": "FFCCSX",
    "margin_buy": Decimal("14200.5"),
    "margin_sell": Decimal(14050),
    "tick_value": Decimal(1),
}
FAR = instrument("SiM6", cancels_on=date(2026, 6, 18), **_FUTURE)
NEAR = instrument("SiH6", cancels_on=date(2026, 3, 19), **_FUTURE)
PAST = instrument("SiZ5", cancels_on=date(2025, 12, 18), **_FUTURE)
OPTION = instrument(
    "Si90CA6",
    kind=InstrumentKind.OPTION,
    board="ROPD",
    underlying="SiH6",
    strike=Decimal(90_000),
    option_side=OptionSide.CALL,
    cancels_on=date(2026, 1, 15),
)
YUAN = instrument("CNYRUB_TOM", kind=InstrumentKind.CURRENCY, board="CETS", type_code="FOR")
YUAN_TODAY = instrument("CNYRUB_TOD", kind=InstrumentKind.CURRENCY, board="CETS", type_code="FOR")
BOND = instrument("SU26238RMFS4", kind=InstrumentKind.BOND, board="TQOB", type_code="EUSOV")
INSTRUMENTS = (SBER, SBER_SMALL, GAZP, OLD, FAR, NEAR, PAST, OPTION, YUAN, YUAN_TODAY, BOND)


class Reply(NamedTuple):
    """An answer with all that ``HttpAnswer`` leaves out."""

    status: int
    headers: dict[str, str]
    parts: list[bytes]

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def value(self) -> Any:
        return json.loads(self.body)


class Hall:
    """The application in front of a scripted venue."""

    def __init__(
        self,
        throttle: Throttle | None = None,
        instruments: tuple[Instrument, ...] = INSTRUMENTS,
        misuse_points: int | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.venue = ScriptedVenue(instruments, portfolios=("D1", "G1", "D2", "E3"), clock=self.clock)
        self.misuse = Misuse(misuse_points, 60.0, asyncio.get_running_loop().time)
        self.tokens = TokenAuthority(KEY, USERS, self.clock)
        self.throttle = throttle or Throttle(None)
        self.app = http_application(
            self.tokens,
            self.clock,
            self.venue,
            self.throttle,
            orders=OrderEntry(self.venue),
            misuse=self.misuse,
        )
        self.http = SimulatedHttp()
        self.http.listen("gateway:80", self.app)

    def token(self, refresh: str = REFRESH) -> str:
        token = self.tokens.refresh(refresh)
        assert token is not None
        return token

    async def ask(
        self, path: str, *, token: str | None = "", method: str = "GET", **query: Any
    ) -> tuple[int, Any]:
        """Return status and JSON of an answer; with a good token unless told otherwise, None: without one."""
        status, answer = await self.send(method, path, token=token, **query)
        return status, json.loads(answer)

    async def send(
        self,
        method: str,
        path: str,
        body: object = b"",
        *,
        token: str | None = "",
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> tuple[int, bytes]:
        """Return status and bytes of an answer; a body that is no bytes is sent as JSON."""
        url = "http://gateway" + quote(path, safe="/:,%") + (f"?{urlencode(query)}" if query else "")
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = self._headers(token) | (headers or {})
        answer = await self.http.request(method, url, headers=sent, body=raw, timeout_s=60)
        return answer.status, answer.body

    async def get(self, path: str, *, token: str | None = "", **query: Any) -> Any:
        """Return the JSON of an answer that is good."""
        status, value = await self.ask(path, token=token, **query)
        assert status == 200, value
        return value

    async def raw(
        self,
        path: str,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        *,
        token: str | None = "",
        address: str = "10.0.0.1",
    ) -> Reply:
        """Call the application itself, to see headers and the parts of a body."""
        parts = urlsplit(path)
        sent = self._headers(token) | (headers or {})
        scope = {
            "type": "http",
            "method": method,
            "path": parts.path,
            "query_string": parts.query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
            "client": (address, 50_000),
        }
        reply = Reply(0, {}, [])

        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Any) -> None:
            nonlocal reply
            if message["type"] == "http.response.start":
                headers = {name.decode(): value.decode() for name, value in message["headers"]}
                reply = reply._replace(status=message["status"], headers=headers)
            elif message.get("body"):
                reply.parts.append(message["body"])

        await self.app(scope, receive, send)
        return reply

    def _headers(self, token: str | None) -> dict[str, str]:
        shown = self.token() if token == "" else token
        return {} if shown is None else {"Authorization": f"Bearer {shown}"}

    def minutes(self, listed: Instrument) -> Topic:
        return self.bars_of(listed, MINUTE_S)

    def bars_of(self, listed: Instrument, interval_s: int) -> Topic:
        return self.venue.topic(TopicKind.BAR, listed, interval_s)


def bar(time_s: int, price: float = 10.0, volume: int = 1, *, high: float = 0.0, low: float = 0.0) -> Bar:
    return Bar(time_s=time_s, open=price, close=price, high=high or price, low=low or price, volume=volume)


def run(
    scenario: Callable[[Hall], Coroutine[Any, Any, None]], *, limit_s: float = 3_600.0, **settings: Any
) -> None:
    """Run a scenario in a hall of its own, on virtual time."""

    async def main() -> None:
        await scenario(Hall(**settings))

    run_virtual(main, limit_s=limit_s)
