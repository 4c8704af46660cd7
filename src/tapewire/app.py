"""Composition root of the server: a whole trading system in this process."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shlex
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from tapewire.adapters.clock import SystemClock
from tapewire.adapters.collector import relax_collector
from tapewire.adapters.data_folder import DataFolder, DataFolderError
from tapewire.adapters.http_server import ANSWER_GRACE_S, HttpServer, ListenError, open_listener
from tapewire.adapters.journal_file import SqliteJournalFile
from tapewire.adapters.log_format import LogFormat, masked, write_logs
from tapewire.adapters.memory_users import MemoryUsers
from tapewire.adapters.running_systems import RunningSystem, announced
from tapewire.adapters.snapshot_files import SnapshotFiles
from tapewire.adapters.sqlite_archive import SqliteArchive
from tapewire.adapters.sqlite_users import SqliteUsers
from tapewire.adapters.user_migration import take_over
from tapewire.exchange import AccountTerms
from tapewire.faults import FaultInjector, FaultPlan, Faults
from tapewire.gateway.gateway import Gateway
from tapewire.gateway.http import Throttle
from tapewire.gateway.limits import Limits
from tapewire.gateway.outbox import OutboxMode
from tapewire.gateway.tokens import TokenAuthority, key_of, new_signing_key, users_of
from tapewire.gateway.user_watch import UserWatch
from tapewire.journal import BYTES_MAX, Journal, Retention, SnapshotRefusedError
from tapewire.market.catalogue import catalogue
from tapewire.market.market import Market
from tapewire.market.trading_hours import AROUND_THE_CLOCK, SessionName, TradingHours
from tapewire.model.user_book import (
    DEMO_NAME,
    LOCAL_TOKEN,
    PortfolioEntry,
    TokenEntry,
    UserBook,
    UserBookError,
    hash_refresh_token,
)
from tapewire.ports.archive import ArchiveError
from tapewire.ports.journal import JournalError
from tapewire.ports.users import UserStore, UserStoreError
from tapewire.protocol.limits import HTTP_REQUESTS_PER_SECOND_MAX, TOKEN_LIFE_SECONDS
from tapewire.protocol.tokens import REFRESH_TOKEN_PREFIX, Scope, Secret
from tapewire.venues.demo_accounts import DEMO_ACCOUNTS
from tapewire.venues.embedded import EmbeddedVenue

__all__ = [
    "DEFAULT_PORT",
    "DRAIN_S",
    "Limits",
    "LogFormat",
    "RunError",
    "Settings",
    "SettingsError",
    "StartError",
    "System",
    "write_logs",
]

_LOG = logging.getLogger(__name__)

DEFAULT_PORT = 8700
_ADMIN_TOKEN_VARIABLE = "TAPEWIRE_ADMIN_TOKEN"  # noqa: S105  (a name, not a secret)
#: A shorter one could be guessed.
ADMIN_TOKEN_CHARACTERS_MIN = 16
#: A healthy reader takes what waits in milliseconds; whoever has not by then has stopped reading.
DRAIN_S = 5.0


class StartError(Exception):
    """The system cannot start as it was asked to; the text is one line that says why."""


class RunError(Exception):
    """The system cannot go on; the text is one line that says why."""


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
    #: Portfolios of the demo user that a new system begins with.
    accounts: tuple[AccountTerms, ...] = DEMO_ACCOUNTS
    #: Trade in the sessions of the exchange only, instead of around the clock.
    exchange_hours: bool = False
    #: Open and close the main session of shares with auctions; only with ``exchange_hours``.
    auctions: bool = False
    #: Count every message toward the cut at 5,000 instead of conflating states.
    is_strict: bool = False
    #: HTTP requests of one user, or of one address without a token; None: any number.
    http_requests_per_second: int | None = HTTP_REQUESTS_PER_SECOND_MAX
    #: What sessions may have and do.
    limits: Limits = Limits()
    #: Let connections of ``/cws`` ask that their orders do not outlive them.
    safety: bool = False
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
        #: Those of the demo user; none without one.
        self.portfolios: tuple[str, ...] = ()
        #: Counts the faults that have struck; None without faults.
        self.fault_plan: FaultPlan | None = None
        self._cleanup = AsyncExitStack()
        self._url = ""
        self._first_token = Secret("")
        self._local_token = Secret("")
        self._admin_token = Secret("")
        self._trading: asyncio.Task[None] | None = None
        self._unmarked: DataFolder | None = None
        self._watching: asyncio.Task[None] | None = None
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
        """A refresh token of the demo user, for programs of this machine; empty if he is not let in."""
        return (self._first_token or self._local_token).reveal()

    @property
    def admin_token(self) -> Secret:
        """What opens ``/admin`` and ``/metrics``."""
        return self._admin_token

    def ready_line(self) -> dict[str, Any]:
        """Return what a program needs to use the system.

        The refresh token is None where it cannot be shown any more; ``hint`` says then how to get another one.
        """
        websocket = "ws" + self._url.removeprefix("http")
        line: dict[str, Any] = {
            "event": "ready",
            "ws": f"{websocket}/ws",
            "cws": f"{websocket}/cws",
            "http": self._url,
            "oauth": self._url,
            "refresh_token": self._first_token.reveal() or None,
            "portfolios": list(self.portfolios),
        }
        if not self._first_token:
            name = DEMO_NAME if self.portfolios else "NAME"
            how = f"tapewire user token {name} --data {shlex.quote(str(self.settings.data))}"
            line["hint"] = f"a refresh token is shown once; another one: {how}"
        return line

    async def wait(self) -> None:
        """Wait for ever; raises what broke the market or the server if something does.

        Raises:
            RunError: The journal is of no more use.
        """
        assert self._trading is not None
        assert self._server is not None
        assert self._venue is not None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_watch(self._trading))
            tasks.create_task(_journal_kept(self._venue))
            tasks.create_task(self._server.wait())
            if self._watching is not None:
                tasks.create_task(_watch(self._watching))

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except (ListenError, DataFolderError, UserStoreError, UserBookError) as error:
            await self._cleanup.aclose()
            raise StartError(str(error)) from error
        except (JournalError, SnapshotRefusedError) as error:
            await self._cleanup.aclose()
            raise StartError(f"cannot start on {self.settings.data}: {error}") from error
        except ArchiveError as error:
            await self._cleanup.aclose()
            raise StartError(
                f"cannot start on {self.settings.data}: {error}. It starts without market.db, the market's past"
            ) from error
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
        market, hours = self._market(), self._hours()
        users = self._users(clock.wall_ns() // 1_000_000_000)
        book = users.update(lambda book: book)
        self._admin_token = self._chosen_admin_token()
        known = (self._first_token, self._local_token, self._admin_token)
        self._cleanup.enter_context(masked(*(token.reveal() for token in known)))
        listener = open_listener(settings.host, settings.port)
        self._cleanup.callback(listener.close)
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        self._url = f"http://{shown}:{port}"

        venue = self._venue = EmbeddedVenue(
            market,
            clock=clock,
            accounts=self._terms_of(book),
            archive=self._archive(),
            journal=self._journal(),
            hours=hours,
        )
        self._cleanup.push_async_callback(_stop, venue)
        await venue.start()
        owned = {portfolio for user in users_of(book) for portfolio in user.portfolios}
        ownerless = [name for name in venue.portfolios if name not in owned]
        if ownerless:
            _LOG.warning("portfolios that no user has: %s", ", ".join(ownerless))
        tokens = TokenAuthority(book.keys[-1].pem.encode(), users_of(book), clock)
        watch = UserWatch(users, tokens, self._open_portfolios)
        self._cleanup.push_async_callback(watch.close)
        await watch.look()
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
            users=watch,
            safety=settings.safety,
        )
        gateway.counters.journal = venue.journal_figures
        server = self._server = self._front(gateway, clock, listener)
        await server.start()
        self._cleanup.push_async_callback(self._stop_serving, gateway, server)
        self._trading = asyncio.create_task(venue.run(), name="embedded venue")
        self._cleanup.push_async_callback(_end, self._trading)
        if settings.data is not None:
            self._watching = asyncio.create_task(watch.run(), name="watch of users")
            self._cleanup.push_async_callback(_end, self._watching)
        here = RunningSystem(os.getpid(), self._url, self.refresh_token, self._admin_token.reveal())
        self._cleanup.enter_context(announced(here))
        if self._unmarked is not None:
            self._unmarked.mark()
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

    def _hours(self) -> TradingHours:
        settings = self.settings
        if settings.exchange_hours:
            return TradingHours(SessionName, has_auctions=settings.auctions)
        if settings.auctions:
            raise SettingsError(
                "auctions need --exchange-hours: around the clock nothing opens and nothing closes"
            )
        return AROUND_THE_CLOCK

    def _users(self, now_s: int) -> UserStore:
        """Return the users of this system: those of the data folder, which is opened, or the demo user alone."""
        data = self.settings.data
        if data is None:
            store: UserStore = MemoryUsers()
            store.update(lambda book: self._first_book(book, now_s))
            return store
        folder = DataFolder(data)
        folder.open()
        self._cleanup.callback(folder.close)
        is_new = folder.version() is None
        store = SqliteUsers(folder.users)
        self._cleanup.callback(store.close)
        if is_new:
            # Marked when the token can be shown: a start that fails before has to be made once more.
            self._unmarked = folder
            store.update(lambda book: self._first_book(book, now_s))
        else:
            # Its clear text is known for the last time.
            self._first_token = Secret(take_over(folder, store, now_s) or "")
        store.update(lambda book: self._begun(book, now_s))
        return store

    def _first_book(self, book: UserBook, now_s: int) -> UserBook:
        """Return the users of a new system: one, for trying it out."""
        if book.users and book.find(DEMO_NAME) is None:
            return book
        if not book.users:
            portfolios = [PortfolioEntry(account.name, account.cash) for account in self.settings.accounts]
            book = UserBook(keys=(key_of(new_signing_key()),)).added(DEMO_NAME, portfolios)
        self.portfolios = book.user(DEMO_NAME).portfolio_names
        self._first_token = _new_refresh_token()
        # What a start has left that failed, nobody has seen.
        return book.revoked(DEMO_NAME).granted(DEMO_NAME, _token_entry("first", self._first_token, now_s))

    def _begun(self, book: UserBook, now_s: int) -> UserBook:
        """Return the book of a data folder as this start leaves it: with a key, and a token for this machine."""
        book = book.aged(now_s, TOKEN_LIFE_SECONDS)
        if not book.keys:
            book = book.rotated(key_of(new_signing_key()), None, now_s, TOKEN_LIFE_SECONDS)
        demo = book.find(DEMO_NAME)
        if demo is None or not demo.is_let_in:
            return book
        self.portfolios = demo.portfolio_names
        if not self._first_token:
            self._local_token = _new_refresh_token()
            book = book.granted_locally(DEMO_NAME, _token_entry(LOCAL_TOKEN, self._local_token, now_s))
        return book

    def _terms_of(self, book: UserBook) -> tuple[AccountTerms, ...]:
        """Return how the portfolios of all users are opened; the settings may say more of the demo user's."""
        special = {account.name: account for account in self.settings.accounts}
        terms = []
        for user in book.users:
            for portfolio in user.portfolios:
                known = special.get(portfolio.name) if user.name == DEMO_NAME else None
                terms.append(
                    AccountTerms(name=portfolio.name, cash=portfolio.cash)
                    if known is None
                    else msgspec.structs.replace(known, cash=portfolio.cash)
                )
        return tuple(terms)

    async def _open_portfolios(self, book: UserBook) -> None:
        """Tell the running venue about the portfolios of a changed book, all of them; it knows most already.

        The one place where users added beside a running system reach the venue.
        """
        assert self._venue is not None
        await self._venue.open_accounts(self._terms_of(book))

    def _archive(self) -> SqliteArchive | None:
        """Return what keeps the market's past; None without a data folder, which ``_users`` has opened."""
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
            if self.settings.journal_bytes_max != BYTES_MAX:
                raise SettingsError("a bound of the journal needs a data folder: without one there is no journal")
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


async def _stop(venue: EmbeddedVenue) -> None:
    try:
        await venue.stop()
    except ArchiveError as error:
        # With a journal nothing is lost by it: the next start makes these trades again.
        _LOG.error("the archive has not taken the last trades: %s", error)


async def _journal_kept(venue: EmbeddedVenue) -> None:
    try:
        await venue.wait()
    except JournalError as error:
        raise RunError(f"the journal is of no more use: {error}") from error


async def _watch(task: asyncio.Task[None]) -> None:
    await asyncio.shield(task)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    # What broke it has been raised by wait(), or nobody asked.
    await asyncio.gather(task, return_exceptions=True)


def _new_refresh_token() -> Secret:
    return Secret(REFRESH_TOKEN_PREFIX + secrets.token_urlsafe(32))


def _token_entry(name: str, token: Secret, now_s: int) -> TokenEntry:
    return TokenEntry(name=name, sha256=hash_refresh_token(token.reveal()), scopes=Scope.ALL, created_at_s=now_s)
