"""A venue on a machine whose power can be cut: journal, snapshots and archive on simulated disks."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from tapewire.exchange import AccountTerms
from tapewire.journal import Journal, Retention
from tapewire.market import AROUND_THE_CLOCK, Market, TradingHours, catalogue
from tapewire.model import (
    CancelOrder,
    Command,
    CommandKey,
    Done,
    Exchange,
    Fill,
    Order,
    OrderType,
    Outcome,
    PlaceOrder,
    Record,
    Refused,
    ReplaceOrder,
    Side,
    StreamPosition,
    Topic,
    TopicKind,
    Unavailable,
)
from tapewire.ports.venue import OutcomeUnknownError
from tapewire.simulation import LoopShell, SimulatedArchive, SimulatedDisk, VirtualClock
from tapewire.venues import EmbeddedVenue

PORTFOLIO = "D1"
TERMS = (
    AccountTerms(name=PORTFOLIO, cash=Decimal(10_000_000)),
    AccountTerms(name="7500X", cash=Decimal(10_000_000)),
)


class Witness:
    """A sink that keeps what it was told of one portfolio."""

    def __init__(self) -> None:
        self.fills: list[Fill] = []
        self.orders: list[Order] = []

    def changed(self, topic: Topic) -> None:
        raise AssertionError("these streams are of events")

    def happened(self, topic: Topic, position: StreamPosition, record: Record) -> None:
        if isinstance(record, Fill):
            self.fills.append(record)
        else:
            assert isinstance(record, Order)
            self.orders.append(record)

    def told(self) -> None:
        """What was told is kept already."""


class Plant:
    """One venue at a time over the same disks; ``start`` and ``cut`` or ``stop`` by turns.

    ``told`` outlives the starts: every fill that a stream has told.
    """

    def __init__(
        self,
        disk: SimulatedDisk,
        *,
        turn_s: float = 0.001,
        events_per_second: int = 300,
        symbols: int = 3,
        hours: TradingHours = AROUND_THE_CLOCK,
        retention: Retention | None = None,
    ) -> None:
        self.disk = disk
        self.archive = SimulatedArchive()
        self.turn_s = turn_s
        self.events_per_second = events_per_second
        self.symbols = symbols
        self.hours = hours
        self.retention = retention
        self.terms: Sequence[AccountTerms] = TERMS
        self.fills_told: list[Fill] = []
        self.witness = Witness()

    async def start(self, seed: int = 1) -> EmbeddedVenue:
        self.shell = LoopShell(turn_s=self.turn_s)
        self.journal = Journal(self.disk.open, self.disk.snapshots(), shell=self.shell, retention=self.retention)
        self.venue = EmbeddedVenue(
            Market(catalogue(self.symbols), seed=seed, events_per_second=self.events_per_second),
            clock=VirtualClock(asyncio.get_running_loop()),
            accounts=self.terms,
            archive=self.archive,
            journal=self.journal,
            hours=self.hours,
        )
        await self.venue.start()
        self.witness = Witness()
        for kind in (TopicKind.FILLS, TopicKind.ORDERS):
            self.venue.open(Topic(kind, Exchange.MOEX, PORTFOLIO), self.witness)
        self.running = asyncio.create_task(self.venue.run())
        return self.venue

    async def cut(self) -> None:
        """Take the power from disk and program alike."""
        self.disk.power_cut()
        await self._die()

    async def kill(self) -> None:
        """End the program as ``kill -9`` does: what was written and not synced stays with the system."""
        await self._die()

    async def _die(self) -> None:
        self.shell.abandon()
        self.archive.crash()
        self.running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.running
        self.fills_told += self.witness.fills

    async def stop(self) -> None:
        self.running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.running
        await self.venue.stop()
        self.fills_told += self.witness.fills

    async def records(self, kind: TopicKind) -> Sequence[Record]:
        return (await self.venue.portfolio_records(Topic(kind, Exchange.MOEX, PORTFOLIO))).records

    def trader(self, seed: int) -> Trader:
        return Trader(self, seed)

    async def submit(self, command: Command, guid: str | None = None) -> Outcome:
        return await self.venue.submit(command, None if guid is None else CommandKey("P1", guid))

    def price(self, steps: int = 0, symbol: str = "SBER") -> Decimal:
        """Return the last price and so many steps more."""
        hall = self.venue._hall
        position = hall.directory.position("MOEX", symbol, "")
        assert position is not None
        return hall.directory.instruments[position].price(hall.listings[position].last_ticks + steps)


class LossError(Exception):
    """What a check is for."""


class Trader:
    """Somebody who sends commands, and remembers what he was told of each."""

    def __init__(self, plant: Plant, seed: int) -> None:
        self._plant = plant
        self._random = random.Random(seed)
        self._sent = 0
        self._under_way: set[asyncio.Task[None]] = set()
        #: By guid.
        self.commands: dict[str, Command] = {}
        self.told: dict[str, Done | Refused] = {}
        self.unavailable: set[str] = set()
        #: Numbers of orders that work as far as he knows.
        self.working: list[str] = []

    def send(self) -> None:
        """Send one command and wait for its answer in the background."""
        guid = f"guid-{self._sent}"
        self._sent += 1
        command = self.commands[guid] = self._command()
        task = asyncio.create_task(self._wait(guid, command))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _command(self) -> Command:
        kind = self._random.random()
        if self.working and kind < 0.3:
            number = self.working.pop(self._random.randrange(len(self.working)))
            return CancelOrder(portfolio=PORTFOLIO, order_number=number)
        side = self._random.choice((Side.BUY, Side.SELL))
        order = limit(self._plant.price(self._random.randint(-40, 40)), side, self._random.randint(1, 5))
        if self.working and kind < 0.45:
            number = self.working.pop(self._random.randrange(len(self.working)))
            return ReplaceOrder(order_number=number, order=order)
        if kind < 0.5:
            return msgspec.structs.replace(order, quantity_lots=10_000_000)  # more than he can pay
        return order

    async def _wait(self, guid: str, command: Command) -> None:
        try:
            outcome = await self._plant.submit(command, guid)
        except OutcomeUnknownError:
            return
        if isinstance(outcome, Unavailable):
            self.unavailable.add(guid)
        elif isinstance(outcome, Done | Refused):
            self.told[guid] = outcome
            if isinstance(outcome, Done) and not isinstance(command, CancelOrder):
                self.working.append(outcome.order_number)

    async def give_up(self) -> None:
        """Stop to wait: the connection is gone."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def check(self) -> None:
        """Look for everything that he, and the streams, were told.

        Raises:
            LossError: Something of it is not there.
        """
        hall = self._plant.venue._hall
        for guid, outcome in self.told.items():
            found = hall.guids.first(CommandKey("P1", guid))
            if found != outcome:
                raise LossError(f"{guid} ended with {outcome}; now it is {found}")
        for guid in self.unavailable:
            assert hall.guids.first(CommandKey("P1", guid)) is None, f"{guid} was said not to be carried out"
        orders = [record for record in await self._plant.records(TopicKind.ORDERS) if isinstance(record, Order)]
        numbers = [order.id for order in orders]
        assert len(set(numbers)) == len(numbers), "no order is there twice"
        missing = {outcome.order_number for outcome in self.told.values() if isinstance(outcome, Done)} - set(
            numbers
        )
        if missing:
            raise LossError(f"orders are missing: {sorted(missing)}")
        fills = [record for record in await self._plant.records(TopicKind.FILLS) if isinstance(record, Fill)]
        kept = {(fill.id, fill.order_number): fill for fill in fills}
        assert len(kept) == len(fills), "no fill is there twice"
        for fill in self._plant.fills_told:
            found_fill = kept.get((fill.id, fill.order_number))
            if found_fill is None or msgspec.structs.replace(found_fill, existing=False) != fill:
                raise LossError(f"a fill was told and is {found_fill}: {fill}")


def limit(price: Decimal, side: Side = Side.BUY, lots: int = 1, symbol: str = "SBER") -> PlaceOrder:
    return PlaceOrder(
        portfolio=PORTFOLIO,
        exchange=Exchange.MOEX,
        symbol=symbol,
        board="TQBR",
        type=OrderType.LIMIT,
        side=side,
        quantity_lots=lots,
        price=price,
    )
