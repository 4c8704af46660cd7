"""The whole state of a market's participants as plain values: what a snapshot holds."""

from __future__ import annotations

import msgspec

from tapewire.market.phase import Phase
from tapewire.model import Side

__all__ = ["CrowdState", "MarketState", "OwnOrder"]


class OwnOrder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An order that a maker remembers as its own."""

    number: str
    portfolio: str
    side: Side
    ticks: int


class CrowdState(msgspec.Struct, frozen=True, kw_only=True):
    """The participants of one instrument."""

    phase: Phase
    #: Whether they have still to fill their book.
    is_to_open: bool
    #: The fair price, ticks, not whole; what it is drawn to; and the price limits it keeps away from.
    fair_ticks: float
    close_ticks: int
    band_ticks: tuple[int, int]
    #: In the maker's own sequence, which decides what is cancelled.
    own: tuple[OwnOrder, ...]


class MarketState(msgspec.Struct, frozen=True, kw_only=True):
    """Two markets with equal states and equal settings do the same in their next step."""

    next_step: int
    #: One an instrument, in the market's order.
    crowds: tuple[CrowdState, ...]
