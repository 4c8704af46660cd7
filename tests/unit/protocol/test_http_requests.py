"""Parameters of HTTP: tolerant where clients differ, exact where a value cannot be."""

from __future__ import annotations

import pytest

from tapewire.model import Side
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.http_requests import (
    AskBars,
    AskBook,
    AskQuotes,
    AskSecurities,
    AskTrades,
    read_http_request,
)
from tapewire.protocol.words import Format, ListedExchange, Sector

HERE = {"exchange": "MOEX", "symbol": "SBER"}


def test_defaults_are_those_of_the_reference() -> None:
    asked = read_http_request(AskSecurities, {}, [])
    assert (asked.limit, asked.offset, asked.format) == (25, 0, Format.SIMPLE)
    assert not asked.include_non_base_boards
    assert read_http_request(AskBook, HERE, []).depth == 20
    bars = read_http_request(
        AskBars, {}, [("symbol", "S"), ("exchange", "moex"), ("tf", "d"), ("from", "1"), ("to", "1")]
    )
    assert (bars.interval_s, bars.split_adjust, bars.bars_min) == (86_400, True, 0)


def test_names_and_words_are_read_in_any_letter_case() -> None:
    query = [("SIDE", "SELL"), ("QtyFrom", "3"), ("FORMAT", "heavy"), ("Descending", "True")]
    asked = read_http_request(AskTrades, {"exchange": "spbx", "symbol": "SBER"}, query)
    assert (asked.side, asked.quantity_min, asked.format) == (Side.SELL, 3, Format.HEAVY)
    assert (asked.exchange, asked.descending) == (ListedExchange.SPBX, True)
    assert read_http_request(AskSecurities, {}, [("sector", "forts")]).sector is Sector.FORTS


def test_what_was_not_really_sent_and_what_is_not_known_is_left_out() -> None:
    query = [("instrumentGroup", ""), ("side", "null"), ("x", "1"), ("take", "5"), ("take", "6"), ("offset", "")]
    asked = read_http_request(AskTrades, HERE, query)
    assert (asked.board, asked.side, asked.take, asked.offset) == (None, None, 6, 0)


def test_the_path_is_not_said_otherwise_in_the_query() -> None:
    assert read_http_request(AskBook, HERE, [("symbol", "GAZP"), ("SYMBOL", "X")]).symbol == "SBER"


def test_quotes_name_their_instruments() -> None:
    asked = read_http_request(AskQuotes, {"symbols": "moex:SBER, MOEX:SBER,SPBX:A:B,"}, [])
    assert asked.names() == (("MOEX", "SBER"), ("SPBX", "A:B"))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ([("depth", "0")], "Invalid or unsupported depth"),
        ([("depth", "51")], "Invalid or unsupported depth"),
        ([("depth", "x")], "Invalid or unsupported depth"),
        ([("DEPTH", "x")], "Invalid or unsupported depth"),
        ([("format", "Thin")], "Invalid or unsupported format"),
    ],
)
def test_what_cannot_be_is_named(query: list[tuple[str, str]], text: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        read_http_request(AskBook, HERE, query)
    assert (caught.value.code, caught.value.text, caught.value.guid) == (400, text, "")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(BadRequestError, match="The parameter tf is missing"):
        read_http_request(AskBars, {}, [("symbol", "S"), ("exchange", "MOEX"), ("from", "1"), ("to", "2")])


def test_reversed_bounds_are_named() -> None:
    with pytest.raises(BadRequestError, match="priceFrom is above priceTo"):
        read_http_request(AskTrades, HERE, [("priceFrom", "2"), ("priceTo", "1.5")])
