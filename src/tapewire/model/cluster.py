"""Clusters: what was bought and sold at each price within one interval."""

from __future__ import annotations

from typing import Annotated

from tapewire.model.record import Record, Wire

__all__ = ["Cluster", "ClusterLevel"]


class ClusterLevel(Record, frozen=True, kw_only=True, gc=False):
    """Lots traded at one price, by the side of the aggressor."""

    price: Annotated[float, Wire("price")]
    buy_quantity: Annotated[int, Wire("buyQty")]
    sell_quantity: Annotated[int, Wire("sellQty")]


class Cluster(Record, frozen=True, kw_only=True, gc=False):
    """One interval's trades by price. Undocumented: the broker's terminal alone asks for it, in one format.

    Source: reference of subscriptions, section 7.15.
    """

    #: Opening of the interval, Unix s UTC.
    time_s: Annotated[int, Wire("timestamp")]
    levels: Annotated[tuple[ClusterLevel, ...], Wire("tradeClusters")]
