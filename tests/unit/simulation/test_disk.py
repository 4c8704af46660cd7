"""The simulated disk: what a power cut may take and what it may never take."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewire.ports.journal import JournalError
from tapewire.simulation import SimulatedDisk, SimulatedJournalFile


def test_a_power_cut_keeps_what_was_acknowledged() -> None:
    disk = SimulatedDisk()
    file = disk.open()
    file.append(0, [b"a", b"b"])
    disk.power_cut()
    assert list(disk.open().read()) == [(0, b"a"), (1, b"b")]


def test_a_file_opened_before_a_power_cut_is_dead() -> None:
    disk = SimulatedDisk()
    file = disk.open()
    disk.power_cut()
    for call in (lambda: file.append(0, [b"a"]), lambda: list(file.read()), lambda: file.drop_before(0)):
        with pytest.raises(JournalError, match="power was cut"):
            call()


def test_without_synchronous_a_power_cut_loses_acknowledged_records() -> None:
    kept = set()
    for seed in range(50):
        disk = SimulatedDisk(seed=seed, synchronous=False)
        file = disk.open()
        for sequence in range(4):
            file.append(sequence, [b"acknowledged"])
        disk.power_cut()
        kept.add(disk.open().next_sequence)
    assert kept == {0, 1, 2, 3, 4}


def test_a_full_disk_refuses_and_writes_nothing() -> None:
    disk = SimulatedDisk()
    file = disk.open()
    file.append(0, [b"a"])
    disk.capacity_bytes = disk.used_bytes + 10
    with pytest.raises(JournalError, match="full"):
        file.append(1, [b"b"])
    assert file.next_sequence == 1
    disk.capacity_bytes = None
    file.append(1, [b"b"])
    assert list(file.read()) == [(0, b"a"), (1, b"b")]


def test_dropping_makes_room_on_a_full_disk() -> None:
    disk = SimulatedDisk()
    file = disk.open()
    for sequence in range(10):
        file.append(sequence, [b"x" * 100])
    disk.capacity_bytes = disk.used_bytes
    file.drop_before(9)
    file.append(10, [b"x" * 100])
    assert [sequence for sequence, _ in disk.open().read()] == [9, 10]


def test_a_read_only_disk_refuses_until_it_is_not() -> None:
    disk = SimulatedDisk()
    file = disk.open()
    disk.read_only = True
    with pytest.raises(JournalError, match="read-only"):
        file.append(0, [b"a"])
    with pytest.raises(JournalError, match="read-only"):
        file.drop_before(0)
    disk.read_only = False
    file.append(0, [b"a"])


def test_a_failed_sync_may_have_written_and_the_file_must_be_opened_anew() -> None:
    found = set()
    for seed in range(20):
        disk = SimulatedDisk(seed=seed)
        file = disk.open()
        file.append(0, [b"a"])
        disk.sync_failures = 1
        for _ in range(2):
            with pytest.raises(JournalError) as caught:
                file.append(1, [b"b"])
            assert caught.value.is_uncertain
        disk.power_cut()
        again = disk.open()
        found.add(again.next_sequence)
        again.append(again.next_sequence, [b"c"])
    assert found == {1, 2}


def test_what_a_file_shows_when_it_is_opened_outlives_a_power_cut() -> None:
    for seed in range(20):
        disk = SimulatedDisk(seed=seed)
        disk.sync_failures = 1
        with pytest.raises(JournalError):
            disk.open().append(0, [b"written, not synced"])
        assert disk.open().next_sequence == 1
        disk.power_cut()
        assert disk.open().next_sequence == 1


def test_files_are_apart() -> None:
    disk = SimulatedDisk()
    disk.open("orders").append(0, [b"order"])
    assert disk.open("tokens").next_sequence == 0
    disk.power_cut()
    assert list(disk.open("orders").read()) == [(0, b"order")]


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    appends=st.lists(st.lists(st.binary(max_size=20), min_size=1, max_size=4), max_size=12),
    drop_at=st.integers(0, 12),
    cut_after=st.integers(0, 30),
)
def test_whatever_the_moment_of_the_cut_nothing_synced_is_lost(seed, appends, drop_at, cut_after) -> None:
    disk = SimulatedDisk(seed=seed)
    disk.cut_power_after(cut_after)
    file = disk.open()
    written: list[bytes] = []
    attempted: list[bytes] = []
    dropped = 0
    try:
        for number, records in enumerate(appends):
            if number == drop_at:
                file.drop_before(len(written) // 2)
                dropped = len(written) // 2
            attempted = [*written, *records]
            file.append(len(written), records)
            written = attempted
    except JournalError:
        assert disk.power_cuts == 1
    again = check_file(disk, written, attempted, dropped)
    again.append(again.next_sequence, [b"after"])
    disk.power_cut()
    assert list(disk.open().read())[-1] == (again.next_sequence - 1, b"after")


def check_file(
    disk: SimulatedDisk, written: list[bytes], attempted: list[bytes], dropped: int
) -> SimulatedJournalFile:
    """Check that the file holds all of ``written`` that was not dropped, and maybe the last attempt whole."""
    if disk.power_cuts == 0:
        disk.power_cut()
    file = disk.open()
    found = list(file.read())
    assert file.next_sequence in (len(written), len(attempted))
    assert found == [(n, attempted[n]) for n in range(dropped, file.next_sequence)]
    return file
