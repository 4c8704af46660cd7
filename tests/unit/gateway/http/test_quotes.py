"""Quotes of named instruments, live with a token and delayed without."""

from __future__ import annotations

import asyncio

import pytest

from tapewire.model import Quote, TopicKind
from tapewire.protocol.formats import codec
from tapewire.protocol.limits import HTTP_SYMBOLS_MAX
from tapewire.protocol.words import Format
from unit.gateway.http.hall import DAY_S, GAZP, MIDNIGHT_S, NEAR, PAST, SBER, START_S, Hall, bar, run

QUOTES = "/md/v2/Securities/MOEX:SBER,MOEX:GAZP/quotes"


def test_quotes_come_in_the_order_of_their_names_and_each_once() -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.set_quote(SBER, 10.5, bid=10.49, ask=10.51)
        hall.venue.set_quote(GAZP, 11.0)
        paths = {
            QUOTES: ["SBER", "GAZP"],
            "/md/v2/securities/moex%3AGAZP%2CMOEX%3ASBER/quotes/": ["GAZP", "SBER"],
            "/md/v2/Securities/MOEX:SBER,MOEX:NONE, moex:SBER,NYSE:X,/quotes": ["SBER"],
            "/md/v2/Securities/MOEX:NONE/quotes": [],
            # Listed, but its quote is not known yet.
            "/md/v2/Securities/MOEX:OLDS/quotes": [],
        }
        for path, found in paths.items():
            assert [row["symbol"] for row in await hall.get(path)] == found, path
        (row,) = await hall.get("/md/v2/Securities/MOEX:SBER/quotes")
        assert (row["last_price"], row["bid"], row["ask"], row["ask_vol"]) == (10.5, 10.49, 10.51, 1)

    run(scenario)


@pytest.mark.parametrize("message_format", list(Format))
@pytest.mark.parametrize("token", ["", None])
def test_the_formats_are_read_back(message_format: Format, token: str | None) -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.set_quote(SBER, 10.5)
        reply = await hall.raw(f"/md/v2/Securities/MOEX:SBER/quotes?format={message_format.lower()}", token=token)
        quote = codec(Quote, message_format).decode(reply.body[1:-1])
        # Nothing was traded by the horizon: the close of the day before.
        assert (quote.symbol, quote.last_price) == ("SBER", 10.5 if token == "" else 10.0)

    run(scenario)


@pytest.mark.parametrize(
    "names", ["SBER", ":SBER", "MOEX:", ",", " ", ",".join(f"MOEX:S{n}" for n in range(HTTP_SYMBOLS_MAX + 1))]
)
def test_names_that_cannot_be_are_refused(names: str) -> None:
    async def scenario(hall: Hall) -> None:
        status, error = await hall.ask(f"/md/v2/Securities/{names}/quotes")
        assert (status, error["code"]) == (400, "BadRequest")

    run(scenario)


def test_a_delayed_quote_is_made_of_what_had_been_traded() -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.set_past_bars(
            hall.minutes(SBER),
            [
                bar(MIDNIGHT_S - DAY_S, 5.0, 70),
                bar(MIDNIGHT_S + 600, 10.0, 2, high=10.4),
                bar(START_S, 10.2, 3, low=9.7),
                bar(START_S + 60, 10.3, 5, high=99.0),
            ],
        )
        await asyncio.sleep(30)
        hall.venue.publish_trade(SBER, 10.2)
        await asyncio.sleep(929)
        hall.venue.set_quote(SBER, 12.0, bid=11.9, ask=12.1)
        # 10:15:59: the horizon is 10:00:00, the minute that begins there is hidden.
        (early,) = await hall.get("/md/v2/Securities/MOEX:SBER/quotes", token=None)
        assert (early["last_price"], early["volume"], early["low_price"]) == (10.0, 2, 10.0)
        assert early["last_price_timestamp"] == MIDNIGHT_S + 600 + 59
        await asyncio.sleep(1)
        (seen,) = await hall.get("/md/v2/Securities/MOEX:SBER/quotes", token=None)
        expected = {
            "last_price": 10.2,
            # The trade of that minute tells the second.
            "last_price_timestamp": START_S + 30,
            "open_price": 10.0,
            "high_price": 10.4,
            "low_price": 9.7,
            "volume": 5,
            "lotvalue": 102.0,
            "bid": None,
            "ask": None,
            "bid_vol": 0,
            "ask_vol": 0,
            "total_bid_vol": 0,
            "total_ask_vol": 0,
            "ob_ms_timestamp": None,
            "description": SBER.description,
        }
        assert {key: seen[key] for key in expected} == expected

    run(scenario)


def test_the_current_future_is_the_one_that_ends_next() -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.set_quote(NEAR, 10.5)
        hall.venue.set_quote(PAST, 9.5)
        for base in ("Si", "SI", "si"):
            quote = await hall.get(f"/md/v2/Securities/MOEX/{base}/actualFuturesQuote")
            assert (quote["symbol"], quote["last_price"]) == ("SiH6", 10.5)
        assert (await hall.get("/md/v2/Securities/moex/SI/actualfuturesquote", format="slim"))["c"] == 10.5
        for path in ("MOEX/NONE", "SPBX/SI", "MOEX/SiH6"):
            status, error = await hall.ask(f"/md/v2/Securities/{path}/actualFuturesQuote")
            assert (status, error["code"]) == (404, "NotFound"), path
        hall.venue.hold_snapshot(hall.venue.topic(TopicKind.QUOTE, NEAR))
        assert (await hall.ask("/md/v2/Securities/MOEX/SI/actualFuturesQuote"))[0] == 404
        assert (await hall.ask("/md/v2/Securities/MOEX/SI/actualFuturesQuote", token=None))[0] == 401

    run(scenario)
