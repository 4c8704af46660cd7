"""Answers of HTTP about the past: bars and trades in their wrappers."""

from __future__ import annotations

from typing import Annotated

from tapewire.model.bar import Bar
from tapewire.model.record import Record, Wire
from tapewire.model.trade import Trade

__all__ = ["BarsHistory", "TradesHistory"]


class BarsHistory(Record, frozen=True, kw_only=True):
    """Bars of a range, oldest first, and the openings (Unix s) of the bars beside it; None: there is none.

    Source: reference of HTTP, section 4.5.
    """

    bars: Annotated[tuple[Bar, ...], Wire("history")]
    next_s: Annotated[int | None, Wire("next")]
    previous_s: Annotated[int | None, Wire("prev")]


class TradesHistory(Record, frozen=True, kw_only=True):
    """Trades of past sessions; ``total`` counts what matches, not what the page holds.

    Source: reference of HTTP, section 4.4.
    """

    total: Annotated[int, Wire("total")]
    trades: Annotated[tuple[Trade, ...] | None, Wire("list")]
