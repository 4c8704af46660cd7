"""Clusters of one instrument: what was bought and sold at each price of an interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tapewire.model import Side, bar_ends_s, bar_opening_s
from tapewire.venues.intervals import check_room
from tapewire.venues.tape import Print, Tape

__all__ = ["Clusters", "FinishedCluster", "TickCluster", "past_clusters"]


class FinishedCluster(NamedTuple):
    """The trades of an interval that is over."""

    interval_s: int
    opening_s: int
    #: Lots bought and sold by the aggressor, by price in ticks.
    lots: dict[int, list[int]]
    #: Place on the tape of the last trade in it.
    sequence: int


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

    def trade(self, printed: Print, sequence: int) -> FinishedCluster | None:
        """Add one trade; a later interval begins anew. Return the one that it finished, if any."""
        at_s = printed.at_ns // 1_000_000_000
        finished = None
        if at_s >= self._ends_s:
            if self.lots:
                finished = FinishedCluster(self.interval_s, self.opening_s, self.lots, self.sequence)
            self.opening_s = bar_opening_s(at_s, self.interval_s)
            self._ends_s = bar_ends_s(self.opening_s, self.interval_s)
            self.lots = {}
        level = self.lots.setdefault(printed.price_ticks, [0, 0])
        level[0 if printed.aggressor is Side.BUY else 1] += printed.lots
        self.sequence = sequence
        return finished


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

    @property
    def intervals(self) -> Iterable[int]:
        """The intervals of which clusters are kept."""
        return self._clusters

    def trade(self, printed: Print) -> list[FinishedCluster]:
        """Add one trade, which is on the tape already; return the clusters that it finished."""
        sequence = self._tape.sequence
        return [
            finished
            for cluster in self._clusters.values()
            if (finished := cluster.trade(printed, sequence)) is not None
        ]

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


def past_clusters(
    prints: Sequence[Print], interval_s: int, since_s: int, until_s: int, *, is_cut: bool
) -> list[FinishedCluster]:
    """Return the clusters that open from ``since_s`` and before ``until_s``, oldest first.

    Args:
        prints: Trades, oldest first.
        interval_s: Of a cluster.
        since_s: Opening of the first cluster wanted, Unix s.
        until_s: Opening of the running one, which is left out.
        is_cut: Whether there may be trades before the first: what they belong to as well is left out.
    """
    found: list[FinishedCluster] = []
    ends_s = 0
    for printed in prints:
        at_s = printed.at_ns // 1_000_000_000
        if at_s >= ends_s:
            opening_s = bar_opening_s(at_s, interval_s)
            ends_s = bar_ends_s(opening_s, interval_s)
            found.append(FinishedCluster(interval_s, opening_s, {}, 0))
        level = found[-1].lots.setdefault(printed.price_ticks, [0, 0])
        level[0 if printed.aggressor is Side.BUY else 1] += printed.lots
    whole = found[1:] if is_cut else found
    return [cluster for cluster in whole if since_s <= cluster.opening_s < until_s]
