"""Marks: entries that say which state the owner had at a sequence, so that a replay can be held to it.

The body is the sequence the state reaches (8 bytes, little-endian) and a hash of the state as the owner makes it.
A mark stands in the journal behind the entries that were under way when it was made, ``MARK_LAG_MAX`` at most.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from tapewire.journal.entry_queue import IN_FLIGHT_MAX
from tapewire.journal.record import DamagedRecordError

__all__ = ["HASH_BYTES_MAX", "MARK_LAG_MAX", "Mark"]

HASH_BYTES_MAX = 64
MARK_LAG_MAX = IN_FLIGHT_MAX

_REACHES = struct.Struct("<Q")


class Mark(NamedTuple):
    """The state after all entries before ``reaches`` had this hash."""

    reaches: int
    state_hash: bytes

    def encode(self) -> bytes:
        """Write the body of a mark's entry."""
        assert 0 < len(self.state_hash) <= HASH_BYTES_MAX, "a hash, not a state"
        return _REACHES.pack(self.reaches) + self.state_hash

    @classmethod
    def decode(cls, body: bytes) -> Mark:
        """Read the body of a mark's entry.

        Raises:
            DamagedRecordError: It is too short.
        """
        if len(body) <= _REACHES.size:
            raise DamagedRecordError("the mark says nothing")
        (reaches,) = _REACHES.unpack_from(body)
        return cls(reaches, body[_REACHES.size :])
