"""Which trades somebody wants: the filters of an HTTP request over lists of trades."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from tapewire.model import Trade
from tapewire.ports.archive import ArchivedTrade
from tapewire.ports.query import TradesFilter, TradesFound

__all__ = ["check_filter", "matching", "select_trades"]

T = TypeVar("T", Trade, ArchivedTrade)


def check_filter(wanted: TradesFilter) -> None:
    """Check what would otherwise select nonsense.

    Raises:
        ValueError: ``limit`` or ``offset`` is negative.
    """
    if wanted.limit < 0 or wanted.offset < 0:
        raise ValueError(f"limit {wanted.limit} and offset {wanted.offset} must be 0 or more")


def matching(trades: Iterable[T], wanted: TradesFilter) -> tuple[int, Sequence[T]]:
    """Return how many trades match, given oldest first, and the part asked for in the order asked for."""
    found = [trade for trade in trades if _matches(trade, wanted)]
    if wanted.descending:
        found.reverse()
    return len(found), found[wanted.offset : wanted.offset + wanted.limit]


def select_trades(trades: Iterable[Trade], wanted: TradesFilter) -> TradesFound:
    """Return the records that match, given oldest first, in the order and the part asked for.

    Raises:
        ValueError: ``limit`` or ``offset`` is negative.
    """
    check_filter(wanted)
    return TradesFound(*matching(trades, wanted))


def _matches(trade: Trade | ArchivedTrade, wanted: TradesFilter) -> bool:
    at_s = trade.at_ns // 1_000_000_000 if isinstance(trade, ArchivedTrade) else trade.time_ms // 1_000
    return (
        _within(at_s, wanted.since_s, wanted.until_s)
        and _within(trade.id, wanted.from_id, wanted.to_id)
        and _within(trade.quantity, wanted.quantity_min, wanted.quantity_max)
        and _within(trade.price, wanted.price_min, wanted.price_max)
        and (wanted.side is None or trade.side == wanted.side)
    )


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)
