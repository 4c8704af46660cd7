"""The live view: quotes in one table, each book as a ladder, each tape as a list."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tapewire.cli.streams import StreamName
from tapewire.client.broker import Broker
from tapewire.model import UNSET, Book, BookLevel, Quote, Side, Trade

__all__ = ["Screen"]

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
            table.add_row(name.symbol, *[Text("…", "dim")] * 6)
            continue
        change = quote.change_percent
        is_known = change is not UNSET and change is not None
        style = "green" if is_known and change >= 0 else "red" if is_known else "dim"  # type: ignore[operator]
        table.add_row(
            Text(name.symbol, "bold"),
            _price(quote.last_price),
            Text(f"{change:+.2f} %" if is_known else "", style),
            _price(quote.bid),
            _price(quote.ask),
            f"{quote.volume:,.0f}",
            Text(quote.description, "dim"),
        )
    return table


def _ladder(name: StreamName, book: Book | None) -> Table:
    table = Table(title=f"book {name.symbol}", title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right", width=9)
    table.add_column(justify="right", width=9)
    table.add_column(width=_BAR_CELLS)
    if book is None:
        table.add_row("", Text("…", "dim"), "")
        return table
    asks, bids = book.asks[:BOOK_ROWS], book.bids[:BOOK_ROWS]
    most = max((level.volume for level in (*asks, *bids)), default=1)
    for style, levels in (("red", reversed(asks)), ("green", bids)):
        for row in _levels(levels, style, most):
            table.add_row(*row)
    return table


def _levels(levels: Iterable[BookLevel], style: str, most: int) -> Iterable[tuple[Text, Text, Text]]:
    for level in levels:
        cells = max(1, round(_BAR_CELLS * level.volume / most))
        yield Text(f"{level.volume:,}"), Text(_price(level.price), style), Text("▇" * cells, style)


def _tape(name: StreamName, trades: Iterable[Trade]) -> Table:
    table = Table(title=f"trades {name.symbol}", title_justify="left", box=None, show_header=False, pad_edge=False)
    for width in (12, 9, 8):
        table.add_column(justify="right", width=width)
    for trade in reversed(list(trades)):
        time = datetime.fromtimestamp(trade.time_ms / 1000, UTC)
        style = "green" if trade.side == Side.BUY else "red"
        table.add_row(
            Text(f"{time:%H:%M:%S}.{trade.time_ms % 1000:03d}", "dim"),
            Text(_price(trade.price), style),
            f"{trade.quantity:,}",
        )
    return table


def _price(price: float | None) -> str:
    return "–" if price is None else repr(price)
