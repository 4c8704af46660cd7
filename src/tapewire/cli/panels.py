"""What the live view shows of streams other than books, quotes and tapes: rows, the newest first, or fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import msgspec
from rich.table import Table
from rich.text import Text

from tapewire.cli.columns import Column, fitting_table
from tapewire.cli.figures import digits_of, known, price_text
from tapewire.cli.plain_text import printable
from tapewire.cli.streams import StreamName
from tapewire.client.gap import Gap
from tapewire.model import Cluster, Record

__all__ = ["FIELDS_MAX", "ROWS_MAX", "Panel", "gap_cells", "panel_of"]

#: Rows of a panel; older ones go.
ROWS_MAX = 12
#: Fields of a state that are shown.
FIELDS_MAX = 24
_VALUE_CELLS = 24


class Panel(Protocol):
    """One stream on the screen."""

    def took(self, records: Sequence[Any]) -> None:
        """Remember what the stream has said."""

    def missed(self, gap: Gap) -> None:
        """Remember, in its place, that something is missing."""

    def table(self, width: int) -> Table:
        """Return what is to be seen in so many cells."""


class _Cell(NamedTuple):
    heading: str
    text: Callable[[Any], str]
    #: Where there is no room the largest goes first; 0 never does.
    rank: int = 0
    is_left: bool = False


class _Rows:
    """Rows by key: one that has changed comes to the top."""

    def __init__(self, name: StreamName, cells: Sequence[_Cell], key: Callable[[Any], object]) -> None:
        self._name = name
        self._cells = cells
        self._key = key
        #: The newest last.
        self._rows: dict[object, Record | Gap] = {}

    def took(self, records: Sequence[Any]) -> None:
        for record in records:
            self._put(self._key(record), record)

    def missed(self, gap: Gap) -> None:
        self._put(id(gap), gap)

    def table(self, width: int) -> Table:
        rows = list(reversed(self._rows.values()))
        columns = [
            Column(
                cell.heading,
                [self._text(cell, row) for row in rows],
                "left" if cell.is_left else "right",
                cell.rank,
            )
            for cell in self._cells
        ]
        return fitting_table(columns, width, str(self._name))

    def _put(self, key: object, row: Record | Gap) -> None:
        self._rows.pop(key, None)
        self._rows[key] = row
        if len(self._rows) > ROWS_MAX:
            del self._rows[next(iter(self._rows))]

    def _text(self, cell: _Cell, row: Record | Gap) -> Text:
        if not isinstance(row, Gap):
            return Text(cell.text(row))
        place = self._cells.index(cell)
        marks = gap_cells(row)
        return marks[place] if place < len(marks) else Text()


class _Fields:
    """The newest state, field by field."""

    def __init__(self, name: StreamName) -> None:
        self._name = name
        self._newest: Record | None = None

    def took(self, records: Sequence[Any]) -> None:
        self._newest = records[-1]

    def missed(self, gap: Gap) -> None:
        """Show nothing: the next state says all."""

    def table(self, width: int) -> Table:
        told = [] if self._newest is None else list(_told(self._newest))[:FIELDS_MAX]
        columns = [
            Column("field", [Text(field) for field, _ in told], "left"),
            Column("value", [Text(value) for _, value in told], "right", width_min=_VALUE_CELLS),
        ]
        return fitting_table(columns, width, str(self._name))


class _Levels:
    """The newest cluster: lots bought and sold at each price, the highest on top."""

    def __init__(self, name: StreamName) -> None:
        self._name = name
        self._newest: Cluster | None = None

    def took(self, records: Sequence[Any]) -> None:
        self._newest = records[-1]

    def missed(self, gap: Gap) -> None:
        """Show nothing: the next one says all of its interval."""

    def table(self, width: int) -> Table:
        newest = self._newest
        levels = list(known(newest.levels) or ())[-ROWS_MAX:] if newest is not None else []
        places = max((digits_of(level.price) for level in levels), default=0)
        levels.reverse()
        columns = [
            Column("bought", [Text(_value(level.buy_quantity), "green") for level in levels]),
            Column("price", [Text(price_text(level.price, places)) for level in levels]),
            Column("sold", [Text(_value(level.sell_quantity), "red") for level in levels]),
        ]
        opened = "" if newest is None else f" {_moment(newest.time_s)}"
        return fitting_table(columns, width, f"{self._name}{opened}")


def gap_cells(gap: Gap) -> tuple[Text, ...]:
    """Return the cells of a row that stands for what is missing."""
    until = "" if gap.until is None else f"to {gap.until:%H:%M:%S}"
    return Text(f"{gap.since:%H:%M:%S}", "red"), Text("missed", "bold red"), Text(until, "red"), Text()


def _value(value: object) -> str:
    """Return any value in one line of plain characters."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{value:,f}"
    if isinstance(value, int | float):
        return f"{value:,}"
    if isinstance(value, Record):
        return " ".join(_value(part) for part in msgspec.structs.astuple(value))
    if isinstance(value, tuple):
        return ", ".join(map(_value, value))
    return printable(value) if isinstance(value, str) else ""


def _told(record: Record) -> Iterable[tuple[str, str]]:
    for name in record.__struct_fields__:
        value = known(getattr(record, name))
        if value is not None:
            yield name.replace("_", " "), _value(value)


def _field(name: str, heading: str = "", rank: int = 0, *, is_left: bool = False) -> _Cell:
    return _Cell(heading or name, lambda row: _value(known(getattr(row, name))), rank, is_left)


def _moment(time_s: object) -> str:
    try:
        return f"{datetime.fromtimestamp(time_s, UTC):%m-%d %H:%M}" if isinstance(time_s, int) else ""
    except (ValueError, OverflowError, OSError):  # no such year
        return ""


def _clock(text: object) -> str:
    # ISO-8601: what stands behind the T, to the second.
    return printable(text[11:19]) if isinstance(text, str) else ""


_SIDE, _SYMBOL = _field("side", is_left=True), _field("symbol", is_left=True)
_ORDER = (
    _field("id", "number", is_left=True),
    _SYMBOL,
    _SIDE,
    _field("quantity_lots", "lots"),
    _field("filled_lots", "filled", 2),
    _field("price"),
    _field("status", is_left=True),
)
_STOP_ORDER = (*_ORDER[:5], _field("stop_price", "stop"), *_ORDER[5:])
_ROWS: Mapping[str, tuple[Sequence[_Cell], Callable[[Any], object]]] = MappingProxyType(
    {
        "bars": (
            (
                _Cell("time", lambda bar: _moment(bar.time_s), is_left=True),
                *(_field(name, rank=rank) for name, rank in (("open", 1), ("high", 0), ("low", 0), ("close", 0))),
                _field("volume", rank=2),
            ),
            lambda bar: bar.time_s,
        ),
        "orders": (_ORDER, lambda order: order.id),
        "stop-orders": (_STOP_ORDER, lambda order: order.id),
        "legacy-stop-orders": (_STOP_ORDER, lambda order: order.id),
        "fills": (
            (
                _Cell("time", lambda fill: _clock(fill.time), is_left=True),
                _SYMBOL,
                _SIDE,
                _field("quantity_lots", "lots"),
                _field("price"),
                _field("order_number", "order", 2),
            ),
            lambda fill: (fill.id, fill.order_number),
        ),
        "positions": (
            (
                _SYMBOL,
                _field("quantity_future_lots", "lots"),
                _field("average_price", "average", 1),
                _field("current_volume", "value"),
                _field("unrealised_result", "result"),
            ),
            lambda position: position.symbol,
        ),
    }
)


def panel_of(name: StreamName) -> Panel | None:
    """Return a panel for a stream; None: the screen has a place of its own for it."""
    if name.kind in _ROWS:
        return _Rows(name, *_ROWS[name.kind])
    if name.kind == "clusters":
        return _Levels(name)
    return None if name.kind in ("book", "quotes", "trades") else _Fields(name)
