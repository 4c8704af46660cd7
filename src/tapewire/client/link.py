"""One place for a connection of the data socket, over all its lives.

::

    connecting ──► open ──► lost ──► waiting ──► connecting …
        └── refused or nobody there ──┘   └── blocked: the same with pauses of minutes

=======  =======================================================================================================
what     how it is noticed and what follows
=======  =======================================================================================================
cut      the transport says so: all streams are restoring, the next try comes after a pause with jitter, or as
         soon as another connection of the program has got through
silence  pings are not answered (:class:`Attended`): the connection is dropped
mute     requests for streams are not answered at all, though it sends other things: the connection is dropped
=======  =======================================================================================================

What it asks for, and what the broker says to that, is the business of its :class:`Subscriber`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, Protocol

from tapewire.client import errors
from tapewire.client.asking import Round
from tapewire.client.attended import CLOSE_TIMEOUT_S, Attended
from tapewire.client.backoff import HELD_S, REFUSING_STATUSES, Backoff
from tapewire.client.connection import Connection, ConnectionState
from tapewire.client.errors import ClosedError, ConnectionLostError, TapewireError
from tapewire.client.events import (
    BlockedEvent,
    ConnectedEvent,
    Event,
    Events,
    LostEvent,
    RestoredEvent,
    SilentEvent,
    WaitingEvent,
)
from tapewire.client.pings import Pings
from tapewire.client.planner import Lane
from tapewire.client.pressure import Pressure
from tapewire.client.quota import Quota
from tapewire.client.reach import Reach
from tapewire.client.session import Session
from tapewire.client.subscriber import FeedOwner, Subscriber
from tapewire.client.tokens import TokenKeeper
from tapewire.ports.network import ConnectError, Connector
from tapewire.ports.slots import Slot
from tapewire.protocol.codes import CloseCode

__all__ = ["Link", "LinkOwner", "LinkState"]

log = logging.getLogger("tapewire.client")


class LinkState(Enum):
    """Where a link is in its life."""

    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    CLOSED = "closed"


class LinkOwner(FeedOwner, Protocol):
    """Who decides what a link carries."""

    def link_lost(self, link: Link, error: ConnectionLostError) -> None:
        """Data do not flow; the link tries again. Its active feeds are to be restored."""

    def link_failed(self, link: Link, error: TapewireError) -> None:
        """The link will not try again: nobody could help it."""


class Link:
    """Keeps one connection open.

    Attributes:
        only: The one stream that it is for; None: for any of its lane.
        subscriber: Its feeds, and the requests for them.
        pressure: How far the broker's cut is.
    """

    def __init__(
        self,
        number: int,
        lane: Lane,
        url: str,
        connector: Connector,
        tokens: TokenKeeper,
        rng: random.Random,
        events: Events,
        owner: LinkOwner,
        quota: Quota,
        reach: Reach,
        *,
        only: str | None = None,
    ) -> None:
        self.number = number
        self.lane = lane
        self.only = only
        self.state = LinkState.CONNECTING
        self.pressure = Pressure()
        self.subscriber = Subscriber(
            f"connection {number}",
            tokens,
            rng,
            events,
            owner,
            wake=self._wake,
            restored=self._restored,
            failed=partial(owner.link_failed, self),
        )
        self._url = url
        self._connector = connector
        self._tokens = tokens
        self._random = rng
        self._events = events
        self._owner = owner
        self._quota = quota
        self._reach = reach
        #: The right to this connection, kept over all its lives.
        self._slot: Slot | None = None
        self._backoff = Backoff(rng)
        self._attended: Attended[Session] | None = None
        #: Of the connection of now, or of the last one.
        self._pings: Pings | None = None
        self._running: asyncio.Task[None] | None = None
        self._is_closing = False
        self._was_open = False
        self._received_before = 0

    def __repr__(self) -> str:
        return f"<Link {self.number} {self.lane.value} {self.state.value}, {len(self.subscriber.feeds)} feeds>"

    @property
    def _connection(self) -> Connection[Session] | None:
        return None if self._attended is None else self._attended.connection

    @property
    def received(self) -> int:
        """Messages that have come in over all its connections."""
        return self._received_before + (self._connection.received if self._connection is not None else 0)

    @property
    def session(self) -> Session | None:
        """What the connection of now carries."""
        return None if self._connection is None else self._connection.session

    @property
    def round_trip_s(self) -> float | None:
        """There and back, of the newest ping of this connection that was answered."""
        return None if self._pings is None else self._pings.round_trip_s

    @property
    def good_at_s(self) -> float:
        """When the connection was last known to be good, time of the loop; what was sent after it may be lost."""
        return 0.0 if self._pings is None else self._pings.good_at_s

    # --- life -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the connection, and keep it open from then on.

        Raises:
            ConnectError: It cannot be opened; nothing is tried again.
            LimitError: The login has as many connections on this machine as it may have.
        """
        self._slot = self._quota.take()
        try:
            attended = await self._connect()
        except ConnectError as error:
            self._ended()
            raise errors.ConnectError(self._url, error.reason) from error
        except BaseException:
            self._ended()
            raise
        if self._is_closing:
            attended.connection.abort()
            self._ended()
            raise ClosedError("the broker was closed")
        self._entered(attended)
        self._running = asyncio.create_task(self._run(attended), name=f"connection {self.number}")

    async def close(self) -> None:
        """End the connection and try no more. Cancelled, it does not wait for the broker's goodbye."""
        self._is_closing = True
        connection, running = self._connection, self._running
        try:
            if connection is not None and connection.state is not ConnectionState.CLOSED:
                connection.close(CloseCode.NORMAL)
                if running is not None:
                    await asyncio.wait({running}, timeout=CLOSE_TIMEOUT_S)
        finally:
            if connection is not None:
                connection.abort()
            if running is not None:
                running.cancel()
            requests_ended = self.subscriber.close()
            self._ended()
        await requests_ended
        if running is not None:
            await asyncio.gather(running, return_exceptions=True)

    def ping(self) -> None:
        """Ask for a sign of life beside the regular ones."""
        if self._connection is not None and self._pings is not None:
            self._pings.ask()

    def reconnect(self, reason: str) -> None:
        """Drop the connection and open another."""
        if self._connection is not None:
            self._connection.abort(reason)

    # --- from one connection to the next ----------------------------------------------------------------

    async def _run(self, attended: Attended[Session]) -> None:
        try:
            await self._keep(attended)
        except Exception as error:
            # A fault of our own: streams that nobody keeps must not look as if they were quiet.
            log.exception("connection %d has failed", self.number)
            if self._connection is not None:
                self._connection.abort()
            self._ended()
            self._owner.link_failed(self, ClosedError(f"connection {self.number} has failed: {error!r}"))

    async def _keep(self, attended: Attended[Session]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            opened_at_s = loop.time()
            await self._serve(attended)
            connection = attended.connection
            self._left(connection)
            if self._is_closing:
                return
            assert connection.end is not None, "a connection that has ended says why"
            lived_s = loop.time() - opened_at_s
            self._backoff.lost(lived_s)
            if lived_s >= HELD_S:
                self._reach.held(self)
            attended = await self._connect_again(str(ConnectionLostError(*connection.end)))
            self._entered(attended)

    async def _connect_again(self, reason: str) -> Attended[Session]:
        """Try until there is a connection, with pauses."""
        asked_s = 0.0
        while True:
            self.state = LinkState.WAITING
            seconds = self._backoff.pause_s(asked_s)
            self._tell(WaitingEvent, seconds=seconds, tries=self._backoff.tries, reason=reason)
            if asked_s or self._backoff.is_blocked:
                # The broker was there and has said when to come back, or that it does not want us.
                await asyncio.sleep(seconds)
            else:
                await self._reach.pause(self, seconds)
            try:
                return await self._connect()
            except ConnectError as error:
                reason, asked_s = error.reason, error.retry_after_s or 0.0
                was_blocked = self._backoff.is_blocked
                self._backoff.failed(was_refused=error.status in REFUSING_STATUSES)
                if self._backoff.is_blocked and not was_blocked:
                    self._tell(BlockedEvent, reason=reason)

    async def _connect(self) -> Attended[Session]:
        self.state = LinkState.CONNECTING
        attended = Attended(Session(), self.ping, self._silent, shown=self._tokens.shown)
        await attended.open(self._connector, self._url)
        return attended

    def _entered(self, attended: Attended[Session]) -> None:
        connection, self._attended = attended.connection, attended
        self._pings = Pings(connection, self._tokens, self._random)
        self.pressure = Pressure()
        self.state = LinkState.OPEN
        self._tell(ConnectedEvent, is_again=self._was_open)
        self._reach.got_through()
        self._was_open = True
        # Servers end connections that never say whose they are.
        self._pings.ask()
        self.subscriber.begin(connection)

    def _left(self, connection: Connection[Session]) -> None:
        if self._pings is not None:
            self._pings.look()
        self._received_before += connection.received
        self._attended = None
        self.subscriber.leave()
        if self._is_closing:
            return
        code, reason = connection.end or (CloseCode.ABNORMAL, "")
        self._tell(LostEvent, code=int(code), reason=reason, streams=len(self.subscriber.feeds))
        self._owner.link_lost(self, ConnectionLostError(code, reason))

    def _ended(self) -> None:
        self.state = LinkState.CLOSED
        self._reach.held(self)
        if self._slot is not None:
            self._slot.release()

    # --- one connection ---------------------------------------------------------------------------------

    async def _serve(self, attended: Attended[Session]) -> None:
        """Ask for what is wanted and see that the other end lives, until the connection ends."""
        attended.begin()
        while attended.connection.is_open:
            why = self.subscriber.work(self._now())
            if why is not None:
                attended.connection.abort(why)
                break
            await attended.wait(self.subscriber.due_at_s)
        await attended.ended()

    def _silent(self, seconds: float) -> None:
        subject = f"connection {self.number}"
        self._events.tell(SilentEvent(subject=subject, seconds=seconds, action="connecting anew"))

    # --- the rest ---------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._attended is not None:
            self._attended.wake()

    def _restored(self, result: Round) -> None:
        self._tell(RestoredEvent, ok=result.ok, refused=result.refused, seconds=result.seconds)

    def _tell(self, kind: Callable[..., Event], **fields: Any) -> None:
        self._events.tell(kind(link=self.number, lane=self.lane.value, **fields))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
