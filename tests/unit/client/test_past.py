"""The past that was asked for: no policy drops it or counts it, whichever way it came."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from tapewire.client import buffer as buffer_module
from tapewire.client.buffer import BufferPolicy, Conflate, DropOldest, Fail, Spill
from tapewire.client.errors import BufferOverflowError
from tapewire.client.subscription import Subscription
from tapewire.simulation import run_virtual
from unit.client.past_bars import HistoryHttp, slim_bar
from unit.client.stage import Stage, data, settle, staged, trade

POLICIES = [Conflate(), DropOldest(10), Fail(100)]


def run(scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            await scenario(stage)

    run_virtual(main)


def now_s(stage: Stage) -> int:
    """The opening of the running minute."""
    return int(stage.fleet.now().timestamp()) // 60 * 60


def send(stage: Stage, *records: dict[str, Any]) -> None:
    guid = next(one["guid"] for one in reversed(stage.broker.requests) if one["opcode"] != "unsubscribe")
    stage.broker.send(*(data(guid, record) for record in records))


async def take_all(stream: Subscription[Any]) -> list[Any]:
    return [await anext(stream) for _ in range(stream.waiting)]


def counts(stream: Subscription[Any]) -> tuple[int, int, int]:
    return stream.received, stream.dropped, stream.waiting


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("over_http", [False, True], ids=["wire", "http"])
def test_the_past_of_bars_is_whole_and_counted_alike_however_long_it_is(
    policy: BufferPolicy, over_http: bool
) -> None:
    async def scenario(stage: Stage) -> None:
        count = 4_000 if over_http else 180
        running = now_s(stage)
        times = [running - 60 * number for number in range(count, 0, -1)]
        http = HistoryHttp([*times] if over_http else [], page=10_000)
        stage.http.listen("broker.test:443", http)
        async with stage.client.bars("TEST", "1m", since=timedelta(minutes=count), buffer=policy) as bars:
            assert bool(http.asked) is over_http
            if not over_http:
                send(stage, *(slim_bar(time_s) for time_s in times))
                await settle()
            assert counts(bars) == (count, 0, count)
            # What happens from then on is the policy's business.
            send(stage, *(slim_bar(running, 10.0 + number / 10) for number in range(3)))
            await settle()
            kept = 1 if policy == Conflate() else 3
            assert counts(bars) == (count + 3, 3 - kept, count + kept)
            got = await take_all(bars)
            assert [bar.time_s for bar in got] == times + [running] * kept
            assert got[-1].close == 10.2

    run(scenario)


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("in_batches", [False, True])
def test_past_trades_come_before_the_live_ones_and_leave_the_buffer_its_room(
    policy: BufferPolicy, in_batches: bool
) -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST", depth=300, buffer=policy) as trades:
            send(stage, *(trade(number, h=True) for number in range(300)))
            await settle()
            assert counts(trades) == (300, 0, 300)
            send(stage, *(trade(number) for number in range(300, 350)))
            await settle()
            kept = {Conflate(): 1, DropOldest(10): 10, Fail(100): 50}[policy]
            assert counts(trades) == (350, 50 - kept, 300 + kept)
            got: list[int] = []
            if in_batches:
                async for batch in trades.batches():
                    got += [one.id for one in batch]
                    if got[-1] == 349:
                        break
            else:
                got = [one.id for one in await take_all(trades)]
            assert got == [*range(300), *range(350 - kept, 350)]
            # The reader puts straight into the buffer again.
            assert stage.session is not None
            assert list(stage.session.streams.values()) == [trades.buffer.put]

    run(scenario)


def test_a_lossless_stream_overflows_behind_its_past_by_what_happens_alone() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST", depth=50, buffer=Fail(3)) as trades:
            send(
                stage,
                *(trade(number, h=True) for number in range(50)),
                *(trade(number) for number in range(50, 60)),
            )
            await settle()
            assert [(await anext(trades)).id for _ in range(53)] == [*range(53)]
            with pytest.raises(BufferOverflowError, match="fell 3 records behind"):
                await anext(trades)

    run(scenario)


def test_what_spills_is_what_happens(tmp_path: Any) -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST", depth=50, buffer=Spill(tmp_path, size=5)) as trades:
            send(
                stage,
                *(trade(number, h=True) for number in range(50)),
                *(trade(number) for number in range(50, 70)),
            )
            await settle()
            assert trades.buffer.spilled == 15
            assert [one.id for one in await take_all(trades)] == [*range(70)]

    run(scenario)


def test_rows_of_a_portfolio_that_are_there_already_are_its_past() -> None:
    async def scenario(stage: Stage) -> None:
        orders = stage.client.portfolio("D1").watch_orders(buffer=Conflate())
        async with orders:
            send(stage, *({"id": str(number), "status": "filled", "existing": True} for number in range(20)))
            send(stage, *({"id": "20", "status": status, "existing": False} for status in ("working", "filled")))
            await settle()
            assert counts(orders) == (22, 1, 21)
            rows = await take_all(orders)
            assert [row.id for row in rows] == [str(number) for number in range(21)]
            assert rows[-1].status == "filled"

    run(scenario)


def test_clusters_of_the_past_are_kept_too() -> None:
    async def scenario(stage: Stage) -> None:
        running = now_s(stage)
        clusters = stage.client.clusters("TEST", "1m", since=timedelta(minutes=5), buffer=Conflate())
        async with clusters:
            for time_s in (*range(running - 240, running, 60), running, running):
                send(stage, {"timestamp": time_s})
            await settle()
            assert counts(clusters) == (6, 1, 5)

    run(scenario)


def test_a_past_has_a_bound_beyond_which_the_policy_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer_module, "PAST_MAX", 4)

    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST", depth=20, buffer=DropOldest(2)) as trades:
            send(stage, *(trade(number, h=True) for number in range(20)))
            await settle()
            assert counts(trades) == (20, 14, 6)
            assert [one.id for one in await take_all(trades)] == [0, 1, 2, 3, 18, 19]
            # There is room again, and it stays as it is.
            send(stage, *(trade(number, h=True) for number in range(20, 25)))
            await settle()
            assert counts(trades) == (25, 17, 2)

    run(scenario)


def test_the_past_is_over_with_the_first_trade_that_is_none_of_it() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST", depth=5, buffer=DropOldest(2)) as trades:
            send(stage, trade(1, h=True), trade(2), trade(3, h=True), trade(4, h=True))
            await settle()
            assert [one.id for one in await take_all(trades)] == [1, 3, 4]
            assert trades.dropped == 1

    run(scenario)


def test_a_message_that_cannot_be_read_does_not_end_the_past() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST", depth=5, buffer=Conflate()) as trades:
            send(stage, trade(1, h=True), {"id": "?"}, trade(2, h=True), trade(3))
            await settle()
            assert [(await anext(trades)).id for _ in range(3)] == [1, 2, 3]
            assert (trades.malformed, trades.dropped) == (1, 0)

    run(scenario)


def test_a_consumer_that_waits_gets_the_past_as_it_comes_and_what_is_closed_is_counted() -> None:
    async def scenario(stage: Stage) -> None:
        trades = stage.client.trades("TEST", depth=5, buffer=Conflate())
        async with trades:
            send(stage, trade(1, h=True))
            assert (await anext(trades)).id == 1
            send(stage, trade(2, h=True), trade(3, h=True), trade(4))
            await settle()
        assert counts(trades) == (4, 3, 0)
        assert trades.buffer.held_bytes == 0

    run(scenario)


def test_a_cut_in_the_middle_of_the_past_keeps_the_order() -> None:
    async def scenario(stage: Stage) -> None:
        running = now_s(stage)
        async with stage.client.bars("TEST", "1m", since=timedelta(minutes=5), buffer=Conflate()) as bars:
            send(stage, slim_bar(running - 300), slim_bar(running - 240))
            await settle()
            stage.network.cut()
            assert (await stage.broker.asked(2))["from"] == running - 240
            send(stage, *(slim_bar(running + 60 * number) for number in range(-4, 2)))
            await settle()
            # The two bars of now are conflated; the first of the rest had come before.
            assert [(await anext(bars)).time_s - running for _ in range(6)] == [-300, -240, -180, -120, -60, 60]

    run(scenario)
