"""Records of the journal: whatever was written comes back, and whatever was changed is found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journals import MemoryFile, MemorySnapshots, Owner
from tapewire.journal import DamageError, Entry, EntryKind, StepRun, recover
from tapewire.journal.record import DamagedRecordError, decode, encode, scan
from tapewire.journal.steps import STEPS_MAX

OWNERS_KINDS = [EntryKind.COMMAND, EntryKind.MARKET_STEPS, EntryKind.STEPS_MADE, EntryKind.EPOCH_STARTED]
DRAFTS = st.lists(
    st.tuples(st.sampled_from(OWNERS_KINDS), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=60)), max_size=20
)


def numbered(drafts: list[tuple[EntryKind, int, bytes]], first: int = 0) -> list[Entry]:
    return [Entry(kind, n, at_ns, body) for n, (kind, at_ns, body) in enumerate(drafts, first)]


@given(drafts=DRAFTS, first=st.integers(0, 2**63))
def test_any_entries_come_back(drafts: list[tuple[EntryKind, int, bytes]], first: int) -> None:
    entries = numbered(drafts, first)
    records = [encode(entry) for entry in entries]
    assert [decode(record) for record in records] == entries
    content = b"".join(records)
    assert scan(content) == (entries, len(content))


@given(drafts=DRAFTS.filter(bool), data=st.data())
def test_any_flipped_bit_is_found(drafts: list[tuple[EntryKind, int, bytes]], data: st.DataObject) -> None:
    entries = numbered(drafts)
    place = data.draw(st.integers(0, len(entries) - 1))
    record = bytearray(encode(entries[place]))
    bit = data.draw(st.integers(0, 8 * len(record) - 1))
    record[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedRecordError):
        decode(bytes(record))
    file = MemoryFile.of(entries)
    file.rows[place] = bytes(record)
    owner = Owner()
    with pytest.raises(DamageError) as caught:
        list(recover(file, MemorySnapshots(), restore=owner.restore, state_hash=owner.state_hash))
    assert caught.value.sequence == place


@given(drafts=DRAFTS, data=st.data())
def test_any_prefix_is_recovered_up_to_its_last_whole_record(
    drafts: list[tuple[EntryKind, int, bytes]], data: st.DataObject
) -> None:
    entries = numbered(drafts)
    records = [encode(entry) for entry in entries]
    content = b"".join(records)
    cut = data.draw(st.integers(0, len(content)))
    ends = [0]
    for record in records:
        ends.append(ends[-1] + len(record))
    whole = sum(end <= cut for end in ends) - 1
    assert scan(content[:cut]) == (entries[:whole], ends[whole])
    # The same as rows of a file: what is left of the first torn record is its last row.
    file = MemoryFile([*records[:whole], *([records[whole][: cut - ends[whole]]] if whole < len(records) else [])])
    owner = Owner()
    replay = recover(file, MemorySnapshots(), restore=owner.restore, state_hash=owner.state_hash)
    assert list(replay) == entries[:whole]
    assert file.next_sequence == whole


@given(content=st.binary(max_size=200))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    try:
        entries, end = scan(content)
    except DamagedRecordError:
        return
    assert end == sum(len(encode(entry)) for entry in entries)


@settings(deadline=None)
@given(
    run=st.builds(
        StepRun, st.integers(0, 2**62), st.integers(1, STEPS_MAX), st.integers(0, 2**62), st.integers(0, 2**62)
    )
)
def test_any_run_of_steps_comes_back(run: StepRun) -> None:
    assert StepRun.decode(Entry(EntryKind.MARKET_STEPS, 0, run.first_at_ns, run.encode())) == run
