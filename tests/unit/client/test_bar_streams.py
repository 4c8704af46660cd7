"""Bars: past ones over HTTP, live ones over the wire, both as one run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tapewire.client import bar_history
from tapewire.client.bar_history import WIRE_BARS_MAX
from tapewire.client.buffer import Fail
from tapewire.client.errors import ArgumentError, ClosedError, ConnectError, GapError, LimitError, RefusedError
from tapewire.client.gap import GapState
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import BATCH_RECORDS_MAX, Subscription
from tapewire.model import Bar
from tapewire.simulation import run_virtual
from unit.client.past_bars import HistoryHttp, slim_bar
from unit.client.stage import Stage, data, settle, silence, staged


def run(scenario: Callable[[Stage, HistoryHttp], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            http = HistoryHttp([])
            stage.http.listen("broker.test:443", http)
            await scenario(stage, http)

    run_virtual(main)


def now_s(stage: Stage) -> int:
    """The opening of the running minute."""
    return int(stage.fleet.now().timestamp()) // 60 * 60


def send(stage: Stage, *bars: dict[str, Any]) -> None:
    guid = next(one["guid"] for one in reversed(stage.broker.requests) if one["opcode"] != "unsubscribe")
    stage.broker.send(*(data(guid, bar) for bar in bars))


async def take(stream: Subscription[Bar], count: int) -> list[Bar]:
    return [await anext(stream) for _ in range(count)]


async def times(stream: Subscription[Bar], count: int) -> list[int]:
    return [bar.time_s for bar in await take(stream, count)]


# --- history() ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gives_newest", [True, False])
def test_a_history_is_read_page_by_page_and_each_bar_comes_once(gives_newest: bool) -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        end = now_s(stage)
        http.gives_newest = gives_newest
        http.times_s = [end - 60 * number for number in range(500)][::-1]
        since = datetime.fromtimestamp(end - 60 * 349, UTC)
        bars = await stage.client.history("TEST", "1m", since=since)
        assert [bar.time_s for bar in bars] == http.times_s[150:]
        assert (bars.symbol, str(bars.timeframe)) == ("TEST", "1m")
        assert len(http.asked) == 4
        first = http.asked[0]
        assert (first["tf"], first["exchange"], first["splitAdjust"]) == ("60", "MOEX", "true")
        assert "instrumentGroup" not in first

    run(scenario)


def test_a_range_includes_both_ends_and_may_be_empty() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        http.times_s = list(range(600_000, 606_000, 60))
        moment = datetime.fromtimestamp(600_060, UTC)
        bars = await stage.client.history(
            "TEST", 60, since=moment, until=moment + timedelta(minutes=2), board="TQBR", split_adjust=False
        )
        assert [bar.time_s for bar in bars] == [600_060, 600_120, 600_180]
        assert (http.asked[0]["instrumentGroup"], http.asked[0]["splitAdjust"]) == ("TQBR", "false")
        later = datetime.fromtimestamp(900_000, UTC)
        assert list(await stage.client.history("TEST", "D", since=later)) == []
        assert [query["tf"] for query in http.asked] == ["60", "D"]

    run(scenario)


def test_a_bar_of_today_is_found_though_its_midnight_is_ahead() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        tomorrow = now_s(stage) // 86_400 * 86_400 + 86_400
        http.times_s = [tomorrow]
        assert [bar.time_s for bar in await stage.client.history("TEST", "D", since=timedelta(days=1))] == [
            tomorrow
        ]

    run(scenario)


def test_more_bars_than_are_fetched_at_once_are_an_error_with_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar_history, "BARS_MAX", 250)

    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        http.times_s = [now_s(stage) - 60 * number for number in range(500)][::-1]
        with pytest.raises(LimitError, match="300 and more asked for, the limit is 250"):
            await stage.client.history("TEST", "1m", since=timedelta(days=1))
        assert len(http.asked) == 3

    run(scenario)


def test_a_broker_that_leads_nowhere_is_not_followed_for_ever() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        # "prev" and "next" lie within the page, and within the range.
        http.body = b'{"history":[{"time":600060},{"time":600120}],"next":600060,"prev":600120}'
        moment = datetime.fromtimestamp(600_000, UTC)
        bars = await stage.client.history("TEST", "1m", since=moment, until=moment + timedelta(hours=1))
        assert [bar.time_s for bar in bars] == [600_060, 600_120]
        assert len(http.asked) == 1

    run(scenario)


@pytest.mark.parametrize("said", [b'{"history":[],"next":%d}', b'{"history":[{"time":5}],"next":%d}'])
def test_a_page_without_bars_that_says_there_are_more_is_followed(said: bytes) -> None:
    class Gappy(HistoryHttp):
        async def __call__(self, scope: Any, receive: object, send: Callable[[Any], Any]) -> None:
            low = int(dict(parse_qsl(scope["query_string"].decode()))["from"])
            self.body = said % (low + 600) if low < 601_200 else None
            await super().__call__(scope, receive, send)

    async def main() -> None:
        async with staged() as stage:
            http = Gappy([601_260])
            stage.http.listen("broker.test:443", http)
            moment = datetime.fromtimestamp(600_000, UTC)
            bars = await stage.client.history("TEST", "1m", since=moment, until=moment + timedelta(hours=1))
            assert [bar.time_s for bar in bars] == [601_260]
            assert [query["from"] for query in http.asked] == ["600000", "600600", "601200"]

    run_virtual(main)


@pytest.mark.parametrize("said", [b'{"history":[],"next":600000}', b'{"history":[],"prev":603600}'])
def test_a_page_that_says_there_are_more_where_it_had_none_is_an_error(said: bytes) -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        http.body = said
        moment = datetime.fromtimestamp(600_000, UTC)
        with pytest.raises(ConnectError, match=r"answer of https://broker.test/md/v2/history: it says that there"):
            await stage.client.history("TEST", "1m", since=moment, until=moment + timedelta(hours=1))

    run(scenario)


def test_more_pages_than_are_asked_for_are_an_error_with_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar_history, "PAGES_MAX", 3)

    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        http.times_s = [now_s(stage) - 60 * number for number in range(301)][::-1]
        with pytest.raises(
            LimitError, match="pages of bars: 3 and more asked for, the limit is 3; ask for a short"
        ):
            await stage.client.history("TEST", "1m", since=timedelta(days=1))
        http.times_s.pop(0)
        assert len(await stage.client.history("TEST", "1m", since=timedelta(days=1))) == 300

    run(scenario)


def test_an_answer_with_a_bar_that_says_no_time_is_named_by_its_address() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        http.body = b'{"history":[{"time":null}]}'
        with pytest.raises(ConnectError, match=r"^cannot read the answer of https://broker.test/md/v2/history: "):
            await stage.client.history("TEST", "1m", since=timedelta(hours=1))

    run(scenario)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b'{"code":"NotFound","message":"no"}', RefusedError),
        (200, b'{"history":[{"time":null}],"next":null,"prev":null}', ConnectError),
        (200, b"[]", ConnectError),
        (200, b"{", ConnectError),
    ],
)
def test_what_is_no_history_is_an_error(status: int, body: bytes, error: type[Exception]) -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        http.status, http.body = status, body
        with pytest.raises(error):
            await stage.client.history("TEST", "1m", since=timedelta(hours=1))

    run(scenario)


@pytest.mark.parametrize("since", [datetime(2026, 1, 1), 5, "2026-01-01"])  # noqa: DTZ001
def test_a_moment_without_a_zone_is_refused_before_the_wire(since: Any) -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        with pytest.raises(ArgumentError, match="a datetime with its zone"):
            await stage.client.history("TEST", "1m", since=since)
        with pytest.raises(ArgumentError, match="a datetime with its zone"):
            stage.client.bars("TEST", "1m", since=since)
        assert http.asked == []

    run(scenario)


def test_a_range_that_lies_ahead_or_is_empty_is_refused_before_the_wire() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        ask, now = stage.client.history, datetime.fromtimestamp(now_s(stage), UTC)
        with pytest.raises(ArgumentError, match=r"since: -1 day, 21:00:00 ago would be in the future"):
            await ask("TEST", "1m", since=timedelta(hours=-3))
        with pytest.raises(ArgumentError, match=r"since: \d.* is in the future: nothing was sent"):
            await ask("TEST", "1m", since=now + timedelta(hours=1))
        with pytest.raises(ArgumentError, match="is in the future"):
            stage.client.bars("TEST", "1m", since=now + timedelta(hours=1))
        with pytest.raises(ArgumentError, match=r"until: .* is before since: "):
            await ask("TEST", "1m", since=now, until=now - timedelta(minutes=1))
        assert http.asked == []
        # Clocks differ, the midnight of a day may be ahead, and all there is may be asked for.
        for moment, frame in ((now + timedelta(seconds=30), "1m"), (now + timedelta(hours=20), "D")):
            assert list(await ask("TEST", frame, since=moment)) == []
        assert list(await ask("TEST", "Y", since=timedelta.max)) == []

    run(scenario)


# --- the stream -----------------------------------------------------------------------------------------


def test_a_short_past_comes_over_the_wire_alone() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        since = now_s(stage) - 60 * (WIRE_BARS_MAX - 2)
        async with stage.client.bars("TEST", "1m", since=datetime.fromtimestamp(since, UTC)) as bars:
            (request,) = stage.broker.requests
            assert (request["opcode"], request["tf"], request["from"]) == ("BarsGetAndSubscribe", "60", since)
            assert (request["skipHistory"], request["splitAdjust"], request["format"]) == (False, True, "Slim")
            send(stage, slim_bar(since), slim_bar(since + 60))
            assert await times(bars, 2) == [since, since + 60]
            assert http.asked == []
            assert bars.name == "bars:TEST:1m"

    run(scenario)


def test_a_long_past_comes_over_http_and_joins_the_stream_without_hole_or_repetition() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        end = now_s(stage)
        http.times_s = [end - 60 * number for number in range(3_000)][::-1]
        http.page = 1_000
        async with stage.client.bars("TEST", "1m", since=timedelta(minutes=2_499)) as bars:
            assert bars.waiting == 2_500
            assert stage.broker.requests[0]["from"] == end
            # The newest one again as it was, the same one changed, the next one, one that comes too late.
            send(stage, slim_bar(end), slim_bar(end, 10.7), slim_bar(end + 60), slim_bar(end), slim_bar(end + 60))
            send(stage, slim_bar(end + 120))
            got = await take(bars, 2_503)
            assert [bar.time_s for bar in got[:2_500]] == http.times_s[-2_500:]
            assert [(bar.time_s, bar.close) for bar in got[2_500:]] == [
                (end, 10.7),
                (end + 60, 10.0),
                (end + 120, 10.0),
            ]
            assert bars.waiting == 0

    run(scenario)


def test_batches_hold_the_past_too_and_are_bounded() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        end = now_s(stage)
        http.times_s = [end - 60 * number for number in range(1_500)][::-1]
        http.page = 10_000
        async with stage.client.bars("TEST", "1m", since=timedelta(minutes=1_500), buffer=Fail(10)) as bars:
            send(stage, slim_bar(end), slim_bar(end + 60))
            got: list[int] = []
            async for batch in bars.batches():
                assert 1 <= len(batch) <= BATCH_RECORDS_MAX
                got += [bar.time_s for bar in batch]
                if got[-1] > end:
                    break
            assert got == [*http.times_s, end + 60]

    run(scenario)


def test_a_past_without_trades_is_asked_for_from_its_beginning() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        since = now_s(stage) - 60 * 5_000
        async with stage.client.bars("TEST", "1m", since=datetime.fromtimestamp(since, UTC)) as bars:
            assert len(http.asked) == 1
            assert stage.broker.requests[0]["from"] == since
            send(stage, slim_bar(since + 60))
            assert await times(bars, 1) == [since + 60]

    run(scenario)


def test_a_past_that_cannot_be_fetched_is_an_error_of_opening_and_leaves_nothing() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        http.status = 404
        bars = stage.client.bars("TEST", "1m", since=timedelta(days=5))
        with pytest.raises(RefusedError):
            await bars.open()
        assert stage.broker.requests == []
        await bars.close()
        assert bars.state is SubscriptionState.CLOSED

    run(scenario)


def test_a_stream_that_is_closed_while_its_past_is_fetched_is_not_asked_for() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        http.times_s = [now_s(stage)]
        bars = stage.client.bars("TEST", "1m", since=timedelta(days=5))
        opening = asyncio.create_task(bars.open())
        await asyncio.sleep(0)
        await bars.close()
        with pytest.raises(ClosedError):
            await opening
        assert stage.broker.requests == []
        assert bars.waiting == 0

    run(scenario)


def test_a_stream_whose_opening_is_given_up_holds_nothing() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        http.times_s = [now_s(stage) - 60, now_s(stage)]
        stage.broker.reply = silence
        bars = stage.client.bars("TEST", "1m", since=timedelta(days=5))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await bars.open()
        assert bars.waiting == 0
        assert bars.state is SubscriptionState.CLOSED

    run(scenario)


def test_live_bars_of_two_programs_are_one_stream_and_stay_one_over_a_cut() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        one = await stage.client.bars("TEST", "1m").open()
        await asyncio.sleep(30)
        other = await stage.client.bars("TEST", "1m").open()
        assert len(stage.broker.requests) == 1
        assert stage.broker.requests[0]["skipHistory"] is True
        running = now_s(stage)
        send(stage, slim_bar(running))
        assert await times(one, 1) == await times(other, 1) == [running]
        stage.network.cut()
        restored = await stage.broker.asked(2)
        assert (restored["from"], restored["skipHistory"]) == (running, False)
        await settle()
        await one.close()
        await other.close()
        # Nobody joins what has ended.
        async with stage.client.bars("TEST", "1m") as third:
            await settle()
            assert stage.broker.requests[-1]["skipHistory"] is True
            send(stage, slim_bar(running + 60))
            assert await times(third, 1) == [running + 60]

    run(scenario)


def test_a_bar_from_the_future_is_counted_and_silences_nothing() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        start = now_s(stage)
        async with stage.client.bars("TEST", "1m") as bars:
            send(stage, slim_bar(start), slim_bar(10**12), slim_bar(start, 10.5), slim_bar(start + 60))
            assert await times(bars, 3) == [start, start, start + 60]
            assert (bars.malformed, bars.dropped) == (1, 0)
            send(stage, slim_bar(start), slim_bar(start + 120))
            assert await times(bars, 1) == [start + 120]
            assert (bars.malformed, bars.dropped) == (1, 1)

    run(scenario)


def test_a_bar_from_the_future_before_a_cut_is_not_where_the_stream_goes_on() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        start = now_s(stage)
        async with stage.client.bars("TEST", "1m") as bars:
            send(stage, slim_bar(start), slim_bar(10**12))
            await settle()
            stage.network.cut()
            assert (await stage.broker.asked(2))["from"] == start
            # None waits any more.
            assert await times(bars, 1) == [start]
            send(stage, slim_bar(start), slim_bar(start + 60), slim_bar(10**12))
            assert await times(bars, 1) == [start + 60]
            await asyncio.sleep(60)
            stage.network.cut()
            request = await stage.broker.asked(3)
            assert start <= request["from"] <= start + 60
            send(stage, slim_bar(start + 60), slim_bar(start + 120))
            assert await times(bars, 1) == [start + 120]
            assert [gap.state for gap in stage.client.gaps] == [GapState.FILLED] * 2

    run(scenario)


# --- over a cut -----------------------------------------------------------------------------------------


def test_a_restored_stream_begins_with_the_newest_bar_and_repeats_nothing() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        start = now_s(stage)
        async with stage.client.bars("TEST", "1m", since=timedelta(minutes=5)) as bars:
            send(stage, slim_bar(start - 60), slim_bar(start))
            assert await times(bars, 2) == [start - 60, start]
            stage.network.cut()
            request = await stage.broker.asked(2)
            assert request["from"] == start
            send(stage, slim_bar(start), slim_bar(start + 60), slim_bar(start + 120))
            assert await times(bars, 2) == [start + 60, start + 120]
            (gap,) = stage.client.gaps
            assert gap.state is GapState.FILLED

    run(scenario)


def test_live_bars_that_nobody_has_seen_yet_are_asked_for_from_the_cut_on() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        async with stage.client.bars("TEST", "1m") as bars:
            await asyncio.sleep(90)
            minute = now_s(stage)
            stage.network.cut()
            request = await stage.broker.asked(2)
            assert (request["from"], request["skipHistory"]) == (minute, False)
            send(stage, slim_bar(minute))
            assert await times(bars, 1) == [minute]

    run(scenario)


def test_a_gap_of_more_bars_than_a_stream_carries_is_filled_over_http() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        start = int(stage.fleet.now().timestamp())
        http.times_s = list(range(start - 10, start + 5_000))
        http.page = 1_000
        async with stage.client.bars("TEST", "1s", since=timedelta(seconds=5)) as bars:
            send(stage, slim_bar(start))
            assert await times(bars, 1) == [start]
            await _lose_for(stage, 1_500)
            newest = int(stage.fleet.now().timestamp())
            # What the broker sends of it comes while the rest is fetched.
            send(stage, *(slim_bar(time_s) for time_s in range(newest - 100, newest + 3)))
            await settle()
            got = await times(bars, newest + 2 - start)
            assert got == list(range(start + 1, newest + 3))
            (gap,) = stage.client.gaps
            assert gap.state is GapState.FILLED
            assert gap.filled_records >= 1_500

    run(scenario)


def test_a_gap_of_bars_that_cannot_be_fetched_is_told_in_its_place() -> None:
    async def scenario(stage: Stage, http: HistoryHttp) -> None:
        start = int(stage.fleet.now().timestamp())
        async with stage.client.bars("TEST", "1s", since=timedelta(seconds=5)) as bars:
            send(stage, slim_bar(start))
            assert await times(bars, 1) == [start]
            http.status = 503
            await _lose_for(stage, 1_500)
            await settle()
            send(stage, slim_bar(start + 2_000))
            with pytest.raises(GapError) as caught:
                await anext(bars)
            assert caught.value.gap.state is GapState.LEFT
            assert await times(bars, 1) == [start + 2_000]

    run(scenario)


async def _lose_for(stage: Stage, seconds: float) -> None:
    """Lose all connections, and let nobody in for a time."""
    count = len(stage.broker.requests)
    stage.broker.address.refuse()
    stage.network.cut()
    await asyncio.sleep(seconds)
    stage.broker.address.restore()
    await stage.broker.until(lambda: len(stage.broker.requests) > count)
