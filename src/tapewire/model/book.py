"""The order book as a subscriber sees it: all price levels of both sides, complete in every message."""

from __future__ import annotations

from typing import Annotated

from tapewire.model.record import UNSET, Maybe, Record, Wire

__all__ = ["Book", "BookLevel"]


class BookLevel(Record, frozen=True, kw_only=True, gc=False):
    """The total size that rests at one price."""

    price: Annotated[float, Wire("price", "p")]
    #: Lots.
    volume: Annotated[int, Wire("volume", "v")]
    #: Yield at this price, per cent a year; bonds only.
    yield_percent: Annotated[Maybe[float | None], Wire(None, "y", None)] = UNSET


class Book(Record, frozen=True, kw_only=True, gc=False):
    """Both sides of one instrument's book. A newer book replaces the older one, nothing is merged.

    ``bids`` run from the highest price down, ``asks`` from the lowest up, so index 0 is the best; either
    side may be empty. At most ``depth`` levels a side, as subscribed. ``time_ms`` is event time, Unix ms UTC.
    Source: reference of subscriptions, section 7.1.
    """

    #: Deprecated by the broker: equals ``existing``.
    snapshot: Annotated[Maybe[bool], Wire("snapshot", None, None)] = UNSET
    bids: Annotated[tuple[BookLevel, ...], Wire("bids", "b")]
    asks: Annotated[tuple[BookLevel, ...], Wire("asks", "a")]
    #: Deprecated by the broker: ``time_ms`` in seconds, as a rule whole ones.
    time_s: Annotated[Maybe[int | float], Wire("timestamp", None, None)] = UNSET
    time_ms: Annotated[int, Wire("ms_timestamp", "t", "msTimestamp")]
    #: True: the state at the time of subscription. False: a live update.
    existing: Annotated[bool, Wire("existing", "h")]
