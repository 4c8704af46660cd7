"""Portfolios over HTTP: rows, figures, own trades of now and of then."""

from __future__ import annotations

from typing import Any

import pytest

from portfolio import derivatives_risk, fill, money, order, position, risk, stop_order, summary
from tapewire.model import Exchange, RepoDetails, Side, Topic, TopicKind
from tapewire.ports.venue import UnknownTopicError
from tapewire.simulation import ScriptedVenue
from unit.gateway.http.hall import Hall, run
from unit.gateway.world import OTHER_REFRESH, READER_REFRESH

OF = "/md/v2/Clients/MOEX/D1"
PAST = "/md/v2/Stats/MOEX/D1/history/trades"


def topic(kind: TopicKind, portfolio: str = "D1", exchange: str = "MOEX") -> Topic:
    return Topic(kind, exchange, portfolio)


@pytest.mark.parametrize(
    ("path", "kind", "record"),
    [
        ("orders", TopicKind.ORDERS, order("7")),
        ("stoporders", TopicKind.STOP_ORDERS, stop_order("7")),
        ("trades", TopicKind.FILLS, fill("7")),
        ("positions", TopicKind.POSITIONS, position()),
    ],
)
def test_rows_come_in_every_format_and_none_as_an_empty_array(path: str, kind: TopicKind, record: Any) -> None:
    async def scenario(hall: Hall) -> None:
        assert await hall.get(f"{OF}/{path}") == []
        hall.venue.publish(topic(kind), record)
        for message_format, symbol, flag in (
            ("Simple", "symbol", "existing"),
            ("slim", "sym", "h"),
            ("HEAVY", "symbol", "existing"),
        ):
            (row,) = await hall.get(f"{OF}/{path}", format=message_format)
            assert (row[symbol], row[flag]) == ("SBER", True)
        assert await hall.get("/md/v2/clients/moex/D1/" + path.upper()) != []

    run(scenario)


@pytest.mark.parametrize(("path", "kind"), [("orders", TopicKind.ORDERS), ("stoporders", TopicKind.STOP_ORDERS)])
def test_one_order_is_found_by_its_number(path: str, kind: TopicKind) -> None:
    make = order if kind is TopicKind.ORDERS else stop_order

    async def scenario(hall: Hall) -> None:
        for number in ("7", "2030000000000000001"):
            hall.venue.publish(topic(kind), make(number))
        assert (await hall.get(f"{OF}/{path}/2030000000000000001"))["id"] == "2030000000000000001"
        status, error = await hall.ask(f"{OF}/{path}/9")
        assert (status, error) == (404, {"code": "NotFound", "message": "Unknown order 9"})
        assert (await hall.ask(f"{OF}/{path}/x"))[0] == 400

    run(scenario)


def test_positions_with_and_without_money_and_one_of_them() -> None:
    async def scenario(hall: Hall) -> None:
        for row in (position("SBER"), position("RUB", is_currency=True)):
            hall.venue.publish(topic(TopicKind.POSITIONS), row)
        hall.venue.publish(topic(TopicKind.POSITIONS, "G1", "SPBX"), position("AAPL", portfolio="G1"))
        assert [row["symbol"] for row in await hall.get(f"{OF}/positions")] == ["SBER", "RUB"]
        assert [row["symbol"] for row in await hall.get(f"{OF}/positions", withoutCurrency="True")] == ["SBER"]
        assert (await hall.get(f"{OF}/positions/RUB", format="Slim"))["cur"] is True
        assert (await hall.ask(f"{OF}/positions/GAZP"))[0] == 404
        everything = await hall.get("/md/v2/Clients/P1/positions")
        assert [row["symbol"] for row in everything] == ["SBER", "RUB", "AAPL"]
        status, error = await hall.ask("/md/v2/Clients/P2/positions")
        assert (status, error["message"]) == (403, "The login is not that of the token")

    run(scenario)


def test_figures() -> None:
    async def scenario(hall: Hall) -> None:
        status, error = await hall.ask(f"{OF}/summary")
        assert (status, error["message"]) == (503, "The figures of D1 are not known yet")
        hall.venue.set_state(topic(TopicKind.SUMMARY), summary("5"))
        hall.venue.set_state(topic(TopicKind.RISK), risk("6"))
        hall.venue.set_state(topic(TopicKind.DERIVATIVES_RISK), derivatives_risk("7"))
        assert (await hall.get(f"{OF}/summary"))["buyingPower"] == 5
        assert (await hall.get(f"{OF}/summary", format="Slim"))["bpv2"] == [{"cr": "RUB", "bp": 5}]
        assert (await hall.get(f"{OF}/risk", format="Slim"))["mgi"] == 6
        assert (await hall.get(f"{OF}/fortsrisk"))["moneyFree"] == 7
        hall.venue.portfolios.set_money("MOEX", money())
        assert (await hall.get("/md/v2/Clients/legacy/MOEX/D1/money"))["comission"] == 0

    run(scenario)


_REPO: Any = dict.fromkeys(RepoDetails.__struct_fields__, 1) | {
    "reference": "x",
    "account": "L01",
    "type_text": "x",
}


def test_own_trades_of_the_session() -> None:
    async def scenario(hall: Hall) -> None:
        for record in (
            fill("1"),
            fill("2", symbol="GAZP"),
            fill("3", board="SMAL"),
            fill("4", repo=RepoDetails(**_REPO)),
        ):
            hall.venue.publish(topic(TopicKind.FILLS), record)
        assert [row["id"] for row in await hall.get(f"{OF}/trades")] == ["1", "2", "3"]
        assert [row["id"] for row in await hall.get(f"{OF}/trades", withRepo="true")] == ["1", "2", "3", "4"]
        assert [row["id"] for row in await hall.get(f"{OF}/GAZP/trades")] == ["2"]
        assert [row["id"] for row in await hall.get(f"{OF}/SBER/trades", instrumentGroup="SMAL")] == ["3"]
        assert await hall.get(f"{OF}/LKOH/trades") == []

    run(scenario)


FILLS = (
    fill("1", time="2026-01-10T07:00:00.0000000Z"),
    fill("3", time="2026-01-11T07:00:00.0000000Z", side=Side.SELL),
    fill("2", time="2026-01-12T07:00:00.0000000Z", symbol="GAZP"),
)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, ["1", "2", "3"]),
        ({"orderByTradeDate": "true"}, ["1", "3", "2"]),
        ({"descending": "true"}, ["3", "2", "1"]),
        ({"orderByTradeDate": "true", "descending": "true", "limit": 1}, ["2"]),
        ({"dateFrom": "2026-01-11"}, ["2", "3"]),
        ({"dateFrom": "2026-01-11T07:00:01Z"}, ["2"]),
        ({"from": 2}, ["2", "3"]),
        ({"side": "Sell"}, ["3"]),
        ({"ticker": "GAZP"}, ["2"]),
    ],
)
def test_own_trades_of_past_sessions(query: dict[str, Any], ids: list[str]) -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.portfolios.set_past_fills("MOEX", "D1", FILLS)
        for path in (PAST, PAST.replace("/v2", "")):
            assert [row["id"] for row in await hall.get(path, **query)] == ids
        assert [row["id"] for row in await hall.get(f"{PAST}/GAZP")] == ["2"]
        assert [row["id"] for row in await hall.get(f"{PAST.replace('/v2', '')}/GAZP")] == ["2"]

    run(scenario)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1_001},
        {"limit": "x"},
        {"from": -1},
        {"dateFrom": "yesterday"},
        {"dateFrom": "0001-01-01T00:00:00+14:00"},
        {"side": "both"},
    ],
)
def test_bad_questions_for_past_trades(query: dict[str, Any]) -> None:
    async def scenario(hall: Hall) -> None:
        status, error = await hall.ask(PAST, **query)
        assert status == 400
        assert error["message"].startswith("Invalid or unsupported")

    run(scenario)


def test_united_portfolios_order_their_past_by_time() -> None:
    async def scenario(hall: Hall) -> None:
        token = hall.token(READER_REFRESH)
        path = "/md/v2/Stats/UNITED/E3/history/trades"
        status, _ = await hall.ask(path, token=token)
        assert status == 400
        # A reader of orders may not read history; that is looked at behind the parameters.
        status, _ = await hall.ask(path, token=token, orderByTradeDate="true")
        assert status == 403
        assert await hall.get("/md/v2/Clients/united/E3/orders", token=token) == []
        status, error = await hall.ask("/md/v2/Clients/UNITED/D1/orders", token=token)
        assert (status, error) == (404, {"code": "NotFound", "message": "Unknown portfolio UNITED:D1"})

    run(scenario)


PATHS = [
    f"{OF}/orders",
    f"{OF}/orders/7",
    f"{OF}/stoporders",
    f"{OF}/stoporders/7",
    f"{OF}/positions",
    f"{OF}/positions/SBER",
    f"{OF}/trades",
    f"{OF}/SBER/trades",
    f"{OF}/summary",
    f"{OF}/risk",
    f"{OF}/fortsrisk",
    "/md/v2/Clients/legacy/MOEX/D1/money",
    PAST,
    f"{PAST}/SBER",
    "/md/stats/MOEX/D1/history/trades",
]


@pytest.mark.parametrize("path", PATHS)
def test_whose_they_are(path: str) -> None:
    async def scenario(hall: Hall) -> None:
        assert (await hall.ask(path, token=None))[0] == 401
        assert (await hall.ask(path, token="x"))[0] == 401
        status, error = await hall.ask(path, token=hall.token(OTHER_REFRESH))
        assert (status, error["message"]) == (403, "The portfolio D1 is not in the token")
        status, error = await hall.ask(path, token=hall.token(READER_REFRESH))
        if "orders" in path:
            assert status in (200, 404)
        else:
            assert status == 403
            assert error["message"].startswith("The token carries no right to read")
        assert (await hall.ask(path.replace("MOEX", "NYSE")))[0] == 400

    run(scenario)


def test_a_venue_without_portfolios_does_not_serve_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> object:
        raise UnknownTopicError("nothing of that kind")

    async def scenario(hall: Hall) -> None:
        for name in ("portfolio_records", "state", "past_fills", "legacy_money"):
            monkeypatch.setattr(ScriptedVenue, name, fail)
        for path in PATHS:
            assert await hall.ask(path) == (501, {"code": "NotServed", "message": "Not served by this version"})

    run(scenario)


def test_a_portfolio_that_the_venue_does_not_have_is_unknown() -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.portfolios._names = frozenset()
        for path in PATHS:
            status, error = await hall.ask(path)
            assert (status, error["message"]) == (404, f"Unknown portfolio {Exchange.MOEX}:D1")

    run(scenario)
