"""Gaps of trades, which are fetched over HTTP: what a broker may say wrong costs no trade and repeats none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tapewire.client import backfill, late_trades
from tapewire.client.buffer import Fail
from tapewire.client.events import GapClosedEvent, GapOpenedEvent
from tapewire.client.gap import Gap, GapState
from tapewire.client.states import SubscriptionState
from tapewire.simulation import run_virtual
from unit.client.stage import FakeHttp, Request, Stage, data, settle, staged, trade

PATH = "GET /md/v2/Securities/MOEX/TEST/alltrades"


def run(scenario: Callable[[Stage, FakeHttp], Awaitable[None]], http: FakeHttp | None = None) -> None:
    http = http or FakeHttp()

    async def main() -> None:
        async with staged() as stage:
            stage.http.listen("broker.test:443", http)
            await scenario(stage, http)

    run_virtual(main)


async def cut(stage: Stage) -> Request:
    """Cut the connection and return the request with which the only stream is restored."""
    count = len(stage.broker.requests)
    stage.network.cut()
    request = await stage.broker.asked(count + 1)
    await settle()
    return request


def row(number: object) -> dict[str, object]:
    """One trade as HTTP tells it."""
    return {
        "id": number,
        "symbol": "TEST",
        "board": "TQBR",
        "price": 10.5,
        "qty": 1,
        "side": "buy",
        "timestamp": 1,
        "time": "1970-01-01T00:00:00Z",
        "oi": 0,
        "existing": False,
    }


def test_a_trade_without_a_number_leaves_the_gap_and_nothing_comes_twice_after_the_next() -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        trades = await stage.client.trades("TEST").open()
        stage.broker.send(data(stage.broker.subscribed[-1], trade(5)))
        await settle()
        http.answers[PATH] = (200, [row(6), row(None)])
        request = await cut(stage)
        stage.broker.send(data(request["guid"], trade(7)))
        await settle()
        (gap,) = stage.client.gaps
        assert gap.state is GapState.LEFT
        assert "a trade says no number" in gap.reason
        http.answers[PATH] = (200, [row(8)])
        request = await cut(stage)
        stage.broker.send(data(request["guid"], trade(9)))
        await settle()
        assert [asked[2] for asked in http.asked if "alltrades" in asked[1]][-1].startswith("take=5000")
        assert any("fromId=8&" in asked[2] for asked in http.asked)
        seen = []
        async for item in trades.with_gaps():
            seen.append(getattr(item, "id", None))
            if not trades.waiting:
                break
        assert seen == [5, None, 7, 8, 9]
        await trades.close()

    run(scenario)


@pytest.mark.parametrize("number", [None, "6", 6.5])
def test_a_live_trade_without_a_number_harms_nobody_while_late_ones_are_left_out(number: object) -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        trades = await stage.client.trades("TEST").open()
        stage.broker.send(data(stage.broker.subscribed[-1], trade(5)))
        await settle()
        http.answers[PATH] = (200, [row(6), row(7)])
        request = await cut(stage)
        odd = trade(0) | {"id": number}
        stage.broker.send(*(data(request["guid"], one) for one in (trade(6), odd, trade(8))))
        await settle()
        assert [(await anext(trades)).id for _ in range(3)] == [5, 6, 7]
        rest = [(await anext(trades)).id]
        while rest[-1] != 8:
            rest.append((await anext(trades)).id)
        assert len(rest) <= 2, "the odd one, if it could be read, and the next"
        assert trades.state is SubscriptionState.ACTIVE
        assert len(stage.broker.peers) == 2
        await trades.close()

    run(scenario)


def test_a_gap_that_was_told_when_it_opened_says_afterwards_what_it_said_then() -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        events = aiter(stage.client.events)
        http.answers[PATH] = (200, [])
        trades = await stage.client.trades("TEST").open()
        stage.broker.send(data(stage.broker.subscribed[-1], trade(5)))
        await settle()
        await cut(stage)
        await asyncio.sleep(1)
        await trades.close()
        stage.client.events.close()
        told = [event async for event in events if isinstance(event, GapOpenedEvent | GapClosedEvent)]
        assert [event.gap.state for event in told] == [GapState.OPEN, GapState.FILLED]
        assert told[0].gap.until is None

    run(scenario)


def test_messages_of_a_shared_stream_count_once_whoever_joins_or_leaves() -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        streams = [await stage.client.trades("TEST").open() for _ in range(5)]
        (feed,) = set(stage.fleet._feed_of.values())
        guid = stage.broker.subscribed[-1]
        stage.broker.send(*(data(guid, trade(number)) for number in range(3)))
        await settle()
        assert feed.received == 3
        await streams.pop(0).close()
        streams.append(await stage.client.trades("TEST").open())
        assert feed.received == 3
        stage.broker.send(data(guid, trade(4)))
        await settle()
        for stream in streams[:-1]:
            await stream.close()
            assert feed.received == 4
        stage.broker.send(data(guid, trade(5)))
        await settle()
        assert feed.received == 5
        await streams[-1].close()

    run(scenario)


class Tape(FakeHttp):
    """The trades of a session, of which an answer has ``page`` at most."""

    def __init__(self, numbers: Iterable[int], page: int) -> None:
        super().__init__()
        self.numbers = list(numbers)
        self.page = page
        self.from_ids: list[int] = []

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        query = dict(parse_qsl(scope["query_string"].decode()))
        if "fromId" in query:
            self.from_ids.append(int(query["fromId"]))
            found = [number for number in self.numbers if number >= self.from_ids[-1]][: self.page]
            self.answers[PATH] = (200, [row(number) for number in found])
        await super().__call__(scope, receive, send)


def run_gap(
    http: FakeHttp,
    *,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
    seen: list[int | str],
    meanwhile: Callable[[Stage], None] = lambda stage: None,
) -> list[Gap]:
    """Send trades, cut, send trades, and compare what a consumer sees, a gap by its reason; return the gaps."""
    found: list[Gap] = []

    async def main() -> None:
        async with staged() as stage:
            stage.http.listen("broker.test:443", http)
            trades = await stage.client.trades("TEST").open()
            stage.broker.send(*(data(stage.broker.subscribed[-1], one) for one in before))
            await settle()
            request = await cut(stage)
            stage.broker.send(*(data(request["guid"], one) for one in after))
            await settle()
            got: list[int | str] = []
            items = trades.with_gaps()
            while trades.waiting:
                item = await anext(items)
                got.append(item.reason if isinstance(item, Gap) else item.id)
            assert got == seen
            found.extend(stage.client.gaps)
            await trades.close()

    run_virtual(main)
    return found


def test_a_broker_that_gives_less_than_was_asked_for_is_asked_on_until_there_is_no_more() -> None:
    http = Tape(range(1, 26), page=10)
    (gap,) = run_gap(http, before=[trade(5)], after=[trade(26)], seen=[*range(5, 27)])
    assert http.from_ids == [6, 16, 26]
    assert (gap.state, gap.filled_records) == (GapState.FILLED, 20)


def test_a_broker_that_never_comes_to_an_end_leaves_the_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "PAGES_MAX", 3)
    http = Tape(range(1, 100), page=1)
    reason = "more than 3 answers were needed"
    (gap,) = run_gap(http, before=[trade(5)], after=[trade(100)], seen=[5, 6, 7, 8, reason, 100])
    assert gap.state is GapState.LEFT


def test_nothing_is_asked_for_beyond_the_first_live_trade() -> None:
    class Late(Tape):
        stage: Stage

        async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
            guid = self.stage.broker.subscribed[-1]
            self.stage.broker.send(*(data(guid, trade(number)) for number in (14, 15, 16)))
            await settle()
            await super().__call__(scope, receive, send)

    tape = Late(range(1, 16), page=10)

    async def scenario(stage: Stage, http: FakeHttp) -> None:
        tape.stage = stage
        trades = await stage.client.trades("TEST").open()
        stage.broker.send(data(stage.broker.subscribed[-1], trade(5)))
        await settle()
        await cut(stage)
        await asyncio.sleep(1)
        assert [(await anext(trades)).id for _ in range(trades.waiting)] == [*range(5, 17)]
        assert tape.from_ids == [6]
        await trades.close()

    run(scenario, tape)


def test_what_a_page_has_twice_comes_once() -> None:
    http = FakeHttp()
    http.answers[PATH] = (200, [row(7), row(6), row(7), row(6), row(5)])
    (gap,) = run_gap(http, before=[trade(5)], after=[trade(8)], seen=[5, 6, 7, 8])
    assert (gap.state, gap.filled_records) == (GapState.FILLED, 2)


def test_the_trade_of_a_stranger_is_left_out_and_the_gap_is_left() -> None:
    http = FakeHttp()
    http.answers[PATH] = (200, [row(6), row(7) | {"symbol": "OTHER"}])
    reason = "among them was a trade of OTHER on TQBR"
    (gap,) = run_gap(http, before=[trade(5)], after=[trade(8)], seen=[5, 6, reason, 8])
    assert gap.state is GapState.LEFT


def test_an_instrument_that_its_trades_spell_otherwise_is_no_stranger() -> None:
    http = FakeHttp()
    http.answers[PATH] = (200, [row(6) | {"symbol": "TEST-3.26"}])
    before = [trade(5, sym="TEST-3.26")]
    (gap,) = run_gap(http, before=before, after=[], seen=[5, 6])
    assert gap.state is GapState.FILLED


HUGE = 10**15


def test_a_trade_with_far_too_high_a_number_before_a_cut_does_not_silence_the_stream() -> None:
    http = FakeHttp()
    http.answers[PATH] = (200, [])
    after = [trade(number, t=2) for number in (6, 7, 8)]
    reason = f"the live trade 6 is newer than {HUGE}, and has a lower number"
    gaps = run_gap(http, before=[trade(HUGE)], after=after, seen=[HUGE, reason, 6, 7, 8])
    assert [gap.state for gap in gaps] == [GapState.FILLED, GapState.LEFT]


def test_live_trades_are_taken_for_repetitions_up_to_a_bound_which_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(late_trades, "REPEATED_MAX", 3)
    http = FakeHttp()
    http.answers[PATH] = (200, [])
    reason = "3 live trades were taken for old ones"
    after = [trade(number) for number in range(1, 7)]
    gaps = run_gap(http, before=[trade(HUGE)], after=after, seen=[HUGE, reason, 4, 5, 6])
    assert gaps[-1].state is GapState.LEFT


def test_a_trade_with_far_too_high_a_number_over_http_does_not_silence_the_stream() -> None:
    http = Tape([6, HUGE], page=10)
    reason = f"the live trade 7 was not among those fetched up to {HUGE}"
    gaps = run_gap(http, before=[trade(5)], after=[trade(7), trade(8)], seen=[5, 6, HUGE, reason, 7, 8])
    assert [gap.state for gap in gaps] == [GapState.FILLED, GapState.LEFT]


def test_what_was_delivered_before_a_cut_and_comes_late_again_is_left_out() -> None:
    http = Tape([6, 7], page=10)
    after = [trade(number) for number in (4, 5, 6, 7, 8)]
    (gap,) = run_gap(http, before=[trade(4), trade(5)], after=after, seen=[4, 5, 6, 7, 8])
    assert gap.state is GapState.FILLED


@pytest.mark.parametrize("odd", [{"px": "?"}, {"q": []}])
def test_a_trade_that_cannot_be_read_before_a_cut_is_fetched_and_nothing_comes_twice(odd: dict[str, Any]) -> None:
    http = Tape(range(1, 8), page=10)
    before = [trade(4), trade(5), trade(6) | odd]
    run_gap(http, before=before, after=[trade(8)], seen=[4, 5, 6, 7, 8])
    assert http.from_ids[0] == 6


@pytest.mark.parametrize("number", [None, "?"])
def test_a_trade_without_a_number_before_a_cut_does_not_hide_those_before_it(number: object) -> None:
    http = Tape(range(1, 8), page=10)

    async def scenario(stage: Stage, _: FakeHttp) -> None:
        trades = await stage.client.trades("TEST").open()
        guid = stage.broker.subscribed[-1]
        stage.broker.send(data(guid, trade(5)), data(guid, trade(0) | {"id": number}))
        await settle()
        await cut(stage)
        assert http.from_ids[0] == 6
        await trades.close()

    run(scenario, http)


def test_a_gap_whose_consumer_overflows_while_it_is_filled_is_left_and_says_so() -> None:
    async def scenario(stage: Stage, http: FakeHttp) -> None:
        http.answers[PATH] = (200, [row(number) for number in range(6, 100)])
        trades = await stage.client.trades("TEST", buffer=Fail(10)).open()
        stage.broker.send(data(stage.broker.subscribed[-1], trade(5)))
        await settle()
        await cut(stage)
        await asyncio.sleep(1)
        (gap,) = stage.client.gaps
        assert (gap.state, gap.reason) == (GapState.LEFT, "the stream was closed")
        assert (stage.client.gaps.filled, stage.client.gaps.left) == (0, 1)
        await trades.close()

    run(scenario)
