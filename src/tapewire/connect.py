"""Composition root of the SDK: the only place that reads its configuration and chooses its adapters."""

from __future__ import annotations

import os
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tapewire.adapters.clock import SystemClock
from tapewire.adapters.http_client import AiohttpClient
from tapewire.adapters.picows_client import PicowsConnector
from tapewire.adapters.running_systems import RunningSystem, running_systems
from tapewire.adapters.slot_files import FileSlots
from tapewire.client.admin import Admin
from tapewire.client.backfill import Backfill
from tapewire.client.broker import Broker
from tapewire.client.endpoints import PRODUCTION, TEST, Endpoints
from tapewire.client.errors import ClosedError, ConfigurationError
from tapewire.client.events import Events
from tapewire.client.fleet import Fleet
from tapewire.client.http_reader import HttpReader
from tapewire.client.order_entry import OrderEntry
from tapewire.client.quota import Quota
from tapewire.client.securities import search_securities
from tapewire.client.tokens import TokenKeeper
from tapewire.client.trading_hours import AROUND_THE_CLOCK, MOSCOW
from tapewire.model import Security
from tapewire.ports.clock import Clock
from tapewire.ports.network import Connector, HttpClient
from tapewire.ports.slots import Slots
from tapewire.protocol.tokens import Secret

__all__ = ["Connecting", "admin", "connect", "fetch_securities", "fetch_token", "find_admin", "find_broker"]

URL_VARIABLE = "TAPEWIRE_URL"
TOKEN_VARIABLE = "TAPEWIRE_REFRESH_TOKEN"  # noqa: S105  (a name, not a secret)
ADMIN_TOKEN_VARIABLE = "TAPEWIRE_ADMIN_TOKEN"  # noqa: S105
_NO_BROKER_YET = "tapewire.connect() gives a broker to a block only: `async with tapewire.connect() as broker:`"


def connect(
    url: str | None = None,
    *,
    refresh_token: str | None = None,
    endpoints: Endpoints | None = None,
    tls: ssl.SSLContext | None = None,
    relieves: bool = True,
) -> Connecting:
    """Connect to a broker for the length of a block, ``async with connect() as broker``.

    Afterwards no task and no socket is left. Where to and as whom comes from the arguments, else from
    ``TAPEWIRE_URL`` and ``TAPEWIRE_REFRESH_TOKEN``, else from the trading system that runs on this machine.

    Args:
        url: Base of a system that serves everything on one port, ``http://host:port``.
        refresh_token: What access tokens are issued for. It is never written to a log.
        endpoints: The four addresses of a contour, in place of ``url``: ``tapewire.PRODUCTION``, ``TEST``.
        tls: What to trust, in place of the system's certificate authorities.
        relieves: Whether books and quotes may come at longer intervals, or on connections of their own, when so
            much waits for this program that the broker would cut it. Each time is a ``PressureEvent``.

    Entering raises:
        ConfigurationError: It is not clear where to connect to, or as whom.
        TokenRefusedError: The refresh token is not good.
        TokenServiceError: The token service gave no usable answer.
        ConnectError: The data socket cannot be opened.
        ClosedError: The block was entered before and has not been left.
    """

    def make() -> Broker:
        where, token = find_broker(url, refresh_token=refresh_token, endpoints=endpoints)
        rng = random.Random()
        http = AiohttpClient(tls=tls)
        tokens = TokenKeeper(http, where.oauth, token, rng)
        return assembled(
            where, PicowsConnector(tls), tokens, http, rng, SystemClock(), FileSlots(where.ws), relieves=relieves
        )

    return Connecting(make)


def assembled(
    where: Endpoints,
    connector: Connector,
    tokens: TokenKeeper,
    http: HttpClient,
    rng: random.Random,
    clock: Clock,
    slots: Slots | None = None,
    *,
    relieves: bool = True,
) -> Broker:
    """Return a broker of these parts, not started yet: live, or simulated. ``slots``: None: nobody counts."""
    events = Events()
    backfill = Backfill(HttpReader(where.http, tokens, http), clock)
    quota = Quota(tokens, slots)
    # A system of one's own trades when it likes.
    hours = MOSCOW if where in (PRODUCTION, TEST) else AROUND_THE_CLOCK
    fleet = Fleet(where.ws, connector, tokens, rng, events, backfill, hours, quota, relieves=relieves)
    return Broker(where, fleet, OrderEntry(where.cws, connector, tokens, rng, quota), events, tokens, http)


class Connecting:
    """A broker that is connected while a block runs: ``async with connect() as broker``."""

    def __init__(self, make: Callable[[], Broker]) -> None:
        self._make = make
        self._broker: Broker | None = None

    async def __aenter__(self) -> Broker:
        if self._broker is not None:
            raise ClosedError("this connection is in use: call tapewire.connect() once for each block")
        broker = self._broker = self._make()
        try:
            await broker.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return broker

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        broker, self._broker = self._broker, None
        if broker is not None:
            await broker.close()

    if not TYPE_CHECKING:  # a checker finds both mistakes by itself

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(_NO_BROKER_YET, name=name, obj=self)

        def __await__(self) -> Any:
            raise TypeError(_NO_BROKER_YET)


def find_broker(
    url: str | None = None, *, refresh_token: str | None = None, endpoints: Endpoints | None = None
) -> tuple[Endpoints, str]:
    """Return the addresses of the broker that :func:`connect` would use, and the refresh token.

    Raises:
        ConfigurationError: It is not clear where to connect to, or as whom.
    """
    if url is not None and endpoints is not None:
        raise ConfigurationError("pass url or endpoints, not both")
    url = url or os.environ.get(URL_VARIABLE) or None
    refresh_token = refresh_token or os.environ.get(TOKEN_VARIABLE) or None
    if endpoints is None and url is not None:
        try:
            endpoints = Endpoints.from_base(url)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
    if endpoints is not None and refresh_token is not None:
        return endpoints, refresh_token
    return _local(endpoints, refresh_token)


def _local(endpoints: Endpoints | None, refresh_token: str | None) -> tuple[Endpoints, str]:
    """Complete what was given with what the systems on this machine say."""
    how = f"refresh token for {{}}: pass refresh_token or set {TOKEN_VARIABLE}"
    system = _running_system(endpoints, how)
    refresh_token = refresh_token or system.refresh_token
    if not refresh_token:
        # Its demo user is not let in.
        raise ConfigurationError(f"no {how.format(system.url)}")
    return Endpoints.from_base(system.url), refresh_token


def _running_system(endpoints: Endpoints | None, what_is_missing: str) -> RunningSystem:
    """Return the system of this machine that is meant; ``what_is_missing`` has a place for its address."""
    systems = running_systems()
    if endpoints is not None:
        wanted = _loopback(endpoints)
        systems_there = [each for each in systems if _loopback(Endpoints.from_base(each.url)) == wanted]
        if not systems_there:
            known = ", ".join(each.url for each in systems)
            hint = f" ({known} runs on this machine)" if known else ""
            raise ConfigurationError(f"no {what_is_missing.format(endpoints.http)}{hint}")
        systems = systems_there
    if not systems:
        raise ConfigurationError(
            f"no broker: pass url, set {URL_VARIABLE}, or start a local system with `tapewire up`"
        )
    if len(systems) > 1:
        names = ", ".join(each.url for each in systems)
        raise ConfigurationError(f"several systems run on this machine ({names}): set {URL_VARIABLE}")
    return systems[0]


def _loopback(endpoints: Endpoints) -> str:
    """Return an address by which systems on this machine compare: its names for itself are one."""
    for name in ("//localhost:", "//0.0.0.0:", "//[::1]:", "//[::]:"):
        if name in endpoints.http:
            return endpoints.http.replace(name, "//127.0.0.1:")
    return endpoints.http


async def fetch_token(
    url: str | None = None, *, refresh_token: str | None = None, endpoints: Endpoints | None = None
) -> str:
    """Return a fresh access token of the broker that :func:`connect` would use.

    Raises:
        ConfigurationError: It is not clear where the broker is, or as whom to ask.
        TokenRefusedError: The refresh token is not good.
        TokenServiceError: The token service gave no usable answer.
    """
    where, token = find_broker(url, refresh_token=refresh_token, endpoints=endpoints)
    http = AiohttpClient()
    tokens = TokenKeeper(http, where.oauth, token, random.Random())
    try:
        return await tokens.renew()
    finally:
        await tokens.close()
        await http.close()


async def fetch_securities(
    query: str = "",
    *,
    limit: int,
    url: str | None = None,
    refresh_token: str | None = None,
    endpoints: Endpoints | None = None,
) -> list[Security]:
    """Return instruments of the broker that :func:`connect` would use, the most traded first.

    Args:
        query: Part of a symbol or of a name; empty: any.
        limit: How many at most; 0 or more.
        url: As of :func:`connect`, and so are the others.

    Raises:
        ConfigurationError: It is not clear where the broker is, or as whom to ask.
        TokenRefusedError: The refresh token is not good.
        TokenServiceError: The token service gave no usable answer.
        ConnectError: The broker cannot be reached, or this is no list of instruments.
        RefusedError: It does not answer this.
    """
    where, token = find_broker(url, refresh_token=refresh_token, endpoints=endpoints)
    http = AiohttpClient()
    tokens = TokenKeeper(http, where.oauth, token, random.Random())
    try:
        return await search_securities(where.http, await tokens.renew(), http, query, limit=limit)
    finally:
        await tokens.close()
        await http.close()


def find_admin(url: str | None = None, *, admin_token: str | None = None) -> tuple[str, Secret]:
    """Return the address of the system that :func:`admin` would ask, and its admin token.

    Raises:
        ConfigurationError: It is not clear where the system is, or as whom to ask.
    """
    url = url or os.environ.get(URL_VARIABLE) or None
    token = admin_token or os.environ.get(ADMIN_TOKEN_VARIABLE) or None
    try:
        endpoints = Endpoints.from_base(url) if url is not None else None
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    if endpoints is not None and token is not None:
        return endpoints.http, Secret(token)
    system = _running_system(endpoints, f"admin token for {{}}: pass --admin-token or set {ADMIN_TOKEN_VARIABLE}")
    return endpoints.http if endpoints is not None else system.url, Secret(token or system.admin_token)


@asynccontextmanager
async def admin(url: str | None = None, *, admin_token: str | None = None) -> AsyncIterator[Admin]:
    """Ask a trading system as its operator for the length of a block.

    Where, and with which token, comes from the arguments, else from ``TAPEWIRE_URL`` and
    ``TAPEWIRE_ADMIN_TOKEN``, else from the trading system that runs on this machine.

    Raises:
        ConfigurationError: It is not clear where the system is, or as whom to ask.
    """
    where, token = find_admin(url, admin_token=admin_token)
    http = AiohttpClient()
    try:
        yield Admin(where, token, http)
    finally:
        await http.close()
