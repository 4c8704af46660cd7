"""Asks for streams on one connection after the other: which are wanted stays, what was asked goes with each.

=========  =====================================================================================================
what       what follows
=========  =====================================================================================================
granted    data flow; they may have begun before the answer
no answer  in ``ANSWER_TIMEOUT_S``: a stream that nobody has ever granted is given up; one that is restored is
           asked for again under another guid; after ``TRIES_MAX`` the connection is of no use, unless others are
           answered: then this one waits a minute
refusal    401: one new token, once more; 429 and 5xx while restoring: again after a pause that grows; else it is
           final
=========  =====================================================================================================
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import msgspec

from tapewire.client.asking import ANSWER_TIMEOUT_S, Asking, Round
from tapewire.client.connection import Connection
from tapewire.client.errors import (
    AnswerTimeoutError,
    RefusedError,
    TapewireError,
    TokenRefusedError,
    TokenServiceError,
)
from tapewire.client.events import Events, SilentEvent
from tapewire.client.feed import Feed
from tapewire.client.guid import new_guid
from tapewire.client.planner import Lane
from tapewire.client.session import Session
from tapewire.client.states import SubscriptionState
from tapewire.client.tokens import TokenKeeper
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.messages import SystemMessage, data_tail
from tapewire.protocol.requests import Unsubscribe, request_bytes

__all__ = ["REFUSED_PAUSE_MAX_S", "REFUSED_PAUSE_S", "TRIES_MAX", "FeedOwner", "Subscriber"]

#: Requests for one stream that may go unanswered in a row, and requests to take one back that may be refused.
TRIES_MAX = 3
#: Pause before a stream is asked for again that a busy broker has refused: drawn between these, and twice as long
#: with each refusal of that stream in a row, up to the bound.
REFUSED_PAUSE_S = (1.0, 5.0)
REFUSED_PAUSE_MAX_S = 60.0
#: Pause before a stream is asked for again that alone is not answered.
UNANSWERED_PAUSE_S = (45.0, 75.0)

log = logging.getLogger("tapewire.client")


class FeedOwner(Protocol):
    """Whose feeds are asked for."""

    def feed_granted(self, feed: Feed) -> None:
        """The broker serves a feed, for the first time or again."""

    def feed_refused(self, feed: Feed, error: RefusedError) -> None:
        """The broker will not serve a feed."""

    def feed_unanswered(self, feed: Feed, error: TapewireError) -> None:
        """Nobody has answered the first request for a feed, or the connection was lost before."""

    def feed_unheard(self, feed: Feed) -> None:
        """Nobody has answered a request to restore a feed, though data may have come; it is made again."""


class Subscriber:
    """The feeds of one link, and the requests for them on the connection of now.

    Args:
        name: What its tasks are called by.
        wake: Called when :meth:`work` has something to do.
        restored: Called with what came of asking for all feeds after a connection was opened.
        failed: Called when no connection can be used any more.
    """

    def __init__(
        self,
        name: str,
        tokens: TokenKeeper,
        rng: random.Random,
        events: Events,
        owner: FeedOwner,
        *,
        wake: Callable[[], None],
        restored: Callable[[Round], None],
        failed: Callable[[TapewireError], None],
    ) -> None:
        #: What it carries, the oldest first; a dictionary for its order.
        self.feeds: dict[Feed, None] = {}
        self._name = name
        self._tokens = tokens
        self._random = rng
        self._events = events
        self._owner = owner
        self._wake = wake
        self._restored = restored
        self._failed = failed
        self._connection: Connection[Session] | None = None
        self._asking: Asking[Feed] = Asking()
        #: When each feed is asked for again that was refused or not answered; as many as there are feeds at most.
        self._retries: dict[Feed, asyncio.TimerHandle] = {}
        #: Whether a request was answered on the connection of now.
        self._is_answered = False
        self._tasks: set[asyncio.Task[None]] = set()

    # --- the connection ---------------------------------------------------------------------------------

    def begin(self, connection: Connection[Session]) -> None:
        """Ask for all feeds on a new connection, the critical ones first."""
        self._connection = connection
        self._is_answered = False
        self._asking.begin(((feed, feed.lane is Lane.CRITICAL) for feed in self.feeds), _now())

    def leave(self) -> None:
        """Forget what was asked on a connection that has ended; the feeds stay."""
        self._connection = None
        self._asking.clear()
        self._stop_retries()
        for feed in self.feeds:
            # A guid means nothing on another connection.
            feed.guid, feed.tries, feed.refusals, feed.has_renewed = "", 0, 0, False

    def close(self) -> asyncio.Future[Any]:
        """End what is under way; the future is done when nothing is."""
        self._stop_retries()
        for task in self._tasks:
            task.cancel()
        return asyncio.gather(*self._tasks, return_exceptions=True)

    def work(self, now_s: float) -> str | None:
        """Ask for what may be asked for now; says why the connection is of no use, if it is."""
        connection = self._connection
        assert connection is not None, "there is work only while there is a connection"
        why = self._ask_again(now_s)
        if why is None:
            self._pump(connection, now_s)
            result = self._asking.finished(now_s)
            if result is not None and (result.ok or result.refused):
                self._restored(result)
        return why

    @property
    def due_at_s(self) -> float | None:
        """When there is work again at the latest, time of the loop; None: when something happens."""
        return self._asking.due_at_s

    # --- feeds ------------------------------------------------------------------------------------------

    def ask(self, feed: Feed) -> None:
        """Carry a feed from now on, and ask for it as soon as its turn comes."""
        self.feeds[feed] = None
        if self._connection is not None:
            self._queue(feed)

    def drop(self, feed: Feed) -> None:
        """Carry a feed no longer; the broker is told, its answer is of no interest."""
        if self.feeds.pop(feed, False) is False:
            return
        self.forget(feed)
        self._withdraw(feed)
        self._wake()

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
        self._queue(feed)

    def reroute(self, feed: Feed) -> None:
        """Take up where a feed's messages are to go now."""
        if self._connection is None:
            return
        streams = self._connection.session.streams
        if data_tail(feed.guid) in streams:
            streams[data_tail(feed.guid)] = feed.route()

    # --- requests and answers ---------------------------------------------------------------------------

    def _queue(self, feed: Feed) -> None:
        self._asking.add(feed, is_critical=feed.lane is Lane.CRITICAL)
        self._wake()

    def _queue_again(self, feed: Feed) -> None:
        self._asking.again(feed, is_critical=feed.lane is Lane.CRITICAL)
        self._wake()

    def _pump(self, connection: Connection[Session], now_s: float) -> None:
        while (feed := self._asking.next(now_s)) is not None:
            try:
                token = self._tokens.current()
            except TokenRefusedError as error:
                self._failed(error)
                return
            # A request that was answered may be repeated as it was; data of one that was not could still come.
            guid = feed.guid = feed.guid if feed.has_renewed else new_guid(self._random)
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
        self._is_answered = True
        if answer.ok:
            self._asking.answered(feed, ok=True)
            self._owner.feed_granted(feed)
        elif answer.http_code == ResultCode.UNAUTHORIZED and not feed.has_renewed:
            feed.has_renewed = True
            self._forget_guid(feed)
            self._asking.postpone(feed)
            self._spawn(self._renew_and_ask(feed, tokens_fetched, self._connection))
        else:
            self._refused(feed, RefusedError(answer.http_code, self._tokens.shown(answer.message)))
        self._wake()

    def _taken_back(self, feed: Feed, answer: SystemMessage) -> None:
        """The broker has granted a feed and will not serve it after all."""
        if feed in self.feeds:
            self._refused(feed, RefusedError(answer.http_code, self._tokens.shown(answer.message)))
            self._wake()

    def _refused(self, feed: Feed, error: RefusedError) -> None:
        self._forget_guid(feed)
        feed.has_renewed = False
        if error.retriable and feed.state is SubscriptionState.RESTORING:
            self._retry_refused(feed)
            return
        self._asking.answered(feed, ok=False)
        self.feeds.pop(feed, None)
        self._owner.feed_refused(feed, error)

    def _give_up(self, feed: Feed, error: TapewireError) -> None:
        self._asking.drop(feed)
        self._wake()
        self.feeds.pop(feed, None)
        self._owner.feed_unanswered(feed, error)

    # --- once more --------------------------------------------------------------------------------------

    def _ask_again(self, now_s: float) -> str | None:
        """Look after requests that have waited too long; says why the connection is of no use, if it is."""
        for feed in self._asking.overdue(now_s):
            self._withdraw(feed)
            feed.tries += 1
            feed.has_renewed = False
            if feed.state is not SubscriptionState.RESTORING:
                self._give_up(feed, AnswerTimeoutError(ANSWER_TIMEOUT_S))
            elif feed.tries < TRIES_MAX:
                self._owner.feed_unheard(feed)
                self._asking.again(feed, is_critical=feed.lane is Lane.CRITICAL)
            elif self._is_answered:
                # Others are answered: to drop the connection would take their data for nothing.
                feed.tries = 0
                self._retry_in(feed, self._random.uniform(*UNANSWERED_PAUSE_S))
                waited_s = TRIES_MAX * ANSWER_TIMEOUT_S
                self._events.tell(SilentEvent(subject=feed.name, seconds=waited_s, action="asking again later"))
            else:
                return f"{feed.name} was not answered {TRIES_MAX} times"
        return None

    def _retry_refused(self, feed: Feed) -> None:
        # The exponent is bounded: refusals may be many.
        growth = 2.0 ** min(feed.refusals, 16)
        feed.refusals += 1
        self._retry_in(feed, min(growth * self._random.uniform(*REFUSED_PAUSE_S), self._longest_pause_s()))

    def _longest_pause_s(self) -> float:
        # Drawn too: thousands that have come to the bound must not ask at the same moments.
        return self._random.uniform(REFUSED_PAUSE_MAX_S / 2, REFUSED_PAUSE_MAX_S)

    def _retry_in(self, feed: Feed, seconds: float) -> None:
        self._asking.postpone(feed)
        self._retries[feed] = asyncio.get_running_loop().call_later(seconds, self._retry, feed)

    def _retry(self, feed: Feed) -> None:
        self._retries.pop(feed, None)
        self._queue_again(feed)

    def _stop_retries(self) -> None:
        for handle in self._retries.values():
            handle.cancel()
        self._retries.clear()

    async def _renew_and_ask(
        self, feed: Feed, tokens_fetched: int, connection: Connection[Session] | None
    ) -> None:
        try:
            # Of many that are refused at once only the first asks for a new token.
            if self._tokens.fetched == tokens_fetched:
                await self._tokens.renew()
        except TokenRefusedError as error:
            self._failed(error)
            return
        except TapewireError as error:
            self._not_renewed(feed, connection, error)
            return
        except Exception as error:
            # A fault of our own: the feed must not wait for ever.
            log.exception("%s: the token was not renewed", feed.name)
            self._not_renewed(feed, connection, TokenServiceError(f"no new token: {type(error).__name__}"))
            return
        if self._still_waits(feed, connection):
            self._queue_again(feed)

    def _not_renewed(self, feed: Feed, connection: Connection[Session] | None, error: TapewireError) -> None:
        if not self._still_waits(feed, connection):
            return
        if feed.state is SubscriptionState.RESTORING:
            feed.has_renewed = False
            self._retry_refused(feed)
        else:
            self._give_up(feed, error)

    def _still_waits(self, feed: Feed, connection: Connection[Session] | None) -> bool:
        """Whether nothing has happened to a feed and its connection meanwhile."""
        return feed in self.feeds and self._connection is connection and feed in self._asking

    # --- taking back ------------------------------------------------------------------------------------

    def _forget_guid(self, feed: Feed) -> None:
        if self._connection is not None:
            self._connection.session.close_stream(feed.guid)
            self._connection.session.forget_answer(feed.guid)

    def _withdraw(self, feed: Feed) -> None:
        """Take a request back: data of its guid are dropped, and the broker is told."""
        if not feed.guid:
            return
        self._forget_guid(feed)
        if self._connection is not None:
            self._unsubscribe(self._connection, feed.guid, 1)

    def _unsubscribe(self, connection: Connection[Session], guid: str, tries: int) -> None:
        if connection.is_open:
            refused = partial(self._not_withdrawn, connection, guid, self._tokens.fetched, tries)
            connection.session.ignore_answer(guid, refused)
            connection.send(request_bytes(Unsubscribe(guid=guid, token=self._tokens.newest)))

    def _not_withdrawn(
        self, connection: Connection[Session], guid: str, tokens_fetched: int, tries: int, answer: SystemMessage
    ) -> None:
        """A token that has ended takes nothing back: the broker would go on sending what nobody wants."""
        if answer.http_code == ResultCode.UNAUTHORIZED and tries < TRIES_MAX:
            self._spawn(self._renew_and_withdraw(connection, guid, tokens_fetched, tries + 1))

    async def _renew_and_withdraw(
        self, connection: Connection[Session], guid: str, tokens_fetched: int, tries: int
    ) -> None:
        while self._tokens.fetched == tokens_fetched and connection.is_open:
            try:
                await self._tokens.renew()
                break
            except TokenRefusedError as error:
                self._failed(error)
                return
            except TapewireError:
                await asyncio.sleep(self._random.uniform(*REFUSED_PAUSE_S))
            except Exception:
                log.exception("%s: the token was not renewed", self._name)
                await asyncio.sleep(self._random.uniform(*REFUSED_PAUSE_S))
        self._unsubscribe(connection, guid, tries)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=f"request on {self._name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _now() -> float:
    return asyncio.get_running_loop().time()
