"""An order while it rests in the book."""

from __future__ import annotations

import msgspec

from tapewire.model import Side

__all__ = ["RestingOrder"]


# The only mutable value of the core: one writer owns it and ``lots`` shrinks with every fill. It refers to
# no container, so it can be in no reference cycle and the garbage collector need not know a million of them.
class RestingOrder(msgspec.Struct, gc=False):
    """The part of an accepted order that waits for a counterpart."""

    id: int
    account: str
    instrument: int
    side: Side
    price_ticks: int
    #: What is left of it; 0 once it is filled.
    lots: int
