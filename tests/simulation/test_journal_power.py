"""A journal on a disk that loses its power, fills up and fails: what was acknowledged is there, once and in order.

Each run is a list of things that happen to a journal; the model is the list of what was acknowledged. One test
turns synchronous writing off and expects the check to find the loss: a check that never fails proves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from journals import Owner
from tapewire.journal import Journal, Retention
from tapewire.journal.journal import PROBE_S
from tapewire.simulation import LoopShell, SimulatedDisk, run_virtual

Action = tuple[str, int]

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 100)),
        st.tuples(st.just("wait_ms"), st.integers(1, 20)),
        st.tuples(st.just("cut_after"), st.integers(0, 12)),
        st.tuples(st.just("cut"), st.just(0)),
        st.tuples(st.just("full"), st.integers(0, 2_000)),
        st.tuples(st.just("read_only"), st.just(0)),
        st.tuples(st.just("fail_syncs"), st.integers(1, 3)),
        st.tuples(st.just("heal"), st.just(0)),
        st.tuples(st.just("snapshot"), st.just(0)),
        st.tuples(st.just("close"), st.just(0)),
    ),
    max_size=25,
)


class LossError(Exception):
    """What a check is for."""


class Plant:
    """A machine with a disk: one journal at a time, and what everybody was told."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self.disk = disk
        self.retention = Retention(12_000, reserve_bytes=4_000)
        self.appended = 0
        #: Told as durable, in the order of telling.
        self.acknowledged: list[bytes] = []
        #: Told as failed, and certainly not written.
        self.failed: set[bytes] = set()

    def start(self) -> None:
        self.cuts = self.disk.power_cuts
        self.owner = Owner()
        self.shell = LoopShell(turn_s=0.001)
        self.journal = Journal(self.disk.open, self.disk.snapshots(), shell=self.shell, retention=self.retention)
        self.owner.recover(self.journal)
        applied = self.owner.applied
        assert len(set(applied)) == len(applied), "nothing is there twice"
        assert [int(body) for body in applied] == sorted(int(body) for body in applied), "everything is in order"
        assert not self.failed & set(applied), "what has certainly failed is not there"
        missing = set(self.acknowledged) - set(applied)
        if missing:
            raise LossError(f"acknowledged and lost: {sorted(missing, key=int)}")
        # What was under way when the power went may be there; from now on it has happened.
        self.acknowledged = list(applied)

    def append(self, count: int) -> None:
        for _ in range(count):
            body = b"%d" % self.appended
            self.appended += 1
            owner, journal = self.owner, self.journal

            def told(body: bytes = body, owner: Owner = owner) -> None:
                if owner.applied and owner.applied[-1] == body:
                    self.acknowledged.append(body)
                elif not owner.failed[-1][1].may_survive:
                    self.failed.add(body)

            if owner.append(journal, body, then=told) is not None:
                self.failed.add(body)

    def heal(self) -> None:
        self.disk.capacity_bytes, self.disk.read_only, self.disk.sync_failures = None, False, 0

    async def again(self) -> None:
        """Start again after the power was cut, or after a close in order."""
        if self.disk.power_cuts == self.cuts:
            await self.journal.close()
        else:
            self.shell.abandon()
            # A snapshot under way ends with an error that is told and changes nothing.
            if self.journal._saving is not None:
                await self.journal._saving
            if self.journal._probe_timer is not None:
                self.journal._probe_timer.cancel()
        self.heal()
        # The journal's file reads as many bytes as it has: a cut that waits must not hit the reader.
        self.disk.cut_power_after(1_000_000)
        self.start()

    async def act(self, action: Action) -> None:
        name, number = action
        match name:
            case "append":
                self.append(number)
            case "wait_ms":
                await asyncio.sleep(number / 1_000)
            case "cut_after":
                self.disk.cut_power_after(number)
            case "cut":
                self.disk.power_cut()
            case "full":
                self.disk.capacity_bytes = self.disk.used_bytes + number
            case "read_only":
                self.disk.read_only = True
            case "fail_syncs":
                self.disk.sync_failures = number
            case "heal":
                self.heal()
                await asyncio.sleep(2 * PROBE_S)
            case "snapshot":
                self.owner.snapshot(self.journal)
            case "close":
                await self.again()
        if self.disk.power_cuts != self.cuts:
            await self.again()


async def _live(disk: SimulatedDisk, actions: Sequence[Action]) -> Plant:
    plant = Plant(disk)
    plant.start()
    for action in actions:
        await plant.act(action)
    await plant.again()
    await plant.journal.close()
    return plant


def live(disk: SimulatedDisk, actions: Sequence[Action]) -> Plant:
    return run_virtual(lambda: _live(disk, actions))


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 10_000), actions=ACTIONS)
@example(
    seed=1, actions=[("append", 9), ("wait_ms", 5), ("fail_syncs", 1), ("append", 9), ("wait_ms", 5), ("cut", 0)]
)
@example(seed=2, actions=[("append", 90), ("snapshot", 0), ("cut_after", 1), ("append", 90), ("wait_ms", 20)])
def test_whatever_happens_what_was_acknowledged_is_there_once_and_in_order(
    seed: int, actions: list[Action]
) -> None:
    live(SimulatedDisk(seed=seed), actions)


@pytest.mark.parametrize("seed", range(20))
def test_what_a_start_has_found_is_safe_before_anybody_builds_on_it(seed: int) -> None:
    """A failed sync leaves an entry that the next start sees and takes for journaled; a snapshot knows it then."""
    before: list[Action] = [("fail_syncs", 1), ("append", 1), ("wait_ms", 5), ("close", 0)]
    live(SimulatedDisk(seed=seed), [*before, ("fail_syncs", 1), ("snapshot", 0), ("wait_ms", 5), ("cut", 0)])


def test_the_runs_reach_what_they_are_for() -> None:
    """Acknowledged before and after every kind of fault, with snapshots and dropped history between."""
    disk = SimulatedDisk(seed=3)
    faults: list[Action] = [("cut", 0), ("full", 10), ("read_only", 0), ("fail_syncs", 1), ("close", 0)]
    actions: list[Action] = []
    for fault in faults * 3:
        actions += [("append", 30), ("wait_ms", 20), ("snapshot", 0), fault, ("append", 30), ("wait_ms", 20)]
        actions += [("heal", 0)]
    plant = live(disk, actions)
    assert disk.power_cuts == 3
    assert len(plant.acknowledged) > 300
    assert len(plant.failed) > 100
    assert disk.open().first_sequence > 0


def test_a_disk_that_lies_about_syncing_is_found_guilty() -> None:
    """Without synchronous writing the same check finds losses, whatever the disk leaves of them."""
    guilty = 0
    for seed in range(20):
        disk = SimulatedDisk(seed=seed, synchronous=False)
        try:
            live(disk, [("append", 50), ("wait_ms", 20), ("append", 50), ("wait_ms", 20), ("cut", 0)])
        except LossError:
            guilty += 1
    assert guilty >= 10


def test_the_same_runs_on_an_honest_disk_lose_nothing() -> None:
    for seed in range(20):
        plant = live(
            SimulatedDisk(seed=seed),
            [("append", 50), ("wait_ms", 20), ("append", 50), ("wait_ms", 20), ("cut", 0)],
        )
        assert len(plant.acknowledged) == 100


@pytest.mark.parametrize("seed", range(30))
def test_a_cut_at_any_write_of_a_busy_journal_with_snapshots(seed: int) -> None:
    actions: list[Action] = [("cut_after", seed * 2)]
    actions += [("append", 40), ("wait_ms", 3), ("snapshot", 0), ("append", 40), ("wait_ms", 3)] * 6
    live(SimulatedDisk(seed=seed), actions)
