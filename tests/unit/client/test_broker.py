"""The caller's API: arguments, limits, the clock, the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tapewire.client.broker import Broker
from tapewire.client.buffer import Conflate, DropOldest, Fail
from tapewire.client.endpoints import Endpoints
from tapewire.client.errors import ArgumentError, ConnectError, Fault, LimitError, RefusedError
from tapewire.protocol.words import Format
from tapewire.simulation import run_virtual
from unit.client.stage import Stage, staged


def run(scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            await scenario(stage)

    run_virtual(main)


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (
            lambda broker: broker.book("SBER"),
            {"opcode": "OrderBookGetAndSubscribe", "depth": 20, "frequency": 175, "format": "Slim"},
        ),
        (
            lambda broker: broker.book("SBER", depth=50, board="SMAL", frequency_ms=0, format="heavy"),
            {"depth": 50, "instrumentGroup": "SMAL", "frequency": 0, "format": "Heavy"},
        ),
        (
            lambda broker: broker.quotes("SBER", frequency_ms=-5),
            {"opcode": "QuotesSubscribe", "frequency": 0, "format": "Simple"},
        ),
        (
            lambda broker: broker.trades("SBER", depth=5_000, exchange="SPBX"),
            {"opcode": "AllTradesGetAndSubscribe", "depth": 5_000, "exchange": "SPBX", "format": "Slim"},
        ),
    ],
)
def test_arguments_reach_the_wire(ask: Callable[[Broker], Any], expected: dict[str, object]) -> None:
    async def scenario(stage: Stage) -> None:
        async with ask(stage.client):
            request = stage.broker.requests[0]
            assert {key: request.get(key) for key in expected} == expected
            assert request["code"] == "SBER"
            assert len(request["guid"]) == 32

    run(scenario)


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda broker: broker.book("SBER", depth=0), "depth of a book: 0 asked for, the limit is 1..50"),
        (lambda broker: broker.book("SBER", depth=51), "depth of a book"),
        (lambda broker: broker.trades("SBER", depth=-1), "past trades"),
        (lambda broker: broker.trades("SBER", depth=5_001), "past trades: 5001 asked for, the limit is 0..5000"),
    ],
)
def test_what_is_outside_the_limits_is_refused_before_anything_is_sent(
    ask: Callable[[Broker], Any], text: str
) -> None:
    async def scenario(stage: Stage) -> None:
        with pytest.raises(LimitError, match=text):
            ask(stage.client)
        assert stage.broker.requests == []

    run(scenario)


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (
            lambda broker: broker.quotes("SBER", format=Format("fat")),
            "is not one of Simple, Slim, Heavy",
        ),
        (lambda broker: broker.quotes("SBER", format=5), "format: 5 is not one of"),
        (lambda broker: broker.book("SBER", depth=1.5), "depth of a book: 1.5 is not a whole number"),
        (lambda broker: broker.book("SBER", depth=True), "depth of a book: True is not a whole number"),
        (lambda broker: broker.trades("SBER", depth="5"), "past trades: '5' is not a whole number"),
        (lambda broker: broker.book(123), "symbol: 123 is not the ticker of an instrument"),
        (lambda broker: broker.book(""), "symbol: '' is not the ticker"),
        (lambda broker: broker.trades("SBER", exchange="NYSE"), "exchange: 'NYSE' is not one of MOEX, SPBX"),
        (lambda broker: broker.trades("SBER", exchange=None), "exchange: None is not one of MOEX"),
        (lambda broker: broker.instrument_changes("SBER", board=5), "board: 5 is not the code of a board"),
        (lambda broker: broker.quotes("SBER", frequency_ms=0.5), "frequency_ms: 0.5 is not a whole number"),
        (lambda broker: broker.bars("SBER", 1.5), "timeframe: 1.5 is not a number of s, m, h"),
        (lambda broker: broker.bars("SBER", "1m", split_adjust="no"), "split_adjust: 'no' is not True or False"),
        (
            lambda broker: broker.clusters("SBER", "1m", since="today"),
            "since: 'today' is not a datetime with",
        ),
        (lambda broker: broker.portfolio(5), "portfolio: 5 is not the id of a portfolio"),
        (lambda broker: broker.portfolio("D1", exchange="NYSE"), "exchange: 'NYSE' is not one of"),
        (lambda broker: broker.portfolio("D1").watch_fills(format="fat"), "format: 'fat' is not one of"),
        (
            lambda broker: broker.portfolio("D1").watch_orders(skip_history=1),
            "skip_history: 1 is not",
        ),
    ],
)
def test_what_an_argument_cannot_be_is_one_clear_error_of_the_caller(ask: Callable[[Any], Any], text: str) -> None:
    async def scenario(stage: Stage) -> None:
        with pytest.raises(ArgumentError, match=text) as caught:
            ask(stage.client)
        assert str(caught.value).endswith(": nothing was sent")
        assert isinstance(caught.value, ValueError)
        assert (caught.value.fault, caught.value.retriable) == (Fault.CALLER, False)
        assert stage.broker.requests == []

    run(scenario)


def test_state_is_conflated_and_trades_are_not_lost_unless_the_caller_says_otherwise() -> None:
    async def scenario(stage: Stage) -> None:
        client = stage.client
        assert client.book("SBER").buffer.policy == Conflate()
        assert client.quotes("SBER").buffer.policy == Conflate()
        assert client.trades("SBER").buffer.policy == Fail(100_000)
        assert client.trades("SBER", buffer=DropOldest(3)).buffer.policy == DropOldest(3)

    run(scenario)


def test_the_token_tells_the_portfolios() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.client.portfolios == ("D1", "G1")

    run(scenario)


async def nowhere(scope: object, receive: object, send: object) -> None:
    raise AssertionError("every answer of this test is scripted")


def test_the_clock_of_the_broker_is_in_utc() -> None:
    async def scenario(stage: Stage) -> None:
        stage.http.listen("broker.test:443", nowhere).answer_next(200, b"1767225600")
        assert await stage.client.time() == datetime(2026, 1, 1, tzinfo=UTC)

    run(scenario)


@pytest.mark.parametrize("body", [b"", b"soon", b"9" * 30, b"9" * 15, b"1.5"])
def test_a_clock_without_a_time_is_an_error(body: bytes) -> None:
    async def scenario(stage: Stage) -> None:
        stage.http.listen("broker.test:443", nowhere).answer_next(200, body)
        with pytest.raises(ConnectError, match="is no time"):
            await stage.client.time()

    run(scenario)


@pytest.mark.parametrize("status", [404, 500])
def test_a_clock_that_is_refused_says_whose_fault_it_is(status: int) -> None:
    async def scenario(stage: Stage) -> None:
        stage.http.listen("broker.test:443", nowhere).answer_next(status, b"1767225600")
        with pytest.raises(RefusedError, match=f"{status} GET /md/v2/time") as caught:
            await stage.client.time()
        assert caught.value.fault is (Fault.CALLER if status == 404 else Fault.BROKER)

    run(scenario)


def test_the_clock_is_asked_with_the_token_because_without_one_it_is_late() -> None:
    async def scenario(stage: Stage) -> None:
        address = stage.http.listen("broker.test:443", nowhere)
        address.answer_next(200, b"1768201200")
        assert (await stage.client.time()).year == 2026
        assert address.requests[0].headers["authorization"].startswith("Bearer ")

    run(scenario)


def test_a_clock_that_cannot_be_reached_is_an_error() -> None:
    async def scenario(stage: Stage) -> None:
        with pytest.raises(ConnectError, match=r"https://broker\.test/md/v2/time"):
            await stage.client.time()

    run(scenario)


def test_all_messages_are_counted() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST"):
            # The answers to the first ping and to the request.
            assert stage.client.received == 2
        assert stage.client.unclaimed == 0

    run(scenario)

    async def unstarted() -> None:
        stage = Stage()
        assert (stage.client.received, stage.client.unclaimed) == (0, 0)
        await stage.client.close()

    run_virtual(unstarted)


def test_a_broker_says_in_a_line_how_it_is_and_no_secret() -> None:
    kept: list[Broker] = []

    async def scenario(stage: Stage) -> None:
        kept.append(stage.client)
        stage.client.endpoints = Endpoints.from_base("http://desk.test:8700")
        async with stage.client.trades("SBER"):
            assert repr(stage.client) == "<Broker desk.test:8700: streams 1, connections 1, open gaps 0>"
            assert repr(stage.client.gaps) == "<GapLedger: 0 open, 0 filled, 0 left>"
            assert repr(stage.client.events) == "<Events: 1 so far, 0 listening>"
            stage.client.on_quotes("GAZP")(print)
            assert repr(stage.client.callbacks) == "<Callbacks: 1 running, 0 calls have raised>"
        own = "http://user:secret@desk.test"
        stage.client.endpoints = Endpoints(own, own, own, own)
        assert "secret" not in repr(stage.client)

    run(scenario)
    assert "not connected" in repr(kept[0])


def test_a_broker_that_nobody_closed_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(stage: Stage) -> None:
        with pytest.warns(ResourceWarning, match="was not closed: leave its block, `async with tapewire.connect"):
            stage.client.__del__()
        assert "call `await broker.close()`" in caplog.text
        await stage.client.close()
        caplog.clear()
        stage.client.__del__()
        assert not caplog.text

    run(scenario)
