"""A simulated disk: what was not synced is lost or torn when the power is cut.

The disk works on bytes, so that a write can be torn in its middle; ``SimulatedJournalFile`` frames each append
with its length and a checksum and finds the torn one when it is opened again. On a disk with
``synchronous=False`` an append returns before it is durable: a journal that a test must find guilty.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator, Sequence

from tapewire.ports.journal import JournalError

__all__ = ["SimulatedDisk", "SimulatedJournalFile", "SimulatedSnapshots"]

#: Of each append: checksum of the rest, bytes of the rest, first sequence, number of records.
_BATCH = struct.Struct("<IIQI")
_LENGTH = struct.Struct("<I")
_CHECKSUM_BYTES = 4


class _StoredFile:
    """The bytes of one file: all that were written, and how many of them are safe."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.synced_bytes = 0


class SimulatedDisk:
    """Files in memory, with the faults of a disk.

    Args:
        seed: Decides what a power cut leaves of the bytes that were not synced.
        synchronous: False makes appends return without a sync, so that a power cut loses what was
            acknowledged.
        capacity_bytes: Room for all files together; None is without limit. May be changed at any time.

    Attributes:
        read_only: Whether every write is refused, as by a file system after an error.
        sync_failures: So many of the next syncs fail with an I/O error. What was written before may be found
            later, or not.
    """

    def __init__(self, *, seed: int = 0, synchronous: bool = True, capacity_bytes: int | None = None) -> None:
        self.synchronous = synchronous
        self.capacity_bytes = capacity_bytes
        self.read_only = False
        self.sync_failures = 0
        self._random = random.Random(seed)
        self._files: dict[str, _StoredFile] = {}
        self._power_cuts = 0
        self._operations_left: int | None = None

    @property
    def used_bytes(self) -> int:
        """Bytes of all files."""
        return sum(len(file.content) for file in self._files.values())

    @property
    def power_cuts(self) -> int:
        """How often the power was cut. Files opened before the last cut refuse everything."""
        return self._power_cuts

    def open(self, name: str = "journal") -> SimulatedJournalFile:
        """Open a file, new or as the last power cut left it. Power is back by then."""
        return SimulatedJournalFile(self, name)

    def snapshots(self, name: str = "snapshot") -> SimulatedSnapshots:
        """Open a store of snapshots as the last power cut left it."""
        return SimulatedSnapshots(self, name)

    def power_cut(self) -> None:
        """Cut the power now. Of the bytes that were not synced a part survives, maybe garbled, maybe none."""
        self._power_cuts += 1
        self._operations_left = None
        for file in self._files.values():
            unsynced = len(file.content) - file.synced_bytes
            # Nothing and everything are as likely as any part: a disk may have been idle before the cut.
            kept = self._random.choice((0, self._random.randint(0, unsynced), unsynced))
            del file.content[file.synced_bytes + kept :]
            if kept and self._random.random() < 0.5:
                file.content[file.synced_bytes + self._random.randrange(kept)] ^= 0xFF
            file.synced_bytes = len(file.content)

    def cut_power_after(self, operations: int) -> None:
        """Let so many writes, syncs and replacements pass and cut the power instead of the next one."""
        self._operations_left = operations

    # --- the files use these ----------------------------------------------------------------------------

    def content(self, name: str) -> bytes:
        """Return what a reader sees, synced or not."""
        return bytes(self._stored(name).content)

    def is_unsynced(self, name: str) -> bool:
        """Whether a reader sees bytes of a file that a power cut may take."""
        file = self._stored(name)
        return file.synced_bytes < len(file.content)

    def write(self, name: str, data: bytes) -> None:
        """Add ``data`` to a file.

        Raises:
            JournalError: The disk is full or read-only, or the power was cut; nothing was written.
        """
        self._begin_operation(needs_bytes=len(data))
        self._stored(name).content += data

    def sync(self, name: str) -> None:
        """Make what was written safe.

        Raises:
            JournalError: The power was cut, or ``sync_failures`` said so.
        """
        self._begin_operation()
        if self.sync_failures:
            self.sync_failures -= 1
            raise JournalError("disk I/O error", is_uncertain=True)
        file = self._stored(name)
        file.synced_bytes = len(file.content)

    def replace(self, name: str, data: bytes) -> None:
        """Put ``data`` in place of a file in one step, safely: new file, sync, rename.

        Raises:
            JournalError: As for ``write``; the old file stays.
        """
        old = self._files.get(name, _StoredFile())
        self._begin_operation(needs_bytes=len(data) - len(old.content))
        file = self._stored(name)
        file.content = bytearray(data)
        file.synced_bytes = len(data)

    def remove(self, name: str) -> None:
        """Remove a file, safely; without it nothing happens.

        Raises:
            JournalError: The disk is read-only or the power was cut.
        """
        if name in self._files:
            self._begin_operation(needs_bytes=-len(self._files[name].content))
            del self._files[name]

    def names(self, prefix: str) -> list[str]:
        """Return the names of the files that begin so, in their order."""
        return sorted(name for name in self._files if name.startswith(prefix))

    def _stored(self, name: str) -> _StoredFile:
        return self._files.setdefault(name, _StoredFile())

    def _begin_operation(self, needs_bytes: int = 0) -> None:
        if self._operations_left == 0:
            self.power_cut()
            raise JournalError("the power was cut", is_uncertain=True)
        if self._operations_left is not None:
            self._operations_left -= 1
        if self.read_only:
            raise JournalError("the disk is read-only")
        if (
            needs_bytes > 0
            and self.capacity_bytes is not None
            and self.used_bytes + needs_bytes > self.capacity_bytes
        ):
            raise JournalError("the disk is full")


class SimulatedJournalFile:
    """A ``ports.JournalFile`` on a simulated disk."""

    def __init__(self, disk: SimulatedDisk, name: str) -> None:
        self._disk = disk
        self._name = name
        self._opened_at_cut = disk.power_cuts
        self._closed = False
        self._has_failed = False
        self._first_sequence = 0
        self._records: list[bytes] = []
        self._recover()

    @property
    def next_sequence(self) -> int:
        """The sequence that the next record must have; 0 in a new file."""
        return self._first_sequence + len(self._records)

    @property
    def first_sequence(self) -> int:
        """The sequence of the oldest record that is kept; ``next_sequence`` if none is."""
        return self._first_sequence

    @property
    def used_bytes(self) -> int:
        """Bytes of the file."""
        return len(self._disk.content(self._name))

    def append(self, first_sequence: int, records: Sequence[bytes]) -> None:
        """Write records; durable on return unless the disk is not synchronous.

        Raises:
            JournalError: The disk refused, or ``first_sequence`` does not follow the last record.
        """
        self._check_usable()
        if first_sequence != self.next_sequence:
            raise JournalError(
                f"{self._name}: sequence {first_sequence} does not follow; {self.next_sequence} is next"
            )
        if not records:
            return
        self._disk.write(self._name, _encode(first_sequence, records))
        if self._disk.synchronous:
            try:
                self._disk.sync(self._name)
            except JournalError:
                self._has_failed = True
                raise
        self._records.extend(bytes(record) for record in records)

    def read(self, from_sequence: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield records with their sequences, from ``from_sequence`` or the oldest kept on.

        Raises:
            JournalError: The file is closed or lost its power.
        """
        sequence = max(from_sequence, self._first_sequence)
        while True:
            self._check_usable()
            if sequence >= self.next_sequence:
                return
            sequence = max(sequence, self._first_sequence)
            yield sequence, self._records[sequence - self._first_sequence]
            sequence += 1

    def drop_before(self, sequence: int) -> None:
        """Forget the records older than ``sequence``, durably. ``next_sequence`` stays.

        Raises:
            JournalError: The disk refused; nothing is forgotten.
        """
        self._check_usable()
        first = min(max(sequence, self._first_sequence), self.next_sequence)
        kept = self._records[first - self._first_sequence :]
        # A batch without records carries the sequence alone, when nothing is kept.
        self._disk.replace(self._name, _encode(first, kept))
        self._first_sequence = first
        self._records = kept

    def cut_from(self, sequence: int) -> None:
        """Forget the record ``sequence`` and all newer ones, durably; it is the next one then.

        Raises:
            JournalError: The disk refused; nothing is forgotten.
        """
        self._check_usable()
        kept = self._records[: max(sequence - self._first_sequence, 0)]
        self._disk.replace(self._name, _encode(self._first_sequence, kept))
        self._records = kept

    def close(self) -> None:
        """Release the file; every later call but ``close`` is refused."""
        self._closed = True

    def _check_usable(self) -> None:
        if self._closed:
            raise JournalError(f"{self._name}: the file is closed", is_uncertain=True)
        if self._has_failed:
            raise JournalError(f"{self._name}: failed earlier and must be opened anew", is_uncertain=True)
        if self._disk.power_cuts != self._opened_at_cut:
            raise JournalError(f"{self._name}: the power was cut since the file was opened", is_uncertain=True)

    def _recover(self) -> None:
        """Read whole appends and make them safe; a torn last one is cut off, since it was never acknowledged."""
        content = self._disk.content(self._name)
        at = 0
        while (batch := _decode(content, at)) is not None:
            first_sequence, records, at = batch
            if not self._records:
                self._first_sequence = first_sequence
            assert first_sequence == self.next_sequence
            self._records.extend(records)
        if at < len(content):
            self._disk.replace(self._name, content[:at])
        elif self._disk.synchronous and self._disk.is_unsynced(self._name):
            self._disk.replace(self._name, content)


class SimulatedSnapshots:
    """A ``ports.SnapshotStore`` on a simulated disk: a file a snapshot, put in place in one step."""

    def __init__(self, disk: SimulatedDisk, name: str) -> None:
        self._disk = disk
        self._prefix = f"{name}-"

    def sequences(self) -> Sequence[int]:
        """Return the sequences of all that are kept, oldest first."""
        return [int(name.removeprefix(self._prefix)) for name in self._disk.names(self._prefix)]

    def load(self, sequence: int) -> bytes:
        """Return the content of one.

        Raises:
            JournalError: It is not there.
        """
        if self._file(sequence) not in self._disk.names(self._prefix):
            raise JournalError(f"{self._file(sequence)}: there is no such snapshot")
        return self._disk.content(self._file(sequence))

    def save(self, sequence: int, content: bytes) -> None:
        """Keep one, durably.

        Raises:
            JournalError: The disk refused.
        """
        self._disk.replace(self._file(sequence), content)

    def remove(self, sequence: int) -> None:
        """Forget one; without it nothing happens.

        Raises:
            JournalError: The disk refused.
        """
        self._disk.remove(self._file(sequence))

    @property
    def used_bytes(self) -> int:
        """Bytes of all of them."""
        return sum(len(self._disk.content(name)) for name in self._disk.names(self._prefix))

    def _file(self, sequence: int) -> str:
        return f"{self._prefix}{sequence:020}"


def _encode(first_sequence: int, records: Sequence[bytes]) -> bytes:
    body = b"".join(_LENGTH.pack(len(record)) + record for record in records)
    head = _BATCH.pack(0, len(body), first_sequence, len(records))[_CHECKSUM_BYTES:]
    return zlib.crc32(head + body).to_bytes(_CHECKSUM_BYTES, "little") + head + body


def _decode(content: bytes, at: int) -> tuple[int, list[bytes], int] | None:
    """Return first sequence, records and end of the append at ``at``; None if there is no whole one."""
    if len(content) - at < _BATCH.size:
        return None
    checksum, body_bytes, first_sequence, count = _BATCH.unpack_from(content, at)
    end = at + _BATCH.size + body_bytes
    if end > len(content) or zlib.crc32(content[at + _CHECKSUM_BYTES : end]) != checksum:
        return None
    records = []
    at += _BATCH.size
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size
        records.append(content[at : at + length])
        at += length
    return first_sequence, records, end
