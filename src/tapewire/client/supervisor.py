"""The owner of a connection and of all that was asked for on it.

This version keeps one connection and opens it once: when it ends, every stream ends with ``ConnectionLostError``
instead of going quiet. What was wanted is kept apart from the session that carried it, so that a new session can
be entered with the same subscriptions.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from tapewire.client import errors
from tapewire.client.connection import Connection, ConnectionState
from tapewire.client.errors import (
    AnswerTimeoutError,
    ClosedError,
    ConnectionLostError,
    LimitError,
    RefusedError,
    TapewireError,
)
from tapewire.client.session import Session
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription
from tapewire.client.tokens import TokenKeeper
from tapewire.ports.network import ConnectError, Connector
from tapewire.protocol.codes import CloseCode, ResultCode
from tapewire.protocol.limits import SUBSCRIPTIONS_PER_CONNECTION_MAX
from tapewire.protocol.messages import SystemMessage
from tapewire.protocol.requests import Ping, Unsubscribe, request_bytes

__all__ = ["Supervisor"]

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 10.0
#: How long an orderly end may take before the connection is dropped.
CLOSE_TIMEOUT_S = 1.0


class Supervisor:
    """Opens streams on one connection of the data socket."""

    def __init__(self, url: str, connector: Connector, tokens: TokenKeeper, rng: random.Random) -> None:
        self._url = url
        self._connector = connector
        self._tokens = tokens
        self._random = rng
        self._wanted: dict[Subscription[Any], str] = {}
        self._waiting: dict[Subscription[Any], asyncio.Future[SystemMessage]] = {}
        self._connection: Connection[Session] | None = None
        self._is_closed = False
        self._gone = asyncio.Event()
        #: Why nothing can be asked for while there is no connection.
        self._error: TapewireError = ClosedError("the broker is not connected")

    @property
    def received(self) -> int:
        """Messages that have come in over the connection."""
        return self._connection.received if self._connection else 0

    @property
    def session(self) -> Session | None:
        """The session of the connection."""
        return self._connection.session if self._connection else None

    async def start(self) -> None:
        """Open the connection.

        Raises:
            ConnectError: It cannot be opened.
        """
        connection = Connection(Session(), self._lost)
        try:
            await self._connector.connect(self._url, connection, timeout_s=CONNECT_TIMEOUT_S)
        except ConnectError as error:
            raise errors.ConnectError(self._url, error.reason) from error
        self._connection = connection
        self._greet(connection)

    async def close(self) -> None:
        """End all streams and the connection; returns when nothing of it is left.

        Cancelled, it does not wait for the broker's goodbye.
        """
        if not self._is_closed:
            self._is_closed = True
            self._error = ClosedError("the broker was closed")
            self._end_all(None)
        connection = self._connection
        if connection is None or connection.state is ConnectionState.CLOSED:
            return
        connection.close(CloseCode.NORMAL)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._gone.wait()
        except TimeoutError:
            connection.abort()
            await self._gone.wait()
        except BaseException:
            connection.abort()
            raise

    # --- SubscriptionOwner ------------------------------------------------------------------------------

    async def open(self, subscription: Subscription[Any]) -> None:
        """Ask the broker for a stream and wait for its answer; a token that has run out is renewed once."""
        if len(self._wanted) >= SUBSCRIPTIONS_PER_CONNECTION_MAX:
            raise LimitError("subscriptions a connection", len(self._wanted) + 1, SUBSCRIPTIONS_PER_CONNECTION_MAX)
        guid = self._new_guid()
        self._wanted[subscription] = guid
        subscription.moved(SubscriptionState.PENDING)
        tokens_fetched = self._tokens.fetched
        try:
            answer = await self._ask(subscription, guid)
            if answer.http_code == ResultCode.UNAUTHORIZED:
                # Of many that are refused at once only the first asks for a new token.
                if self._tokens.fetched == tokens_fetched:
                    await self._tokens.renew()
                answer = await self._ask(subscription, guid)
            if not answer.ok:
                raise RefusedError(answer.http_code, answer.message)
        except RefusedError as error:
            if subscription in self._wanted:
                self._refuse(subscription, error)
            raise
        except BaseException as error:
            # Given up before the answer: the broker may have granted it all the same, so take it back.
            if subscription in self._wanted:
                self.release(subscription)
                subscription.ended(error if isinstance(error, TapewireError) else None)
            raise
        subscription.granted()

    def release(self, subscription: Subscription[Any]) -> None:
        """Ask the broker for a stream no longer. Its answer is of no interest."""
        guid = self._forget(subscription)
        answered = self._waiting.get(subscription)
        if answered is not None and not answered.done():
            answered.set_exception(_closed(subscription))
        connection = self._connection
        if guid is None or connection is None or not connection.is_open:
            return
        connection.session.forget_answer(guid)
        connection.session.ignore_answer(guid)
        connection.send(request_bytes(Unsubscribe(guid=guid, token=self._tokens.newest)))

    # --- inside -----------------------------------------------------------------------------------------

    def _greet(self, connection: Connection[Session]) -> None:
        """Say whose the connection is before anything is asked for: servers end those that never say it.

        Its answer is of no interest: a token that is not good is told with the first request.
        """
        guid = self._new_guid()
        connection.session.ignore_answer(guid)
        connection.send(request_bytes(Ping(guid=guid, token=self._tokens.newest, confirm=True)))

    def _new_guid(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    async def _ask(self, subscription: Subscription[Any], guid: str) -> SystemMessage:
        self._check_wanted(subscription)
        connection = self._connection
        if connection is None or not connection.is_open:
            raise self._why_not()
        request = msgspec.structs.replace(subscription.request, guid=guid, token=self._tokens.current())
        answered: asyncio.Future[SystemMessage] = asyncio.get_running_loop().create_future()
        self._waiting[subscription] = answered
        # Data may come before the answer.
        connection.session.open_stream(guid, subscription.buffer.put, partial(self._taken_back, subscription))
        connection.session.expect_answer(guid, _setter(answered))
        connection.send(request_bytes(request))
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await answered
        except TimeoutError:
            raise AnswerTimeoutError(ANSWER_TIMEOUT_S) from None
        finally:
            del self._waiting[subscription]
            connection.session.forget_answer(guid)
        self._check_wanted(subscription)
        return answer

    def _check_wanted(self, subscription: Subscription[Any]) -> None:
        """Look whether the stream, the connection or the broker has been closed while somebody waited."""
        if subscription not in self._wanted:
            if subscription.buffer.error is not None:
                raise subscription.buffer.error.again()
            is_cut = self._gone.is_set() or self._is_closed
            raise self._error.again() if is_cut else _closed(subscription)

    def _why_not(self) -> TapewireError:
        """Return why nothing can be asked for now."""
        end = self._connection.end if self._connection is not None else None
        # A connection that is ending cannot be used though it has not been told as lost yet.
        return self._error.again() if end is None or self._is_closed else ConnectionLostError(*end)

    def _taken_back(self, subscription: Subscription[Any], answer: SystemMessage) -> None:
        """End a stream that the broker has granted and will not serve after all."""
        self._refuse(subscription, RefusedError(answer.http_code, answer.message))

    def _refuse(self, subscription: Subscription[Any], error: RefusedError) -> None:
        self._forget(subscription)
        subscription.refused(error)

    def _forget(self, subscription: Subscription[Any]) -> str | None:
        guid = self._wanted.pop(subscription, None)
        if guid is not None and self._connection is not None:
            self._connection.session.close_stream(guid)
        return guid

    def _lost(self, code: int, reason: str) -> None:
        self._gone.set()
        if not self._is_closed:
            self._error = ConnectionLostError(code, reason)
            self._end_all(self._error)

    def _end_all(self, error: ConnectionLostError | None) -> None:
        """End what was asked for; ``error`` is what consumers are told, None a plain end."""
        for answered in self._waiting.values():
            if not answered.done():
                answered.set_exception(self._error.again())
        for subscription in tuple(self._wanted):
            self._forget(subscription)
            subscription.ended(error)


def _setter(answered: asyncio.Future[SystemMessage]) -> Callable[[SystemMessage], None]:
    def deliver(answer: SystemMessage) -> None:
        if not answered.done():
            answered.set_result(answer)

    return deliver


def _closed(subscription: Subscription[Any]) -> ClosedError:
    return ClosedError(f"{subscription.name} was closed while it was being opened")
