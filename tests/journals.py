"""What tests of the journal share: a file in memory whose records may be spoiled, an owner, drafts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

from tapewire.journal import Entry, EntryKind, Journal, NotWritten, Snapshot
from tapewire.journal.record import encode
from tapewire.ports.journal import JournalError


class MemoryFile:
    """A ``ports.JournalFile`` whose rows a test may change at will; a row of None is missing."""

    def __init__(self, rows: Sequence[bytes | None] = (), first: int = 0) -> None:
        self.rows = list(rows)
        self.first = first

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> MemoryFile:
        return cls([encode(entry) for entry in entries], entries[0].sequence if entries else 0)

    @property
    def first_sequence(self) -> int:
        return self.first

    @property
    def next_sequence(self) -> int:
        return self.first + len(self.rows)

    @property
    def used_bytes(self) -> int:
        return sum(len(row) for row in self.rows if row is not None)

    def append(self, first_sequence: int, records: Sequence[bytes]) -> None:
        assert first_sequence == self.next_sequence
        self.rows.extend(records)

    def read(self, from_sequence: int = 0) -> Iterator[tuple[int, bytes]]:
        has_begun = False
        for sequence in range(max(from_sequence, self.first), self.next_sequence):
            row = self.rows[sequence - self.first]
            if row is not None:
                has_begun = True
                yield sequence, row
            elif has_begun:
                raise JournalError(f"record {sequence} is missing")

    def drop_before(self, sequence: int) -> None:
        first = min(max(sequence, self.first), self.next_sequence)
        del self.rows[: first - self.first]
        self.first = first

    def cut_from(self, sequence: int) -> None:
        del self.rows[sequence - self.first :]

    def close(self) -> None:
        pass


class MemorySnapshots(dict[int, bytes]):
    """A ``ports.SnapshotStore`` that is a dictionary."""

    def sequences(self) -> list[int]:
        return sorted(self)

    def load(self, sequence: int) -> bytes:
        return self[sequence]

    def save(self, sequence: int, content: bytes) -> None:
        self[sequence] = content

    def remove(self, sequence: int) -> None:
        self.pop(sequence, None)

    @property
    def used_bytes(self) -> int:
        return sum(map(len, self.values()))


class Owner:
    """Whose state is the bodies that it has applied, in their order."""

    def __init__(self) -> None:
        self.applied: list[bytes] = []
        self.failed: list[tuple[bytes, NotWritten]] = []

    def apply(self, entry: Entry) -> None:
        self.applied.append(entry.body)

    def state_hash(self) -> bytes:
        return hashlib.sha256(self.state()).digest()

    def state(self) -> bytes:
        return b"".join(len(body).to_bytes(4, "big") + body for body in self.applied)

    def restore(self, snapshot: Snapshot) -> None:
        state, self.applied = snapshot.state, []
        while state:
            end = 4 + int.from_bytes(state[:4], "big")
            self.applied.append(state[4:end])
            state = state[end:]

    def recover(self, journal: Journal) -> None:
        """Bring the owner to where the journal is and start."""
        for entry in journal.recover(self.restore, self.state_hash):
            self.apply(entry)
        journal.start()

    def append(self, journal: Journal, body: bytes, then: Callable[[], None] = lambda: None) -> NotWritten | None:
        def applied(entry: Entry) -> None:
            self.apply(entry)
            then()

        def failed(why: NotWritten) -> None:
            self.failed.append((body, why))
            then()

        return journal.append(EntryKind.COMMAND, body, 0, applied, failed)

    def snapshot(self, journal: Journal) -> NotWritten | None:
        return journal.snapshot(self.state(), self.state_hash(), 0)


def commands(count: int, first: int = 0) -> list[Entry]:
    """Entries with bodies of their own."""
    return [Entry(EntryKind.COMMAND, n, 1_000 + n, b"command %d" % n) for n in range(first, first + count)]
