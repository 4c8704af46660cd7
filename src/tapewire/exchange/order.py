"""An order while it rests in the book."""

from __future__ import annotations

import msgspec

from tapewire.model import Side

__all__ = ["Iceberg", "RestingOrder"]


class Iceberg(msgspec.Struct, gc=False):
    """What a resting order keeps below the surface, and how it shows it."""

    #: Size of a visible part, as ordered.
    visible_lots: int
    variance_percent: int
    #: What no part has shown yet.
    hidden_lots: int
    #: Size of the part that shows, when it came up.
    part_lots: int = 0
    #: Parts that have come up so far.
    parts: int = 0


# The mutable value of the hot path: one writer owns it and ``lots`` shrinks with every fill. It can be in no
# reference cycle, so the garbage collector need not know a million of them.
class RestingOrder(msgspec.Struct, gc=False):
    """The part of an accepted order that waits for a counterpart."""

    id: int
    account: str
    instrument: int
    side: Side
    price_ticks: int
    #: What is left of the part that shows; 0 once the order is filled.
    lots: int
    #: None: all of it shows.
    iceberg: Iceberg | None = None

    @property
    def remaining_lots(self) -> int:
        """What is left of it, shown or not."""
        return self.lots if self.iceberg is None else self.lots + self.iceberg.hidden_lots
