"""Values of records as people read them. Whatever the type says, any field that came over the wire may be null or
missing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import TypeVar

from tapewire.model import UNSET, Side, UnsetType

__all__ = ["count_text", "digits_of", "known", "price_text", "side_text", "time_text"]

T = TypeVar("T")

#: Digits behind the point that are shown at most.
_DIGITS_MAX = 9
#: Larger numbers are no prices; they are shown as they come.
_PRICE_MAX = 1e12


def known(value: T | UnsetType | None) -> T | None:
    """Return a value, None for one that is missing."""
    return None if value is UNSET or value is None else value


def price_text(value: float | UnsetType | None, places: int) -> str:
    """Return a price with so many digits behind the point."""
    there = known(value)
    if there is None:
        return "–"
    return f"{there:.{places}f}" if abs(there) < _PRICE_MAX else repr(there)


def digits_of(value: float | UnsetType | None) -> int:
    """Return how many digits behind the point a price has."""
    there = known(value)
    if there is None or not isfinite(there):
        return 0
    exponent = Decimal(repr(there)).normalize().as_tuple().exponent
    return min(max(-int(exponent), 0), _DIGITS_MAX)


def side_text(value: Side | UnsetType | None) -> str:
    """Return a side in words."""
    return str(value) if value in (Side.BUY, Side.SELL) else "–"


def count_text(value: float | UnsetType | None) -> str:
    """Return a whole number."""
    there = known(value)
    return "–" if there is None else f"{there:,.0f}"


def time_text(time_ms: int | UnsetType | None) -> str:
    """Return the time of day, UTC, to the millisecond."""
    there = known(time_ms)
    if there is None:
        return "–"
    try:
        return f"{datetime.fromtimestamp(there // 1000, UTC):%H:%M:%S}.{there % 1000:03d}"
    except (ValueError, OverflowError, OSError):  # no such year
        return "–"
