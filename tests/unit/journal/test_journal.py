"""The journal on virtual time: order, refusals, a disk that fails and comes back, snapshots, the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from journals import Owner
from tapewire.journal import Entry, EntryKind, Journal, NotWritten, Retention
from tapewire.journal.entry_queue import GROUP_ENTRIES_MAX, IN_FLIGHT_MAX
from tapewire.journal.journal import PROBE_S, SNAPSHOT_RETRY_S
from tapewire.journal.writer import Lost
from tapewire.simulation import LoopShell, SimulatedDisk, run_virtual


class World:
    """A disk, a journal on it and its owner, started."""

    def __init__(self, disk: SimulatedDisk, *, turn_s: float = 0.001, **options: Any) -> None:
        self.disk = disk
        self.owner = Owner()
        self.changes: list[str] = []
        self.journal = Journal(
            disk.open,
            disk.snapshots(),
            shell=LoopShell(turn_s=turn_s),
            changed=lambda: self.changes.append(self.journal.refusal),
            **options,
        )
        self.owner.recover(self.journal)

    def append(self, *bodies: bytes) -> list[NotWritten | None]:
        return [self.owner.append(self.journal, body) for body in bodies]

    async def settled(self) -> None:
        while self.journal.in_flight:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.001)


def on_disk(work: Callable[[World], Awaitable[None]], disk: SimulatedDisk | None = None, **options: Any) -> Owner:
    """Work with a journal, close it, and return the owner that a start after it gives."""
    disk = disk if disk is not None else SimulatedDisk()

    async def main() -> Owner:
        world = World(disk, **options)
        await work(world)
        await world.journal.close()
        disk.capacity_bytes, disk.read_only, disk.sync_failures = None, False, 0
        after = World(disk)
        await after.journal.close()
        return after.owner

    return run_virtual(main)


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def test_entries_are_durable_before_they_are_applied_and_applied_in_order() -> None:
    async def work(world: World) -> None:
        def check() -> None:
            assert world.disk.open().next_sequence >= len(world.owner.applied)

        for body in numbered(200):
            assert world.owner.append(world.journal, body, then=check) is None
        assert world.owner.applied == [], "never inside the call"
        await world.settled()
        assert world.owner.applied == numbered(200)
        assert world.journal.applied_sequence == 200

    assert on_disk(work).applied == numbered(200)


def test_all_of_one_turn_of_the_loop_is_one_group_up_to_its_bound() -> None:
    async def work(world: World) -> None:
        world.append(*numbered(GROUP_ENTRIES_MAX))
        await world.settled()
        assert world.journal.groups == 1
        world.append(*numbered(GROUP_ENTRIES_MAX + 1))
        await world.settled()
        assert world.journal.groups == 3

    on_disk(work)


def test_what_comes_while_the_disk_is_busy_shares_the_next_sync() -> None:
    async def work(world: World) -> None:
        for body in numbered(40):
            world.append(body)
            await asyncio.sleep(0.001)
        await world.settled()
        assert world.journal.groups <= 6

    assert on_disk(work, turn_s=0.01).applied == numbered(40)


def test_above_the_bound_the_submitter_is_refused_at_once_with_a_reason() -> None:
    async def work(world: World) -> None:
        world.append(*numbered(IN_FLIGHT_MAX))
        (refused,) = world.append(b"too many")
        assert refused == NotWritten("4096 entries wait for the disk")
        await world.settled()
        assert world.append(b"now") == [None]

    assert on_disk(work).applied == [*numbered(IN_FLIGHT_MAX), b"now"]


def fill(disk: SimulatedDisk) -> None:
    disk.capacity_bytes = disk.used_bytes


def protect(disk: SimulatedDisk) -> None:
    disk.read_only = True


@pytest.mark.parametrize(("spoil", "reason"), [(fill, "the disk is full"), (protect, "the disk is read-only")])
def test_a_disk_that_refuses_fails_what_waits_refuses_the_rest_and_is_probed(
    spoil: Callable[[SimulatedDisk], None], reason: str
) -> None:
    async def work(world: World) -> None:
        world.append(b"before")
        await world.settled()
        spoil(world.disk)
        world.append(b"a", b"b")
        await world.settled()
        assert world.owner.failed == [(b"a", NotWritten(reason)), (b"b", NotWritten(reason))]
        assert world.append(b"c") == [NotWritten(f"the journal cannot be written: {reason}")]
        await asyncio.sleep(10 * PROBE_S)
        assert reason in world.journal.refusal
        world.disk.capacity_bytes, world.disk.read_only = None, False
        await asyncio.sleep(2 * PROBE_S)
        assert world.journal.refusal == ""
        assert world.changes == [f"the journal cannot be written: {reason}", ""]
        world.append(b"after")
        await world.settled()
        assert world.owner.applied == [b"before", b"after"]
        assert world.journal.not_written == 3

    assert on_disk(work).applied == [b"before", b"after"]


def test_after_an_uncertain_error_nothing_that_was_failed_is_found_again() -> None:
    async def work(world: World) -> None:
        world.append(b"before")
        await world.settled()
        world.disk.sync_failures = 1
        world.append(b"lost")
        await world.settled()
        assert world.owner.failed == [(b"lost", NotWritten("disk I/O error", may_survive=True))]
        assert world.disk.open().next_sequence == 2, "it was written, only not synced"
        await asyncio.sleep(2 * PROBE_S)
        world.append(b"after")
        await world.settled()

    assert on_disk(work).applied == [b"before", b"after"]


def test_what_waits_behind_a_failing_group_was_certainly_not_written() -> None:
    async def work(world: World) -> None:
        world.disk.sync_failures = 1
        world.append(*numbered(GROUP_ENTRIES_MAX + 1))
        await world.settled()
        assert [why.may_survive for _, why in world.owner.failed] == [True] * GROUP_ENTRIES_MAX + [False]

    assert on_disk(work).applied in ([], numbered(GROUP_ENTRIES_MAX))


def test_what_the_owner_appends_when_told_that_it_goes_on_comes_first() -> None:
    async def work(world: World) -> None:
        def changed() -> None:
            if world.journal.refusal == "":
                world.append(b"owed")

        world.journal._changed = changed
        protect(world.disk)
        world.append(b"x")
        await world.settled()
        world.disk.read_only = False
        while world.append(b"next")[0] is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await world.settled()

    assert on_disk(work).applied == [b"owed", b"next"]


def test_a_disk_that_has_lost_synced_entries_stops_the_journal() -> None:
    async def work(world: World) -> None:
        world.append(b"a", b"b")
        await world.settled()
        world.disk.sync_failures = 1
        world.append(b"c")
        await world.settled()
        world.disk.open().cut_from(1)
        with pytest.raises(Lost, match="entries 1 to 1 were synced and are gone"):
            await world.journal.wait()
        assert "does not keep" in world.journal.refusal

    assert on_disk(work).applied == [b"a"]


def test_an_entry_that_cannot_be_applied_stops_the_journal_before_the_next_one() -> None:
    async def work(world: World) -> None:
        def broken(_: Entry) -> None:
            raise ZeroDivisionError("a fault of the exchange")

        world.append(b"a")
        world.journal.append(EntryKind.COMMAND, b"b", 0, broken, lambda _: None)
        world.append(b"c")
        await world.settled()
        with pytest.raises(ZeroDivisionError):
            await world.journal.wait()
        assert world.owner.applied == [b"a"]
        assert [(body, why.may_survive) for body, why in world.owner.failed] == [(b"c", True)]
        assert world.append(b"d") == [NotWritten("the journal has stopped: a fault of the exchange")]

    assert on_disk(work).applied == [b"a", b"b", b"c"]


def test_closing_writes_what_waits_and_refuses_the_rest() -> None:
    async def work(world: World) -> None:
        world.append(*numbered(100))
        await world.journal.close()
        assert world.owner.applied == numbered(100)
        assert world.append(b"late") == [NotWritten("the journal is closed")]

    assert on_disk(work).applied == numbered(100)


def test_a_start_takes_up_the_newest_snapshot_and_applies_what_is_behind() -> None:
    disk = SimulatedDisk()

    async def work(world: World) -> None:
        for number in range(5):
            world.append(b"a%d" % number, b"b%d" % number)
            await world.settled()
            assert world.owner.snapshot(world.journal) is None
            assert world.owner.snapshot(world.journal) == NotWritten("a snapshot is being written")
            await asyncio.sleep(1)
        world.append(b"behind")

    owner = on_disk(work, disk)
    assert owner.applied[-3:] == [b"a4", b"b4", b"behind"]
    assert len(owner.applied) == 11
    # Two kept; each mark takes a place of its own.
    assert disk.snapshots().sequences() == [11, 14]


def test_a_mark_may_speak_of_a_state_behind_which_entries_are_under_way() -> None:
    async def work(world: World) -> None:
        world.append(*numbered(1_000))
        while len(world.owner.applied) < 100:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert world.journal.in_flight
        assert world.journal.mark(world.owner.state_hash(), 0) is None

    assert on_disk(work).applied == numbered(1_000)


def test_a_snapshot_that_cannot_be_written_is_told_and_asked_for_again_later() -> None:
    async def work(world: World) -> None:
        world.append(*numbered(50))
        await world.settled()
        assert world.journal.snapshot_due
        # Room for the mark, not for the snapshot.
        world.disk.capacity_bytes = world.disk.used_bytes + 150
        world.owner.snapshot(world.journal)
        await asyncio.sleep(1)
        assert world.journal.snapshot_failure == "the disk is full"
        assert not world.journal.snapshot_due
        world.disk.capacity_bytes = None
        await asyncio.sleep(SNAPSHOT_RETRY_S)
        assert world.journal.snapshot_due
        world.owner.snapshot(world.journal)
        await asyncio.sleep(1)
        assert world.journal.snapshot_failure == ""
        assert not world.journal.snapshot_due

    retention = Retention(4_000, reserve_bytes=1_000)
    assert on_disk(work, retention=retention).applied == numbered(50)


def test_a_journal_that_is_full_refuses_until_snapshots_have_made_room() -> None:
    async def work(world: World) -> None:
        body = bytes(100)
        while not world.journal.refusal:
            world.append(body)
            await world.settled()
        assert "the journal is full" in world.append(body)[0].reason
        assert "--journal-max" in world.journal.refusal
        for _ in range(2):
            assert world.journal.snapshot_due
            # What the owner keeps may be small though the journal is not.
            world.owner.applied.clear()
            assert world.owner.snapshot(world.journal) is None
            await asyncio.sleep(1)
        assert world.journal.refusal == ""
        assert world.changes[-1] == ""
        world.append(b"again")
        await world.settled()
        assert world.disk.open().first_sequence > 0

    def run() -> Owner:
        return on_disk(work, retention=Retention(40_000, reserve_bytes=10_000))

    assert run().applied == [b"again"]


def test_history_goes_when_the_bound_is_near_and_never_what_recovery_needs() -> None:
    largest = 0

    async def work(world: World) -> None:
        nonlocal largest
        for number in range(6_000):
            if not number % 64:
                await world.settled()
                world.owner.applied = world.owner.applied[-1:]
                if world.journal.snapshot_due:
                    assert world.owner.snapshot(world.journal) is None
                largest = max(largest, world.disk.used_bytes)
            assert world.append(b"%06d" % number) == [None]
        await world.settled()
        file = world.disk.open()
        assert 0 < file.first_sequence <= world.disk.snapshots().sequences()[0]
        assert file.first_sequence < file.next_sequence - 1_000

    owner = on_disk(work, retention=Retention(150_000, reserve_bytes=20_000))
    assert owner.applied[-1] == b"005999"
    assert largest <= 150_000


def test_a_journal_begins_with_recovery() -> None:
    async def main() -> None:
        disk = SimulatedDisk()
        journal = Journal(disk.open, disk.snapshots(), shell=LoopShell())
        assert Owner().append(journal, b"x") == NotWritten("the journal has not been started")
        with pytest.raises(AssertionError, match="first recover"):
            journal.start()
        await journal.close()

    run_virtual(main)
