"""Instruments over HTTP: what is asked for, what is kept and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from tapewire.client import instruments
from tapewire.client.errors import ArgumentError, ConnectError, LimitError, RefusedError
from tapewire.client.instruments import KEPT_S
from tapewire.model import Security
from tapewire.simulation import run_virtual
from unit.client.stage import FakeHttp, Stage, staged

ROW = {"symbol": "TEST", "market": "FOND", "lotsize": 10, "minstep": 0.05, "board": "TQBR"}
ONE = "/md/v2/Securities/MOEX/TEST"
ALL = "/md/v2/Securities"


def run(scenario: Callable[[Stage, FakeHttp], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            http = FakeHttp()
            stage.http.listen("broker.test:443", http)
            http.answers[f"GET {ONE}"] = 200, ROW
            await scenario(stage, http)

    run_virtual(main)


def test_an_instrument_has_lot_and_step_and_is_kept_for_a_while() -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        for _ in range(3):
            found = await stage.client.instrument("TEST")
            assert isinstance(found, Security)
            assert (found.lot_size, found.tick_size) == (10, Decimal("0.05"))
            assert found.price_nearest(10.07) == Decimal("10.05")
        assert len(http.asked) == 1
        # Another board is another instrument.
        await stage.client.instrument("TEST", board="SMAL")
        assert http.asked[1][2] == "instrumentGroup=SMAL&format=Simple"
        await asyncio.sleep(KEPT_S)
        http.answers[f"GET {ONE}"] = 200, ROW | {"minstep": 0.01}
        assert (await stage.client.instrument("TEST")).tick_size == Decimal("0.01")
        assert len(http.asked) == 3

    run(scenario)


def test_many_who_ask_at_once_share_a_reading_and_a_failure_is_not_kept() -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        http.answers[f"GET {ONE}"] = 404, {"code": "NotFound", "message": "no"}
        asking = [stage.client.instrument("TEST") for _ in range(20)]
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(each) for each in found] == [RefusedError] * 20
        assert len(http.asked) == 2
        http.answers[f"GET {ONE}"] = 200, ROW
        assert (await stage.client.instrument("TEST")).symbol == "TEST"

    run(scenario)


def test_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments, "KEPT_MAX", 1)

    async def scenario(stage: Stage, http: FakeHttp) -> None:
        http.answers["GET /md/v2/Securities/MOEX/OTHER"] = 200, ROW
        for symbol in ("TEST", "OTHER", "OTHER", "TEST"):
            await stage.client.instrument(symbol)
        assert len(http.asked) == 3

    run(scenario)


def test_a_search_says_what_is_wanted() -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        http.answers[f"GET {ALL}"] = 200, [ROW, ROW]
        assert len(await stage.client.instruments()) == 2
        await stage.client.instruments("сбер", exchange="MOEX", board="TQBR", limit=5)  # type: ignore[arg-type]
        assert [query for _, _, query, _ in http.asked] == [
            "limit=100&format=Simple",
            "limit=5&query=%D1%81%D0%B1%D0%B5%D1%80&exchange=MOEX&instrumentGroup=TQBR&format=Simple",
        ]
        http.answers[f"GET {ALL}"] = 200, b"{"
        with pytest.raises(ConnectError, match="no list of Security"):
            await stage.client.instruments()

    run(scenario)


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda client: client.instrument(5), ArgumentError),
        (lambda client: client.instrument(""), ArgumentError),
        (lambda client: client.instrument("TEST", exchange="NYSE"), ArgumentError),
        (lambda client: client.instrument("TEST", board=None), ArgumentError),
        (lambda client: client.instruments(5), ArgumentError),
        (lambda client: client.instruments(exchange="NYSE"), ArgumentError),
        (lambda client: client.instruments(limit=0), LimitError),
        (lambda client: client.instruments(limit=50_001), LimitError),
        (lambda client: client.instruments(limit=1.5), ArgumentError),
    ],
)
def test_what_cannot_be_asked_is_refused_here(
    ask: Callable[[Any], Awaitable[object]], error: type[Exception]
) -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        with pytest.raises(error):
            await ask(stage.client)
        assert http.asked == []

    run(scenario)
