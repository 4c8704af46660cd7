"""The connections of this program, of those that its login may have on this machine."""

from __future__ import annotations

from tapewire.client.errors import LimitError
from tapewire.client.tokens import TokenKeeper
from tapewire.ports.slots import NoSlot, Slot, Slots

__all__ = ["Quota"]


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
            LimitError: All are taken; says how many of them by this program.
        """
        if self._slots is None:
            return None
        slot = self._slots.take(self._tokens.claims.sub)
        if isinstance(slot, NoSlot):
            others = slot.slots_max - self.held
            what = f"connections of this login on this machine ({self.held} here, {others} in other programs)"
            raise LimitError(what, slot.slots_max + 1, slot.slots_max)
        self.held += 1
        return _Held(self, slot)


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
