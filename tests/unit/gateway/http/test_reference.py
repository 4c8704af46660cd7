"""Clock, boards, currency pairs, rates of risk, status of a market."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tapewire.model import InstrumentUpdate, TradingStatus
from unit.gateway.http.hall import BOND, GAZP, OLD, SBER, SBER_SMALL, START_S, Hall, run

RATES = "/md/v2/risk/rates"


def test_the_time_is_a_bare_integer_and_late_without_a_token() -> None:
    async def scenario(hall: Hall) -> None:
        await asyncio.sleep(0.9)
        assert (await hall.raw("/md/v2/time")).body == str(START_S).encode()
        assert (await hall.raw("/md/v2/time", token=None)).body == str(START_S - 900).encode()

    run(scenario)


def test_boards_begin_with_the_primary_one() -> None:
    async def scenario(hall: Hall) -> None:
        assert await hall.get("/md/v2/Securities/MOEX/SBER/availableBoards", token=None) == ["TQBR", "SMAL"]
        status, error = await hall.ask("/md/v2/Securities/MOEX/NONE/availableBoards", token=None)
        assert (status, error) == (404, {"code": "NotFound", "message": "Unknown MOEX:NONE"})

    run(scenario)


def test_currency_pairs_settle_tomorrow() -> None:
    async def scenario(hall: Hall) -> None:
        pair = {"firstCode": "CNY", "secondCode": "RUB", "symbolTom": "CNYRUB_TOM"}
        assert await hall.get("/md/v2/Securities/currencypairs", token=None) == [pair]

    run(scenario)


@pytest.mark.parametrize(
    ("query", "instruments"),
    [
        ({"ticker": "sber"}, ["SBER", "SBER"]),
        ({"ticker": "SBER", "limit": 1}, ["SBER"]),
        ({"search": "сбер"}, ["SBER", "SBER"]),
        ({"search": "ru000902954"}, ["SBER"]),
        ({"exchange": "MOEX", "limit": 2, "offset": 2}, ["GAZP", "OLDS"]),
        ({"exchange": "SPBX"}, []),
        ({"offset": 100}, []),
    ],
)
def test_risk_rates(query: dict[str, Any], instruments: list[str]) -> None:
    async def scenario(hall: Hall) -> None:
        answer = await hall.get(RATES, token=None, riskCategoryId=1, **query)
        assert [row["instrument"] for row in answer["list"]] == instruments
        whole = await hall.get(RATES, token=None, riskCategoryId=1, **(query | {"limit": 9_999_999, "offset": 0}))
        assert answer["total"] == len(whole["list"])

    run(scenario)


def test_a_rate_is_what_the_listing_says() -> None:
    async def scenario(hall: Hall) -> None:
        answer = await hall.get(RATES, riskCategoryId="1", ticker="SBER", limit=1)
        (row,) = answer["list"]
        assert (row["rateDown"], row["rateUp"], row["rateSymmetric"], row["isMarginal"]) == (0.25, 1, 1, True)
        assert (row["riskCategoryId"], row["isin"], row["currencyCode"]) == (1, "RU0009029540", "RUB")
        # No rates are stated for other categories.
        assert await hall.get(RATES, riskCategoryId=2) == {"list": [], "total": 0}

    run(scenario)


def test_a_market_is_open_while_one_of_its_instruments_trades() -> None:
    async def scenario(hall: Hall) -> None:
        assert await hall.get("/md/status/moex/fond", token=None) == {"code": "FOND", "status": "open"}
        for instrument in (SBER, SBER_SMALL, GAZP, OLD, BOND):
            closed = InstrumentUpdate(symbol=instrument.symbol, trading_status=TradingStatus.CLOSED)
            hall.venue.change_instrument(instrument, closed)
        assert await hall.get("/md/status/MOEX/FOND", token=None) == {"code": "FOND", "status": "closed"}
        assert await hall.get("/md/status/MOEX/CURR") == {"code": "CURR", "status": "open"}

    run(scenario)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (RATES, 400),
        (f"{RATES}?riskCategoryId=x", 400),
        (f"{RATES}?riskCategoryId=1&exchange=UNITED", 400),
        (f"{RATES}?riskCategoryId=1&limit=-1", 400),
        ("/md/status/MOEX/SPBX", 404),
        ("/md/status/SPBX/SPBX", 404),
        ("/md/status/MOEX/OTHER", 400),
        ("/md/status/NYSE/FOND", 400),
        ("/md/v2/Securities/NYSE/SBER/availableBoards", 400),
    ],
)
def test_bad_input_has_its_answer(path: str, status: int) -> None:
    async def scenario(hall: Hall) -> None:
        reply = await hall.raw(path, token=None)
        assert (reply.status, set(reply.value)) == (status, {"code", "message"})

    run(scenario)
