"""Partial updates of instruments: every record is the whole state, over restores too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tapewire.client.buffer import BufferPolicy, Conflate, DropOldest, Fail
from tapewire.client.errors import ArgumentError, BufferOverflowError, GapError
from tapewire.client.gap import GapState
from tapewire.model import UNSET, InstrumentUpdate
from tapewire.simulation import run_virtual
from unit.client.stage import Stage, accept_all, data, settle, staged

FULL = {"sym": "TEST", "ex": "MOEX", "bd": "TQBR", "st": 17, "sti": "open", "pxmn": 9.0, "pxmx": 11.0, "mgb": 5.0}


def run(scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            await scenario(stage)

    run_virtual(main)


def send(stage: Stage, *messages: dict[str, Any]) -> None:
    guid = stage.broker.subscribed[-1]
    stage.broker.send(*(data(guid, {"sym": "TEST"} | message) for message in messages))


def shown(record: InstrumentUpdate) -> tuple[Any, ...]:
    return record.price_min, record.price_max, record.trading_status, record.trading_status_info, record.margin_buy


def test_each_record_is_the_whole_state_and_null_is_not_absent() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.instrument_changes("TEST") as changes:
            (request,) = stage.broker.requests
            assert (request["opcode"], request["format"]) == ("InstrumentsGetAndSubscribeV2", "Slim")
            send(stage, FULL, {"pxmn": 9.5}, {"sti": None}, {"pxmx": 10.5, "st": 18})
            states = [shown(await anext(changes)) for _ in range(4)]
            assert states == [
                (9.0, 11.0, 17, "open", 5.0),
                (9.5, 11.0, 17, "open", 5.0),
                (9.5, 11.0, 17, None, 5.0),
                (9.5, 10.5, 18, None, 5.0),
            ]

    run(scenario)


def test_batches_merge_in_order_and_leave_out_what_cannot_be_read() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.instrument_changes("TEST") as changes:
            send(stage, FULL, {"pxmn": 9.1}, {"pxmn": "high"}, {"pxmx": 10.9})
            await settle()
            batch = await anext(changes.batches())
            assert [(record.price_min, record.price_max) for record in batch] == [
                (9.0, 11.0),
                (9.1, 11.0),
                (9.1, 10.9),
            ]
            assert changes.malformed == 1

    run(scenario)


def test_the_first_message_after_a_restore_is_the_whole_state() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.instrument_changes("TEST") as changes:
            send(stage, FULL)
            assert (await anext(changes)).margin_buy == 5.0
            send(stage, {"pxmn": 9.5})
            await settle()
            stage.network.cut()
            await stage.broker.asked(2)
            send(stage, {"st": 17, "pxmn": 9.9, "pxmx": 10.1}, {"pxmx": 10.2})
            # What waited when the connection was lost is of the state of before.
            states = [shown(await anext(changes)) for _ in range(3)]
            assert states == [
                (9.5, 11.0, 17, "open", 5.0),
                (9.9, 10.1, 17, UNSET, UNSET),
                (9.9, 10.2, 17, UNSET, UNSET),
            ]

    run(scenario)


@pytest.mark.parametrize("is_early", [False, True])
def test_a_whole_state_that_cannot_be_read_leaves_the_gap_and_what_follows_is_merged_into_what_is_known(
    is_early: bool,
) -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.instrument_changes("TEST") as changes:
            send(stage, FULL)
            await anext(changes)
            if is_early:  # before the answer
                bad = {"sym": "TEST"} | FULL | {"pxmn": "?"}
                stage.broker.reply = lambda request: [data(request["guid"], bad), *accept_all(request)]
            stage.network.cut()
            await stage.broker.asked(2)
            send(stage, *([] if is_early else [FULL | {"pxmn": "?"}]), {"pxmx": 10.2})
            with pytest.raises(GapError, match="the whole state came, and cannot be read") as caught:
                await anext(changes)
            assert shown(await anext(changes)) == (9.0, 10.2, 17, "open", 5.0)
            assert changes.malformed == 1
            assert [gap.state for gap in stage.client.gaps] == [caught.value.gap.state] == [GapState.LEFT]
            stage.broker.reply = accept_all
            stage.network.cut()
            await stage.broker.asked(3)
            send(stage, FULL)
            assert shown(await anext(changes)) == (9.0, 11.0, 17, "open", 5.0)
            assert [gap.state for gap in stage.client.gaps] == [GapState.LEFT, GapState.FILLED]

    run(scenario)


def test_a_broker_that_never_says_the_whole_state_leaves_fields_unset() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.instrument_changes("TEST") as changes:
            send(stage, {"pxmn": "?"}, {"pxmx": 10.2})
            assert shown(await anext(changes)) == (UNSET, 10.2, UNSET, UNSET, UNSET)

    run(scenario)


def test_two_programs_have_streams_of_their_own_each_with_its_whole_state() -> None:
    async def scenario(stage: Stage) -> None:
        one = await stage.client.instrument_changes("TEST").open()
        send(stage, FULL)
        await anext(one)
        other = await stage.client.instrument_changes("TEST").open()
        assert len(stage.broker.subscribed) == 2
        send(stage, FULL)
        assert (await anext(other)).price_max == 11.0
        await one.close()
        await other.close()

    run(scenario)


@pytest.mark.parametrize("policy", [Conflate(), DropOldest(5)])
def test_a_policy_that_would_lose_fields_is_refused(policy: BufferPolicy) -> None:
    async def scenario(stage: Stage) -> None:
        with pytest.raises(ArgumentError, match="drops nothing"):
            stage.client.instrument_changes("TEST", buffer=policy)

    run(scenario)


def test_a_consumer_that_is_too_slow_is_told() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client.instrument_changes("TEST", buffer=Fail(2)) as changes:
            send(stage, FULL, {"pxmn": 9.1}, {"pxmn": 9.2})
            await settle()
            assert [(await anext(changes)).price_min for _ in range(2)] == [9.0, 9.1]
            with pytest.raises(BufferOverflowError):
                await anext(changes)

    run(scenario)
