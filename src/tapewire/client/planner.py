"""Which connection carries which stream. Pure.

Of the ten connections that a user may have one is for orders and one is kept free, so that a stream can be moved
to a new connection before it leaves the old one. The rest are links for data: critical streams (orders, fills,
positions, risks) have one of their own, so that a burst of market data never stands in their way.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from tapewire.protocol.limits import CONNECTIONS_PER_USER_MAX, SUBSCRIPTIONS_PER_CONNECTION_MAX

__all__ = ["DATA_LINKS_MAX", "Lane", "Load", "NoRoom", "Use", "place"]

#: All but that of orders and the one in reserve.
DATA_LINKS_MAX = CONNECTIONS_PER_USER_MAX - 2


class Lane(Enum):
    """What a connection is for."""

    CRITICAL = "critical"
    MARKET = "market"


class Load(NamedTuple):
    """What one link carries."""

    lane: Lane
    streams: int
    is_open: bool = True


class Use(NamedTuple):
    """Where a stream is to go: the position of a link, or a new one."""

    link: int | None


class NoRoom(NamedTuple):
    """No connection can take one more stream of a lane."""

    streams: int
    streams_max: int


def place(
    lane: Lane,
    loads: Sequence[Load],
    *,
    links_max: int = DATA_LINKS_MAX,
    streams_max: int = SUBSCRIPTIONS_PER_CONNECTION_MAX,
) -> Use | NoRoom:
    """Return where one more stream goes.

    A link is filled before the next one is opened: the broker asks for few connections. Of several with room the
    fullest is taken, of those that are open if any is. Market data may fill all links but one while nothing
    critical is asked for: that one is kept, so that a program can always follow its orders.
    """
    with_room = [
        (load.is_open, load.streams, -position)
        for position, load in enumerate(loads)
        if load.lane is lane and load.streams < streams_max
    ]
    if with_room:
        return Use(-max(with_room)[2])
    has_critical = any(load.lane is Lane.CRITICAL for load in loads)
    kept = 1 if lane is Lane.MARKET and not has_critical and links_max > 1 else 0
    if lane is Lane.CRITICAL and has_critical:
        return _no_room(lane, loads, 1, streams_max)
    if len(loads) < links_max - kept:
        return Use(None)
    return _no_room(lane, loads, links_max - (1 if lane is Lane.MARKET else 0), streams_max)


def _no_room(lane: Lane, loads: Sequence[Load], links: int, streams_max: int) -> NoRoom:
    return NoRoom(sum(load.streams for load in loads if load.lane is lane), links * streams_max)
