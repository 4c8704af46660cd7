"""Bars: open, high, low, close and volume over one interval."""

from __future__ import annotations

from typing import Annotated

from tapewire.model.record import Record, Wire

__all__ = ["Bar"]


class Bar(Record, frozen=True, kw_only=True, gc=False):
    """One interval of trading. The unfinished bar arrives again and again with the same ``time_s``.

    ``time_s`` is the opening of the interval, Unix s UTC; bars of a day and longer carry midnight UTC of the
    trading date. Source: reference of subscriptions, section 7.2.
    """

    time_s: Annotated[int, Wire("time", "t")]
    close: Annotated[float, Wire("close", "c")]
    open: Annotated[float, Wire("open", "o")]
    high: Annotated[float, Wire("high", "h")]
    low: Annotated[float, Wire("low", "l")]
    #: Lots.
    volume: Annotated[int, Wire("volume", "v")]
