"""Composition root of the SDK: puts a broker together from adapters and from what ``configuration`` has found."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tapewire.adapters.clock import SystemClock
from tapewire.adapters.http_client import AiohttpClient
from tapewire.adapters.picows_client import PicowsConnector
from tapewire.adapters.slot_files import FileSlots
from tapewire.client.admin import Admin
from tapewire.client.backfill import Backfill
from tapewire.client.bare_log import SaysWhoSpeaks
from tapewire.client.broker import Broker
from tapewire.client.endpoints import PRODUCTION, TEST, Endpoints
from tapewire.client.errors import ClosedError, ConfigurationError
from tapewire.client.events import Events
from tapewire.client.fleet import Fleet
from tapewire.client.http_gate import HttpGate
from tapewire.client.http_reader import HttpReader
from tapewire.client.instruments import SECURITIES_PATH
from tapewire.client.order_entry import OrderEntry
from tapewire.client.quota import Quota
from tapewire.client.reach import Reach
from tapewire.client.tokens import TokenKeeper
from tapewire.client.trading_hours import AROUND_THE_CLOCK, MOSCOW
from tapewire.configuration import Configuration, find_admin, find_configuration, find_network
from tapewire.local_system import RemarkingConnector
from tapewire.model import Security
from tapewire.ports.clock import Clock
from tapewire.ports.network import Connector, HttpClient
from tapewire.ports.slots import Slots

__all__ = ["Connecting", "admin", "connect", "fetch_securities", "fetch_token"]

#: One for all: a logger takes the same filter once.
_SAYS_WHO_SPEAKS = SaysWhoSpeaks()
_NO_BROKER_YET = "tapewire.connect() gives a broker to a block only: `async with tapewire.connect() as broker:`"


def connect(
    url: str | None = None,
    *,
    refresh_token: str | None = None,
    endpoints: Endpoints | None = None,
    profile: str | None = None,
    proxy: str | None = None,
    tls: ssl.SSLContext | None = None,
    ca_file: str | None = None,
    relieves: bool = True,
) -> Connecting:
    """Connect to a broker for the length of a block, ``async with connect() as broker``.

    Afterwards no task and no socket is left. Where to, as whom and how comes from the arguments, else from the
    environment, from a profile, or from the trading system that runs on this machine; which first, and from which
    variables, is in ``tapewire.configuration``.

    Args:
        url: Base of a system that serves everything on one port, ``http://host:port``.
        refresh_token: What access tokens are issued for. It is never written to a log.
        endpoints: The four addresses of a contour, in place of ``url``: ``tapewire.PRODUCTION``, ``TEST``.
        profile: Name of a profile, in place of an address: ``production``, ``test``, ``local``, or one of the
            file that ``tapewire profile`` looks after.
        proxy: ``http://[user:password@]host:port`` or ``socks5://…``, for all connections; ``direct``: none,
            whatever the environment says.
        tls: What to trust, in place of the system's certificate authorities. It must check certificates.
        ca_file: PEM file of certificate authorities to trust beside the system's, in place of ``tls``.
        relieves: Whether books and quotes may come at longer intervals, or on connections of their own, when so
            much waits for this program that the broker would cut it. Each time is a ``PressureEvent``.

    Entering raises:
        ConfigurationError: It is not clear where to connect to, as whom or how.
        TokenRefusedError: The refresh token is not good.
        TokenServiceError: The token service gave no usable answer.
        ConnectError: The data socket cannot be opened.
        LimitError: The login has as many connections on this machine as it may have.
        ClosedError: The block was entered before and has not been left.
    """

    def make() -> Broker:
        if getattr(asyncio.get_running_loop(), "is_virtual", False):
            raise ConfigurationError(
                "there is no network on a virtual loop: take the fixture `broker`, or `system.connect()`"
            )
        found = find_configuration(
            url,
            refresh_token=refresh_token,
            endpoints=endpoints,
            profile=profile,
            proxy=proxy,
            tls=tls,
            ca_file=ca_file,
        )
        logging.getLogger("tapewire.client").addFilter(_SAYS_WHO_SPEAKS)
        rng = random.Random()
        http, tokens = _asking(found)
        where = found.endpoints
        connector: Connector = PicowsConnector(found.tls, found.proxies)
        if found.local is not None:
            connector = RemarkingConnector(connector, found.local)
        return assembled(
            where, connector, tokens, http, rng, SystemClock(), FileSlots(where.ws), relieves=relieves
        )

    return Connecting(make)


def _asking(found: Configuration) -> tuple[AiohttpClient, TokenKeeper]:
    """Return what asks for tokens, and over what it asks."""
    http = AiohttpClient(tls=found.tls, proxies=found.proxies)
    refresh_token = found.refresh_token.reveal()
    return http, TokenKeeper(http, found.endpoints.oauth, refresh_token, random.Random(), found.local)


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
    # Tokens are another service's: they wait for nobody.
    gate = HttpGate(http, rng)
    backfill = Backfill(HttpReader(where.http, tokens, gate), clock)
    quota, reach = Quota(tokens, slots), Reach(rng)
    # A system of one's own trades when it likes.
    hours = MOSCOW if where in (PRODUCTION, TEST) else AROUND_THE_CLOCK
    fleet = Fleet(where.ws, connector, tokens, rng, events, backfill, hours, quota, reach, relieves=relieves)
    entry = OrderEntry(where.cws, connector, tokens, rng, events, quota, reach)
    return Broker(where, fleet, entry, events, tokens, gate)


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


async def fetch_token(
    url: str | None = None,
    *,
    refresh_token: str | None = None,
    endpoints: Endpoints | None = None,
    profile: str | None = None,
    proxy: str | None = None,
    ca_file: str | None = None,
) -> str:
    """Return a fresh access token of the broker that :func:`connect` would use for the same arguments.

    Raises:
        ConfigurationError: It is not clear where the broker is, or as whom to ask.
        TokenRefusedError: The refresh token is not good.
        TokenServiceError: The token service gave no usable answer.
    """
    found = find_configuration(
        url, refresh_token=refresh_token, endpoints=endpoints, profile=profile, proxy=proxy, ca_file=ca_file
    )
    http, tokens = _asking(found)
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
    profile: str | None = None,
    proxy: str | None = None,
    ca_file: str | None = None,
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
    found = find_configuration(
        url, refresh_token=refresh_token, endpoints=endpoints, profile=profile, proxy=proxy, ca_file=ca_file
    )
    http, tokens = _asking(found)
    try:
        await tokens.renew()
        asked = {"limit": str(limit)} | ({"query": query} if query else {})
        return await HttpReader(found.endpoints.http, tokens, http).rows(Security, SECURITIES_PATH, **asked)
    finally:
        await tokens.close()
        await http.close()


@asynccontextmanager
async def admin(
    url: str | None = None,
    *,
    admin_token: str | None = None,
    proxy: str | None = None,
    ca_file: str | None = None,
) -> AsyncIterator[Admin]:
    """Ask a trading system as its operator for the length of a block.

    Where, and with which token, comes from the arguments, else from ``TAPEWIRE_URL`` and
    ``TAPEWIRE_ADMIN_TOKEN``, else from the trading system that runs on this machine. ``proxy`` and ``ca_file`` as
    of :func:`connect`.

    Raises:
        ConfigurationError: It is not clear where the system is, as whom to ask, or how to get there.
    """
    where, token = find_admin(url, admin_token=admin_token)
    proxies, tls = find_network(proxy=proxy, ca_file=ca_file)
    http = AiohttpClient(proxies=proxies, tls=tls)
    try:
        yield Admin(where, token, http)
    finally:
        await http.close()
