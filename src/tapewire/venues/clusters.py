"""Running clusters of one instrument: what was bought and sold at each price of an interval."""

from __future__ import annotations

from collections.abc import Iterable

from tapewire.model import Side, bar_ends_s, bar_opening_s
from tapewire.venues.intervals import check_room
from tapewire.venues.tape import Print, Tape

__all__ = ["Clusters", "TickCluster"]


class TickCluster:
    """The trades of one interval by price."""

    __slots__ = ("_ends_s", "interval_s", "lots", "opening_s", "sequence")

    def __init__(self, interval_s: int, opening_s: int) -> None:
        self.interval_s = interval_s
        self.opening_s = opening_s
        self._ends_s = bar_ends_s(opening_s, interval_s)
        #: Lots bought and sold by the aggressor, by price in ticks.
        self.lots: dict[int, list[int]] = {}
        #: Place on the tape of the last trade in it.
        self.sequence = 0

    def trade(self, printed: Print, sequence: int) -> None:
        """Add one trade; a later interval begins anew."""
        at_s = printed.at_ns // 1_000_000_000
        if at_s >= self._ends_s:
            self.opening_s = bar_opening_s(at_s, self.interval_s)
            self._ends_s = bar_ends_s(self.opening_s, self.interval_s)
            self.lots.clear()
        level = self.lots.setdefault(printed.price_ticks, [0, 0])
        level[0 if printed.aggressor is Side.BUY else 1] += printed.lots
        self.sequence = sequence


class Clusters:
    """The clusters that somebody wants. Memory: one pair of numbers a price and interval.

    A cluster that is opened late begins with the trades of its interval that the tape still holds.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._clusters: dict[int, TickCluster] = {}

    def open(self, interval_s: int, now_s: int) -> None:
        """Begin to keep clusters of an interval; opening it again does nothing.

        Raises:
            TooManyStreamsError: ``INTERVALS_MAX`` are open.
        """
        if interval_s not in self._clusters:
            check_room(len(self._clusters))
            self._clusters[interval_s] = self.newest(interval_s, now_s)

    def close(self, interval_s: int) -> None:
        """Stop keeping clusters of an interval."""
        self._clusters.pop(interval_s, None)

    def trade(self, printed: Print) -> Iterable[int]:
        """Add one trade, which is on the tape already; return the intervals that have changed."""
        for cluster in self._clusters.values():
            cluster.trade(printed, self._tape.sequence)
        return self._clusters

    def newest(self, interval_s: int, now_s: int) -> TickCluster:
        """Return the running cluster, or the one that the tape gives for the running interval."""
        known = self._clusters.get(interval_s)
        if known is not None:
            return known
        cluster = TickCluster(interval_s, bar_opening_s(now_s, interval_s))
        first = self._tape.sequence - len(self._tape) + 1
        for sequence, printed in enumerate(self._tape.last(len(self._tape)), first):
            if bar_opening_s(printed.at_ns // 1_000_000_000, interval_s) == cluster.opening_s:
                cluster.trade(printed, sequence)
        return cluster
