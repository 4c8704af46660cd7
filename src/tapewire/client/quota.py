"""The connections of this program, of those that its login may have on this machine."""

from __future__ import annotations

import os
from collections import Counter

from tapewire.client.errors import LimitError
from tapewire.client.tokens import TokenKeeper
from tapewire.ports.slots import NoSlot, Slot, Slots

__all__ = ["Quota"]

_ADVICE = "end one of them, or let programs share a broker"


class Quota:
    """Takes a slot for each connection, and knows how many are held here. Without ``slots`` there is no bound."""

    def __init__(self, tokens: TokenKeeper, slots: Slots | None) -> None:
        self._tokens = tokens
        self._slots = slots
        #: Slots that this program holds.
        self.held = 0

    def take(self) -> _Held | None:
        """Take the right to one more connection; None where nobody counts them.

        Raises:
            LimitError: All are taken; says how many of them here, and which processes hold the others.
        """
        if self._slots is None:
            return None
        slot = self._slots.take(self._tokens.claims.sub)
        if isinstance(slot, NoSlot):
            # Another broker of this program may hold some.
            here = max(self.held, slot.holders.count(os.getpid()))
            there = f"{slot.slots_max - here} in other programs{_named(slot.holders)}"
            what = f"connections of this login on this machine ({here} here, {there})"
            raise LimitError(what, slot.slots_max + 1, slot.slots_max, _ADVICE)
        self.held += 1
        return _Held(self, slot)


def _named(holders: tuple[int, ...]) -> str:
    """Return which processes hold how many, those that are not this one."""
    counts = Counter(pid for pid in holders if pid != os.getpid())
    named = ", ".join(f"{count} of process {pid}" for pid, count in counts.items())
    return f": {named}" if named else ""


class _Held:
    """A slot that is held here."""

    def __init__(self, quota: Quota, slot: Slot) -> None:
        self._quota = quota
        self._slot: Slot | None = slot

    def release(self) -> None:
        """Give it back. More than once is as once."""
        slot, self._slot = self._slot, None
        if slot is not None:
            self._quota.held -= 1
            slot.release()
