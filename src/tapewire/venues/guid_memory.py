"""Which commands were handled before: a command that comes again is answered, not carried out."""

from __future__ import annotations

from collections import OrderedDict

from tapewire.model import CommandKey, Done, Refused

__all__ = ["GUIDS_REMEMBERED_MAX", "GuidMemory"]

#: Commands of one login that are remembered; the oldest go first. Logins are as many as the system has users.
GUIDS_REMEMBERED_MAX = 10_000


class GuidMemory:
    """The last guids of each login with what became of their commands, whichever door they came through."""

    def __init__(self) -> None:
        self._outcomes: dict[str, OrderedDict[str, Done | Refused]] = {}

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
