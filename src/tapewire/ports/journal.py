"""Where commands are kept before they are applied: a file of records, and snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

__all__ = [
    "JournalError",
    "JournalFile",
    "SnapshotStore",
]


class JournalError(Exception):
    """The journal's file cannot be opened, read or written; the text says why.

    ``is_uncertain``: whether what was being written is on the disk, only a fresh reader can tell. The file takes
    nothing more until it is opened anew. ``is_damaged``: the file itself is damaged, and no further try helps.
    """

    def __init__(self, text: str, *, is_uncertain: bool = False, is_damaged: bool = False) -> None:
        super().__init__(text)
        self.is_uncertain = is_uncertain
        self.is_damaged = is_damaged


class JournalFile(Protocol):
    """Numbered records on a disk, oldest first, without holes. Calls block: they belong in a thread.

    What a file shows is durable, also what a killed program had written and not synced: opening it syncs that.
    """

    def append(self, first_sequence: int, records: Sequence[bytes]) -> None:
        """Write records and return when they are durable: all of them or, after an error, none.

        Raises:
            JournalError: The disk refused, or ``first_sequence`` does not follow the last record. If it is
                uncertain, all of them may be there when the file is opened anew.
        """

    def read(self, from_sequence: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield durable records with their sequences, from ``from_sequence`` on."""

    @property
    def first_sequence(self) -> int:
        """The sequence of the oldest record that is kept; ``next_sequence`` if none is."""

    @property
    def next_sequence(self) -> int:
        """The sequence that the next record must have; 0 in a new file."""

    @property
    def used_bytes(self) -> int:
        """What the records take on the disk; what was dropped counts no more."""

    def drop_before(self, sequence: int) -> None:
        """Forget the records older than ``sequence``, durably."""

    def cut_from(self, sequence: int) -> None:
        """Forget the record ``sequence`` and all newer ones, durably; it is the next one then."""

    def close(self) -> None:
        """Release the file."""


class SnapshotStore(Protocol):
    """States of the journal's owner on a disk, each known by the sequence it reaches. Calls block.

    What a store shows is durable.
    """

    def sequences(self) -> Sequence[int]:
        """Return the sequences of all that are kept, oldest first."""

    def load(self, sequence: int) -> bytes:
        """Return the content of one.

        Raises:
            JournalError: It is not there or cannot be read.
        """

    def save(self, sequence: int, content: bytes) -> None:
        """Keep one; on return it is durable, after an error it is not there. An old one of that sequence goes.

        Raises:
            JournalError: The disk refused.
        """

    def remove(self, sequence: int) -> None:
        """Forget one; without it nothing happens.

        Raises:
            JournalError: The disk refused.
        """

    @property
    def used_bytes(self) -> int:
        """What they take on the disk."""
