"""Composition root of the server: a whole trading system in this process."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from tapewire.adapters.clock import SystemClock
from tapewire.adapters.collector import relax_collector
from tapewire.adapters.data_folder import VERSION, DataFolder, DataFolderError, Identity
from tapewire.adapters.http_server import ANSWER_GRACE_S, HttpServer, ListenError, open_listener
from tapewire.adapters.journal_file import SqliteJournalFile
from tapewire.adapters.log_format import LogFormat, masked, write_logs
from tapewire.adapters.running_systems import RunningSystem, announced
from tapewire.adapters.snapshot_files import SnapshotFiles
from tapewire.adapters.sqlite_archive import SqliteArchive
from tapewire.exchange import AccountTerms
from tapewire.faults import FaultInjector, FaultPlan, Faults
from tapewire.gateway.gateway import Gateway
from tapewire.gateway.http import Throttle
from tapewire.gateway.limits import Limits
from tapewire.gateway.outbox import OutboxMode
from tapewire.gateway.tokens import TokenAuthority, User, hash_refresh_token, new_signing_key
from tapewire.journal import BYTES_MAX, Journal, Retention, SnapshotRefusedError
from tapewire.market.catalogue import catalogue
from tapewire.market.market import Market
from tapewire.market.trading_hours import AROUND_THE_CLOCK, SessionName, TradingHours
from tapewire.ports.archive import ArchiveError
from tapewire.ports.journal import JournalError
from tapewire.protocol.limits import HTTP_REQUESTS_PER_SECOND_MAX
from tapewire.protocol.tokens import Secret
from tapewire.venues.demo_accounts import DEMO_ACCOUNTS
from tapewire.venues.embedded import EmbeddedVenue

__all__ = [
    "DEFAULT_PORT",
    "DRAIN_S",
    "Limits",
    "LogFormat",
    "Settings",
    "SettingsError",
    "StartError",
    "System",
    "write_logs",
]

DEFAULT_PORT = 8700
_ADMIN_TOKEN_VARIABLE = "TAPEWIRE_ADMIN_TOKEN"  # noqa: S105  (a name, not a secret)
#: A shorter one could be guessed.
ADMIN_TOKEN_CHARACTERS_MIN = 16
#: A healthy reader takes what waits in milliseconds; whoever has not by then has stopped reading.
DRAIN_S = 5.0


class StartError(Exception):
    """The system cannot start as it was asked to; the text is one line that says why."""


class SettingsError(StartError):
    """A value of the settings is not possible; the text is one line that says why."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a trading system is to be."""

    host: str = "127.0.0.1"
    #: 0 takes a free one.
    port: int = DEFAULT_PORT
    #: Where it keeps what outlives it; None: nothing outlives it.
    data: Path | None = None
    #: How much the journal and its snapshots in ``data`` may take.
    journal_bytes_max: int = BYTES_MAX
    #: Decides all that the market does.
    seed: int = 1
    #: How many instruments are traded; None: all of the catalogue.
    symbols: int | None = None
    #: Orders and cancellations of the market's participants, all instruments together; None: as in the real
    #: market, times ``speed``.
    events_per_second: int | None = None
    speed: float = 1.0
    #: Portfolios of the demo user, opened anew at each start.
    accounts: tuple[AccountTerms, ...] = DEMO_ACCOUNTS
    #: Trade in the sessions of the exchange only, instead of around the clock.
    exchange_hours: bool = False
    #: Count every message toward the cut at 5,000 instead of conflating states.
    is_strict: bool = False
    #: HTTP requests of one user, or of one address without a token; None: any number.
    http_requests_per_second: int | None = HTTP_REQUESTS_PER_SECOND_MAX
    #: What sessions may have and do.
    limits: Limits = Limits()
    #: Opens ``/admin`` and ``/metrics``; else ``TAPEWIRE_ADMIN_TOKEN``, else a new one for each start.
    admin_token: Secret | None = None
    #: How long sessions and HTTP may go on taking what is theirs when the system ends; 0: not at all.
    drain_s: float = DRAIN_S
    #: Nothing else of weight runs in this process, so its garbage collector may be set for the system.
    owns_process: bool = False
    #: What goes wrong on command; None: nothing is wrapped.
    faults: Faults | None = None


class System:
    """A trading system on one port: market, exchange, gateway. Use it as ``async with System(...)``.

    Entering raises ``StartError``; leaving ends every connection and task.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.portfolios = tuple(account.name for account in settings.accounts)
        #: Counts the faults that have struck; None without faults.
        self.fault_plan: FaultPlan | None = None
        self._cleanup = AsyncExitStack()
        self._url = ""
        self._refresh_token = ""
        self._admin_token = Secret("")
        self._trading: asyncio.Task[None] | None = None
        self._server: HttpServer | None = None
        self._venue: EmbeddedVenue | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that are traded, most active first."""
        assert self._venue is not None
        return tuple(instrument.symbol for instrument in self._venue.instruments())

    @property
    def url(self) -> str:
        """Base of all addresses: ``http://host:port``."""
        return self._url

    @property
    def refresh_token(self) -> str:
        """The refresh token of the demo user."""
        return self._refresh_token

    @property
    def admin_token(self) -> Secret:
        """What opens ``/admin`` and ``/metrics``."""
        return self._admin_token

    def ready_line(self) -> dict[str, Any]:
        """Return what a program needs to use the system."""
        websocket = "ws" + self._url.removeprefix("http")
        return {
            "event": "ready",
            "ws": f"{websocket}/ws",
            "cws": f"{websocket}/cws",
            "http": self._url,
            "oauth": self._url,
            "refresh_token": self._refresh_token,
            "portfolios": list(self.portfolios),
        }

    async def wait(self) -> None:
        """Wait for ever; raises what broke the market or the server if something does."""
        assert self._trading is not None
        assert self._server is not None
        assert self._venue is not None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_watch(self._trading))
            tasks.create_task(self._venue.wait())
            tasks.create_task(self._server.wait())

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except (ListenError, DataFolderError) as error:
            await self._cleanup.aclose()
            raise StartError(str(error)) from error
        except (JournalError, SnapshotRefusedError) as error:
            await self._cleanup.aclose()
            raise StartError(f"cannot start on {self.settings.data}: {error}") from error
        except BaseException:
            await self._cleanup.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._cleanup.aclose()

    async def _start(self) -> None:
        settings = self.settings
        clock = SystemClock()
        market = self._market()
        identity = self._identity()
        self._refresh_token = identity.refresh_token
        self._admin_token = self._chosen_admin_token()
        self._cleanup.enter_context(masked(self._refresh_token, self._admin_token.reveal()))
        listener = open_listener(settings.host, settings.port)
        self._cleanup.callback(listener.close)
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        self._url = f"http://{shown}:{port}"

        hours = TradingHours(SessionName) if settings.exchange_hours else AROUND_THE_CLOCK
        venue = self._venue = EmbeddedVenue(
            market,
            clock=clock,
            accounts=settings.accounts,
            archive=self._archive(),
            journal=self._journal(),
            hours=hours,
        )
        self._cleanup.push_async_callback(venue.stop)
        await venue.start()
        users = [_demo_user(identity.refresh_token, self.portfolios)]
        tokens = TokenAuthority(identity.signing_key.encode(), users, clock)
        throttle = Throttle(settings.http_requests_per_second)
        gateway = Gateway(
            venue,
            venue,
            tokens,
            clock,
            commands=venue,
            mode=OutboxMode.STRICT if settings.is_strict else OutboxMode.CONFLATE,
            throttle=throttle,
            limits=settings.limits,
            admin_token=self._admin_token,
        )
        gateway.counters.journal = venue.journal_figures
        server = self._server = self._front(gateway, clock, listener)
        await server.start()
        self._cleanup.push_async_callback(self._stop_serving, gateway, server)
        self._trading = asyncio.create_task(venue.run(), name="embedded venue")
        self._cleanup.push_async_callback(self._stop_trading)
        here = RunningSystem(os.getpid(), self._url, self._refresh_token, self._admin_token.reveal())
        self._cleanup.enter_context(announced(here))
        if settings.owns_process:
            relax_collector()

    def _front(self, gateway: Gateway, clock: SystemClock, listener: socket.socket) -> HttpServer:
        """Return what serves the gateway, with the faults between the two if there are any."""
        faults = self.settings.faults
        turned_away = gateway.counters.handshakes_refused
        if faults is None:
            return HttpServer(gateway.http, gateway.accept, listener, turned_away)
        injector = FaultInjector(faults, clock)
        self.fault_plan = injector.plan
        gateway.counters.faults_struck = injector.plan.struck
        http, accept = injector.application(gateway.http), injector.acceptor(gateway.accept)
        return HttpServer(http, accept, listener, turned_away)

    def _market(self) -> Market:
        settings = self.settings
        try:
            return Market(
                catalogue(settings.symbols),
                seed=settings.seed,
                events_per_second=settings.events_per_second,
                speed=settings.speed,
            )
        except ValueError as error:
            raise SettingsError(str(error)) from error

    def _identity(self) -> Identity:
        new = Identity(VERSION, new_signing_key().decode(), secrets.token_urlsafe(32))
        if self.settings.data is None:
            return new
        folder = DataFolder(self.settings.data)
        folder.open()
        self._cleanup.callback(folder.close)
        return folder.identity(new)

    def _archive(self) -> SqliteArchive | None:
        """Return what keeps the market's past; None without a data folder, which ``_identity`` has opened."""
        if self.settings.data is None:
            return None
        try:
            archive = SqliteArchive(self.settings.data / "market.db")
        except ArchiveError as error:
            raise DataFolderError(str(error)) from error
        self._cleanup.callback(archive.close)
        return archive

    def _journal(self) -> Journal | None:
        """Return where commands are kept, not read yet; None without a data folder, which is open by now."""
        if self.settings.data is None:
            return None
        folder = DataFolder(self.settings.data)
        try:
            retention = Retention(self.settings.journal_bytes_max)
        except ValueError as error:
            raise SettingsError(str(error)) from error
        return Journal(
            lambda: SqliteJournalFile(folder.journal), SnapshotFiles(folder.snapshots), retention=retention
        )

    def _chosen_admin_token(self) -> Secret:
        token = self.settings.admin_token or Secret(os.environ.get(_ADMIN_TOKEN_VARIABLE, ""))
        if not token:
            return Secret(secrets.token_urlsafe(32))
        if len(token.reveal()) < ADMIN_TOKEN_CHARACTERS_MIN:
            raise SettingsError(f"an admin token has at least {ADMIN_TOKEN_CHARACTERS_MIN} characters")
        return token

    async def _stop_serving(self, gateway: Gateway, server: HttpServer) -> None:
        """Let sessions and HTTP take what is theirs; cancelled (asked to stop once more), end at once."""
        grace_s = 0.0
        try:
            await gateway.close(self.settings.drain_s)
            grace_s = ANSWER_GRACE_S
        finally:
            await server.stop(grace_s)

    async def _stop_trading(self) -> None:
        assert self._trading is not None
        self._trading.cancel()
        # What broke the market has been raised by wait(), or nobody asked.
        await asyncio.gather(self._trading, return_exceptions=True)


async def _watch(task: asyncio.Task[None]) -> None:
    await asyncio.shield(task)


def _demo_user(refresh_token: str, portfolios: tuple[str, ...]) -> User:
    return User(
        login="P070001",
        client_id="123456",
        agreement="70001",
        portfolios=portfolios,
        refresh_token_hashes=(hash_refresh_token(refresh_token),),
    )
