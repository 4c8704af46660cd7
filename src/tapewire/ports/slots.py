"""The connections that a login may have, counted over all programs of a machine."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["NoSlot", "Slot", "Slots"]


class NoSlot(NamedTuple):
    """All connections of a login are taken."""

    slots_max: int
    #: Processes that hold them, one for each slot; those that are not known are left out.
    holders: tuple[int, ...] = ()


class Slot(Protocol):
    """The right to one connection."""

    def release(self) -> None:
        """Give it back. More than once is as once."""


class Slots(Protocol):
    """Gives out the rights to connections; a process that ends, however it ends, has given back its own."""

    def take(self, login: str) -> Slot | NoSlot:
        """Take one more for a login, at once or not at all. Never raises."""
