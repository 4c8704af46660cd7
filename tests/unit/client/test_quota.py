"""Connections of one login that several programs share."""

from __future__ import annotations

import asyncio
import os

import pytest

from tapewire.client.errors import LimitError, NotSentError
from tapewire.client.quota import Quota
from tapewire.ports.slots import NoSlot
from tapewire.simulation import run_virtual
from unit.client.stage import Stage, staged


class FakeSlots:
    """A machine on which so many connections are left."""

    def __init__(self, left: int, holders: tuple[int, ...] = ()) -> None:
        self.left = left
        self.holders = holders
        self.logins: set[str] = set()

    def take(self, login: str) -> FakeSlot | NoSlot:
        self.logins.add(login)
        if not self.left:
            return NoSlot(10, self.holders)
        self.left -= 1
        return FakeSlot(self)


class FakeSlot:
    def __init__(self, slots: FakeSlots) -> None:
        self.slots = slots

    def release(self) -> None:
        self.slots.left += 1


def share(stage: Stage, slots: FakeSlots) -> None:
    quota = Quota(stage.tokens, slots)
    stage.fleet._links._quota = stage.entry._quota = quota


def test_each_connection_takes_one_keeps_it_over_a_cut_and_gives_it_back() -> None:
    slots = FakeSlots(3)

    async def main() -> None:
        stage = Stage()
        share(stage, slots)
        await stage.client.start()
        assert slots.left == 2
        await stage.client.portfolio("D1").watch_orders().open()
        await stage.entry.open()
        assert slots.left == 0
        stage.network.cut()
        await asyncio.sleep(120)
        assert slots.left == 0
        await stage.client.close()
        assert slots.left == 3
        assert slots.logins == {"P1"}

    run_virtual(main)


def test_where_none_is_left_the_error_has_the_numbers_and_nothing_is_connected() -> None:
    async def main() -> None:
        stage = Stage()
        share(stage, FakeSlots(0))
        with pytest.raises(LimitError, match=r"0 here, 10 in other programs.*11 asked for, the limit is 10"):
            await stage.client.start()
        assert not stage.network.connections_made
        await stage.client.close()

    run_virtual(main)


def test_the_error_names_the_processes_that_hold_them_and_what_can_be_done() -> None:
    async def main() -> None:
        quota = Quota(Stage().tokens, FakeSlots(0, (11, 11, 12, os.getpid(), 11)))
        await quota._tokens.start()
        with pytest.raises(LimitError) as caught:
            quota.take()
        assert str(caught.value) == (
            "connections of this login on this machine"
            " (1 here, 9 in other programs: 3 of process 11, 1 of process 12):"
            " 11 asked for, the limit is 10; end one of them, or let programs share a broker"
        )
        assert str(caught.value.again()) == str(caught.value)
        await quota._tokens.close()

    run_virtual(main())


def test_a_second_connection_that_is_not_to_be_had_fails_its_streams_only() -> None:
    async def main() -> None:
        async with staged() as stage:
            book = await stage.client.book("TEST").open()
            slots = FakeSlots(0)
            share(stage, slots)
            with pytest.raises(LimitError, match="in other programs"):
                await stage.client.portfolio("D1").watch_orders().open()
            with pytest.raises(NotSentError, match="in other programs"):
                await stage.entry.open()
            slots.left = 2
            orders = await stage.client.portfolio("D1").watch_orders().open()
            await stage.entry.open()
            await orders.close()
            await book.close()

    run_virtual(main)


def test_a_connection_that_cannot_be_opened_gives_its_slot_back() -> None:
    async def main() -> None:
        stage = Stage()
        slots = FakeSlots(1)
        share(stage, slots)
        stage.broker.address.refuse(503)
        with pytest.raises(Exception, match="refused"):
            await stage.client.start()
        assert slots.left == 1
        await stage.client.close()

    run_virtual(main)
