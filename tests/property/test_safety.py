"""Whatever a guarded client does and the venue delays: once it is lost, nothing of it works, and all else does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio import order, stop_order
from tapewire.model import (
    CancelOrder,
    CancelStopOrder,
    Command,
    CommandKey,
    Done,
    OrderStatus,
    Outcome,
    PlaceOrder,
    PlaceStopOrder,
    Record,
    Refused,
    ReplaceOrder,
    ReplaceStopOrder,
    StreamPosition,
    Topic,
    TopicKind,
    Unavailable,
)
from tapewire.ports.query import RecordsPage
from tapewire.simulation import run_virtual
from unit.gateway.commands import DELETE, LIMIT, STOP_LIMIT
from unit.gateway.world import Peer, World

ACTIONS = (
    "create:limit",
    "create:stopLimit",
    "update:limit",
    "update:stopLimit",
    "delete:limit",
    "delete:stop",
    "fill",
    "fire",
    "wait",
    "other",
)
#: Second letter of the other client's guids.
OTHER = "o"


class Book:
    """A venue that keeps which orders work. Commands wait before and after they are carried out.

    What it has been given it carries out, even if nobody waits for it any more.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.is_failing = True
        self.working: dict[str, None] = {}
        self.conditional: dict[str, None] = {}
        self.placed: dict[str, str] = {}
        #: Orders of the other client.
        self.of_other: dict[str, None] = {}
        self._numbers = 0
        self._tasks: set[asyncio.Task[Outcome]] = set()

    async def submit(self, command: Command, key: CommandKey | None = None) -> Outcome:
        guid = "" if key is None else key.guid
        task = asyncio.create_task(self._carry_out(command, guid))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _carry_out(self, command: Command, guid: str) -> Outcome:
        await asyncio.sleep(self.random.choice((0, 0, 0.01, 1, 6)))
        if self.is_failing and self.random.random() < 0.1:
            return Unavailable("by chance")
        outcome = self._apply(command)
        if isinstance(outcome, Done) and isinstance(command, PlaceOrder) and guid[1] == OTHER:
            self.of_other[outcome.order_number] = None
        await asyncio.sleep(self.random.choice((0, 0, 0.01, 1)))
        return outcome

    def _apply(self, command: Command) -> Outcome:
        match command:
            case CancelOrder() | CancelStopOrder():
                kept = self.working if isinstance(command, CancelOrder) else self.conditional
                if command.order_number not in kept:
                    return Refused(404, "nothing to cancel")
                del kept[command.order_number]
                return Done(command.order_number)
            case ReplaceOrder() | ReplaceStopOrder():
                kept = self.working if isinstance(command, ReplaceOrder) else self.conditional
                if command.order_number not in kept:
                    return Refused(403, "nothing to replace")
                del kept[command.order_number]
            case PlaceOrder() | PlaceStopOrder():
                kept = self.working if isinstance(command, PlaceOrder) else self.conditional
            case _:
                raise AssertionError(command)
        self._numbers += 1
        kept[str(self._numbers)] = None
        return Done(str(self._numbers))

    def fill(self, numbers: Sequence[str]) -> None:
        """One of these orders is filled, if it still works."""
        self.working.pop(self.random.choice(numbers), None)

    def fire(self, numbers: Sequence[str]) -> None:
        """One of these conditional orders places its direct one, if it still waits."""
        number = self.random.choice(numbers)
        if number in self.conditional:
            del self.conditional[number]
            self._numbers += 1
            self.placed[number] = str(self._numbers)
            self.working[str(self._numbers)] = None

    async def portfolio_records(self, topic: Topic) -> RecordsPage:
        await asyncio.sleep(self.random.choice((0, 0.01, 6)))
        records: list[Record]
        if topic.kind is TopicKind.ORDERS:
            records = [order(number) for number in self.working]
        else:
            filled = {"status": OrderStatus.FILLED}
            records = [stop_order(number) for number in self.conditional]
            records += [stop_order(a, exchange_order_id=b, **filled) for a, b in self.placed.items()]
        return RecordsPage(StreamPosition("e", 1), records)


class Client:
    """A program whose commands may still be under way when its connection is lost."""

    def __init__(self, peer: Peer, book: Book, prefix: str) -> None:
        self.peer, self.book, self.prefix = peer, book, prefix
        self._sent = 0

    def made(self, kind: str) -> list[str]:
        """Return the numbers that it was told, by the first letter of the guids."""
        return [
            answer["orderNumber"]
            for answer in self.peer.answers()
            if answer["requestGuid"].startswith(kind) and answer["httpCode"] == 200
        ]

    def send(self, opcode: str) -> None:
        is_stop = "stop" in opcode
        fields: dict[str, Any] = DELETE if opcode.startswith("delete") else STOP_LIMIT if is_stop else LIMIT
        if not opcode.startswith("create"):
            known = self.made("s" if is_stop else "d")
            if not known:
                return
            fields = fields | {"orderId": self.book.random.choice(known[-3:])}
        self._sent += 1
        kind = "x" if opcode.startswith("delete") else "s" if is_stop else "d"
        self.peer.send(opcode, f"{kind}{self.prefix}{self._sent}", token=None, **fields)


async def play(seed: int, actions: list[str], loses_timer: bool) -> None:
    async with World(safety=True) as world:
        book = Book(seed)
        world.venue.desk = book  # type: ignore[assignment]
        world.venue.portfolio_records = book.portfolio_records  # type: ignore[method-assign]
        peer, other_peer = await world.connect("/cws"), await world.connect("/cws")
        for each in (peer, other_peer):
            assert await each.ask("authorize", "hello") == 200
        asked = {"cancelAfterSeconds": 600} if loses_timer else {"cancelOnDisconnect": True}
        assert await peer.ask("safety", "safety", token=None, **asked) == 200
        client, other = Client(peer, book, "c"), Client(other_peer, book, OTHER)
        for action in actions:
            if action == "wait":
                await asyncio.sleep(book.random.choice((0.005, 1, 8)))
            elif action == "other":
                other.send("create:limit")
            elif action == "fill" and (known := client.made("d")):
                book.fill(known)
            elif action == "fire" and (known := client.made("s")):
                book.fire(known)
            elif ":" in action:
                client.send(action)
        await asyncio.sleep(book.random.choice((0, 0.002, 0.5)))
        world.network.connections[0].cut()
        await asyncio.sleep(700)
        # Retries end; what chance refuses eight times running would be given up.
        book.is_failing = False
        await other_peer.until(lambda: len(other_peer.answers()) == actions.count("other"))
        assert len(book.of_other) >= len(other.made("d"))
        if world.gateway.counters.safety_left:
            assert book.of_other.keys() <= book.working.keys()
        else:
            assert book.working.keys() == book.of_other.keys()
            assert not book.conditional


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=25), st.booleans())
def test_nothing_of_a_lost_client_works_and_all_of_another_does(
    seed: int, actions: list[str], loses_timer: bool
) -> None:
    run_virtual(lambda: play(seed, actions, loses_timer))
