"""Check, repair and export of a journal that nobody runs on."""

from __future__ import annotations

import json

import pytest

from journals import MemoryFile, MemorySnapshots, Owner, commands
from tapewire.journal import Entry, EntryKind, Repair, Snapshot, check, export, plan_repair, recover, removed_by
from tapewire.journal.inspection import DAMAGES_MAX
from tapewire.journal.record import NewerRecordError, encode
from tapewire.journal.recovery import UnrecoverableError

DAMAGED = b"x" * 100


def snapshots(*counts: int) -> MemorySnapshots:
    store = MemorySnapshots()
    for count in counts:
        owner = Owner()
        owner.applied = [entry.body for entry in commands(count)]
        store[count] = Snapshot(count, owner.state_hash(), owner.state()).encode()
    return store


def spoiled(*places: int, count: int = 20, first: int = 0) -> MemoryFile:
    file = MemoryFile.of(commands(count))
    for place in places:
        file.rows[place] = DAMAGED
    file.drop_before(first)
    return file


def can_start(file: MemoryFile, store: MemorySnapshots) -> bool:
    owner = Owner()
    try:
        for entry in recover(file, store, restore=owner.restore, state_hash=owner.state_hash):
            owner.apply(entry)
    except Exception:  # noqa: BLE001 - whatever it is, it is a refusal
        return False
    return True


def test_a_sound_journal() -> None:
    found = check(MemoryFile.of(commands(20)), snapshots(5, 10))
    assert (found.first_sequence, found.next_sequence, found.entries) == (0, 20, {"command": 20})
    assert [(one.sequence, one.problem) for one in found.snapshots] == [(10, ""), (5, "")]
    assert (found.damages, found.starts_from, found.problem) == ([], 10, "")


CASES = [
    (spoiled(), ()),
    (spoiled(), (25,)),
    (spoiled(), (10, 25)),
    (spoiled(3), ()),
    (spoiled(3), (10,)),
    (spoiled(3, 15), (10,)),
    (spoiled(19), (10,)),
    (spoiled(3, 4, 5, 17), (2, 8)),
    (spoiled(first=5), ()),
    (spoiled(first=5), (3,)),
    (spoiled(first=5), (5,)),
    (spoiled(8, first=5), (5, 7)),
    (MemoryFile(), ()),
]


@pytest.mark.parametrize(("file", "counts"), CASES)
def test_a_check_says_what_a_start_would_say_and_a_repaired_journal_starts(
    file: MemoryFile, counts: tuple[int, ...]
) -> None:
    file, store = MemoryFile(file.rows, file.first), snapshots(*counts)
    found = check(file, store)
    assert can_start(file, store) is (found.problem == "")
    knows_more = any(count > file.next_sequence for count in counts)
    if found.starts_from is None:
        with pytest.raises(UnrecoverableError, match="no repair can help"):
            plan_repair(file, store)
    elif not knows_more:
        plan_repair(file, store).carry_out(file)
        repaired = check(file, store)
        assert (repaired.problem, repaired.damages) == ("", [])
        assert can_start(file, store)


def test_a_repair_removes_the_least_and_what_it_removes_can_be_kept() -> None:
    file, store = spoiled(3, 15), snapshots(10)
    repair = plan_repair(file, store)
    assert repair == Repair(drop_before=4, cut_from=15)
    kept = [json.loads(line) for line in removed_by(repair, file)]
    assert [line["sequence"] for line in kept] == [0, 1, 2, 3, 15, 16, 17, 18, 19]
    assert bytes.fromhex(kept[0]["record"]) == encode(commands(1)[0])
    assert bytes.fromhex(kept[3]["record"]) == DAMAGED
    repair.carry_out(file)
    assert (file.first_sequence, file.next_sequence) == (4, 15)


def test_holes_are_damage_and_the_records_behind_them_are_kept() -> None:
    file = MemoryFile.of(commands(20))
    for place in (0, 7, 8, 12):
        file.rows[place] = None
    found = check(file, snapshots())
    assert [(one.sequence, one.until, one.reason) for one in found.damages] == [
        (0, 1, "it is missing"),
        (7, 9, "it is missing"),
        (12, 13, "it is missing"),
    ]
    assert found.problem == "entry 0: it is missing"
    repair = plan_repair(file, snapshots(3))
    assert repair == Repair(drop_before=1, cut_from=7)
    assert [json.loads(line)["sequence"] for line in removed_by(repair, file)] == [9, 10, 11, *range(13, 20)]


def test_a_torn_end_is_no_problem_of_a_start_and_goes_with_a_repair() -> None:
    file = MemoryFile.of(commands(20))
    file.rows[19] = encode(commands(1, 19)[0])[:-3]
    found = check(file, snapshots())
    assert (found.problem, [one.is_torn for one in found.damages]) == ("", [True])
    assert plan_repair(file, snapshots()) == Repair(drop_before=0, cut_from=19)


def test_damages_are_counted_beyond_those_that_are_named() -> None:
    found = check(MemoryFile([DAMAGED] * 500), snapshots())
    assert (len(found.damages), found.damage_count) == (DAMAGES_MAX, 500)


def test_what_a_newer_version_wrote_is_never_repaired_away() -> None:
    file = MemoryFile.of([*commands(3), Entry(99, 3, 0, b"")])  # type: ignore[arg-type]
    for call in (check, plan_repair):
        with pytest.raises(NewerRecordError, match="entry 3: it is of kind 99"):
            call(file, snapshots())


def test_an_export_is_a_line_an_entry() -> None:
    file = MemoryFile.of([Entry(EntryKind.COMMAND, 0, 1_700_000_000_123_456_789, b"\xff\x00"), *commands(2, 1)])
    file.rows[2] = None
    assert [json.loads(line) for line in export(file)] == [
        {
            "sequence": 0,
            "time": "2023-11-14T22:13:20.123456789Z",
            "at_ns": 1_700_000_000_123_456_789,
            "kind": "command",
            "body_hex": "ff00",
        },
        {
            "sequence": 1,
            "time": "1970-01-01T00:00:00.000001001Z",
            "at_ns": 1001,
            "kind": "command",
            "body_hex": b"command 1".hex(),
        },
        {"sequence": 2, "until": 3, "damage": "it is missing"},
    ]


def test_an_export_decodes_bodies_and_shows_those_that_it_cannot() -> None:
    def decode(entry: Entry) -> dict[str, str]:
        if entry.sequence == 1:
            raise ValueError("what is this")
        return {"text": entry.body.decode()}

    lines = [json.loads(line) for line in export(MemoryFile.of(commands(2)), decode)]
    assert lines[0]["body"] == {"text": "command 0"}
    assert (lines[1]["problem"], lines[1]["body_hex"]) == ("what is this", b"command 1".hex())
