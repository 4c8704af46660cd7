"""A venue with a journal that loses its power, is stopped and started again: nothing that it said is lost."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from plants import PORTFOLIO, Plant, limit
from tapewire.journal import SnapshotRefusedError
from tapewire.market import AROUND_THE_CLOCK, SessionName, TradingHours
from tapewire.model import Done, Exchange, Fill, Order, Repeated, Side, Topic, TopicKind, Unavailable
from tapewire.ports.journal import JournalError
from tapewire.ports.venue import VenueUnavailableError
from tapewire.simulation import SimulatedDisk, run_virtual
from tapewire.venues.hall_state import HallSettings


def test_what_was_done_is_there_after_a_power_cut() -> None:
    async def scenario() -> None:
        plant = Plant(SimulatedDisk(seed=3))
        await plant.start()
        await asyncio.sleep(0.5)
        resting = await plant.submit(limit(plant.price(-300)), "a")
        taken = await plant.submit(limit(plant.price(+300), lots=3), "b")
        assert isinstance(resting, Done)
        assert isinstance(taken, Done)
        fills = list(plant.witness.fills)
        assert sum(fill.quantity_lots for fill in fills) == 3
        await plant.cut()

        await plant.start()
        orders = {order.id: order for order in await plant.records(TopicKind.ORDERS) if isinstance(order, Order)}
        assert orders[resting.order_number].status == "working"
        assert orders[taken.order_number].filled_lots == 3
        kept = [fill for fill in await plant.records(TopicKind.FILLS) if isinstance(fill, Fill)]
        assert [fill.id for fill in kept] == [fill.id for fill in fills]
        assert await plant.submit(limit(plant.price()), "a") == Repeated(resting)
        await plant.stop()

    run_virtual(scenario())


def test_a_clean_stop_and_a_start_change_nothing() -> None:
    async def scenario() -> None:
        plant = Plant(SimulatedDisk())
        await plant.start()
        await asyncio.sleep(1)
        await plant.submit(limit(plant.price(+300), lots=2), "a")
        await asyncio.sleep(1.234)
        hall = plant.venue._hall
        await plant.stop()
        before = hall.state()
        await plant.start()
        after = plant.venue._hall.state()
        assert after.exchange.orders == before.exchange.orders
        assert after.accounts == before.accounts
        assert after.market == before.market
        assert after.guids == before.guids
        assert [one.last_ticks for one in after.listings] == [one.last_ticks for one in before.listings]
        await plant.stop()

    run_virtual(scenario())


@pytest.mark.parametrize("seed", range(8))
def test_a_replay_leads_to_the_same_state(seed: int) -> None:
    """Cut at random moments, the hall that comes back is the one that was, with what was granted on top."""

    async def scenario() -> None:
        plant = Plant(SimulatedDisk(seed=seed))
        await plant.start()
        numbers = []
        for turn in range(5):
            await asyncio.sleep(0.3 + seed / 7)
            price = plant.price()
            side = Side.BUY if turn % 2 else Side.SELL
            outcome = await plant.submit(limit(price, side, lots=turn + 1), f"{seed}-{turn}")
            if isinstance(outcome, Done):
                numbers.append(outcome.order_number)
            await plant.cut()
            await plant.start()
            orders = {order.id for order in await plant.records(TopicKind.ORDERS) if isinstance(order, Order)}
            assert set(numbers) <= orders
            fills = {fill.id for fill in await plant.records(TopicKind.FILLS) if isinstance(fill, Fill)}
            assert {fill.id for fill in plant.fills_told} <= fills
        await plant.stop()
        assert plant.journal.refusal

    run_virtual(scenario())


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_without_a_disk_commands_are_refused_and_the_market_goes_on(fault: str) -> None:
    async def scenario() -> None:
        plant = Plant(SimulatedDisk())
        venue = await plant.start()
        await asyncio.sleep(0.5)
        resting = await plant.submit(limit(plant.price(), lots=200), "resting")
        assert isinstance(resting, Done)
        filled_before = list(plant.witness.fills)
        plant.disk.read_only = fault == "read-only"
        plant.disk.capacity_bytes = plant.disk.used_bytes if fault == "full" else None
        await asyncio.sleep(2)
        printed = venue._hall.listings[0].tape.sequence
        refused = await plant.submit(limit(plant.price()), "refused")
        assert isinstance(refused, Unavailable)
        assert fault in refused.reason
        # What happens now could be lost, so nobody hears of it.
        told = list(plant.witness.fills)
        with pytest.raises(VenueUnavailableError, match="journal"):
            await plant.records(TopicKind.FILLS)
        with pytest.raises(VenueUnavailableError):
            await venue.state(Topic(TopicKind.SUMMARY, Exchange.MOEX, PORTFOLIO))
        await asyncio.sleep(20)
        assert venue._hall.listings[0].tape.sequence > printed, "market data goes on"
        assert plant.witness.fills == told
        assert len(list(venue._hall.accounts.fills.of(PORTFOLIO))) > len(told) >= len(filled_before)

        plant.disk.read_only, plant.disk.capacity_bytes = False, None
        await asyncio.sleep(1.5)
        fills = [fill for fill in await plant.records(TopicKind.FILLS) if isinstance(fill, Fill)]
        assert [fill.id for fill in plant.witness.fills] == [fill.id for fill in fills], (
            "told late, once, in order"
        )
        assert isinstance(await plant.submit(limit(plant.price()), "refused"), Done), "it was not remembered"
        await plant.cut()
        await plant.start()
        kept = [fill for fill in await plant.records(TopicKind.FILLS) if isinstance(fill, Fill)]
        assert [fill.id for fill in kept][: len(fills)] == [fill.id for fill in fills]
        await plant.stop()

    run_virtual(scenario())


def test_a_disk_that_hangs_holds_up_no_market_data_and_nothing_is_told_that_could_be_lost() -> None:
    async def scenario() -> None:
        plant = Plant(SimulatedDisk(), events_per_second=1_000)
        venue = await plant.start()
        await asyncio.sleep(0.5)
        resting = await plant.submit(limit(plant.price(), lots=300), "resting")
        assert isinstance(resting, Done)
        plant.shell.turn_s = 30.0
        await asyncio.sleep(2)
        told, printed = list(plant.witness.fills), venue._hall.listings[0].tape.sequence
        await asyncio.sleep(20)
        assert venue._hall.listings[0].tape.sequence > printed, "market data goes on"
        assert plant.witness.fills == told
        assert len(list(venue._hall.accounts.fills.of(PORTFOLIO))) > len(told)
        with pytest.raises(VenueUnavailableError):
            await plant.records(TopicKind.FILLS)
        plant.shell.turn_s = 0.001
        await asyncio.sleep(60)
        fills = [fill.id for fill in await plant.records(TopicKind.FILLS) if isinstance(fill, Fill)]
        assert [fill.id for fill in plant.witness.fills] == fills
        await plant.cut()
        await plant.start()
        kept = [fill.id for fill in await plant.records(TopicKind.FILLS) if isinstance(fill, Fill)]
        assert kept[: len(fills)] == fills
        await plant.stop()

    run_virtual(scenario())


def test_a_venue_does_not_start_on_a_disk_that_takes_nothing() -> None:
    async def scenario() -> None:
        plant = Plant(SimulatedDisk())
        plant.disk.read_only = True
        with pytest.raises(JournalError, match="read-only"):
            await plant.start()
        await plant.journal.close()

    run_virtual(scenario())


def test_other_settings_hold_from_the_next_start_on() -> None:
    async def scenario() -> None:
        plant = Plant(SimulatedDisk(seed=1))
        await plant.start()
        await asyncio.sleep(0.7)
        await plant.cut()
        plant.events_per_second, plant.hours = 50, TradingHours(SessionName)
        await plant.start(seed=9)
        assert plant.venue._hall.settings.seed == 9
        await asyncio.sleep(0.7)
        await plant.cut()
        plant.hours = AROUND_THE_CLOCK
        await plant.start()
        assert plant.venue._hall.settings == HallSettings(seed=1, events_per_second=50)
        await plant.stop()

    run_virtual(scenario())


def test_a_folder_of_other_instruments_is_refused() -> None:
    async def scenario() -> None:
        plant = Plant(SimulatedDisk())
        await plant.start()
        await plant.stop()
        plant.symbols = 2
        with pytest.raises((JournalError, SnapshotRefusedError), match="--symbols 3"):
            await plant.start()
        await plant.journal.close()

    run_virtual(scenario())


def test_days_that_have_passed_while_it_was_down_are_turned_once() -> None:
    async def scenario() -> None:
        plant = Plant(SimulatedDisk())
        await plant.start()
        await asyncio.sleep(0.5)
        order = await plant.submit(limit(plant.price(-300)), "day")
        assert isinstance(order, Done)
        day, session = plant.venue._hall.accounts.day, plant.venue._hall.exchange.orders.session
        await plant.stop()
        await asyncio.sleep(3 * 86_400)
        await plant.start()
        assert plant.venue._hall.accounts.day == day + 3
        assert plant.venue._hall.exchange.orders.session == session + 1
        row = plant.venue._hall.exchange.orders.get(int(order.order_number))
        assert row is not None
        assert row.status == "canceled"
        await plant.stop()

    run_virtual(scenario(), limit_s=400_000)


def test_new_portfolios_are_opened_and_known_ones_left_alone() -> None:
    async def scenario() -> None:
        plant = Plant(SimulatedDisk())
        await plant.start()
        await plant.venue.open_accounts(
            [
                type(plant.terms[0])(name="D2", cash=Decimal(5)),
                type(plant.terms[0])(name=PORTFOLIO, cash=Decimal(7)),
            ]
        )
        await plant.cut()
        await plant.start()
        hall = plant.venue._hall
        assert hall.accounts.names == (PORTFOLIO, "7500X", "D2")
        assert hall.accounts.account("D2").terms.cash == 5
        assert hall.accounts.account(PORTFOLIO).terms.cash == 10_000_000
        await plant.stop()

    run_virtual(scenario())
