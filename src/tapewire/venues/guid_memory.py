"""Which commands were handled before: a command that comes again is answered, not carried out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from tapewire.model import CommandKey, Done, Refused

__all__ = ["GUIDS_REMEMBERED_MAX", "GuidMemory", "Remembered"]

#: Commands of one login that are remembered; the oldest go first. Logins are as many as the system has users.
GUIDS_REMEMBERED_MAX = 10_000


class Remembered(msgspec.Struct, frozen=True, array_like=True):
    """One command that was handled: ``code`` None says that it was done."""

    login: str
    guid: str
    code: int | None
    #: The order number of a command that was done, the reason of one that was refused.
    text: str


class GuidMemory:
    """The last guids of each login with what became of their commands, whichever door they came through."""

    def __init__(self, rows: Iterable[Remembered] = ()) -> None:
        """Begin with the rows of ``all``."""
        self._outcomes: dict[str, OrderedDict[str, Done | Refused]] = {}
        for row in rows:
            outcome = Done(row.text) if row.code is None else Refused(row.code, row.text)
            self.keep(CommandKey(row.login, row.guid), outcome)

    def all(self) -> list[Remembered]:
        """Return what is remembered, the oldest of each login first."""
        return [
            Remembered(login, guid, None, outcome.order_number)
            if isinstance(outcome, Done)
            else Remembered(login, guid, outcome.code, outcome.reason)
            for login, outcomes in self._outcomes.items()
            for guid, outcome in outcomes.items()
        ]

    def first(self, key: CommandKey) -> Done | Refused | None:
        """Return what became of the command that had this key first; None: there was none."""
        outcomes = self._outcomes.get(key.login)
        return None if outcomes is None else outcomes.get(key.guid)

    def keep(self, key: CommandKey, outcome: Done | Refused) -> None:
        """Remember what became of a command."""
        outcomes = self._outcomes.setdefault(key.login, OrderedDict())
        outcomes[key.guid] = outcome
        if len(outcomes) > GUIDS_REMEMBERED_MAX:
            outcomes.popitem(last=False)
