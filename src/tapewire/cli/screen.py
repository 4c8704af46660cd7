"""The live view: quotes in one table, each book as a ladder, each tape as a list."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tapewire.cli.streams import StreamName
from tapewire.client.broker import Broker
from tapewire.model import UNSET, Book, BookLevel, Quote, Side, Trade, UnsetType

__all__ = ["Screen"]

T = TypeVar("T")

REFRESH_S = 0.1
TAPE_ROWS = 12
BOOK_ROWS = 8
_BAR_CELLS = 10


class Screen:
    """What the streams said last, drawn ten times a second."""

    def __init__(self, names: Sequence[StreamName], title: str, console: Console | None = None) -> None:
        self._title = title
        self._quotes: dict[StreamName, Quote | None] = {name: None for name in names if name.kind == "quotes"}
        self._books: dict[StreamName, Book | None] = {name: None for name in names if name.kind == "book"}
        self._tapes: dict[StreamName, deque[Trade]] = {
            name: deque(maxlen=TAPE_ROWS) for name in names if name.kind == "trades"
        }
        self._rate = 0.0
        self._live = Live(console=console, auto_refresh=False, screen=False, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.update(self.render(), refresh=True)
        self._live.stop()

    def took(self, name: StreamName, records: Sequence[Any]) -> None:
        """Remember what a stream has said."""
        match name.kind:
            case "quotes":
                self._quotes[name] = records[-1]
            case "book":
                self._books[name] = records[-1]
            case _:
                self._tapes[name].extend(records)

    async def refresh(self, broker: Broker) -> None:
        """Draw until cancelled."""
        loop = asyncio.get_running_loop()
        counted, since = broker.received, loop.time()
        while True:
            await asyncio.sleep(REFRESH_S)
            elapsed = loop.time() - since
            if elapsed >= 1:
                self._rate = (broker.received - counted) / elapsed
                counted, since = broker.received, loop.time()
            self._live.update(self.render(), refresh=True)

    def render(self) -> RenderableType:
        """Return the whole view."""
        head = Text.assemble(
            (f" {self._title} ", "bold reverse"),
            f"  {self._rate:,.0f} messages/s   ",
            (f"{datetime.now(UTC):%H:%M:%S} UTC   Ctrl-C ends", "dim"),
        )
        parts: list[RenderableType] = [head]
        if self._quotes:
            parts.append(_quotes(self._quotes))
        boxes = [_ladder(name, book) for name, book in self._books.items()]
        boxes += [_tape(name, trades) for name, trades in self._tapes.items()]
        if boxes:
            parts.append(Columns(boxes, padding=(0, 2)))
        return Group(*parts)


def _quotes(quotes: dict[StreamName, Quote | None]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("symbol", "last", "change", "bid", "ask", "volume", "name"):
        table.add_column(heading, justify="left" if heading in ("symbol", "name") else "right", no_wrap=True)
    for name, quote in quotes.items():
        if quote is None:
            table.add_row(Text(name.symbol), *[Text("…", "dim")] * 6)
            continue
        change = _known(quote.change_percent)
        style = "dim" if change is None else "green" if change >= 0 else "red"
        table.add_row(
            Text(name.symbol, "bold"),
            Text(_price(quote.last_price)),
            Text("" if change is None else f"{change:+.2f} %", style),
            Text(_price(quote.bid)),
            Text(_price(quote.ask)),
            Text(_count(quote.volume)),
            Text(_printable(quote.description), "dim"),
        )
    return table


def _ladder(name: StreamName, book: Book | None) -> Table:
    title = Text(f"book {name.symbol}", "table.title")
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right", width=9)
    table.add_column(justify="right", width=9)
    table.add_column(width=_BAR_CELLS)
    if book is None:
        table.add_row("", Text("…", "dim"), "")
        return table
    asks, bids = (_known(levels) or () for levels in (book.asks, book.bids))
    asks, bids = asks[:BOOK_ROWS], bids[:BOOK_ROWS]
    most = max((_known(level.volume) or 0 for level in (*asks, *bids)), default=0)
    for style, levels in (("red", reversed(asks)), ("green", bids)):
        for row in _levels(levels, style, most):
            table.add_row(*row)
    return table


def _levels(levels: Iterable[BookLevel], style: str, most: int) -> Iterable[tuple[Text, Text, Text]]:
    for level in levels:
        cells = max(1, round(_BAR_CELLS * (_known(level.volume) or 0) / most)) if most > 0 else 0
        yield Text(_count(level.volume)), Text(_price(level.price), style), Text("▇" * cells, style)


def _tape(name: StreamName, trades: Iterable[Trade]) -> Table:
    title = Text(f"trades {name.symbol}", "table.title")
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    for width in (12, 9, 8):
        table.add_column(justify="right", width=width)
    for trade in reversed(list(trades)):
        style = "green" if trade.side == Side.BUY else "red" if trade.side == Side.SELL else "dim"
        table.add_row(
            Text(_time(trade.time_ms), "dim"),
            Text(_price(trade.price), style),
            Text(_count(trade.quantity)),
        )
    return table


# Whatever the type says, any field of a record that came over the wire may be null or missing.


def _known(value: T | UnsetType | None) -> T | None:
    return None if value is UNSET or value is None else value


def _price(price: float | UnsetType | None) -> str:
    known = _known(price)
    return "–" if known is None else repr(known)


def _count(count: float | UnsetType | None) -> str:
    known = _known(count)
    return "–" if known is None else f"{known:,.0f}"


def _time(time_ms: int | UnsetType | None) -> str:
    known = _known(time_ms)
    if known is None:
        return "–"
    try:
        return f"{datetime.fromtimestamp(known // 1000, UTC):%H:%M:%S}.{known % 1000:03d}"
    except (ValueError, OverflowError, OSError):  # no such year
        return "–"


def _printable(text: str | UnsetType | None) -> str:
    """Return a text of the broker's without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in _known(text) or "")
