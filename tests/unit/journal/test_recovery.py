"""Recovery and its refusals: each says where and what to do."""

from __future__ import annotations

import hashlib

import pytest

from journals import MemoryFile, MemorySnapshots, Owner, commands
from tapewire.journal import DamageError, DivergedError, Entry, EntryKind, Snapshot, SnapshotRefusedError, recover
from tapewire.journal.mark import MARK_LAG_MAX, Mark
from tapewire.journal.record import NewerRecordError, encode
from tapewire.journal.recovery import Replay, UnrecoverableError


def start(file: MemoryFile, store: MemorySnapshots) -> tuple[Owner, Replay]:
    owner = Owner()
    replay = recover(file, store, restore=owner.restore, state_hash=owner.state_hash)
    for entry in replay:
        owner.apply(entry)
    assert replay.next_sequence == file.next_sequence
    return owner, replay


def bodies(count: int) -> list[bytes]:
    return [entry.body for entry in commands(count)]


def after(count: int) -> Owner:
    owner = Owner()
    owner.applied = bodies(count)
    return owner


def stored(*counts: int) -> MemorySnapshots:
    """Snapshots of the states after so many commands."""
    states = {count: after(count) for count in counts}
    return MemorySnapshots({n: Snapshot(n, one.state_hash(), one.state()).encode() for n, one in states.items()})


def spoil(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def test_without_snapshots_everything_is_applied() -> None:
    owner, replay = start(MemoryFile.of(commands(10)), MemorySnapshots())
    assert owner.applied == bodies(10)
    assert (replay.snapshot_reaches, replay.good_snapshots, replay.notes) == (None, [], [])


def test_the_newest_snapshot_is_taken_up_and_what_is_before_it_is_not_read() -> None:
    file = MemoryFile.of(commands(10))
    file.rows[3] = b"rubbish"
    owner, replay = start(file, stored(2, 7))
    assert owner.applied == bodies(10)
    assert (replay.snapshot_reaches, replay.good_snapshots) == (7, [2, 7])


def test_a_snapshot_at_the_very_end_leaves_nothing_to_apply() -> None:
    owner, replay = start(MemoryFile.of(commands(10)), stored(10))
    assert owner.applied == bodies(10)
    assert replay.snapshot_reaches == 10


def test_a_bad_snapshot_is_passed_over_for_the_one_before() -> None:
    store = stored(2, 7)
    store[7] = spoil(store[7])
    owner, replay = start(MemoryFile.of(commands(10)), store)
    assert owner.applied == bodies(10)
    assert (replay.snapshot_reaches, replay.good_snapshots) == (2, [2])
    assert replay.notes == ["snapshot 7 was passed over: its checksum is wrong"]


def test_without_a_good_snapshot_the_beginning_serves_if_it_is_there() -> None:
    store = stored(2, 7)
    store[2], store[7] = spoil(store[2]), spoil(store[7])
    owner, _ = start(MemoryFile.of(commands(10)), store)
    assert owner.applied == bodies(10)
    file = MemoryFile.of(commands(10))
    file.drop_before(2)
    with pytest.raises(UnrecoverableError, match=r"begins with entry 2: snapshot 7 .*; snapshot 2 .*from a copy"):
        start(file, store)


def test_a_snapshot_whose_hash_is_not_that_of_its_state_is_passed_over() -> None:
    store = stored(2)
    store[7] = Snapshot(7, b"another hash", after(7).state()).encode()
    owner = Owner()

    def restore(snapshot: Snapshot) -> None:
        owner.restore(snapshot)

    replay = recover(MemoryFile.of(commands(10)), store, restore=restore, state_hash=owner.state_hash)
    assert replay.snapshot_reaches == 2
    assert "its hash is not that of the state it gave" in replay.notes[0]


def test_a_snapshot_that_the_owner_refuses_is_passed_over() -> None:
    owner = Owner()

    def restore(snapshot: Snapshot) -> None:
        if snapshot.reaches == 7:
            raise SnapshotRefusedError("it speaks of instruments that are not traded")
        owner.restore(snapshot)

    replay = recover(MemoryFile.of(commands(10)), stored(2, 7), restore=restore, state_hash=owner.state_hash)
    assert replay.snapshot_reaches == 2
    assert replay.notes == ["snapshot 7 was passed over: it speaks of instruments that are not traded"]


def test_a_snapshot_older_than_the_journal_is_passed_over() -> None:
    file = MemoryFile.of(commands(10))
    file.drop_before(5)
    owner, replay = start(file, stored(2, 7))
    assert replay.good_snapshots == [7]
    assert owner.applied == bodies(10)


@pytest.mark.parametrize("older", [(), (4,)])
def test_a_snapshot_that_knows_more_than_the_journal_is_a_loss_and_refused(older: tuple[int, ...]) -> None:
    with pytest.raises(UnrecoverableError, match=r"snapshot 12 knows more than the journal.* before entry 10"):
        start(MemoryFile.of(commands(10)), stored(*older, 12))


@pytest.mark.parametrize("torn", [1, 3])
def test_a_torn_end_is_cut(torn: int) -> None:
    file = MemoryFile.of(commands(10))
    for number in range(10 - torn, 10):
        row = file.rows[number]
        assert row is not None
        file.rows[number] = row[: number * 3]
    owner, replay = start(file, MemorySnapshots())
    assert owner.applied == bodies(10 - torn)
    assert len(replay.notes) == torn
    assert file.next_sequence == 10 - torn


@pytest.mark.parametrize(
    ("place", "row", "text"),
    [
        (3, spoil(encode(commands(1, 3)[0])), "at entry 3: the checksum of its body is wrong; 6 entries follow"),
        (9, spoil(encode(commands(1, 9)[0])), "at entry 9: the checksum of its body is wrong; 0 entries follow"),
        (3, encode(commands(1, 3)[0])[:-1], "at entry 3: it ends after 8 of 9 bytes"),
        (3, encode(commands(1, 4)[0]), "at entry 3: it says that it is entry 4"),
        (3, None, "at entry 3: it is missing|at entry 3: record 3 is missing"),
        (0, None, "at entry 0: it is missing, entry 1 follows"),
        (9, None, "at entry 9"),
        (3, encode(Entry(EntryKind.MARK, 3, 0, b"short")), "at entry 3: the mark says nothing"),
    ],
)
def test_a_damaged_entry_refuses_the_start_names_the_place_and_the_way_out(
    place: int, row: bytes | None, text: str
) -> None:
    file = MemoryFile.of(commands(10))
    file.rows[place] = row
    with pytest.raises(DamageError, match=text) as caught:
        start(file, MemorySnapshots())
    assert caught.value.sequence == place
    assert "'tapewire journal repair' cuts there and keeps a copy" in str(caught.value)
    assert len(file.rows) == 10, "nothing was cut"


def test_a_newer_entry_is_refused_and_is_no_damage() -> None:
    file = MemoryFile.of(commands(10))
    file.rows[9] = encode(Entry(99, 9, 0, b""))  # type: ignore[arg-type]
    with pytest.raises(NewerRecordError, match="kind 99"):
        start(file, MemorySnapshots())
    assert len(file.rows) == 10


def marked(lag: int, state_hash: bytes) -> MemoryFile:
    """5 entries, a state, ``lag`` entries that were under way, the mark of that state, one entry."""
    entries = commands(5 + lag)
    entries.append(Entry(EntryKind.MARK, 5 + lag, 0, Mark(5, state_hash).encode()))
    return MemoryFile.of([*entries, *commands(1, 6 + lag)])


@pytest.mark.parametrize("lag", [0, 1, MARK_LAG_MAX])
def test_a_replay_is_held_to_its_marks_however_far_behind_they_stand(lag: int) -> None:
    owner, _ = start(marked(lag, after(5).state_hash()), MemorySnapshots())
    assert owner.applied == [*bodies(5 + lag), commands(1, 6 + lag)[0].body]
    with pytest.raises(
        DivergedError, match="the state before entry 5 is not the one that was journaled"
    ) as caught:
        start(marked(lag, hashlib.sha256(b"another").digest()), MemorySnapshots())
    assert caught.value.sequence == 5


def test_a_mark_at_the_very_end_is_compared() -> None:
    entries = [*commands(5), Entry(EntryKind.MARK, 5, 0, Mark(5, b"another").encode())]
    with pytest.raises(DivergedError):
        start(MemoryFile.of(entries), MemorySnapshots())


def test_marks_of_states_before_the_snapshot_are_not_compared() -> None:
    file = marked(3, b"nobody knows")
    owner, _ = start(file, stored(6))
    assert owner.applied == [*bodies(8), commands(1, 9)[0].body]
