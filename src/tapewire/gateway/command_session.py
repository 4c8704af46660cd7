"""One session of the order socket: authorisation and pings. Nothing unsolicited is ever sent here.

Order commands are read and checked as the reference has them and answered 501: this version of the gateway
serves no trading.
"""

from __future__ import annotations

from collections.abc import Callable

from tapewire.gateway.outbox import Outbox
from tapewire.gateway.session import SessionServices
from tapewire.protocol.assembler import Message
from tapewire.protocol.codes import CONNECTION_INITIALIZED, HANDLED, INVALID_TOKEN, ResultCode
from tapewire.protocol.commands import Authorize, CommandPing, read_command
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.messages import SystemMessage
from tapewire.protocol.reading import read_envelope

__all__ = ["CommandSession"]


class CommandSession:
    """The state of one connection of ``/cws``: whose it is, and with which token."""

    def __init__(
        self, services: SessionServices, outbox: Outbox, hurry: Callable[[], None], now: Callable[[], float]
    ) -> None:
        self._services = services
        self._outbox = outbox
        self._hurry = hurry
        self._now = now
        self._token = ""
        self._login: str | None = None

    def receive(self, message: Message) -> None:
        """Handle one command and put its answer into the outbox; never raises for what a client sends."""
        try:
            if not message.is_text:
                raise BadRequestError("", ResultCode.BAD_REQUEST, "Binary messages are not taken")
            answer = self._handle(message.payload)
        except BadRequestError as refusal:
            answer = SystemMessage(refusal.guid, int(refusal.code), refusal.text)
        self._outbox.put_answer(answer.encode(), self._now())
        self._hurry()

    def close(self) -> None:
        """Give the connection's place back."""
        if self._login is not None:
            self._services.quota.release(self._login)
            self._login = None

    def _handle(self, message: bytes) -> SystemMessage:
        envelope = read_envelope(message, guid_characters_max=self._services.guid_characters_max)
        command = read_command(envelope, message)
        if isinstance(command, CommandPing):
            return SystemMessage(command.guid, ResultCode.OK, HANDLED)
        if isinstance(command, Authorize):
            return self._authorise(command)
        if self._services.tokens.verify(self._token) is None:
            raise BadRequestError(command.guid, ResultCode.UNAUTHORIZED, INVALID_TOKEN)
        raise BadRequestError(command.guid, ResultCode.NOT_SERVED, "Order commands are not served by this version")

    def _authorise(self, command: Authorize) -> SystemMessage:
        claims = self._services.tokens.verify(command.token)
        if claims is None:
            raise BadRequestError(command.guid, ResultCode.UNAUTHORIZED, INVALID_TOKEN)
        if self._login is None:
            if not self._services.quota.claim(claims.sub):
                raise BadRequestError(command.guid, ResultCode.TOO_MANY, "Too many connections of this user")
            self._login = claims.sub
        self._token = command.token
        return SystemMessage(command.guid, ResultCode.OK, CONNECTION_INITIALIZED)
