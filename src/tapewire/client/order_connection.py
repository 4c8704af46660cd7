"""One connection of the order socket, and the right to send commands on it."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Protocol

from tapewire.client.attended import Attended
from tapewire.client.command_end import CommandEnd
from tapewire.client.command_session import CommandSession
from tapewire.client.command_states import Authority
from tapewire.client.errors import AnswerTimeoutError, ConnectionLostError, RefusedError
from tapewire.client.guid import new_guid
from tapewire.client.tokens import TokenKeeper
from tapewire.ports.network import Connector
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.messages import SystemMessage

__all__ = ["AUTHORIZE_TIMEOUT_S", "OrderConnection", "OrderConnectionOwner"]

AUTHORIZE_TIMEOUT_S = 10.0


class OrderConnectionOwner(Protocol):
    """Who sends commands on it."""

    def must_authorize(self) -> None:
        """The broker has said that the token is not good any more."""

    def came_late(self, guid: str, end: CommandEnd) -> None:
        """A command was answered that had been given up."""

    def silent(self, seconds: float) -> None:
        """Nobody answers; the connection is dropped."""

    def lost(self, connection: OrderConnection, error: ConnectionLostError) -> None:
        """It has ended; what is in flight on it ends next."""


class OrderConnection:
    """Shows the newest token, and knows whether there is a newer one.

    Attributes:
        session: Its commands in flight.
        was_ready: Whether commands could be sent on it.
    """

    def __init__(self, tokens: TokenKeeper, rng: random.Random, owner: OrderConnectionOwner) -> None:
        self.session = CommandSession(self._authority_lost, owner.came_late, tokens.shown)
        self.was_ready = False
        self._tokens = tokens
        self._random = rng
        self._owner = owner
        self._attended = Attended(self.session, self._ping, owner.silent, self._lost, shown=tokens.shown)
        self._connection = self._attended.connection
        self._has_new_token = False
        #: Which token it was authorized with, by the keeper's count.
        self._authorized_with = 0

    @property
    def received(self) -> int:
        """Messages that have come in."""
        return self._connection.received

    @property
    def end(self) -> tuple[int, str] | None:
        """Code and reason of its end, as soon as it is known that and why it ends."""
        return self._connection.end

    @property
    def is_open(self) -> bool:
        """Whether it is not ending."""
        return self._connection.is_open

    @property
    def is_authorized(self) -> bool:
        """Whether commands may be sent."""
        return self.session.authority is Authority.AUTHORIZED

    @property
    def needs_token(self) -> bool:
        """Whether the newest token is to be shown."""
        return self._has_new_token or not self.is_authorized

    # --- life -------------------------------------------------------------------------------------------

    async def open(self, connector: Connector, url: str) -> None:
        """Open it, not authorized yet.

        Raises:
            ConnectError: Of the port: it cannot be had.
        """
        await self._attended.open(connector, url)

    def begin(self) -> None:
        """Note that commands can be sent from now on; what is sent on it should find somebody there."""
        self.was_ready = True
        self._attended.begin()

    async def wait(self) -> None:
        """Look after it; return when something may have happened."""
        await self._attended.wait()

    async def close(self, why: str) -> None:
        """End it in order, and what is in flight with it; one that takes too long is dropped."""
        self.session.end(why)
        self._connection.close()
        await self._attended.ended()

    async def ended(self) -> None:
        """Wait until it has ended; it is dropped if nobody has begun that."""
        await self._attended.ended()

    def abort(self, reason: str = "") -> None:
        """Drop it; ``reason`` is what those are told who have a command in flight."""
        self._connection.abort(reason)

    # --- commands and tokens ----------------------------------------------------------------------------

    def send(self, message: bytes) -> bool:
        """Send one message; False if the connection is not open any more."""
        return self._connection.send(message)

    def doubt(self, received: int) -> None:
        """Ask for a sign of life now, if nothing has come since so many messages had."""
        if self._connection.received == received:
            self._attended.hurry()

    def token_renewed(self) -> None:
        """Note that there is a newer token to show."""
        self._has_new_token = True
        self._attended.wake()

    async def authorize(self) -> None:
        """Show the newest token; one that the broker does not take is renewed once. Looks after it meanwhile.

        Raises:
            RefusedError: The broker does not take a new token either.
            AnswerTimeoutError: It did not answer.
            ConnectionLostError: The connection ended first.
        """
        self._has_new_token = False
        if not self.is_authorized and self._authorized_with == self._tokens.fetched:
            await self._tokens.renew()
        answer = await self._show_token()
        if answer.http_code == ResultCode.UNAUTHORIZED:
            if self._authorized_with == self._tokens.fetched:
                await self._tokens.renew()
            answer = await self._show_token()
        if not answer.ok:
            raise RefusedError(answer.http_code, self._tokens.shown(answer.message))

    async def _show_token(self) -> SystemMessage:
        self._has_new_token = False
        answers: list[SystemMessage | None] = []
        token = self._tokens.current()
        self._authorized_with = self._tokens.fetched
        self.send(self.session.authorize(new_guid(self._random), token, partial(self._answered, answers)))
        loop = asyncio.get_running_loop()
        until_s = loop.time() + AUTHORIZE_TIMEOUT_S
        try:
            while not answers:
                if loop.time() >= until_s:
                    raise AnswerTimeoutError(AUTHORIZE_TIMEOUT_S)
                await self._attended.wait(until_s)
        except BaseException:
            self.session.give_up_authorizing()
            raise
        if answers[0] is None:
            assert self.end is not None
            raise ConnectionLostError(*self.end)
        return answers[0]

    def _answered(self, answers: list[SystemMessage | None], answer: SystemMessage | None) -> None:
        answers.append(answer)
        self._attended.wake()

    def _ping(self) -> None:
        self.send(self.session.ping(new_guid(self._random)))

    def _authority_lost(self) -> None:
        self._attended.wake()
        self._owner.must_authorize()

    def _lost(self, code: int, reason: str) -> None:
        error = ConnectionLostError(code, reason)
        self._owner.lost(self, error)
        self.session.end(str(error))
