"""The order desk of a scripted venue: commands are written down and answered as told."""

from __future__ import annotations

import asyncio
from collections import deque
from uuid import UUID

from tapewire.model import (
    CancelAllOrders,
    CancelOrder,
    CancelStopOrder,
    ChangeGroup,
    Command,
    CommandKey,
    DeleteGroup,
    Done,
    MakeGroup,
    Outcome,
    Refused,
    Repeated,
)

__all__ = ["ScriptedCommands"]

_FIRST_ORDER_NUMBER = 70_000_000_000


class ScriptedCommands:
    """Implements ``CommandSink``.

    Attributes:
        commands: What was submitted, oldest first, whatever came of it; repeated commands are not in it.
        keys: Their keys, in the same order.
        delay_s: What a command waits for its outcome, after it was written down.
    """

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.keys: list[CommandKey | None] = []
        self.delay_s = 0.0
        self._delays: deque[float] = deque()
        self._answers: deque[Outcome | Exception] = deque()
        self._remembered: dict[CommandKey, asyncio.Future[Outcome]] = {}
        self._order_number = _FIRST_ORDER_NUMBER
        self._groups_made = 0

    def answer_next(self, *answers: Outcome | Exception) -> None:
        """Give these outcomes to the next commands, in order; an exception is raised. After them: ``Done``."""
        self._answers.extend(answers)

    def delay_next(self, *delays_s: float) -> None:
        """Let the next commands wait so long for their outcomes, in order. After them: ``delay_s``."""
        self._delays.extend(delays_s)

    async def submit(self, command: Command, key: CommandKey | None = None) -> Outcome:
        """Write the command down and return the outcome scripted for it, or ``Done``.

        The outcome is settled at the call: of two commands the first gets the first answer, whatever the
        delay. Cancelled, the command stays written down, as at a venue that had it already; one with a key that
        is known waits for the first one's outcome.
        """
        first = self._remembered.get(key) if key is not None else None
        if first is not None:
            known = await asyncio.shield(first)
            assert isinstance(known, Done | Refused)
            return Repeated(known)
        self.commands.append(command)
        self.keys.append(key)
        answer = self._answers.popleft() if self._answers else self._done(command)
        delay_s = self._delays.popleft() if self._delays else self.delay_s
        if isinstance(answer, Done | Refused) and key is not None:
            loop = asyncio.get_running_loop()
            settled: asyncio.Future[Outcome] = loop.create_future()
            self._remembered[key] = settled
            # Whoever waits may be cancelled; what the venue has begun ends all the same.
            loop.call_later(delay_s, settled.set_result, answer)
        await asyncio.sleep(delay_s)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _done(self, command: Command) -> Done:
        match command:
            case CancelOrder() | CancelStopOrder():
                return Done(command.order_number)
            case CancelAllOrders():
                return Done("")
            case MakeGroup():
                self._groups_made += 1
                return Done(str(UUID(int=self._groups_made)))
            case ChangeGroup() | DeleteGroup():
                return Done(command.id)
        self._order_number += 1
        return Done(str(self._order_number))
