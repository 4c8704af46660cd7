"""The live view: quotes in one table, each book as a ladder, each tape as a list."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from types import TracebackType
from typing import Any, Self, TypeVar

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tapewire.cli.columns import Column, fitting_table, printable
from tapewire.cli.streams import StreamName
from tapewire.client.broker import Broker
from tapewire.model import UNSET, Book, BookLevel, Quote, Side, Trade, UnsetType

__all__ = ["Screen"]

T = TypeVar("T")

REFRESH_S = 0.1
TAPE_ROWS = 12
BOOK_ROWS = 8
_BAR_CELLS = 10
_PRICE_CELLS = 9
#: A name that has less room is left out.
_NAME_CELLS = 8
#: Digits behind the point that are shown at most.
_DIGITS_MAX = 9
#: Larger numbers are no prices; they are shown as they come.
_PRICE_MAX = 1e12


class Screen:
    """What the streams said last, drawn ten times a second."""

    def __init__(self, names: Sequence[StreamName], title: str, console: Console | None = None) -> None:
        self._title = title
        self._quotes: dict[StreamName, Quote | None] = {name: None for name in names if name.kind == "quotes"}
        self._books: dict[StreamName, Book | None] = {name: None for name in names if name.kind == "book"}
        self._tapes: dict[StreamName, deque[Trade]] = {
            name: deque(maxlen=TAPE_ROWS) for name in names if name.kind == "trades"
        }
        #: Digits behind the point of an instrument's prices: the most that have been seen.
        self._digits: dict[str, int] = {}
        self._rate = 0.0
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
                    level.price for side in (book.asks, book.bids) for level in (_known(side) or ())[:BOOK_ROWS]
                ]
            case _:
                self._tapes[name].extend(records)
                prices = [trade.price for trade in records[-TAPE_ROWS:]]
        self._digits[name.symbol] = max(self._digits.get(name.symbol, 0), *map(_digits, prices), 0)

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
        parts: list[RenderableType] = [head]
        if self._quotes:
            parts.append(self._quotes_table())
        boxes = [_ladder(name, book, self._digits.get(name.symbol, 0)) for name, book in self._books.items()]
        boxes += [_tape(name, trades, self._digits.get(name.symbol, 0)) for name, trades in self._tapes.items()]
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
    change = _known(quote.change_percent)
    style = "dim" if change is None else "green" if change >= 0 else "red"
    return [
        Text(name.symbol, "bold"),
        Text(_price(quote.last_price, digits)),
        Text("" if change is None else f"{change:+.2f} %", style),
        Text(_price(quote.bid, digits)),
        Text(_price(quote.ask, digits)),
        Text(_count(quote.volume)),
        Text(printable(_known(quote.description) or ""), "dim"),
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
    asks, bids = (_known(levels) or () for levels in (book.asks, book.bids))
    asks, bids = asks[:BOOK_ROWS], bids[:BOOK_ROWS]
    most = max((_known(level.volume) or 0 for level in (*asks, *bids)), default=0)
    for style, levels in (("red", reversed(asks)), ("green", bids)):
        for row in _levels(levels, style, most, digits):
            table.add_row(*row)
    return table


def _levels(levels: Iterable[BookLevel], style: str, most: int, digits: int) -> Iterable[tuple[Text, Text, Text]]:
    for level in levels:
        cells = max(1, round(_BAR_CELLS * (_known(level.volume) or 0) / most)) if most > 0 else 0
        yield Text(_count(level.volume)), Text(_price(level.price, digits), style), Text("▇" * cells, style)


def _tape(name: StreamName, trades: Iterable[Trade], digits: int) -> Table:
    title = Text(f"trades {name.symbol}", "table.title")
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    for width in (12, _PRICE_CELLS, 8):
        table.add_column(justify="right", min_width=width, no_wrap=True)
    table.add_column(min_width=4, no_wrap=True)
    for trade in reversed(list(trades)):
        style = "green" if trade.side == Side.BUY else "red" if trade.side == Side.SELL else "dim"
        table.add_row(
            Text(_time(trade.time_ms), "dim"),
            Text(_price(trade.price, digits), style),
            Text(_count(trade.quantity)),
            # In words too: not everybody sees colours, and not every terminal shows them.
            Text(_side(trade.side), style),
        )
    return table


# Whatever the type says, any field of a record that came over the wire may be null or missing.


def _known(value: T | UnsetType | None) -> T | None:
    return None if value is UNSET or value is None else value


def _price(price: float | UnsetType | None, digits: int) -> str:
    known = _known(price)
    if known is None:
        return "–"
    return f"{known:.{digits}f}" if abs(known) < _PRICE_MAX else repr(known)


def _digits(price: float | UnsetType | None) -> int:
    """Return how many digits behind the point a price has."""
    known = _known(price)
    if known is None or not isfinite(known):
        return 0
    exponent = Decimal(repr(known)).normalize().as_tuple().exponent
    return min(max(-int(exponent), 0), _DIGITS_MAX)


def _side(side: Side | UnsetType | None) -> str:
    return str(side) if side in (Side.BUY, Side.SELL) else "–"


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
