"""A snapshot: the owner's whole state as opaque bytes, the sequence it reaches and a hash of the state.

byte  0..3     4        5           6..13     14..21       22..           then      last 4
      "TWSN"   version  hash bytes  reaches   state bytes  hash           state     CRC-32 of all before
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

from tapewire.journal.mark import HASH_BYTES_MAX
from tapewire.ports.journal import JournalError, SnapshotStore

__all__ = ["SNAPSHOTS_KEPT", "Snapshot", "SnapshotFound", "good_snapshots", "read_snapshots"]

#: The newest, and the one before it for the day on which the newest cannot be read.
SNAPSHOTS_KEPT = 2

_MAGIC = b"TWSN"
_VERSION = 1
_HEADER = struct.Struct("<4sBBQQ")
_CHECKSUM_BYTES = 4


class Snapshot(NamedTuple):
    """The state after all entries before ``reaches``."""

    reaches: int
    state_hash: bytes
    state: bytes

    def encode(self) -> bytes:
        """Write the snapshot as its file has it."""
        assert 0 < len(self.state_hash) <= HASH_BYTES_MAX, "a hash, not a state"
        header = _HEADER.pack(_MAGIC, _VERSION, len(self.state_hash), self.reaches, len(self.state))
        checksum = crc32(self.state, crc32(self.state_hash, crc32(header)))
        return b"".join((header, self.state_hash, self.state, checksum.to_bytes(_CHECKSUM_BYTES, "little")))

    @classmethod
    def decode(cls, content: bytes) -> Snapshot:
        """Read a snapshot's file.

        Raises:
            JournalError: It is damaged, no snapshot, or of a newer format.
        """
        if len(content) < _HEADER.size + _CHECKSUM_BYTES or not content.startswith(_MAGIC):
            raise JournalError("it is not a snapshot of tapewire")
        _, version, hash_bytes, reaches, state_bytes = _HEADER.unpack_from(content)
        if crc32(content[:-_CHECKSUM_BYTES]) != int.from_bytes(content[-_CHECKSUM_BYTES:], "little"):
            raise JournalError("its checksum is wrong")
        if version != _VERSION:
            raise JournalError(f"it has format {version}; this tapewire knows {_VERSION}")
        state_at = _HEADER.size + hash_bytes
        if state_at + state_bytes + _CHECKSUM_BYTES != len(content):
            raise JournalError("its lengths do not agree")
        return cls(reaches, content[_HEADER.size : state_at], content[state_at : state_at + state_bytes])


class SnapshotFound(NamedTuple):
    """One snapshot of a store, or what is wrong with it."""

    sequence: int
    size_bytes: int
    #: None when there is a problem.
    snapshot: Snapshot | None
    problem: str


def read_snapshots(store: SnapshotStore) -> Iterator[SnapshotFound]:
    """Yield all snapshots of a store, newest first, one in memory at a time.

    Raises:
        JournalError: The store itself cannot be read.
    """
    for sequence in reversed(store.sequences()):
        size_bytes = 0
        try:
            content = store.load(sequence)
            size_bytes = len(content)
            snapshot = Snapshot.decode(content)
            if snapshot.reaches != sequence:
                raise JournalError(f"it says that it reaches entry {snapshot.reaches}")
        except JournalError as error:
            yield SnapshotFound(sequence, size_bytes, None, str(error))
        else:
            yield SnapshotFound(sequence, size_bytes, snapshot, "")


def good_snapshots(store: SnapshotStore) -> list[int]:
    """Return the sequences of the snapshots that can be read, oldest first.

    Raises:
        JournalError: The store itself cannot be read.
    """
    return sorted(found.sequence for found in read_snapshots(store) if found.snapshot is not None)
