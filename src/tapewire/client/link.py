"""One place for a connection of the data socket, over all its lives.

::

    connecting ──► open ──► lost ──► waiting ──► connecting …
        └── refused or nobody there ──┘   └── blocked: the same with pauses of minutes

=======  =======================================================================================================
what     how it is noticed and what follows
=======  =======================================================================================================
cut      the transport says so: all streams are restoring, the next try comes after a pause with jitter
silence  a ping every ``PING_EVERY_S``; nothing at all within ``PING_TIMEOUT_S``: the connection is dropped
no       a request that is not answered in ``ANSWER_TIMEOUT_S`` is made again under another guid; after
answer   ``TRIES_MAX`` the connection is dropped, unless others are answered: then this one waits a minute
refusal  401: one new token, once more; 429 and 5xx while restoring: again after a pause; else it is final
=======  =======================================================================================================
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from enum import Enum
from functools import partial
from typing import Any, Protocol

import msgspec

from tapewire.client import errors
from tapewire.client.asking import ANSWER_TIMEOUT_S, Asking
from tapewire.client.backoff import Backoff
from tapewire.client.connection import Connection, ConnectionState
from tapewire.client.errors import (
    AnswerTimeoutError,
    ClosedError,
    ConnectionLostError,
    RefusedError,
    TapewireError,
    TokenRefusedError,
)
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
from tapewire.client.feed import Feed
from tapewire.client.heartbeat import PING_TIMEOUT_S, Heartbeat, Pulse
from tapewire.client.planner import Lane
from tapewire.client.pressure import Pressure
from tapewire.client.quota import Quota
from tapewire.client.session import Session
from tapewire.client.states import SubscriptionState
from tapewire.client.tokens import TokenKeeper
from tapewire.ports.network import ConnectError, Connector
from tapewire.ports.slots import Slot
from tapewire.protocol.codes import CloseCode, ResultCode
from tapewire.protocol.messages import SystemMessage, data_tail
from tapewire.protocol.requests import Ping, Unsubscribe, request_bytes

__all__ = ["Link", "LinkOwner", "LinkState"]

CONNECT_TIMEOUT_S = 10.0
#: How long an orderly end may take before the connection is dropped.
CLOSE_TIMEOUT_S = 1.0
#: Requests for one stream that may go unanswered in a row.
TRIES_MAX = 3
#: Pause before a stream is asked for again that a busy broker has refused: drawn between these.
REFUSED_PAUSE_S = (1.0, 5.0)
#: Pause before a stream is asked for again that alone is not answered.
UNANSWERED_PAUSE_S = (45.0, 75.0)

log = logging.getLogger("tapewire.client")

_REFUSING_STATUSES = frozenset({401, 403, 406, 429})


class LinkState(Enum):
    """Where a link is in its life."""

    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    CLOSED = "closed"


class LinkOwner(Protocol):
    """Who decides what a link carries."""

    def feed_granted(self, feed: Feed) -> None:
        """The broker serves a feed, for the first time or again."""

    def feed_refused(self, feed: Feed, error: RefusedError) -> None:
        """The broker will not serve a feed."""

    def feed_unanswered(self, feed: Feed, error: TapewireError) -> None:
        """Nobody has answered the first request for a feed, or the connection was lost before."""

    def feed_unheard(self, feed: Feed) -> None:
        """Nobody has answered a request to restore a feed, though data may have come; it is made again."""

    def link_lost(self, link: Link, error: ConnectionLostError) -> None:
        """Data do not flow; the link tries again. Its active feeds are to be restored."""

    def link_failed(self, link: Link, error: TapewireError) -> None:
        """The link will not try again: nobody could help it."""


class Link:
    """Keeps one connection open and asks on it for the feeds that it carries."""

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
    ) -> None:
        self.number = number
        self.lane = lane
        self.state = LinkState.CONNECTING
        #: What it carries, the oldest first; a dictionary for its order.
        self.feeds: dict[Feed, None] = {}
        self._url = url
        self._connector = connector
        self._tokens = tokens
        self._random = rng
        self._events = events
        self._owner = owner
        self._quota = quota
        #: The right to this connection, kept over all its lives.
        self._slot: Slot | None = None
        self._backoff = Backoff(rng)
        self._asking: Asking[Feed] = Asking()
        self._connection: Connection[Session] | None = None
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: asyncio.Task[None] | None = None
        self._retries: dict[Feed, asyncio.TimerHandle] = {}
        self._is_closing = False
        self._was_open = False
        self._received_before = 0
        #: When a request for a stream was last answered on the connection of now.
        self._answered_at_s: float | None = None
        #: The ping that was not answered yet.
        self._ping_guid = ""
        #: There and back, of the newest ping that was answered.
        self.round_trip_s: float | None = None
        #: How far the broker's cut is.
        self.pressure = Pressure()
        #: The one stream that it is for; None: for any of its lane.
        self.only: str | None = None
        #: When the connection was last known to be good, time of the loop: the last ping that something followed.
        #: What was sent to us after it may be lost.
        self.good_at_s = 0.0
        self._pinged_at_s = 0.0
        self._received_at_ping = 0

    def __repr__(self) -> str:
        return f"<Link {self.number} {self.lane.value} {self.state.value}, {len(self.feeds)} feeds>"

    @property
    def received(self) -> int:
        """Messages that have come in over all its connections."""
        return self._received_before + (self._connection.received if self._connection is not None else 0)

    @property
    def session(self) -> Session | None:
        """What the connection of now carries."""
        return None if self._connection is None else self._connection.session

    # --- life -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the connection, and keep it open from then on.

        Raises:
            ConnectError: It cannot be opened; nothing is tried again.
            LimitError: The login has as many connections on this machine as it may have.
        """
        self._slot = self._quota.take()
        try:
            connection = await self._connect()
        except ConnectError as error:
            self._ended()
            raise errors.ConnectError(self._url, error.reason) from error
        except BaseException:
            self._ended()
            raise
        if self._is_closing:
            connection.abort()
            self._ended()
            raise ClosedError("the broker was closed")
        self._entered(connection)
        self._running = asyncio.create_task(self._run(connection), name=f"connection {self.number}")

    async def close(self) -> None:
        """End the connection and try no more. Cancelled, it does not wait for the broker's goodbye."""
        self._is_closing = True
        connection = self._connection
        try:
            if connection is not None and connection.state is not ConnectionState.CLOSED:
                connection.close(CloseCode.NORMAL)
                gone = self._running
                if gone is not None:
                    await asyncio.wait({gone}, timeout=CLOSE_TIMEOUT_S)
        finally:
            if connection is not None:
                connection.abort()
            tasks = [*self._tasks, *([self._running] if self._running is not None else [])]
            for task in tasks:
                task.cancel()
            for handle in self._retries.values():
                handle.cancel()
            self._ended()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self) -> None:
        self.state = LinkState.CLOSED
        if self._slot is not None:
            self._slot.release()

    async def _run(self, connection: Connection[Session]) -> None:
        try:
            await self._keep(connection)
        except Exception as error:
            # A fault of our own: streams that nobody keeps must not look as if they were quiet.
            log.exception("connection %d has failed", self.number)
            if self._connection is not None:
                self._connection.abort()
            self._ended()
            self._owner.link_failed(self, ClosedError(f"connection {self.number} has failed: {error!r}"))

    async def _keep(self, connection: Connection[Session]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            opened_at_s = loop.time()
            await self._serve(connection)
            self._left(connection)
            if self._is_closing:
                return
            assert connection.end is not None, "a connection that has ended says why"
            self._backoff.lost(loop.time() - opened_at_s)
            reason = str(ConnectionLostError(*connection.end))
            asked_s = 0.0
            while True:
                await self._pause(reason, asked_s)
                try:
                    connection = await self._connect()
                except ConnectError as error:
                    reason, asked_s = error.reason, error.retry_after_s or 0.0
                    was_blocked = self._backoff.is_blocked
                    self._backoff.failed(was_refused=error.status in _REFUSING_STATUSES)
                    if self._backoff.is_blocked and not was_blocked:
                        self._tell(BlockedEvent, reason=reason)
                else:
                    break
            self._entered(connection)

    async def _pause(self, reason: str, asked_s: float) -> None:
        self.state = LinkState.WAITING
        seconds = self._backoff.pause_s(asked_s)
        self._tell(WaitingEvent, seconds=seconds, tries=self._backoff.tries, reason=reason)
        await asyncio.sleep(seconds)

    async def _connect(self) -> Connection[Session]:
        self.state = LinkState.CONNECTING
        connection = Connection(Session(), lambda _code, _reason: self._news.set())
        await self._connector.connect(self._url, connection, timeout_s=CONNECT_TIMEOUT_S)
        return connection

    def _entered(self, connection: Connection[Session]) -> None:
        self._connection = connection
        self._answered_at_s = None
        self._ping_guid, self.round_trip_s = "", None
        self.pressure = Pressure()
        self.state = LinkState.OPEN
        self._tell(ConnectedEvent, is_again=self._was_open)
        self._was_open = True
        self.good_at_s, self._received_at_ping = self._now(), connection.received
        self._pinged_at_s = self.good_at_s
        # Servers end connections that never say whose they are.
        self._ping(connection)
        self._asking.begin(((feed, feed.lane is Lane.CRITICAL) for feed in self.feeds), self._now())

    def _left(self, connection: Connection[Session]) -> None:
        self._note_good(connection)
        self._received_before += connection.received
        self._connection = None
        self._asking.clear()
        for handle in self._retries.values():
            handle.cancel()
        self._retries.clear()
        for feed in self.feeds:
            # A guid means nothing on another connection.
            feed.guid, feed.tries, feed.has_renewed = "", 0, False
        if self._is_closing:
            return
        code, reason = connection.end or (CloseCode.ABNORMAL, "")
        self._tell(LostEvent, code=int(code), reason=reason, streams=len(self.feeds))
        self._owner.link_lost(self, ConnectionLostError(code, reason))

    async def _serve(self, connection: Connection[Session]) -> None:
        """Ask for what is wanted and see that the other end lives, until the connection ends."""
        heartbeat = Heartbeat(self._now())
        while connection.is_open:
            # What happens from here on is seen by the next look.
            self._news.clear()
            now_s = self._now()
            pulse = heartbeat.look(connection.received, now_s)
            if pulse is Pulse.DEAD:
                self._events.tell(
                    SilentEvent(
                        subject=f"connection {self.number}", seconds=PING_TIMEOUT_S, action="connecting anew"
                    )
                )
                connection.end = (int(CloseCode.ABNORMAL), f"silent for {PING_TIMEOUT_S:g} s after a ping")
                break
            if pulse is Pulse.PING:
                self._ping(connection)
            if not self._ask_again(connection, now_s):
                break
            self._pump(connection, now_s)
            due_at_s = self._asking.due_at_s
            await self._wait_for_news(
                heartbeat.due_at_s if due_at_s is None else min(heartbeat.due_at_s, due_at_s)
            )
        await self._until_gone(connection)

    async def _until_gone(self, connection: Connection[Session]) -> None:
        """Wait for the end of a connection that is ending; one that is to end, or takes too long, is dropped."""
        closed_by_s = self._now() + (0 if connection.is_open else CLOSE_TIMEOUT_S)
        while not connection.is_closed and self._now() < closed_by_s:
            self._news.clear()
            await self._wait_for_news(closed_by_s)
        if not connection.is_closed:
            connection.abort()
        while not connection.is_closed:
            self._news.clear()
            await self._news.wait()

    async def _wait_for_news(self, until_s: float | None) -> None:
        try:
            async with asyncio.timeout_at(until_s):
                await self._news.wait()
        except TimeoutError:
            return

    # --- asking -----------------------------------------------------------------------------------------

    def ask(self, feed: Feed) -> None:
        """Carry a feed from now on, and ask for it as soon as its turn comes."""
        self.feeds[feed] = None
        if self.state is LinkState.OPEN:
            self._asking.add(feed, is_critical=feed.lane is Lane.CRITICAL)
            self._news.set()

    def drop(self, feed: Feed) -> None:
        """Carry a feed no longer; the broker is told, its answer is of no interest."""
        if self.feeds.pop(feed, False) is False:
            return
        self.forget(feed)
        self._withdraw(feed)
        self._news.set()

    def forget(self, feed: Feed) -> None:
        """Carry a feed no longer; the broker is not told."""
        self.feeds.pop(feed, None)
        self._asking.drop(feed)
        retry = self._retries.pop(feed, None)
        if retry is not None:
            retry.cancel()

    def ask_anew(self, feed: Feed) -> None:
        """Ask for a feed that is carried under a new guid; data of the old one are dropped from now on."""
        self._withdraw(feed)
        feed.guid = ""
        self._asking.add(feed, is_critical=feed.lane is Lane.CRITICAL)
        self._news.set()

    def ping(self) -> None:
        """Ask for a sign of life beside the regular ones."""
        if self._connection is not None:
            self._ping(self._connection)

    def reconnect(self, reason: str) -> None:
        """Drop the connection and open another."""
        if self._connection is not None:
            self._connection.end = (int(CloseCode.ABNORMAL), reason)
            self._connection.abort()

    def reroute(self, feed: Feed) -> None:
        """Take up where a feed's messages are to go now."""
        session = self.session
        if session is not None and data_tail(feed.guid) in session.streams:
            session.streams[data_tail(feed.guid)] = feed.route()

    def _pump(self, connection: Connection[Session], now_s: float) -> None:
        while (feed := self._asking.next(now_s)) is not None:
            try:
                token = self._tokens.current()
            except TokenRefusedError as error:
                self._owner.link_failed(self, error)
                return
            # A request that was answered may be repeated as it was; data of one that was not could still come.
            guid = feed.guid = feed.guid if feed.has_renewed else self._new_guid()
            session = connection.session
            # Data may come before the answer.
            session.open_stream(guid, feed.route(), partial(self._taken_back, feed))
            session.expect_answer(guid, partial(self._answered, feed, guid, self._tokens.fetched))
            if feed.state is SubscriptionState.PENDING:
                feed.asked_at_s = now_s
            connection.send(request_bytes(msgspec.structs.replace(feed.request, guid=guid, token=token)))

    def _answered(self, feed: Feed, guid: str, tokens_fetched: int, answer: SystemMessage) -> None:
        if feed.guid != guid or feed not in self.feeds:
            return
        self._answered_at_s = self._now()
        if answer.ok:
            self._asking.answered(feed, ok=True)
            self._owner.feed_granted(feed)
        elif answer.http_code == ResultCode.UNAUTHORIZED and not feed.has_renewed:
            feed.has_renewed = True
            self._forget_guid(feed)
            self._asking.postpone(feed)
            self._spawn(self._renew_and_ask(feed, tokens_fetched, self._connection))
        else:
            self._refused(feed, RefusedError(answer.http_code, answer.message))
        self._finish()

    def _refused(self, feed: Feed, error: RefusedError) -> None:
        self._forget_guid(feed)
        feed.has_renewed = False
        if error.retriable and feed.state is SubscriptionState.RESTORING:
            self._retry_later(feed, REFUSED_PAUSE_S)
            return
        self._asking.answered(feed, ok=False)
        self.feeds.pop(feed, None)
        self._owner.feed_refused(feed, error)

    def _retry_later(self, feed: Feed, between_s: tuple[float, float]) -> None:
        self._asking.postpone(feed)
        pause_s = self._random.uniform(*between_s)
        self._retries[feed] = asyncio.get_running_loop().call_later(pause_s, self._retry, feed)

    def _retry(self, feed: Feed) -> None:
        self._retries.pop(feed, None)
        self._asking.again(feed, is_critical=feed.lane is Lane.CRITICAL)
        self._news.set()

    async def _renew_and_ask(
        self, feed: Feed, tokens_fetched: int, connection: Connection[Session] | None
    ) -> None:
        try:
            # Of many that are refused at once only the first asks for a new token.
            if self._tokens.fetched == tokens_fetched:
                await self._tokens.renew()
        except TokenRefusedError as error:
            self._owner.link_failed(self, error)
            return
        except TapewireError as error:
            if not self._still_waits(feed, connection):
                return
            if feed.state is SubscriptionState.RESTORING:
                feed.has_renewed = False
                self._retry_later(feed, REFUSED_PAUSE_S)
            else:
                self._give_up(feed, error)
            return
        if self._still_waits(feed, connection):
            self._asking.again(feed, is_critical=feed.lane is Lane.CRITICAL)
            self._news.set()

    def _still_waits(self, feed: Feed, connection: Connection[Session] | None) -> bool:
        """Whether nothing has happened to a feed and its connection meanwhile."""
        return feed in self.feeds and self._connection is connection and feed in self._asking

    def _taken_back(self, feed: Feed, answer: SystemMessage) -> None:
        """The broker has granted a feed and will not serve it after all."""
        if feed in self.feeds:
            self._refused(feed, RefusedError(answer.http_code, answer.message))
            self._finish()

    def _ask_again(self, connection: Connection[Session], now_s: float) -> bool:
        """Look after requests that have waited too long; False: the connection is of no use."""
        for feed in self._asking.overdue(now_s):
            self._withdraw(feed)
            feed.tries += 1
            feed.has_renewed = False
            if feed.state is not SubscriptionState.RESTORING:
                self._give_up(feed, AnswerTimeoutError(ANSWER_TIMEOUT_S))
            elif feed.tries < TRIES_MAX:
                self._owner.feed_unheard(feed)
                self._asking.again(feed, is_critical=feed.lane is Lane.CRITICAL)
            elif self._answered_at_s is not None:
                # Others are answered: to drop the connection would take their data for nothing.
                feed.tries = 0
                self._retry_later(feed, UNANSWERED_PAUSE_S)
                waited_s = TRIES_MAX * ANSWER_TIMEOUT_S
                self._events.tell(SilentEvent(subject=feed.name, seconds=waited_s, action="asking again later"))
            else:
                connection.end = (int(CloseCode.ABNORMAL), f"{feed.name} was not answered {TRIES_MAX} times")
                return False
        return True

    def _give_up(self, feed: Feed, error: TapewireError) -> None:
        self._asking.drop(feed)
        self.feeds.pop(feed, None)
        self._owner.feed_unanswered(feed, error)

    def _finish(self) -> None:
        self._news.set()
        result = self._asking.finished(self._now())
        if result is not None and (result.ok or result.refused):
            self._tell(RestoredEvent, ok=result.ok, refused=result.refused, seconds=result.seconds)

    # --- guids ------------------------------------------------------------------------------------------

    def _new_guid(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def _forget_guid(self, feed: Feed) -> None:
        if self._connection is not None:
            self._connection.session.close_stream(feed.guid)
            self._connection.session.forget_answer(feed.guid)

    def _withdraw(self, feed: Feed) -> None:
        """Take a request back: data of its guid are dropped, and the broker is told."""
        if not feed.guid:
            return
        self._forget_guid(feed)
        connection = self._connection
        if connection is not None and connection.is_open:
            refused = partial(self._not_withdrawn, connection, feed.guid, self._tokens.fetched)
            connection.session.ignore_answer(feed.guid, refused)
            connection.send(request_bytes(Unsubscribe(guid=feed.guid, token=self._tokens.newest)))

    def _not_withdrawn(
        self, connection: Connection[Session], guid: str, tokens_fetched: int, answer: SystemMessage
    ) -> None:
        """A token that has ended takes nothing back: the broker would go on sending what nobody wants."""
        if answer.http_code == ResultCode.UNAUTHORIZED:
            self._spawn(self._renew_and_withdraw(connection, guid, tokens_fetched))

    async def _renew_and_withdraw(self, connection: Connection[Session], guid: str, tokens_fetched: int) -> None:
        while self._tokens.fetched == tokens_fetched and connection.is_open:
            try:
                await self._tokens.renew()
                break
            except TokenRefusedError as error:
                self._owner.link_failed(self, error)
                return
            except TapewireError:
                await asyncio.sleep(self._random.uniform(*REFUSED_PAUSE_S))
        if connection.is_open:
            connection.session.ignore_answer(guid)
            connection.send(request_bytes(Unsubscribe(guid=guid, token=self._tokens.newest)))

    def _ping(self, connection: Connection[Session]) -> None:
        """Ask for a sign of life; any message is one, so the answer only tells how long the way is."""
        self._note_good(connection)
        self._pinged_at_s, self._received_at_ping = self._now(), connection.received
        guid = self._new_guid()
        if self._ping_guid:
            # Its answer will be late, if it comes.
            connection.session.forget_answer(self._ping_guid)
            connection.session.ignore_answer(self._ping_guid)
        self._ping_guid = guid
        connection.session.expect_answer(guid, partial(self._ponged, self._now()))
        connection.send(request_bytes(Ping(guid=guid, token=self._tokens.newest, confirm=True)))

    def _ponged(self, sent_at_s: float, answer: SystemMessage) -> None:
        self._ping_guid = ""
        self.round_trip_s = self._now() - sent_at_s

    def _note_good(self, connection: Connection[Session]) -> None:
        if connection.received > self._received_at_ping:
            self.good_at_s = self._pinged_at_s

    # --- the rest ---------------------------------------------------------------------------------------

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=f"request on connection {self.number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tell(self, kind: Callable[..., Event], **fields: Any) -> None:
        self._events.tell(kind(link=self.number, lane=self.lane.value, **fields))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
