"""The order book."""

from __future__ import annotations

import pytest

from tapewire.model import Book
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format
from unit.gateway.http.hall import SBER, SBER_SMALL, START_S, Hall, run

BOOK = "/md/v2/orderbooks/MOEX/SBER"


def fill(hall: Hall) -> None:
    hall.venue.set_book(
        SBER, bids=[(10 - n / 100, n + 1) for n in range(60)], asks=[(10.01 + n / 100, n + 1) for n in range(30)]
    )


@pytest.mark.parametrize(
    ("depth", "levels"), [("", (20, 20)), ("?depth=1", (1, 1)), ("?depth=50", (50, 30)), ("?DEPTH=3", (3, 3))]
)
def test_depth_is_levels_a_side_best_first(depth: str, levels: tuple[int, int]) -> None:
    async def scenario(hall: Hall) -> None:
        fill(hall)
        book = (await hall.raw(f"/md/v2/OrderBooks/moex/SBER{depth}")).value
        assert (len(book["bids"]), len(book["asks"])) == levels
        assert book["bids"][0] == {"price": 10.0, "volume": 1}
        assert book["asks"][0] == {"price": 10.01, "volume": 1}

    run(scenario)


@pytest.mark.parametrize("message_format", list(Format))
def test_the_formats_are_read_back(message_format: Format) -> None:
    async def scenario(hall: Hall) -> None:
        fill(hall)
        reply = await hall.raw(f"{BOOK}?format={message_format}&depth=2")
        book = codec(Book, message_format).decode(reply.body)
        assert [level.volume for level in book.bids] == [1, 2]
        assert (book.existing, book.time_ms) == (True, START_S * 1_000)
        if message_format is Format.SIMPLE:
            assert (book.snapshot, book.time_s) == (True, START_S)

    run(scenario)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?depth=0", 400),
        ("?depth=51", 400),
        ("?depth=x", 400),
        ("?depth=-1", 400),
        ("?depth=9999999", 400),
        ("?format=none", 400),
        ("?instrumentGroup=NONE", 404),
        # Listed there, but nothing has been told yet.
        ("?instrumentGroup=SMAL", 503),
    ],
)
def test_bad_input_has_its_answer(query: str, status: int) -> None:
    async def scenario(hall: Hall) -> None:
        fill(hall)
        reply = await hall.raw(BOOK + query)
        assert (reply.status, set(reply.value)) == (status, {"code", "message"})

    run(scenario)


def test_a_board_has_a_book_of_its_own() -> None:
    async def scenario(hall: Hall) -> None:
        fill(hall)
        hall.venue.set_book(SBER_SMALL, bids=[(9.5, 7)])
        book = await hall.get(BOOK, instrumentGroup="SMAL")
        assert (book["bids"], book["asks"]) == ([{"price": 9.5, "volume": 7}], [])
        assert (await hall.ask("/md/v2/orderbooks/MOEX/NONE"))[0] == 404
        assert (await hall.ask(BOOK, token=None))[0] == 401

    run(scenario)
