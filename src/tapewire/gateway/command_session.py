"""One session of the order socket: authorisation, pings, commands. Nothing unsolicited is ever sent here.

==========  ===================================  ==============================================================
state       entered by                           what is taken
==========  ===================================  ==============================================================
open        the handshake                        ``authorize``, ``ping``; all else is answered 401
authorized  ``authorize`` with a good token      everything, ``authorize`` again
expired     the end of the token's life          ``authorize``, ``ping``; all else is answered 401
==========  ===================================  ==============================================================

What came is answered in the order in which it came: programs in the field take the next message after a command
for its answer. The venue is given commands in that order too, and need not have answered one to be given the
next: one sync of its disk serves many. Rights are those of the token at the arrival of a command.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from tapewire.gateway.limits import Limit
from tapewire.gateway.misuse import Offence
from tapewire.gateway.order_commands import command_of
from tapewire.gateway.order_entry import NoAnswer, asks_for_nothing, check_portfolio, check_scope
from tapewire.gateway.outbox import Outbox, Outlet
from tapewire.gateway.safeguards import Safeguard, Safeguards
from tapewire.gateway.safety import GUARDED_ORDERS_MAX, Ticket, places
from tapewire.gateway.session import SessionServices
from tapewire.gateway.standing import Standing
from tapewire.model import (
    CancelOrder,
    CancelStopOrder,
    Command,
    CommandKey,
    Outcome,
    Refused,
    Repeated,
    ReplaceOrder,
    ReplaceStopOrder,
    Unavailable,
)
from tapewire.protocol.assembler import Message
from tapewire.protocol.codes import CONNECTION_INITIALIZED, HANDLED, ResultCode
from tapewire.protocol.commands import (
    Authorize,
    CommandPing,
    OrderCommand,
    created,
    deleted,
    read_command,
    updated,
)
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.messages import SystemMessage
from tapewire.protocol.reading import Envelope, read_fields
from tapewire.protocol.replies import refused, repeated, unavailable, unknown_outcome
from tapewire.protocol.safety import SAFETY_OPCODE, AskSafety
from tapewire.protocol.tokens import Scope, Secret

__all__ = ["COMMANDS_AT_VENUE_MAX", "COMMANDS_WAITING_MAX", "CommandSession", "CommandState"]

#: Commands of one connection that the venue has at a time: as many as one sync of a journal serves.
COMMANDS_AT_VENUE_MAX = 64

#: Messages of one connection that wait for the answer of a command before them. The next one is answered 429.
COMMANDS_WAITING_MAX = 1_000


class CommandState(Enum):
    OPEN = "open"
    AUTHORIZED = "authorized"
    EXPIRED = "expired"


class _Waiting(NamedTuple):
    """A command that the venue is still to be given."""

    guid: str
    login: str
    command: Command
    key: CommandKey | None
    #: Of a connection that is guarded.
    ticket: Ticket | None


class CommandSession:
    """The state of one connection of ``/cws``: whose it is, with which token, and what waits."""

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
        # What the venue has, oldest first, and answers that must not overtake theirs; then what comes behind.
        self._under_way: deque[asyncio.Task[SystemMessage] | SystemMessage] = deque()
        self._waiting: deque[_Waiting | SystemMessage] = deque()
        self._working: asyncio.Task[None] | None = None
        #: None until the client asks for one, which it can only where the operator has the extension on.
        self._guard: Safeguard | None = None

    @property
    def state(self) -> CommandState:
        """What is taken now."""
        if not self._token:
            return CommandState.OPEN
        return CommandState.AUTHORIZED if self._standing.knows(self._token) else CommandState.EXPIRED

    @property
    def is_busy(self) -> bool:
        """Whether a command has not been answered yet."""
        return self._working is not None

    def receive(self, message: Message) -> None:
        """Handle one command; never raises for what a client sends."""
        try:
            envelope = self._standing.read(message, guid_characters_max=self._services.guid_characters_max)
            if len(self._under_way) + len(self._waiting) > COMMANDS_WAITING_MAX:
                text = f"Too many commands: at most {COMMANDS_WAITING_MAX} wait on a connection"
                refusal = self._standing.refusal(envelope.guid, Limit.COMMANDS_WAITING, text)
                # At once, before those that wait: it must not wait with them.
                self._send(SystemMessage(refusal.guid, int(refusal.code), refusal.text))
                return
            step = self._handle(envelope, message.payload)
        except BadRequestError as refusal:
            step = SystemMessage(refusal.guid, int(refusal.code), refusal.text)
        if isinstance(step, SystemMessage) and not self.is_busy:
            self._send(step)
            return
        self._waiting.append(step)
        self._hand_over()

    def broke(self, outlet: Outlet, error: Exception) -> None:
        """Nothing here has a past."""
        raise AssertionError("nothing is subscribed to on the order socket") from error

    def close(self, *, is_clean: bool) -> None:
        """Forget the token and what waits; commands that the venue has may be carried out all the same."""
        self._token = Secret("")
        if self._guard is not None:
            self._guard.leave(is_clean=is_clean)
        self._waiting.clear()
        if self._working is not None:
            self._working.cancel()
            self._working = None
        for task in self._under_way:
            if isinstance(task, asyncio.Task):
                task.cancel()
        self._under_way.clear()

    def _handle(self, envelope: Envelope, message: bytes) -> _Waiting | SystemMessage:
        if self._services.safeguards is not None and envelope.opcode.casefold() == SAFETY_OPCODE:
            return self._ask_safety(envelope, message, self._services.safeguards)
        asked = read_command(envelope, message)
        if isinstance(asked, CommandPing):
            return SystemMessage(asked.guid, ResultCode.OK, HANDLED)
        if isinstance(asked, Authorize):
            self._standing.authorise(asked.guid, asked.token)
            self._token = Secret(asked.token)
            return SystemMessage(asked.guid, ResultCode.OK, CONNECTION_INITIALIZED)
        assert isinstance(asked, OrderCommand)
        claims = self._standing.authorise(asked.guid, self._token.reveal())
        self._standing.check_block(asked.guid, claims.sub)
        check_scope(asked.guid, claims, Scope.ORDERS_CREATE)
        check_portfolio(asked.guid, claims, asked.user.portfolio)
        key = CommandKey(claims.sub, asked.guid) if asked.check_duplicates else None
        command = command_of(asked, self._services.query)
        return _Waiting(asked.guid, claims.sub, command, key, self._ticket(asked.guid, command))

    def _ask_safety(self, envelope: Envelope, message: bytes, safeguards: Safeguards) -> SystemMessage:
        asked = read_fields(AskSafety, envelope, message)
        claims = self._standing.authorise(asked.guid, self._token.reveal())
        check_scope(asked.guid, claims, Scope.ORDERS_CREATE)
        if self._guard is None:
            self._guard = safeguards.guard(self._standing)
        return self._guard.ask(asked)

    def _ticket(self, guid: str, command: Command) -> Ticket | None:
        if self._guard is None:
            return None
        if self._guard.is_full and places(command):
            text = f"Too many orders: at most {GUARDED_ORDERS_MAX} are guarded on a connection"
            raise self._standing.refusal(guid, Limit.GUARDED_ORDERS, text)
        return self._guard.arrived(command)

    def _hand_over(self) -> None:
        while self._waiting and len(self._under_way) < COMMANDS_AT_VENUE_MAX:
            step = self._waiting.popleft()
            # Tasks begin in the order in which they are made, and a command has its place when its task begins.
            if isinstance(step, SystemMessage):
                self._under_way.append(step)
            else:
                self._under_way.append(self._services.spawn(self._carry_out(step)))
        if self._working is None:
            self._working = self._services.spawn(self._work())

    async def _work(self) -> None:
        """Send the answers in the order of what they answer."""
        try:
            while self._under_way:
                first = self._under_way[0]
                self._send(first if isinstance(first, SystemMessage) else await first)
                self._under_way.popleft()
                self._hand_over()
        finally:
            self._working = None

    async def _carry_out(self, waiting: _Waiting) -> SystemMessage:
        if waiting.ticket is None or self._guard is None:
            outcome = await self._services.orders.submit(waiting.command, waiting.key)
        else:
            outcome = await self._guard.submit(waiting.ticket, waiting.key)
        if asks_for_nothing(outcome):
            self._standing.charge(Offence.UNKNOWN_ORDER, waiting.login)
        return _answer(waiting.guid, waiting.command, outcome)

    def _send(self, answer: SystemMessage) -> None:
        self._outbox.put_answer(answer.encode(), self._now())
        self._hurry()


def _answer(guid: str, command: Command, outcome: Outcome | NoAnswer) -> SystemMessage:
    match outcome:
        case NoAnswer(reason):
            return unknown_outcome(guid, reason)
        case Unavailable(reason):
            return unavailable(guid, reason)
        case Repeated(first):
            return repeated(guid, first)
        case Refused():
            return refused(guid, outcome)
    match command:
        case ReplaceOrder() | ReplaceStopOrder():
            return updated(guid, outcome.order_number)
        case CancelOrder() | CancelStopOrder():
            return deleted(guid, outcome.order_number)
    return created(guid, outcome.order_number)
