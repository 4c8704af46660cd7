"""Rows: records that are known by a key, of which only the newest counts."""

from __future__ import annotations

from collections.abc import Hashable

from tapewire.model.fill import Fill
from tapewire.model.order import LegacyStopOrder, Order, StopOrder
from tapewire.model.position import Position
from tapewire.model.record import Record

__all__ = ["row_key"]


def row_key(record: Record) -> Hashable:
    """Return by what a record of a portfolio's stream is known among the records of its topic."""
    if isinstance(record, Position):
        return record.symbol, record.exchange, record.portfolio
    assert isinstance(record, Fill | Order | StopOrder | LegacyStopOrder), f"{type(record).__name__} is no row"
    return record.id
