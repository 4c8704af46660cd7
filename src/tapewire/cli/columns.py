"""Tables that fit a terminal: whole columns go before any of what is shown is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.table import Table
from rich.text import Text

__all__ = ["GAP", "Column", "fitting_table"]

#: Cells between two columns.
GAP = 2


@dataclass(frozen=True)
class Column:
    """One column with what stands in it."""

    heading: str
    cells: Sequence[Text]
    justify: Literal["left", "right"] = "right"
    #: Where there is no room the largest goes first; 0 never does.
    rank: int = 0
    #: What can be cut keeps at least so many cells; None: it is shown whole or not at all.
    width_min: int | None = None

    @property
    def width(self) -> int:
        """Cells that it takes when nothing is cut."""
        return max([len(self.heading), *(cell.cell_len for cell in self.cells)])

    @property
    def needs(self) -> int:
        """Cells that it takes at least."""
        return self.width if self.width_min is None else min(self.width, self.width_min)


def fitting_table(columns: Sequence[Column], width: int, title: str = "") -> Table:
    """Return a table of those columns that have room in ``width`` cells; all have equally many rows."""
    kept = list(columns)
    while _room(kept, width) < 0 and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    room = max(_room(kept, width), 0)
    table = Table(
        title=title or None,
        title_justify="left",
        box=None,
        header_style="bold",
        pad_edge=False,
        padding=(0, GAP, 0, 0),
    )
    for column in kept:
        taken = min(column.width - column.needs, room)
        room -= taken
        table.add_column(
            column.heading,
            justify=column.justify,
            no_wrap=True,
            overflow="ellipsis",
            width=column.needs + taken,
        )
    for cells in zip(*(column.cells for column in kept), strict=True):
        table.add_row(*cells)
    return table


def _room(columns: Sequence[Column], width: int) -> int:
    return width - sum(column.needs for column in columns) - GAP * (len(columns) - 1)
