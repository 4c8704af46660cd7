"""Orders as a table on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.table import Table
from rich.text import Text

from tapewire.cli.columns import Column, fitting_table
from tapewire.cli.plain_text import printable
from tapewire.model import Order, StopOrder

__all__ = ["amount", "order_table"]


def order_table(rows: Sequence[Order | StopOrder], width: int) -> Table:
    """Return orders as a table of so many cells."""
    return fitting_table(
        [
            Column("number", [_text(row.id) for row in rows], "left"),
            Column("portfolio", [_text(row.portfolio) for row in rows], "left", rank=3),
            Column("symbol", [_text(row.symbol) for row in rows], "left"),
            Column("side", [_text(row.side) for row in rows], "left"),
            Column("type", [_text(row.type) for row in rows], "left", rank=2),
            Column("lots", [Text(amount(row.quantity_lots)) for row in rows]),
            Column("filled", [Text(amount(row.filled_lots)) for row in rows]),
            Column("price", [Text(amount(row.price or None)) for row in rows]),
            Column("stop", [Text(amount(_stop_price(row))) for row in rows], rank=1),
            Column("status", [_text(row.status) for row in rows], "left"),
            Column("comment", [_text(row.comment) for row in rows], "left", rank=4),
        ],
        width,
    )


def amount(value: object) -> str:
    """Return a number as people read it; empty for one that is not there."""
    if isinstance(value, Decimal):
        return f"{value:,f}"
    return f"{value:,}" if isinstance(value, int) else ""


def _stop_price(row: Order | StopOrder) -> Decimal | None:
    return row.stop_price if isinstance(row, StopOrder) else None


def _text(text: object) -> Text:
    # Any field of a record that came over the wire may be null or missing.
    return Text(printable(text) if isinstance(text, str) else "")
