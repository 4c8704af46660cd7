"""Commands in flight on one connection of the order socket, and the right to send them. Pure.

The session knows no socket, no clock and no chance: it is given messages and moments, returns what is to be
sent, and tells each command's end exactly once. The tables are in :mod:`tapewire.client.command_states`. A new
connection gets a new session; nothing is carried over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tapewire.client.command_end import CommandEnd, Taken, Untold, end_of
from tapewire.client.command_result import Rejected
from tapewire.client.command_states import Authority, CommandState, authority_may_follow, command_may_follow
from tapewire.client.errors import LimitError, NotSentError
from tapewire.client.foreign_text import shown
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.commands import (
    Authorize,
    CommandPing,
    DeleteLimit,
    DeleteMarket,
    DeleteStop,
    DeleteStopLimit,
    OrderCommand,
    command_bytes,
)
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.messages import SystemMessage, read_system

__all__ = ["COMMANDS_IN_FLIGHT_MAX", "LATE_GUIDS_MAX", "CommandSession"]

#: Commands that were sent and not answered; the next one is refused locally. Far below what gateways let wait.
COMMANDS_IN_FLIGHT_MAX = 100
#: Commands given up whose late answers are still told; the oldest goes first.
LATE_GUIDS_MAX = 1_000

_DELETES = DeleteMarket | DeleteLimit | DeleteStop | DeleteStopLimit
_STATES: dict[type[CommandEnd], CommandState] = {
    Taken: CommandState.ACCEPTED,
    Rejected: CommandState.REJECTED,
    Untold: CommandState.UNKNOWN,
}


class _Flight(NamedTuple):
    """A command that was sent."""

    needs_number: bool
    settle: Callable[[CommandEnd], None]
    state: CommandState


class CommandSession:
    """The commands of one connection.

    Args:
        on_authority_lost: Called when the broker says that the token is not good any more.
        on_late: Called with guid and end when a command is answered that was given up.
        shown: Makes what the broker says fit to be told.
    """

    def __init__(
        self,
        on_authority_lost: Callable[[], None],
        on_late: Callable[[str, CommandEnd], None],
        shown: Callable[[str], str] = shown,
    ) -> None:
        #: Nothing is subscribed to on the order socket.
        self.streams: dict[bytes, Callable[[bytes], None]] = {}
        #: Messages that could not be read at all.
        self.malformed = 0
        #: Answers that belong to no command: repeated ones, those of others' guids, those that came far too late.
        self.unclaimed = 0
        self._authority = Authority.NONE
        self._authorizing: tuple[str, Callable[[SystemMessage | None], None]] | None = None
        self._flights: dict[str, _Flight] = {}
        self._given_up: dict[str, bool] = {}
        self._ping_guid = ""
        self._on_authority_lost = on_authority_lost
        self._on_late = on_late
        self._shown = shown

    @property
    def authority(self) -> Authority:
        """Whether commands may be sent."""
        return self._authority

    @property
    def in_flight(self) -> int:
        """Commands that were sent and have not ended."""
        return len(self._flights)

    def authorize(self, guid: str, token: str, settle: Callable[[SystemMessage | None], None]) -> bytes:
        """Return the message that shows a token; ``settle`` gets the answer, None if none will come.

        Commands may go on while a renewal is on its way: the old token is still good.
        """
        assert self._authorizing is None, "one at a time"
        self._authorizing = guid, settle
        if self._authority is not Authority.AUTHORIZED:
            self._enter(Authority.AUTHORIZING)
        return command_bytes(Authorize(guid=guid, token=token))

    def ping(self, guid: str) -> bytes:
        """Return the message that asks for a sign of life; its answer is nobody's, the newest ping's one only."""
        self._ping_guid = guid
        return command_bytes(CommandPing(guid=guid, confirm=True))

    def give_up_authorizing(self) -> None:
        """Wait for the answer to ``authorize`` no longer."""
        self._authorizing = None
        if self._authority is Authority.AUTHORIZING:
            self._enter(Authority.NONE)

    def send(self, command: OrderCommand, settle: Callable[[CommandEnd], None]) -> bytes:
        """Return the message of a command, which is in flight from now on; ``settle`` is called once.

        Raises:
            LimitError: As many commands as may be are in flight.
            NotSentError: The connection is not authorized.
        """
        if len(self._flights) >= COMMANDS_IN_FLIGHT_MAX:
            raise LimitError("commands in flight", len(self._flights) + 1, COMMANDS_IN_FLIGHT_MAX, passes=True)
        if self._authority is not Authority.AUTHORIZED:
            raise NotSentError(f"the order connection is not authorized ({self._authority.value})")
        assert command.guid not in self._flights, "a guid is used once"
        assert command.guid not in self._given_up, "a guid is used once"
        self._flights[command.guid] = _Flight(not isinstance(command, _DELETES), settle, CommandState.SENT)
        return command_bytes(command)

    def withdraw(self, guid: str) -> None:
        """Forget a command that could not be given to the connection after all. It is not settled."""
        del self._flights[guid]

    def give_up(self, guid: str, why: str) -> None:
        """End a command that was not answered in time; nothing happens if it has ended."""
        flight = self._flights.get(guid)
        if flight is None:
            return
        self._given_up[guid] = flight.needs_number
        if len(self._given_up) > LATE_GUIDS_MAX:
            del self._given_up[next(iter(self._given_up))]
        self._settle(guid, Untold(why))

    def end(self, why: str) -> None:
        """End all that waits: the connection is gone."""
        if self._authority is not Authority.ENDED:
            self._enter(Authority.ENDED)
        if self._authorizing is not None:
            _, settle = self._authorizing
            self._authorizing = None
            settle(None)
        for guid in tuple(self._flights):
            self._settle(guid, Untold(why))

    def receive(self, message: bytes) -> None:
        """Take one message; never raises for what the other end sends."""
        try:
            answer = read_system(message)
        except MalformedMessageError:
            self.malformed += 1
            return
        if answer is None or not self._take(answer):
            self.unclaimed += 1

    def _take(self, answer: SystemMessage) -> bool:
        """Give an answer to whom it belongs; False if it is nobody's."""
        guid = answer.request_guid
        if self._authorizing is not None and guid == self._authorizing[0]:
            self._take_authority(answer)
            return True
        if guid and guid == self._ping_guid:
            self._ping_guid = ""
            return True
        flight = self._flights.get(guid)
        is_late = flight is None and guid in self._given_up
        if flight is None and not is_late:
            return False
        needs_number = flight.needs_number if flight is not None else self._given_up.pop(guid)
        number = answer.order_number if isinstance(answer.order_number, str) else ""
        end = end_of(guid, answer.http_code, self._shown(answer.message), number, needs_number=needs_number)
        if is_late:
            self._on_late(guid, end)
        else:
            self._settle(guid, end)
        if answer.http_code == ResultCode.UNAUTHORIZED and self._authority is Authority.AUTHORIZED:
            self._enter(Authority.NONE)
            self._on_authority_lost()
        return True

    def _take_authority(self, answer: SystemMessage) -> None:
        assert self._authorizing is not None
        _, settle = self._authorizing
        self._authorizing = None
        wanted = Authority.AUTHORIZED if answer.ok else Authority.NONE
        if self._authority not in (wanted, Authority.ENDED):
            # A renewal may be answered after a command has shown that the old token is good no more.
            if (self._authority, wanted) == (Authority.NONE, Authority.AUTHORIZED):
                self._enter(Authority.AUTHORIZING)
            self._enter(wanted)
        settle(answer)

    def _settle(self, guid: str, end: CommandEnd) -> None:
        flight = self._flights.pop(guid)
        assert command_may_follow(flight.state, _STATES[type(end)])
        flight.settle(end)

    def _enter(self, authority: Authority) -> None:
        assert authority_may_follow(self._authority, authority), f"{self._authority} → {authority}"
        self._authority = authority
