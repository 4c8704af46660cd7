"""One session of the order socket: authorisation and pings. Nothing unsolicited is ever sent here.

Order commands are read and checked as the reference has them and answered 501: this version of the gateway
serves no trading.
"""

from __future__ import annotations

from collections.abc import Callable

from tapewire.gateway.outbox import Outbox, Outlet
from tapewire.gateway.session import SessionServices
from tapewire.gateway.standing import Standing
from tapewire.protocol.assembler import Message
from tapewire.protocol.codes import CONNECTION_INITIALIZED, HANDLED, ResultCode
from tapewire.protocol.commands import Authorize, CommandPing, read_command
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.messages import SystemMessage
from tapewire.protocol.reading import Envelope
from tapewire.protocol.tokens import Secret

__all__ = ["CommandSession"]


class CommandSession:
    """The state of one connection of ``/cws``: whose it is, and with which token."""

    #: Nothing is subscribed to on the order socket.
    subscriptions = 0

    def __init__(
        self,
        services: SessionServices,
        standing: Standing,
        outbox: Outbox,
        hurry: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._services = services
        self._standing = standing
        self._outbox = outbox
        self._hurry = hurry
        self._now = now
        self._token = Secret("")

    def receive(self, message: Message) -> None:
        """Handle one command and put its answer into the outbox; never raises for what a client sends."""
        try:
            envelope = self._standing.read(message, guid_characters_max=self._services.guid_characters_max)
            answer = self._handle(envelope, message.payload)
        except BadRequestError as refusal:
            answer = SystemMessage(refusal.guid, int(refusal.code), refusal.text)
        self._outbox.put_answer(answer.encode(), self._now())
        self._hurry()

    def broke(self, outlet: Outlet, error: Exception) -> None:
        """Nothing here has a past."""
        raise AssertionError("nothing is subscribed to on the order socket") from error

    def close(self) -> None:
        """Forget the token."""
        self._token = Secret("")

    def _handle(self, envelope: Envelope, message: bytes) -> SystemMessage:
        command = read_command(envelope, message)
        if isinstance(command, CommandPing):
            return SystemMessage(command.guid, ResultCode.OK, HANDLED)
        if isinstance(command, Authorize):
            return self._authorise(command)
        claims = self._standing.authorise(command.guid, self._token.reveal())
        self._standing.check_block(command.guid, claims.sub)
        raise BadRequestError(command.guid, ResultCode.NOT_SERVED, "Order commands are not served by this version")

    def _authorise(self, command: Authorize) -> SystemMessage:
        self._standing.authorise(command.guid, command.token)
        self._token = Secret(command.token)
        return SystemMessage(command.guid, ResultCode.OK, CONNECTION_INITIALIZED)
