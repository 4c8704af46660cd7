"""Snapshots: their bytes, damage, and the stores that hold them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from journals import MemorySnapshots
from tapewire.adapters.snapshot_files import SnapshotFiles
from tapewire.journal.snapshot import Snapshot, good_snapshots, read_snapshots
from tapewire.ports.journal import JournalError, SnapshotStore
from tapewire.simulation import SimulatedDisk

SNAPSHOT = Snapshot(7, b"hash", b"state")


def test_a_snapshot_comes_back() -> None:
    assert Snapshot.decode(SNAPSHOT.encode()) == SNAPSHOT


def test_every_flipped_bit_and_every_cut_is_found() -> None:
    content = SNAPSHOT.encode()
    for bit in range(8 * len(content)):
        spoiled = bytearray(content)
        spoiled[bit // 8] ^= 1 << bit % 8
        with pytest.raises(JournalError):
            Snapshot.decode(bytes(spoiled))
    for end in range(len(content)):
        with pytest.raises(JournalError):
            Snapshot.decode(content[:end])


def test_the_bad_ones_of_a_store_say_why() -> None:
    store = MemorySnapshots({7: SNAPSHOT.encode(), 9: b"rubbish", 8: SNAPSHOT.encode()})
    found = {one.sequence: one.problem for one in read_snapshots(store)}
    assert list(found) == [9, 8, 7]
    assert found == {9: "it is not a snapshot of tapewire", 8: "it says that it reaches entry 7", 7: ""}
    assert good_snapshots(store) == [7]


Open = Callable[[], SnapshotStore]


@pytest.fixture(params=["files", "simulated"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    disk = SimulatedDisk()
    return lambda: SnapshotFiles(tmp_path / "snapshots") if request.param == "files" else disk.snapshots()


def test_what_was_saved_is_there_after_opening_again(open_store: Open) -> None:
    store = open_store()
    for sequence in (100, 5, 30):
        store.save(sequence, b"content %d" % sequence)
    store.save(5, b"another")
    store = open_store()
    assert store.sequences() == [5, 30, 100]
    assert [store.load(sequence) for sequence in store.sequences()] == [b"another", b"content 30", b"content 100"]
    assert store.used_bytes == len(b"another" + b"content 30" + b"content 100")
    store.remove(30)
    store.remove(31)
    assert open_store().sequences() == [5, 100]
    with pytest.raises(JournalError, match="30"):
        store.load(30)


def test_a_full_simulated_disk_keeps_the_old_one() -> None:
    disk = SimulatedDisk()
    disk.snapshots().save(1, b"old")
    disk.capacity_bytes = 10
    with pytest.raises(JournalError, match="full"):
        disk.snapshots().save(2, b"x" * 100)
    assert disk.snapshots().sequences() == [1]


def test_a_draft_that_a_crash_has_left_goes_and_foreign_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    SnapshotFiles(folder).save(3, b"x")
    (folder / "00000000000000000004.new").write_bytes(b"half")
    (folder / "notes.snapshot").write_bytes(b"mine")
    assert SnapshotFiles(folder).sequences() == [3]
    assert sorted(file.name for file in folder.iterdir()) == ["00000000000000000003.snapshot", "notes.snapshot"]


def test_a_snapshot_that_cannot_be_written_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    store = SnapshotFiles(tmp_path / "snapshots")
    (tmp_path / "snapshots" / "00000000000000000001.new").mkdir()
    with pytest.raises(JournalError, match=r"0001\.new"):
        store.save(1, b"x")
    with pytest.raises(JournalError, match=r"deeper"):
        SnapshotFiles(tmp_path / "no" / "deeper")
