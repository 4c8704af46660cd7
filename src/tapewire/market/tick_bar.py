"""Bars in the exchange's units: whole ticks and lots, so that adding them up never rounds."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tapewire.model import bar_opening_s

__all__ = ["TickBar", "fold"]


class TickBar(msgspec.Struct, gc=False):
    """One bar; mutable while it runs. ``time_s`` is its opening as in ``model.interval``."""

    time_s: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    lots: int

    @classmethod
    def of_trade(cls, time_s: int, price_ticks: int, lots: int) -> TickBar:
        """Return the bar of one trade."""
        return cls(time_s, price_ticks, price_ticks, price_ticks, price_ticks, lots)

    def trade(self, price_ticks: int, lots: int) -> None:
        """Add one later trade."""
        if price_ticks > self.high_ticks:
            self.high_ticks = price_ticks
        elif price_ticks < self.low_ticks:
            self.low_ticks = price_ticks
        self.close_ticks = price_ticks
        self.lots += lots

    def extend(self, later: TickBar) -> None:
        """Add all trades of a later bar."""
        self.high_ticks = max(self.high_ticks, later.high_ticks)
        self.low_ticks = min(self.low_ticks, later.low_ticks)
        self.close_ticks = later.close_ticks
        self.lots += later.lots

    def copy(self) -> TickBar:
        """Return a bar that later trades do not change."""
        return TickBar(self.time_s, self.open_ticks, self.high_ticks, self.low_ticks, self.close_ticks, self.lots)


def fold(bars: Iterable[TickBar], interval_s: int) -> list[TickBar]:
    """Return the bars of a coarser interval, oldest first; the given ones stay as they are.

    Args:
        bars: Oldest first; none spans two bars of ``interval_s``. Equal openings are parts of one bar.
        interval_s: A multiple of theirs.
    """
    folded: list[TickBar] = []
    for bar in bars:
        opening_s = bar_opening_s(bar.time_s, interval_s)
        if folded and folded[-1].time_s == opening_s:
            folded[-1].extend(bar)
        else:
            first = bar.copy()
            first.time_s = opening_s
            folded.append(first)
    return folded
