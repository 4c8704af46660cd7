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
import logging
import random
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any

from tapewire.client import errors
from tapewire.client.backoff import HELD_S, REFUSING_STATUSES, Backoff
from tapewire.client.command_end import CommandEnd
from tapewire.client.command_session import COMMANDS_IN_FLIGHT_MAX
from tapewire.client.errors import (
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
from tapewire.client.heartbeat import PING_TIMEOUT_S
from tapewire.client.order_connection import OrderConnection
from tapewire.client.quota import Quota
from tapewire.client.reach import Reach
from tapewire.client.tokens import TokenKeeper
from tapewire.ports.network import ConnectError, Connector
from tapewire.ports.slots import Slot
from tapewire.protocol.commands import OrderCommand

__all__ = ["OrderEntry"]

log = logging.getLogger("tapewire.client")

#: When a command that is not answered ends with an unknown outcome.
COMMAND_TIMEOUT_S = 10.0
#: When a command that is not answered lets the connection be asked for a sign of life.
DOUBT_AFTER_S = COMMAND_TIMEOUT_S - PING_TIMEOUT_S
#: After so many losses and tries since a connection last held, nothing is tried until somebody sends a command.
RESTORE_TRIES_MAX = 10
#: Ends that came after their commands were given up; the oldest goes first.
LATE_ENDS_MAX = 1_000


class _State(Enum):
    IDLE = "idle"
    OPENING = "opening"
    READY = "ready"
    RESTORING = "restoring"
    CLOSED = "closed"


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
        self._connection: OrderConnection | None = None
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
        in_flight = self._connection.session.in_flight if self._connection is not None else 0
        if self._waiting + in_flight >= COMMANDS_IN_FLIGHT_MAX:
            asked = self._waiting + in_flight + 1
            raise LimitError("commands in flight", asked, COMMANDS_IN_FLIGHT_MAX, passes=True)
        connection = await self._until_ready(waits_for_restoring=False)
        flight, guid = _Flight(), command.guid
        message = connection.session.send(command, flight.settle)
        if not connection.send(message):
            connection.session.withdraw(guid)
            raise NotSentError("the order connection is ending")
        # Whether anybody is there is known by the time when the command is given up.
        flight.after(DOUBT_AFTER_S, partial(connection.doubt, connection.received))
        why = f"no answer within {COMMAND_TIMEOUT_S:g} s"
        flight.after(COMMAND_TIMEOUT_S, partial(connection.session.give_up, guid, why))
        return await flight.ended

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

    def lost(self, connection: OrderConnection, error: ConnectionLostError) -> None:
        """Let no command wait from now on for a connection that was there and has ended."""
        if not connection.was_ready or self._state is _State.CLOSED:
            return
        self._tell(LostEvent, code=error.code, reason=error.reason, streams=0)
        if connection is self._connection:
            self._state = _State.RESTORING
            self._tell_waiting(error)

    def silent(self, seconds: float) -> None:
        """Tell that nobody answers on the connection."""
        self._events.tell(SilentEvent(subject="the order connection", seconds=seconds, action="connecting anew"))

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
            if self._connection is not None:
                await self._connection.close("the broker was closed")
        except BaseException:
            if self._connection is not None:
                self._connection.abort()
            raise
        finally:
            self._release()

    # --- waiting for a connection -----------------------------------------------------------------------

    @property
    def _is_ready(self) -> bool:
        return self._state is _State.READY

    async def _until_ready(self, *, waits_for_restoring: bool) -> OrderConnection:
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
        assert self._connection is not None
        return self._connection

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
        connection, self._connection = self._connection, None
        self._give_up(error)
        if connection is not None:
            connection.abort(str(error))

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
                connection = await self._open()
            except ConnectError as failure:
                asked_s = failure.retry_after_s or 0.0
                backoff.failed(was_refused=failure.status in REFUSING_STATUSES)
                error = errors.ConnectError(self._url, failure.reason)
                error.__cause__ = failure
            except TapewireError as failure:
                backoff.failed(was_refused=_is_refusal(failure))
                error = failure
            else:
                error = await self._live(connection, backoff)
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

    async def _open(self) -> OrderConnection:
        """Return a new connection that is authorized, or leave none."""
        connection = OrderConnection(self._tokens, self._random, self)
        if self._slot is None:
            self._slot = self._quota.take()
        await connection.open(self._connector, self._url)
        self._reach.got_through()
        self._connection = connection
        try:
            await connection.authorize()
            if connection.end is not None:
                raise ConnectionLostError(*connection.end)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _live(self, connection: OrderConnection, backoff: Backoff) -> ConnectionLostError:
        """Serve a connection that is authorized until it has ended; return how."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await self._serve(connection)
        lived_s = loop.time() - began_s
        backoff.lost(lived_s)
        if lived_s >= HELD_S:
            self._reach.held(self)
        assert connection.end is not None, "a connection that has ended says why"
        return ConnectionLostError(*connection.end)

    async def _serve(self, connection: OrderConnection) -> None:
        """Keep a connection authorized, and see that the other end lives, until it ends."""
        connection.begin()
        self._tell(ConnectedEvent, is_again=self._was_ready)
        self._was_ready = True
        self._become_ready(connection)
        while connection.is_open:
            if not connection.needs_token:
                await connection.wait()
                continue
            if not connection.is_authorized:
                self.must_authorize()
            try:
                await connection.authorize()
            except TapewireError as error:
                if not connection.is_authorized:
                    connection.abort(f"not authorized: {error}")
                    break
                # The old token is good until the broker says otherwise.
                log.warning("the order connection was not authorized: %s", error)
            else:
                self._become_ready(connection)
        await connection.ended()

    def _become_ready(self, connection: OrderConnection) -> None:
        # An answer to another command may have taken the right away since.
        if connection.is_authorized:
            self._state = _State.READY
            self._tell_waiting(None)

    def _tell(self, kind: Callable[..., Event], **fields: Any) -> None:
        self._events.tell(kind(link=0, lane=ORDERS, **fields))

    def _token_renewed(self) -> None:
        if self._connection is not None:
            self._connection.token_renewed()


def _reason(error: TapewireError) -> str:
    return error.reason if isinstance(error, errors.ConnectError) else str(error)


def _is_refusal(error: TapewireError) -> bool:
    return isinstance(error, RefusedError) and error.code in REFUSING_STATUSES


class _Flight:
    """A command that was sent, and what is due while its answer does not come."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []
        self.ended: asyncio.Future[CommandEnd] = self._loop.create_future()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Act after so long, unless it has ended."""
        self._timers.append(self._loop.call_later(seconds, act))

    def settle(self, end: CommandEnd) -> None:
        """Tell how it ended."""
        for timer in self._timers:
            timer.cancel()
        # Whoever waited may have been cancelled.
        if not self.ended.done():
            self.ended.set_result(end)
