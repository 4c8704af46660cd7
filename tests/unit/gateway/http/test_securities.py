"""Search, catalogue, one instrument."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tapewire.gateway.http.securities import security_of
from tapewire.model import InstrumentUpdate, Security, TopicKind, TradingStatus
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format
from unit.gateway.http.hall import BOND, INSTRUMENTS, NEAR, OPTION, SBER, Hall, run

SEARCH = "/md/v2/Securities"
#: Rows of the primary boards.
PRIMARY = {"SBER", "GAZP", "OLDS", "SiM6", "SiH6", "SiZ5", "Si90CA6", "CNYRUB_TOM", "CNYRUB_TOD", "SU26238RMFS4"}


def symbols(rows: list[dict[str, Any]]) -> list[str]:
    return [row["symbol"] for row in rows]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, PRIMARY),
        ({"query": "sber"}, {"SBER"}),
        ({"query": "сбер"}, {"SBER"}),
        ({"query": "ПАО"}, {"SBER"}),
        ({"query": " si "}, {"SiM6", "SiH6", "SiZ5", "Si90CA6"}),
        ({"query": "none such"}, set()),
        ({"sector": "fond"}, {"SBER", "GAZP", "OLDS", "SU26238RMFS4"}),
        ({"sector": "CURR"}, {"CNYRUB_TOM", "CNYRUB_TOD"}),
        ({"cficode": "e"}, {"SBER", "GAZP"}),
        ({"cficode": "FF"}, {"SiM6", "SiH6", "SiZ5"}),
        ({"exchange": "moex"}, PRIMARY),
        ({"exchange": "SPBX"}, set()),
        ({"instrumentGroup": "RFUD"}, {"SiM6", "SiH6", "SiZ5"}),
        ({"limit": 9_999_999}, PRIMARY),
        ({"limit": 0}, set()),
        ({"offset": 1_000}, set()),
        ({"query": "null"}, PRIMARY),
    ],
)
@pytest.mark.parametrize("token", ["", None])
def test_search(query: dict[str, Any], found: set[str], token: str | None) -> None:
    async def scenario(hall: Hall) -> None:
        assert set(symbols(await hall.get(SEARCH, token=token, **query))) == found

    run(scenario)


def test_search_gives_what_is_traded_most_first_page_by_page() -> None:
    async def scenario(hall: Hall) -> None:
        whole = symbols(await hall.get(SEARCH))
        assert whole[:2] == ["GAZP", "SBER"]
        pages = [symbols(await hall.get(SEARCH, limit=3, offset=offset)) for offset in range(0, 12, 3)]
        assert [symbol for page in pages for symbol in page] == whole

    run(scenario)


def test_other_boards_are_found_when_they_are_asked_for() -> None:
    async def scenario(hall: Hall) -> None:
        for query in ({"includeNonBaseBoards": "True"}, {"includeNonBaseBoards": "1"}):
            rows = await hall.get(SEARCH, query="SBER", **query)
            assert [(row["board"], row["primary_board"]) for row in rows] == [("TQBR", "TQBR"), ("SMAL", "TQBR")]
        (row,) = await hall.get(SEARCH, query="SBER", instrumentGroup="SMAL")
        assert row["board"] == "SMAL"

    run(scenario)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, PRIMARY - {"OLDS", "SiZ5"}),
        ({"includeOld": "true"}, PRIMARY),
        ({"market": "forts"}, {"SiM6", "SiH6", "Si90CA6"}),
        ({"market": "SPBX"}, set()),
        ({"limit": 9_999_999}, PRIMARY - {"OLDS", "SiZ5"}),
        ({"limit": 2, "offset": 1}, {"GAZP", "SiM6"}),
    ],
)
def test_catalogue(query: dict[str, Any], found: set[str]) -> None:
    async def scenario(hall: Hall) -> None:
        assert set(symbols(await hall.get("/md/v2/Securities/MOEX", **query))) == found
        assert await hall.get("/md/v2/Securities/spbx", **query) == []

    run(scenario)


def test_one_instrument_is_its_listing_and_its_day() -> None:
    async def scenario(hall: Hall) -> None:
        change = InstrumentUpdate(
            symbol="SBER", price_max=12.5, trading_status=TradingStatus.CLOSED, trading_status_info="закрыто"
        )
        hall.venue.change_instrument(SBER, change)
        row = await hall.get("/md/v2/Securities/MOEX/SBER")
        expected = {
            "symbol": "SBER",
            "shortname": "Сбербанк",
            "market": "FOND",
            "lotsize": 10,
            "facevalue": 3,
            "cancellation": "9999-12-31T23:59:59.9999999",
            "minstep": 0.01,
            "pricestep": 0.01,
            "rating": 500,
            "marginbuy": 0,
            "marginrate": 0,
            "priceMax": 12.5,
            "priceMin": 9.0,
            "ISIN": "RU0009029540",
            "yield": None,
            "tradingStatus": 18,
            "tradingStatusInfo": "закрыто",
            "board": "TQBR",
            "primary_board": "TQBR",
        }
        assert {key: row[key] for key in expected} == expected
        assert "strikePrice" not in row
        (other,) = [await hall.get("/md/v2/Securities/MOEX/SBER", instrumentGroup="SMAL")]
        assert (other["board"], other["primary_board"], other["lotsize"]) == ("SMAL", "TQBR", 1)

    run(scenario)


@pytest.mark.parametrize("message_format", list(Format))
def test_the_formats_are_read_back_as_the_same_row(message_format: Format) -> None:
    async def scenario(hall: Hall) -> None:
        answer = await hall.raw(f"/md/v2/Securities/MOEX/SBER?format={message_format.upper()}")
        row = codec(Security, message_format).decode(answer.body)
        assert (row.symbol, row.short_name, row.tick_size) == ("SBER", "Сбербанк", Decimal("0.01"))
        assert (row.price_digits == 2) == (message_format is Format.HEAVY)
        (found,) = await hall.get(SEARCH, query="SBER", format=message_format.lower())
        (listed,) = await hall.get("/md/v2/Securities/MOEX", limit=1, format=message_format)
        assert answer.value == found == listed

    run(scenario)


def test_derivatives_and_options_have_fields_of_their_own() -> None:
    rules = InstrumentUpdate(symbol="x", margin_buy=15_000.25, theoretical_price=70.5, volatility=21.0)
    future = security_of(NEAR, "RFUD", rules)
    assert (future.margin_buy, future.margin_sell, future.tick_value) == (Decimal("15000.25"), 14050, 1)
    assert future.cancels_at == "2026-03-19T23:59:59.9999999"
    option = codec(Security, Format.SIMPLE).encode(security_of(OPTION, "ROPD", rules))
    assert b'"theorPrice":70.5' in option
    assert b'"strikePrice":90000,"endExpiration":"2026-01-15T23:59:59.9999999"' in option
    assert b'"underlyingSymbol":"SiH6","optionSide":"Call"' in option


def test_what_moves_with_the_market_is_not_told_without_a_token() -> None:
    async def scenario(hall: Hall) -> None:
        quote = hall.venue.set_quote(BOND, 60.0)
        hall.venue.set_state(
            hall.venue.topic(TopicKind.QUOTE, BOND), msgspec.structs.replace(quote, yield_percent=14.5)
        )
        hall.venue.change_instrument(OPTION, InstrumentUpdate(symbol="x", theoretical_price=70.5, volatility=21.0))
        for token, told in (("", (14.5, 70.5, 21.0)), (None, (None, 0.0, 0.0))):
            (bond,) = await hall.get(SEARCH, token=token, query="SU26238")
            (option,) = await hall.get(SEARCH, token=token, query="Si90CA6")
            assert (bond["yield"], option["theorPrice"], option["volatility"]) == told

    run(scenario)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/md/v2/Securities/MOEX/NONE", 404),
        ("/md/v2/Securities/SPBX/SBER", 404),
        ("/md/v2/Securities/MOEX/sber", 404),
        ("/md/v2/Securities/MOEX/SBER?instrumentGroup=RFUD", 404),
        ("/md/v2/Securities/NYSE/SBER", 400),
        ("/md/v2/Securities/NYSE", 400),
        ("/md/v2/Securities/MOEX?market=OTHER", 400),
        ("/md/v2/Securities/MOEX?limit=-1", 400),
        ("/md/v2/Securities/MOEX?limit=x", 400),
        ("/md/v2/Securities/MOEX?limit=99999999999", 400),
        ("/md/v2/Securities/MOEX?offset=-1", 400),
        ("/md/v2/Securities/MOEX?format=Fat", 400),
        ("/md/v2/Securities/MOEX?includeOld=perhaps", 400),
        ("/md/v2/Securities?sector=SPBX", 400),
        ("/md/v2/Securities?limit=1.5", 400),
    ],
)
def test_bad_input_has_its_answer(path: str, status: int) -> None:
    async def scenario(hall: Hall) -> None:
        reply = await hall.raw(path)
        assert (reply.status, set(reply.value)) == (status, {"code", "message"})

    run(scenario)


def test_a_catalogue_of_any_size_is_answered_whole() -> None:
    async def scenario(hall: Hall) -> None:
        rows = await hall.get("/md/v2/Securities/MOEX", limit=9_999_999)
        assert len(rows) == 1_700

    listed = tuple(SBER.__class__(**{**_fields(SBER), "symbol": f"S{number}"}) for number in range(1_700))
    run(scenario, instruments=listed)


def _fields(instrument: Any) -> dict[str, Any]:
    return {name: getattr(instrument, name) for name in instrument.__struct_fields__}


def test_every_instrument_of_the_hall_has_a_row() -> None:
    for instrument in INSTRUMENTS:
        row = security_of(instrument, instrument.board, InstrumentUpdate(symbol=instrument.symbol))
        for message_format in Format:
            decoded = codec(Security, message_format).decode(codec(Security, message_format).encode(row))
            assert decoded.symbol == instrument.symbol
