"""A portfolio as a table on a terminal: one line of figures above what it holds."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from tapewire.cli.columns import Column, fitting_table
from tapewire.cli.order_table import amount
from tapewire.cli.plain_text import printable
from tapewire.model import Position, Summary

__all__ = ["portfolio_table"]


def portfolio_table(name: str, summary: Summary, positions: Sequence[Position], width: int) -> RenderableType:
    """Return a portfolio as a table of so many cells: instruments, then money; closed positions are left out."""
    held = [row for row in positions if row.quantity_future_units or row.is_currency]
    held.sort(key=lambda row: (bool(row.is_currency), str(row.symbol)))
    figures = Text.assemble(
        (printable(name), "bold"),
        f"  worth {amount(summary.evaluation)}",
        f"  can buy for {amount(summary.buying_power)}",
        f"  result of the day {amount(summary.profit)}",
    )
    table = fitting_table(
        [
            Column("symbol", [Text(printable(str(row.symbol))) for row in held], "left"),
            Column("lots", [Text(_lots(row)) for row in held]),
            Column("average price", [Text(_of_instrument(row, row.average_price)) for row in held], rank=1),
            Column("value", [Text(amount(row.current_volume)) for row in held]),
            Column("result", [Text(_of_instrument(row, row.unrealised_result)) for row in held]),
            Column("today", [Text(_of_instrument(row, row.daily_unrealised_result)) for row in held], rank=2),
        ],
        width,
    )
    return Group(figures, table, Text())


def _lots(row: Position) -> str:
    return amount(row.quantity_future_lots)


def _of_instrument(row: Position, value: object) -> str:
    return "" if row.is_currency else amount(value)
