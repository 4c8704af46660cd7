"""Consuming a stream: one by one, in batches, cancelled, with errors of the consumer's own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tapewire.client.buffer import Conflate, DropOldest, Fail
from tapewire.client.errors import (
    ArgumentError,
    BufferOverflowError,
    BusyError,
    ClosedError,
    GapError,
    RefusedError,
)
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import BATCH_RECORDS_MAX, Subscription
from tapewire.model import Trade
from tapewire.simulation import run_virtual
from unit.client.stage import Stage, answer, data, settle, staged, trade


def run(scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            await scenario(stage)

    run_virtual(main)


def send(stage: Stage, *numbers: int) -> None:
    guid = stage.broker.subscribed[-1]
    stage.broker.send(*(data(guid, trade(number)) for number in numbers))


def test_records_come_one_by_one_and_typed() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST") as trades:
            send(stage, 1, 2)
            records = [await anext(trades), await anext(trades)]
            assert [(record.id, record.price, record.symbol) for record in records] == [
                (1, 10.5, "TEST"),
                (2, 10.5, "TEST"),
            ]
            assert (trades.received, trades.dropped, trades.malformed) == (2, 0, 0)

    run(scenario)


def test_batches_hold_all_that_has_come() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST") as trades:
            batches = trades.batches()
            send(stage, *range(5))
            await settle()
            assert [record.id for record in await anext(batches)] == [0, 1, 2, 3, 4]

    run(scenario)


def test_many_records_come_in_batches_of_a_bounded_size_in_order() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST") as trades:
            send(stage, *range(1_050))
            await settle()
            taken: list[int] = []
            async for batch in trades.batches():
                assert 1 <= len(batch) <= BATCH_RECORDS_MAX
                taken += [record.id for record in batch]
                if len(taken) == 1_050:
                    break
            assert taken == list(range(1_050))

    run(scenario)


@pytest.mark.parametrize("in_batches", [False, True])
def test_a_wait_that_is_given_up_ends_neither_the_stream_nor_the_iterator(in_batches: bool) -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST") as trades:
            iterator = trades.batches() if in_batches else aiter(trades)
            for number in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1):
                        await anext(iterator)
                send(stage, number)
                got = await anext(iterator)
                assert (got[0] if isinstance(got, list) else got).id == number

    run(scenario)


def test_a_second_consumer_is_refused_and_the_first_goes_on() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST") as trades:
            first = asyncio.create_task(anext(trades))
            await settle()
            with pytest.raises(BusyError, match="trades:TEST has one consumer"):
                await anext(trades)
            with pytest.raises(BusyError, match="trades:TEST has one consumer"):
                await anext(trades.batches())
            send(stage, 1)
            assert (await first).id == 1

    run(scenario)


@pytest.mark.parametrize("where", ["in the block", "in the loop", "in a batch"])
def test_an_exception_of_the_consumer_leaves_nothing(where: str) -> None:
    class OwnError(Exception):
        pass

    async def consume(stage: Stage, trades: Subscription[Trade]) -> None:
        async with trades:
            send(stage, 1, 2)
            if where == "in the loop":
                async for _ in trades:
                    raise OwnError
            if where == "in a batch":
                async for _ in trades.batches():
                    raise OwnError
            raise OwnError

    async def scenario(stage: Stage) -> None:
        trades = stage.client.trades("TEST")
        with pytest.raises(OwnError):
            await consume(stage, trades)
        assert trades.state is SubscriptionState.CLOSED
        assert stage.nothing_is_left()
        await settle()
        assert stage.broker.unsubscribed == stage.broker.subscribed
        # The broker and its other streams live on.
        async with stage.client.trades("TEST") as other:
            send(stage, 7)
            assert (await anext(other)).id == 7

    run(scenario)


def test_leaving_the_block_drops_what_is_inside_and_counts_it() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST") as trades:
            send(stage, 1, 2, 3)
            await settle()
            await anext(trades)
        assert (trades.received, trades.dropped) == (3, 2)
        with pytest.raises(StopAsyncIteration):
            await anext(trades)

    run(scenario)


def test_closing_wakes_the_consumer_with_a_plain_end() -> None:
    async def scenario(stage: Stage) -> None:
        trades = await stage.client.trades("TEST").open()

        async def consume() -> list[int]:
            return [record.id for batch in [batch async for batch in trades.batches()] for record in batch]

        consuming = asyncio.create_task(consume())
        send(stage, 1)
        await settle()
        await trades.close()
        await trades.close()
        assert await consuming == [1]

    run(scenario)


def test_a_lossless_stream_ends_loudly_and_only_itself() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("OTHER") as other, stage.client.trades("TEST", buffer=Fail(2)) as trades:
            send(stage, 1, 2, 3, 4)
            await settle()
            assert [(await anext(trades)).id for _ in range(2)] == [1, 2]
            with pytest.raises(BufferOverflowError, match="trades:TEST: the consumer fell 2 records behind"):
                await anext(trades)
            # From then on the broker is asked to send no more, and what still comes is nobody's.
            assert trades.state is SubscriptionState.CLOSED
            assert (trades.received, trades.dropped) == (3, 1)
            assert other.state is SubscriptionState.ACTIVE

    run(scenario)


def test_a_lossless_stream_that_overflows_before_its_answer_is_cancelled_with_the_answer() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = lambda request: [
            *(data(request["guid"], trade(number)) for number in range(3)),
            answer(request["guid"]),
        ]
        trades = await stage.client.trades("TEST", buffer=Fail(2)).open()
        assert trades.state is SubscriptionState.CLOSED
        await stage.broker.until(lambda: stage.broker.unsubscribed)
        assert stage.nothing_is_left()
        assert [(await anext(trades)).id for _ in range(2)] == [0, 1]
        with pytest.raises(BufferOverflowError):
            await anext(trades)

    run(scenario)


def test_the_newest_records_stay_where_the_oldest_are_dropped() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST", buffer=DropOldest(2)) as trades:
            send(stage, 1, 2, 3, 4)
            await settle()
            assert [record.id for record in await anext(trades.batches())] == [3, 4]
            assert trades.dropped == 2

    run(scenario)


@pytest.mark.parametrize("in_batches", [False, True])
def test_messages_that_cannot_be_read_are_left_out_counted_and_named_once(
    in_batches: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST") as trades:
            guid = stage.broker.subscribed[-1]
            stage.broker.send(
                data(guid, 5),
                data(guid, trade(1)),
                data(guid, trade(0, q="many")),
                data(guid, trade(2)),
            )
            await settle()
            if in_batches:
                got = [record.id for record in await anext(trades.batches())]
            else:
                got = [(await anext(trades)).id, (await anext(trades)).id]
            assert got == [1, 2]
            assert (trades.received, trades.malformed) == (4, 2)

    with caplog.at_level(logging.WARNING):
        run(scenario)
    assert len(caplog.records) == 1


def test_a_batch_of_nothing_readable_is_no_batch() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST") as trades:
            stage.broker.send(data(stage.broker.subscribed[-1], 5))
            batch = asyncio.create_task(anext(trades.batches()))
            await settle()
            assert not batch.done()
            send(stage, 1)
            assert [record.id for record in await batch] == [1]

    run(scenario)


def test_a_stream_that_was_not_opened_says_so() -> None:
    async def scenario(stage: Stage) -> None:
        trades = stage.client.trades("TEST")
        for use in (trades.batches, lambda: aiter(trades)):
            with pytest.raises(
                ClosedError, match=r"trades:TEST is not open: use .async with., or .await stream.open"
            ):
                use()
        with pytest.raises(ClosedError):
            await anext(trades)
        await trades.close()
        assert trades.state is SubscriptionState.CLOSED

    run(scenario)


def test_a_stream_is_opened_once() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST") as trades:
            with pytest.raises(ClosedError, match="opened before"):
                await trades.open()
            assert trades.state is SubscriptionState.ACTIVE
        with pytest.raises(ClosedError, match=r"trades:TEST has ended, .*: ask the broker for a new one"):
            await trades.open()

    run(scenario)


@pytest.mark.parametrize(
    "how", [aiter, Subscription.batches, Subscription.with_gaps], ids=["aiter", "batches", "gaps"]
)
def test_an_end_that_was_told_is_an_error_so_that_no_loop_around_the_loop_spins(
    how: Callable[[Subscription[Trade]], Any],
) -> None:
    async def consume(trades: Subscription[Trade], taken: list[int]) -> None:
        while True:
            try:
                async for item in how(trades):
                    taken += [one.id for one in (item if isinstance(item, list) else [item])]
            except GapError:
                continue

    async def scenario(stage: Stage) -> None:
        taken: list[int] = []
        async with stage.client.trades("TEST") as trades:
            consuming = asyncio.create_task(consume(trades, taken))
            send(stage, 1)
            await settle()
        with pytest.raises(ClosedError, match=r"trades:TEST has ended, .*: ask the broker for a new one"):
            await consuming
        assert taken == [1]
        with pytest.raises(ClosedError, match="has ended"):
            await anext(trades)

    run(scenario)


@pytest.mark.parametrize(
    "how", [aiter, Subscription.batches, Subscription.with_gaps], ids=["aiter", "batches", "gaps"]
)
def test_the_first_end_is_plain_however_it_is_heard_of(how: Callable[[Subscription[Trade]], Any]) -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.trades("TEST") as trades:
            pass
        assert [item async for item in how(trades)] == []
        for again in (aiter, Subscription.batches, Subscription.with_gaps):
            with pytest.raises(ClosedError, match="has ended"):
                await anext(again(trades))

    run(scenario)


def test_an_opening_that_failed_is_not_tried_again_with_the_same_stream() -> None:
    async def scenario(stage: Stage) -> None:
        stage.broker.reply = lambda request: [answer(request["guid"], 404, "no such instrument")]
        trades = stage.client.trades("TEST")
        with pytest.raises(RefusedError):
            await trades.open()
        with pytest.raises(ClosedError, match="ask the broker for a new one"):
            await trades.open()

    run(scenario)


@pytest.mark.parametrize("policy", [Conflate, "conflate", 5, Fail, dict])
def test_a_buffer_that_is_no_policy_is_refused_with_the_policies_there_are(policy: Any) -> None:
    async def scenario(stage: Stage) -> None:
        for make in (stage.client.trades, stage.client.book, stage.client.instrument_changes):
            with pytest.raises(
                ArgumentError, match=r"buffer: .* is not Conflate\(\), DropOldest\(n\), Fail\(n\) or"
            ):
                make("TEST", buffer=policy)

    run(scenario)
