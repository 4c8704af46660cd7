"""The owner of the connection to the order socket: opens and authorizes it, sends commands, knows when it ends.

=========  =====================================================  ==============================================
state      entered by                                             a command
=========  =====================================================  ==============================================
idle       the start; a first opening that failed; restoring      opens the connection and waits for it
           that was given up
opening    the first command; a token that is good no more        waits for the end of it
ready      200 to ``authorize``                                   is sent
restoring  the end of a connection that was ready                 is refused at once: nothing was sent
closed     ``close``                                              is refused
=========  =====================================================  ==============================================

A command is never kept for a later connection and never sent twice: its price is of a moment that has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any

from tapewire.client import errors
from tapewire.client.backoff import HELD_S, REFUSING_STATUSES, Backoff
from tapewire.client.command_end import CommandEnd
from tapewire.client.command_session import COMMANDS_IN_FLIGHT_MAX, CommandSession
from tapewire.client.command_states import Authority
from tapewire.client.connection import Connection
from tapewire.client.errors import (
    AnswerTimeoutError,
    ClosedError,
    ConnectionLostError,
    LimitError,
    NotSentError,
    RefusedError,
    TapewireError,
)
from tapewire.client.events import (
    ORDERS,
    BlockedEvent,
    ConnectedEvent,
    Event,
    Events,
    LostEvent,
    SilentEvent,
    WaitingEvent,
)
from tapewire.client.guid import new_guid
from tapewire.client.heartbeat import PING_TIMEOUT_S, Heartbeat, Pulse
from tapewire.client.quota import Quota
from tapewire.client.reach import Reach
from tapewire.client.tokens import TokenKeeper
from tapewire.ports.network import ConnectError, Connector
from tapewire.ports.slots import Slot
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.commands import OrderCommand
from tapewire.protocol.messages import SystemMessage

__all__ = ["OrderEntry"]

log = logging.getLogger("tapewire.client")

CONNECT_TIMEOUT_S = 10.0
AUTHORIZE_TIMEOUT_S = 10.0
#: When a command that is not answered ends with an unknown outcome.
COMMAND_TIMEOUT_S = 10.0
#: How long an orderly end may take before the connection is dropped.
CLOSE_TIMEOUT_S = 1.0
#: After so many losses and tries since a connection last held, nothing is tried until somebody sends a command.
RESTORE_TRIES_MAX = 10
#: Ends that came after their commands were given up; the oldest goes first.
LATE_ENDS_MAX = 1_000


_NAME = "the order connection"


class _State(Enum):
    IDLE = "idle"
    OPENING = "opening"
    READY = "ready"
    RESTORING = "restoring"
    CLOSED = "closed"


class _Link:
    """One connection with its session, and what has happened to it."""

    def __init__(self, entry: OrderEntry) -> None:
        self._entry = entry
        self.session = CommandSession(self._authority_lost, entry.came_late)
        self.connection = Connection(self.session, self._lost)
        self.gone = asyncio.Event()
        #: Something has happened that the keeper looks at.
        self.news = asyncio.Event()
        self.has_new_token = False
        #: Whether commands could be sent on it.
        self.was_ready = False
        #: Which token it was authorized with, by the keeper's count.
        self.authorized_with = 0

    def _authority_lost(self) -> None:
        self.news.set()
        self._entry.must_authorize()

    def _lost(self, code: int, reason: str) -> None:
        self.gone.set()
        self.news.set()
        error = ConnectionLostError(code, reason)
        self._entry.lost(self, error)
        self.session.end(str(error))


class OrderEntry:
    """Sends commands on one connection of the order socket, which is opened by the first of them."""

    def __init__(
        self,
        url: str,
        connector: Connector,
        tokens: TokenKeeper,
        rng: random.Random,
        events: Events,
        quota: Quota,
        reach: Reach,
    ) -> None:
        self._url = url
        self._connector = connector
        self._tokens = tokens
        self._random = rng
        self._events = events
        self._quota = quota
        self._reach = reach
        #: The right to a connection; kept until restoring is given up.
        self._slot: Slot | None = None
        self._state = _State.IDLE
        self._was_ready = False
        self._link: _Link | None = None
        self._keeper: asyncio.Task[None] | None = None
        #: What those wait for who need a ready connection.
        self._opened: asyncio.Future[None] | None = None
        self._waiting = 0
        #: Why there is no connection.
        self._error: TapewireError | None = None
        self._late: dict[str, CommandEnd] = {}
        tokens.on_renewed = self._token_renewed

    def __repr__(self) -> str:
        return f"<OrderEntry {self._state.value}>"

    def new_guid(self) -> str:
        """Return a guid that no other command has."""
        return new_guid(self._random)

    async def open(self) -> None:
        """Return when the connection is open and authorized; waits also while it is being restored.

        Raises:
            NotSentError: It cannot be had; ``__cause__`` says why.
        """
        await self._until_ready(waits_for_restoring=True)

    async def submit(self, command: OrderCommand) -> CommandEnd:
        """Send a command and return how it ended: taken, rejected, or untold after 10 s or a cut.

        Cancelled, the command may have been sent: its end is then told to nobody.

        Raises:
            LimitError: As many commands as may be are in flight; nothing was sent.
            NotSentError: There is no connection to send it on; nothing was sent.
        """
        in_flight = self._link.session.in_flight if self._link is not None else 0
        if self._waiting + in_flight >= COMMANDS_IN_FLIGHT_MAX:
            asked = self._waiting + in_flight + 1
            raise LimitError("commands in flight", asked, COMMANDS_IN_FLIGHT_MAX, passes=True)
        link = await self._until_ready(waits_for_restoring=False)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[CommandEnd] = loop.create_future()
        received = link.connection.received
        timer = loop.call_later(COMMAND_TIMEOUT_S, self._timed_out, link, command.guid, received)
        try:
            message = link.session.send(command, partial(_settle, ended, timer))
        except TapewireError:
            timer.cancel()
            raise
        if not link.connection.send(message):
            timer.cancel()
            link.session.withdraw(command.guid)
            raise NotSentError("the order connection is ending")
        return await ended

    def late_end(self, guid: str) -> CommandEnd | None:
        """Return how a command ended that was answered after it had been given up, None if it was not."""
        return self._late.get(guid)

    def came_late(self, guid: str, end: CommandEnd) -> None:
        """Keep an end that nobody waits for any more, for whoever asks."""
        self._late[guid] = end
        if len(self._late) > LATE_ENDS_MAX:
            del self._late[next(iter(self._late))]

    def must_authorize(self) -> None:
        """Let commands wait from now on until the connection is authorized again."""
        if self._state is _State.READY:
            self._state = _State.OPENING

    def lost(self, link: _Link, error: ConnectionLostError) -> None:
        """Let no command wait from now on for a connection that was there and has ended."""
        if not link.was_ready or self._state is _State.CLOSED:
            return
        self._tell(LostEvent, code=error.code, reason=error.reason, streams=0)
        if link is self._link:
            self._state = _State.RESTORING
            self._tell_waiting(error)

    async def close(self) -> None:
        """End the connection; the outcome of what is in flight is unknown. Returns when no task is left.

        Cancelled, it does not wait for the broker's goodbye.
        """
        self._state = _State.CLOSED
        self._tokens.on_renewed = None
        self._tell_waiting(ClosedError("the broker was closed"))
        try:
            if self._keeper is not None:
                self._keeper.cancel()
                await asyncio.wait([self._keeper])
            if self._link is not None:
                await self._end(self._link)
        except BaseException:
            if self._link is not None:
                self._link.connection.abort()
            raise
        finally:
            self._release()

    @staticmethod
    async def _end(link: _Link) -> None:
        """End a connection in order; one that takes too long is dropped."""
        link.session.end("the broker was closed")
        link.connection.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await link.gone.wait()
        except TimeoutError:
            link.connection.abort()
            await link.gone.wait()

    # --- waiting for a connection -----------------------------------------------------------------------

    @property
    def _is_ready(self) -> bool:
        return self._state is _State.READY

    async def _until_ready(self, *, waits_for_restoring: bool) -> _Link:
        if self._state is _State.RESTORING and not waits_for_restoring:
            raise NotSentError(f"the order connection is being restored: {self._error}")
        if self._state is _State.CLOSED:
            raise NotSentError.because(ClosedError("the broker was closed"))
        if self._state is _State.IDLE:
            self._state = _State.OPENING
            self._keeper = asyncio.create_task(self._keep(), name="order connection")
        while not self._is_ready:
            if self._opened is None:
                self._opened = asyncio.get_running_loop().create_future()
            self._waiting += 1
            assert self._keeper is not None
            try:
                # Whoever gives up waiting does not end the opening for the others.
                await asyncio.wait([self._opened, self._keeper], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._waiting -= 1
            # The right may be lost again before this is noticed: the keeper is at it.
            is_at_it = self._state is _State.OPENING or (self._state is _State.RESTORING and waits_for_restoring)
            if self._is_ready or (is_at_it and not self._keeper.done()):
                continue
            error = self._error or ClosedError("the broker was closed")
            raise NotSentError.because(error) from error
        assert self._link is not None
        return self._link

    def _tell_waiting(self, error: TapewireError | None) -> None:
        """Wake who waits for a connection: there is one, or there will be none."""
        self._error = error
        if self._opened is not None:
            self._opened.set_result(None)
            self._opened = None

    # --- keeping the connection -------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Hold a connection, and the right to it, until that is given up."""
        try:
            await self._restore()
        except Exception as error:
            # A fault of our own: nobody may send on a connection that is not looked after.
            log.exception("the order connection has failed")
            self._failed(ClosedError(f"the order connection has failed: {error!r}"))
        finally:
            self._reach.held(self)
            if self._state is not _State.CLOSED:
                self._release()

    def _failed(self, error: TapewireError) -> None:
        """Drop the connection; the next command opens another."""
        link, self._link = self._link, None
        self._give_up(error)
        if link is not None:
            link.connection.abort(str(error))

    def _give_up(self, error: TapewireError) -> None:
        if self._state is not _State.CLOSED:
            self._state = _State.IDLE
        self._tell_waiting(error)

    def _release(self) -> None:
        if self._slot is not None:
            self._slot.release()
            self._slot = None

    async def _restore(self) -> None:
        """Open the connection, and again whenever one ends that was ready, until that is given up."""
        backoff = Backoff(self._random)
        error: TapewireError
        while True:
            asked_s, was_blocked = 0.0, backoff.is_blocked
            try:
                link = await self._open()
            except ConnectError as failure:
                asked_s = failure.retry_after_s or 0.0
                backoff.failed(was_refused=failure.status in REFUSING_STATUSES)
                error = errors.ConnectError(self._url, failure.reason)
                error.__cause__ = failure
            except TapewireError as failure:
                backoff.failed(was_refused=_is_refusal(failure))
                error = failure
            else:
                error = await self._live(link, backoff)
            is_restoring = self._state is _State.RESTORING
            if is_restoring and backoff.is_blocked and not was_blocked:
                self._tell(BlockedEvent, reason=_reason(error))
            if not is_restoring or backoff.tries >= RESTORE_TRIES_MAX or not error.retriable:
                if is_restoring:
                    log.warning("the order connection is not restored before the next command: %s", error)
                self._give_up(error)
                return
            self._error = error
            seconds = backoff.pause_s(asked_s)
            self._tell(WaitingEvent, seconds=seconds, tries=backoff.tries, reason=_reason(error))
            if asked_s or backoff.is_blocked:
                # The broker was there and has said when to come back, or that it does not want us.
                await asyncio.sleep(seconds)
            else:
                await self._reach.pause(self, seconds)

    async def _open(self) -> _Link:
        """Return a new connection that is authorized, or leave none."""
        link = _Link(self)
        if self._slot is None:
            self._slot = self._quota.take()
        await self._connector.connect(self._url, link.connection, timeout_s=CONNECT_TIMEOUT_S)
        self._reach.got_through()
        self._link = link
        try:
            await self._authorize(link)
            if link.connection.end is not None:
                raise ConnectionLostError(*link.connection.end)
        except BaseException:
            link.connection.abort()
            raise
        return link

    async def _live(self, link: _Link, backoff: Backoff) -> ConnectionLostError:
        """Serve a connection that is authorized until it has ended; return how."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await self._serve(link)
        lived_s = loop.time() - began_s
        backoff.lost(lived_s)
        if lived_s >= HELD_S:
            self._reach.held(self)
        assert link.connection.end is not None, "a connection that has ended says why"
        return ConnectionLostError(*link.connection.end)

    async def _serve(self, link: _Link) -> None:
        """Keep a connection authorized, and see that the other end lives, until it ends."""
        link.was_ready = True
        self._tell(ConnectedEvent, is_again=self._was_ready)
        self._was_ready = True
        self._become_ready(link)
        loop = asyncio.get_running_loop()
        heartbeat = Heartbeat(loop.time())
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(heartbeat.due_at_s):
                    await link.news.wait()
            link.news.clear()
            if link.gone.is_set():
                return
            pulse = heartbeat.look(link.connection.received, loop.time())
            if pulse is Pulse.DEAD:
                silent = SilentEvent(subject=_NAME, seconds=PING_TIMEOUT_S, action="connecting anew")
                self._events.tell(silent)
                link.connection.abort(f"silent for {PING_TIMEOUT_S:g} s after a ping")
                await link.gone.wait()
                return
            if pulse is Pulse.PING:
                link.connection.send(link.session.ping(self.new_guid()))
            needs_authority = link.session.authority is not Authority.AUTHORIZED
            if not needs_authority and not link.has_new_token:
                continue
            if needs_authority:
                self.must_authorize()
            try:
                await self._authorize(link)
            except TapewireError as error:
                if link.session.authority is Authority.AUTHORIZED:
                    # The old token is good until the broker says otherwise.
                    log.warning("the order connection was not authorized: %s", error)
                    continue
                link.connection.abort(f"not authorized: {error}")
                await link.gone.wait()
                return
            self._become_ready(link)

    def _become_ready(self, link: _Link) -> None:
        # An answer to another command may have taken the right away since.
        if link.session.authority is Authority.AUTHORIZED:
            self._state = _State.READY
            self._tell_waiting(None)

    async def _authorize(self, link: _Link) -> None:
        """Show the newest token; one that the broker does not take is renewed once.

        Raises:
            RefusedError: The broker does not take a new token either.
            AnswerTimeoutError: It did not answer.
            ConnectionLostError: The connection ended first.
        """
        link.has_new_token = False
        is_stale = (
            link.session.authority is not Authority.AUTHORIZED and link.authorized_with == self._tokens.fetched
        )
        if is_stale:
            await self._tokens.renew()
        answer = await self._show_token(link)
        if answer.http_code == ResultCode.UNAUTHORIZED:
            if link.authorized_with == self._tokens.fetched:
                await self._tokens.renew()
            answer = await self._show_token(link)
        if not answer.ok:
            raise RefusedError(answer.http_code, answer.message)

    async def _show_token(self, link: _Link) -> SystemMessage:
        link.has_new_token = False
        answered: asyncio.Future[SystemMessage | None] = asyncio.get_running_loop().create_future()
        token = self._tokens.current()
        link.authorized_with = self._tokens.fetched
        message = link.session.authorize(self.new_guid(), token, partial(_set, answered))
        link.connection.send(message)
        try:
            async with asyncio.timeout(AUTHORIZE_TIMEOUT_S):
                answer = await answered
        except TimeoutError:
            link.session.give_up_authorizing()
            raise AnswerTimeoutError(AUTHORIZE_TIMEOUT_S) from None
        except asyncio.CancelledError:
            link.session.give_up_authorizing()
            raise
        if answer is None:
            assert link.connection.end is not None
            raise ConnectionLostError(*link.connection.end)
        return answer

    def _tell(self, kind: Callable[..., Event], **fields: Any) -> None:
        self._events.tell(kind(link=0, lane=ORDERS, **fields))

    def _token_renewed(self) -> None:
        if self._link is not None and not self._link.gone.is_set():
            self._link.has_new_token = True
            self._link.news.set()

    def _timed_out(self, link: _Link, guid: str, received: int) -> None:
        link.session.give_up(guid, f"no answer within {COMMAND_TIMEOUT_S:g} s")
        if link.connection.received == received:
            # Nothing at all has come since: what is sent on such a connection is likely to be lost as well.
            log.warning("the order connection is silent and is ended")
            link.connection.abort(f"nothing came for {COMMAND_TIMEOUT_S:g} s")


def _reason(error: TapewireError) -> str:
    return error.reason if isinstance(error, errors.ConnectError) else str(error)


def _is_refusal(error: TapewireError) -> bool:
    return isinstance(error, RefusedError) and error.code in REFUSING_STATUSES


def _settle(ended: asyncio.Future[CommandEnd], timer: asyncio.TimerHandle, end: CommandEnd) -> None:
    timer.cancel()
    # Whoever waited may have been cancelled.
    if not ended.done():
        ended.set_result(end)


def _set(answered: asyncio.Future[SystemMessage | None], answer: SystemMessage | None) -> None:
    if not answered.done():
        answered.set_result(answer)
