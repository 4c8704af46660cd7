"""Recovery: the newest good snapshot, then every entry behind it, each held to its checksum and its place.

JournalError (ports)
  ├── UnrecoverableError   what recovery would begin with is not there any more
  ├── DamageError          an entry that recovery needs is damaged or missing; says which and the way out
  └── DivergedError        the entries were applied and the state is not the one that was journaled
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator

from tapewire.journal.entry_queue import GROUP_ENTRIES_MAX
from tapewire.journal.mark import MARK_LAG_MAX, Mark
from tapewire.journal.record import (
    OWN_KINDS,
    DamagedRecordError,
    Entry,
    EntryKind,
    RecordError,
    TornRecordError,
    decode,
)
from tapewire.journal.snapshot import Snapshot, read_snapshots
from tapewire.ports.journal import JournalError, JournalFile, SnapshotStore

__all__ = [
    "DamageError",
    "DivergedError",
    "Replay",
    "SnapshotRefusedError",
    "UnrecoverableError",
    "cut_torn_end",
    "read_entry",
    "recover",
]

_LOG = logging.getLogger(__name__)

StateHash = Callable[[], bytes]


class UnrecoverableError(JournalError):
    """There is neither a good snapshot nor the beginning of the journal."""


class DamageError(JournalError):
    """An entry that recovery needs cannot be used. ``sequence`` says where."""

    def __init__(self, sequence: int, reason: str, behind: int) -> None:
        super().__init__(
            f"the journal is damaged at entry {sequence}: {reason}; {behind} entries follow."
            " 'tapewire journal check' shows the damage, 'tapewire journal repair' cuts there and keeps a copy"
        )
        self.sequence = sequence


class DivergedError(JournalError):
    """Applying the entries gave another state than it gave when they were written."""

    def __init__(self, sequence: int) -> None:
        super().__init__(
            f"the state before entry {sequence} is not the one that was journaled: this version applies entries in"
            " another way than the one that wrote them. Start the version that wrote them, or begin a new data"
            " folder; 'tapewire journal export' writes the entries as text"
        )
        self.sequence = sequence


class SnapshotRefusedError(Exception):
    """Raised by the owner: it cannot take up this state. It is as it was before."""


class Replay:
    """The entries to apply, oldest first, once. The owner applies each before it asks for the next one.

    At every mark the owner's state is compared with the one that was journaled.

    Attributes:
        snapshot_reaches: The snapshot that was taken up; None: the entries begin with the journal's first.
        notes: What was passed over on the way, for people.
        good_snapshots: All that can be read, sequences, oldest first.
        next_sequence: The entry that comes next: all before it are in the owner's state.
    """

    def __init__(
        self,
        file: JournalFile,
        state_hash: StateHash,
        *,
        snapshot_reaches: int | None,
        notes: list[str],
        good_snapshots: list[int],
    ) -> None:
        self._file = file
        self._state_hash = state_hash
        self.snapshot_reaches = snapshot_reaches
        self.notes = notes
        self.good_snapshots = good_snapshots
        self.next_sequence = snapshot_reaches if snapshot_reaches is not None else file.first_sequence

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries that are the owner's.

        Raises:
            DamageError: An entry is damaged or missing; some thousand entries before it were not yielded.
            NewerRecordError: A newer tapewire has written an entry.
            DivergedError: See there.
        """
        # A mark stands behind the state it speaks of, so the reader is that far ahead.
        ahead: deque[Entry] = deque()
        hashes: dict[int, bytes] = {}
        for entry in self._entries():
            if entry.kind is EntryKind.MARK:
                mark = Mark.decode(entry.body)
                hashes[mark.reaches] = mark.state_hash
            ahead.append(entry)
            if len(ahead) > MARK_LAG_MAX:
                yield from self._yielded(ahead.popleft(), hashes)
        while ahead:
            yield from self._yielded(ahead.popleft(), hashes)
        self._compare(hashes)

    def _yielded(self, entry: Entry, hashes: dict[int, bytes]) -> Iterator[Entry]:
        self._compare(hashes)
        self.next_sequence = entry.sequence + 1
        if entry.kind not in OWN_KINDS:
            yield entry

    def _compare(self, hashes: dict[int, bytes]) -> None:
        journaled = hashes.pop(self.next_sequence, None)
        if journaled is not None and journaled != self._state_hash():
            raise DivergedError(self.next_sequence)

    def _entries(self) -> Iterator[Entry]:
        end = self._file.next_sequence
        expected = self.next_sequence
        rows = self._file.read(expected)
        while expected < end:
            try:
                sequence, data = next(rows)
            except StopIteration:
                raise DamageError(expected, "it is missing", end - expected - 1) from None
            except JournalError as error:
                raise DamageError(expected, str(error), end - expected - 1) from error
            if sequence != expected:
                raise DamageError(expected, f"it is missing, entry {sequence} follows", end - expected - 1)
            try:
                yield read_entry(sequence, data)
            except (TornRecordError, DamagedRecordError) as error:
                raise DamageError(sequence, str(error), end - sequence - 1) from error
            expected += 1


def read_entry(sequence: int, data: bytes) -> Entry:
    """Read the record that stands at a sequence.

    Raises:
        RecordError: It cannot be used, or it belongs elsewhere.
    """
    entry = decode(data)
    if entry.sequence != sequence:
        raise DamagedRecordError(f"it says that it is entry {entry.sequence}")
    if entry.kind is EntryKind.MARK:
        Mark.decode(entry.body)
    return entry


def recover(
    file: JournalFile,
    snapshots: SnapshotStore,
    *,
    restore: Callable[[Snapshot], None],
    state_hash: StateHash,
) -> Replay:
    """Give the owner the newest good snapshot and return the entries behind it.

    Blocks. A torn end of the journal is cut: it was never acknowledged. A snapshot that is damaged, that the
    owner refuses or whose hash is not that of the owner's state then, is passed over for the one before it; the
    owner must take up the older one as if the newer had never been. Without a snapshot the owner is left as it is.

    Args:
        restore: Takes up a state; raises ``SnapshotRefusedError`` when it cannot.
        state_hash: Returns the hash of the owner's state.

    Raises:
        UnrecoverableError: No snapshot can be used and the beginning of the journal is gone.
        JournalError: The file or the store cannot be read.
    """
    notes = cut_torn_end(file)
    first, end = file.first_sequence, file.next_sequence
    good = []
    taken: int | None = None
    for found in read_snapshots(snapshots):
        problem = found.problem
        if found.snapshot is not None:
            if found.sequence > end:
                raise UnrecoverableError(
                    f"snapshot {found.sequence} knows more than the journal, which ends before entry {end}: what"
                    " was between is lost. Put the folder back from a copy, or remove that snapshot's file"
                )
            if found.sequence < first:
                problem = f"the journal begins behind it, with entry {first}"
            elif taken is None:
                problem = _take_up(found.snapshot, restore, state_hash)
                taken = found.sequence if not problem else None
        if problem:
            notes.append(f"snapshot {found.sequence} was passed over: {problem}")
        else:
            good.append(found.sequence)
    if taken is None and first > 0:
        raise UnrecoverableError(
            f"there is no usable snapshot and the journal begins with entry {first}:"
            f" {'; '.join(notes) or 'none was found'}. Put the folder back from a copy, or begin a new one"
        )
    for note in notes:
        _LOG.warning("%s", note)
    return Replay(file, state_hash, snapshot_reaches=taken, notes=notes, good_snapshots=sorted(good))


def cut_torn_end(file: JournalFile) -> list[str]:
    """Cut records at the end that were never written to theirs; return what was done, for people.

    Raises:
        JournalError: The file cannot be read or cut.
    """
    notes: list[str] = []
    # All that can be torn was in the last group.
    for _ in range(GROUP_ENTRIES_MAX):
        last = file.next_sequence - 1
        if last < file.first_sequence:
            break
        torn = ""
        for sequence, data in file.read(last):
            try:
                read_entry(sequence, data)
            except TornRecordError as error:
                torn = str(error)
            except RecordError:
                # Not torn: whoever reads the entry says what it is.
                continue
        if not torn:
            break
        file.cut_from(last)
        notes.append(f"entry {last} was never whole and was cut: {torn}")
    return notes


def _take_up(snapshot: Snapshot, restore: Callable[[Snapshot], None], state_hash: StateHash) -> str:
    try:
        restore(snapshot)
    except SnapshotRefusedError as error:
        return str(error)
    return "" if state_hash() == snapshot.state_hash else "its hash is not that of the state it gave"
