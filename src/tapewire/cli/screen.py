"""The live view: quotes in one table, each book as a ladder, each tape as a list, the rest as panels."""

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

from tapewire.cli.columns import Column, fitting_table
from tapewire.cli.figures import count_text, digits_of, known, price_text, side_text, time_text
from tapewire.cli.panels import Panel, gap_cells, panel_of
from tapewire.cli.plain_text import printable
from tapewire.cli.streams import StreamName
from tapewire.cli.troubles import Troubles
from tapewire.client.broker import Broker
from tapewire.client.gap import Gap
from tapewire.model import Book, BookLevel, Quote, Side, Trade

__all__ = ["Screen"]

REFRESH_S = 0.1
TAPE_ROWS = 12
BOOK_ROWS = 8
_BAR_CELLS = 10
_PRICE_CELLS = 9
#: A name that has less room is left out.
_NAME_CELLS = 8


class Screen:
    """What the streams said last, drawn ten times a second."""

    def __init__(self, names: Sequence[StreamName], title: str, console: Console | None = None) -> None:
        self._title = title
        self._quotes: dict[StreamName, Quote | None] = {name: None for name in names if name.kind == "quotes"}
        self._books: dict[StreamName, Book | None] = {name: None for name in names if name.kind == "book"}
        self._tapes: dict[StreamName, deque[Trade | Gap]] = {
            name: deque(maxlen=TAPE_ROWS) for name in names if name.kind == "trades"
        }
        self._panels: dict[StreamName, Panel] = {
            name: panel for name in names if (panel := panel_of(name)) is not None
        }
        #: Digits behind the point of an instrument's prices: the most that have been seen.
        self._digits: dict[str, int] = {}
        self._rate = 0.0
        #: What is wrong with connections, shown below the head.
        self.troubles = Troubles()
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False, screen=False, transient=False)

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
                quote = self._quotes[name] = records[-1]
                prices = [quote.last_price, quote.bid, quote.ask]
            case "book":
                book = self._books[name] = records[-1]
                prices = [
                    level.price for side in (book.asks, book.bids) for level in (known(side) or ())[:BOOK_ROWS]
                ]
            case "trades":
                self._tapes[name].extend(records)
                prices = [trade.price for trade in records[-TAPE_ROWS:]]
            case _:
                self._panels[name].took(records)
                return
        self._digits[name.symbol] = max(self._digits.get(name.symbol, 0), *map(digits_of, prices), 0)

    def missed(self, name: StreamName, gap: Gap) -> None:
        """Remember, in its place, that something is missing. What is a state has been replaced by a newer one."""
        if name in self._tapes:
            self._tapes[name].append(gap)
        elif name in self._panels:
            self._panels[name].missed(gap)

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
            no_wrap=True,
            overflow="ellipsis",
        )
        parts: list[RenderableType] = [head, *self.troubles.lines()]
        if self._quotes:
            parts.append(self._quotes_table())
        boxes: list[RenderableType] = [
            _ladder(name, book, self._digits.get(name.symbol, 0)) for name, book in self._books.items()
        ]
        boxes += [_tape(name, trades, self._digits.get(name.symbol, 0)) for name, trades in self._tapes.items()]
        boxes += [panel.table(self._console.width) for panel in self._panels.values()]
        if boxes:
            parts.append(Columns(boxes, padding=(0, 2)))
        return Group(*parts)

    def _quotes_table(self) -> Table:
        rows = [_quote_row(name, quote, self._digits.get(name.symbol, 0)) for name, quote in self._quotes.items()]
        cells = list(zip(*rows, strict=True))
        return fitting_table(
            [
                Column("symbol", cells[0], "left"),
                Column("last", cells[1]),
                Column("change", cells[2], rank=1),
                Column("bid", cells[3]),
                Column("ask", cells[4]),
                Column("volume", cells[5], rank=2),
                Column("name", cells[6], "left", rank=3, width_min=_NAME_CELLS),
            ],
            self._console.width,
        )


def _quote_row(name: StreamName, quote: Quote | None, digits: int) -> list[Text]:
    if quote is None:
        return [Text(name.symbol), *[Text("…", "dim")] * 6]
    change = known(quote.change_percent)
    style = "dim" if change is None else "green" if change >= 0 else "red"
    return [
        Text(name.symbol, "bold"),
        Text(price_text(quote.last_price, digits)),
        Text("" if change is None else f"{change:+.2f} %", style),
        Text(price_text(quote.bid, digits)),
        Text(price_text(quote.ask, digits)),
        Text(count_text(quote.volume)),
        Text(printable(known(quote.description) or ""), "dim"),
    ]


def _ladder(name: StreamName, book: Book | None, digits: int) -> Table:
    title = Text(f"book {name.symbol}", "table.title")
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right", min_width=_PRICE_CELLS, no_wrap=True)
    table.add_column(justify="right", min_width=_PRICE_CELLS, no_wrap=True)
    table.add_column(width=_BAR_CELLS)
    if book is None:
        table.add_row("", Text("…", "dim"), "")
        return table
    asks, bids = (known(levels) or () for levels in (book.asks, book.bids))
    asks, bids = asks[:BOOK_ROWS], bids[:BOOK_ROWS]
    most = max((known(level.volume) or 0 for level in (*asks, *bids)), default=0)
    for style, levels in (("red", reversed(asks)), ("green", bids)):
        for row in _levels(levels, style, most, digits):
            table.add_row(*row)
    return table


def _levels(levels: Iterable[BookLevel], style: str, most: int, digits: int) -> Iterable[tuple[Text, Text, Text]]:
    for level in levels:
        cells = max(1, round(_BAR_CELLS * (known(level.volume) or 0) / most)) if most > 0 else 0
        yield (
            Text(count_text(level.volume)),
            Text(price_text(level.price, digits), style),
            Text("▇" * cells, style),
        )


def _tape(name: StreamName, trades: Iterable[Trade | Gap], digits: int) -> Table:
    title = Text(f"trades {name.symbol}", "table.title")
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    for width in (12, _PRICE_CELLS, 8):
        table.add_column(justify="right", min_width=width, no_wrap=True)
    table.add_column(min_width=4, no_wrap=True)
    for trade in reversed(list(trades)):
        if isinstance(trade, Gap):
            table.add_row(*gap_cells(trade))
            continue
        style = "green" if trade.side == Side.BUY else "red" if trade.side == Side.SELL else "dim"
        table.add_row(
            Text(time_text(trade.time_ms), "dim"),
            Text(price_text(trade.price, digits), style),
            Text(count_text(trade.quantity)),
            # In words too: not everybody sees colours, and not every terminal shows them.
            Text(side_text(trade.side), style),
        )
    return table
