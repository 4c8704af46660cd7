"""The live view drawn to a recorded console: ordinary data, odd data, hostile data."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import msgspec
import pytest
from rich.console import Console

from tapewire.cli.screen import BOOK_ROWS, TAPE_ROWS, Screen
from tapewire.cli.streams import StreamName
from tapewire.model import UNSET, Book, BookLevel, Quote, Record, Trade
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format

BOOK, QUOTES, TRADES = (StreamName(kind, "SBER") for kind in ("book", "quotes", "trades"))


def drawn(*taken: tuple[StreamName, list[Any]], names: list[StreamName] | None = None, width: int = 120) -> str:
    console = Console(file=io.StringIO(), record=True, width=width, force_terminal=True, color_system="truecolor")
    screen = Screen(names or [name for name, _ in taken], "http://host:1", console)
    for name, records in taken:
        screen.took(name, records)
    console.print(screen.render())
    return console.export_text()


def read(record_type: type[Record], **fields: object) -> Any:
    """Return a record as it comes over the wire; fields not named are missing."""
    return codec(record_type, Format.SIMPLE).decode(msgspec.json.encode(fields))


def quote(**fields: object) -> Quote:
    usual = {
        "symbol": "SBER",
        "description": "Сбербанк",
        "last_price": 301.15,
        "bid": 301.14,
        "ask": 301.16,
        "volume": 1_234_567,
        "change_percent": 1.5,
    }
    return read(Quote, **(usual | fields))


def trade(**fields: object) -> Trade:
    usual = {"id": 1, "symbol": "SBER", "price": 301.15, "qty": 12, "side": "buy", "timestamp": 1_718_006_400_125}
    return read(Trade, **(usual | fields))


def level(price: float, volume: int) -> dict[str, object]:
    return {"price": price, "volume": volume}


def test_quotes_are_a_row_each() -> None:
    text = drawn((QUOTES, [quote()]))
    for part in ("SBER", "301.15", "+1.50 %", "301.14", "301.16", "1,234,567", "Сбербанк"):
        assert part in text


def test_a_book_is_a_ladder_with_the_best_prices_in_the_middle() -> None:
    book = read(Book, bids=[level(10.0, 5), level(9.5, 7)], asks=[level(10.5, 3), level(11.0, 1_200)])
    lines = [line.split()[:2] for line in drawn((BOOK, [book])).splitlines() if "▇" in line]
    assert lines == [["1,200", "11.0"], ["3", "10.5"], ["5", "10.0"], ["7", "9.5"]]


def test_a_tape_shows_the_newest_trade_first_with_its_time_in_utc() -> None:
    trades = [trade(price=float(number), timestamp=1_718_006_400_999 + number) for number in range(3)]
    lines = [line.split() for line in drawn((TRADES, trades)).splitlines() if line.startswith("08:00:0")]
    assert lines == [
        ["08:00:01.001", "2", "12", "buy"],
        ["08:00:01.000", "1", "12", "buy"],
        ["08:00:00.999", "0", "12", "buy"],
    ]


@pytest.mark.parametrize(("side", "word"), [("buy", "buy"), ("sell", "sell"), ("neither", "–")])
def test_the_side_of_a_trade_is_a_word_as_well_as_a_colour(side: str, word: str) -> None:
    [line] = [line for line in drawn((TRADES, [trade(side=side)])).splitlines() if "301.15" in line]
    assert line.split()[-1] == word


def test_prices_of_an_instrument_have_equally_many_digits_wherever_they_stand() -> None:
    book = read(Book, bids=[level(301.2, 5)], asks=[level(301.0, 3)])
    shown = drawn(
        (BOOK, [book]), (QUOTES, [quote(bid=301, ask=301.2)]), (TRADES, [trade(price=301.21), trade(price=301.2)])
    )
    assert shown.count("301.20") == 3
    assert shown.count("301.00") == 2
    assert "301.2 " not in shown
    lines = drawn((TRADES, [trade(price=301.21), trade(price=301.2), trade(price=9)])).splitlines()
    assert len({line.index(".", 20) for line in lines if line.rstrip().endswith("buy")}) == 1


def test_digits_of_tiny_and_huge_prices_are_bounded() -> None:
    text = drawn((TRADES, [trade(price=price) for price in (1e-7, 1e300, 5.0, 1e-300)]))
    assert "0.000000100" in text
    assert "1e+300" in text
    assert "5.000000000" in text


@pytest.mark.parametrize(
    ("width", "is_there", "is_left_out"),
    [
        (120, ["name", "Сбербанк России", "volume", "change"], []),
        (66, ["name", "Сбер", "volume", "change"], ["Сбербанк России"]),
        (59, ["volume", "change"], ["name", "Сбер"]),
        (48, ["change"], ["name", "volume"]),
        (36, ["last"], ["name", "volume", "change"]),
    ],
)
def test_where_there_is_no_room_the_name_goes_first_and_prices_are_whole(
    width: int, is_there: list[str], is_left_out: list[str]
) -> None:
    text = drawn((QUOTES, [quote(description="Сбербанк России ПАО ао")]), width=width)
    for part in ("301.15", "301.14", "301.16", *is_there):
        assert part in text
    table = text.split("\n", 1)[1]
    for part in is_left_out:
        assert part not in table
    assert ("…" in table) is (width == 66)


def test_streams_that_have_said_nothing_yet_are_shown_as_waiting() -> None:
    text = drawn(names=[BOOK, QUOTES, TRADES])
    assert text.count("…") == 7
    assert "book SBER" in text
    assert "trades SBER" in text


def test_what_is_shown_is_bounded() -> None:
    deep = read(Book, bids=[level(100 - n, 1) for n in range(50)], asks=[level(101 + n, 1) for n in range(50)])
    assert drawn((BOOK, [deep])).count("▇") == 2 * BOOK_ROWS * 10
    assert drawn((TRADES, [trade()] * 1_000)).count("301.15") == TAPE_ROWS


@pytest.mark.parametrize("change", [UNSET, None])
def test_a_change_that_is_not_known_is_left_empty(change: object) -> None:
    text = drawn((QUOTES, [msgspec.structs.replace(quote(), change_percent=change)]))
    assert "%" not in text


@pytest.mark.parametrize("field", ["bid", "ask", "last_price", "volume"])
@pytest.mark.parametrize("is_missing", [False, True])
def test_a_number_that_is_null_or_missing_is_a_dash(field: str, is_missing: bool) -> None:
    record = quote(**{field: None})
    if is_missing:
        record = msgspec.structs.replace(record, **{field: UNSET})
    assert drawn((QUOTES, [record])).count("–") == 1


@pytest.mark.parametrize("description", [None, UNSET, ""])
def test_a_missing_description_is_left_empty(description: object) -> None:
    record = msgspec.structs.replace(quote(), description=description)
    text = drawn((QUOTES, [record]))
    assert "301.15" in text
    assert "None" not in text
    assert "UNSET" not in text


def test_records_without_any_field_are_drawn() -> None:
    text = drawn((QUOTES, [read(Quote)]), (BOOK, [read(Book)]), (TRADES, [read(Trade)]))
    assert "UNSET" not in text
    assert "None" not in text


@pytest.mark.parametrize(
    "book",
    [
        {"bids": [], "asks": []},
        {"bids": None, "asks": None},
        {"bids": [level(10.0, 1)], "asks": []},
        {"bids": [level(10.0, 0)], "asks": [level(11.0, 0)]},
        {"bids": [{"price": None, "volume": None}], "asks": [{}]},
        {"bids": [level(10.0, -5)], "asks": [level(1e300, 10**18)]},
    ],
)
def test_odd_books_are_drawn(book: dict[str, object]) -> None:
    assert "book SBER" in drawn((BOOK, [read(Book, **book)]))


@pytest.mark.parametrize(
    "fields",
    [{"timestamp": 10**18}, {"timestamp": -(10**18)}, {"timestamp": None}, {"qty": None}, {"side": "neither"}],
)
def test_odd_trades_are_drawn(fields: dict[str, object]) -> None:
    assert "trades SBER" in drawn((TRADES, [trade(**fields)]))


@pytest.mark.parametrize("text", ["[red]x[/red]", "[/]", "[link=http://x]y", ":smile:", "[bold"])
def test_markup_is_shown_as_it_is(text: str) -> None:
    name = StreamName("quotes", "[b]A[/b]")
    shown = drawn(
        (QUOTES, [quote(description=text)]),
        names=[QUOTES, name, StreamName("book", "[b]A"), StreamName("trades", "[/b]A")],
    )
    assert text in shown
    assert "[b]A[/b]" in shown
    assert "book [b]A" in shown
    assert "trades [/b]A" in shown


def test_a_very_long_description_keeps_to_its_row() -> None:
    text = drawn((QUOTES, [quote(description="длинное " * 1_000)]), width=80)
    assert len([line for line in text.splitlines() if "длинное" in line]) == 1
    assert max(len(line) for line in text.splitlines()) <= 80


def test_a_description_cannot_command_the_terminal() -> None:
    console = Console(file=io.StringIO(), width=120)
    screen = Screen([QUOTES], "x", console)
    screen.took(QUOTES, [quote(description="a\x1b]0;owned\x07b\r\nc\x9bd")])
    console.print(screen.render())
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b]" not in written
    assert "\x07" not in written
    assert "\x9b" not in written
    assert "\r" not in written


@pytest.mark.parametrize("width", [10, 20, 40])
def test_a_narrow_terminal_is_no_fault(width: int) -> None:
    book = read(Book, bids=[level(10.0, 5)], asks=[level(10.5, 3)])
    assert drawn((QUOTES, [quote()]), (BOOK, [book]), (TRADES, [trade()]), width=width)


def test_the_live_view_starts_refreshes_and_leaves_the_last_state() -> None:
    class Terminal(io.StringIO):
        def write(self, text: str) -> int:
            if "messages/s" in text:
                drawings.append(text)
            if len(drawings) == 2:
                has_drawn.set()
            return super().write(text)

    class Counting:
        received = 0

    drawings: list[str] = []
    has_drawn = asyncio.Event()

    async def main() -> str:
        terminal = Terminal()
        screen = Screen([QUOTES], "x", Console(file=terminal, width=100, force_terminal=True))
        broker: Any = Counting()
        with screen:
            refreshing = asyncio.create_task(screen.refresh(broker))
            async with asyncio.timeout(5):
                await has_drawn.wait()
            refreshing.cancel()
            screen.took(QUOTES, [quote(last_price=42.5)])
        return terminal.getvalue()

    assert "42.5" in asyncio.run(main())


def test_levels_of_one_size_have_full_bars() -> None:
    book = Book(
        bids=(BookLevel(price=1.0, volume=7),), asks=(BookLevel(price=2.0, volume=7),), time_ms=1, existing=True
    )
    assert drawn((BOOK, [book])).count("▇" * 10) == 2
