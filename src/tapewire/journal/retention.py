"""How much of the past is kept: what recovery needs always, and history behind it as far as the bound allows.

Recovery needs the two newest good snapshots and all entries from the older of them on; until there are two, all
entries. What is older is history: it goes from its oldest end, some entries at a time, when the bound is near.
When the bound is near and there is no history left, commands are refused: nothing that recovery needs ever goes.
"""

from __future__ import annotations

from typing import NamedTuple

from tapewire.journal.entry_queue import GROUP_ENTRIES_MAX, IN_FLIGHT_BYTES_MAX
from tapewire.journal.snapshot import SNAPSHOTS_KEPT

__all__ = ["BYTES_MAX", "BYTES_MAX_LEAST", "DROP_ENTRIES", "RESERVE_BYTES", "Holdings", "Retention"]

#: Journal and snapshots together, unless told otherwise.
BYTES_MAX = 1 << 30
#: Less than this leaves no room beside the reserve.
BYTES_MAX_LEAST = 64 << 20
#: Kept free for what is under way, SQLite's log beside the file, marks and the rest of a page.
RESERVE_BYTES = 16 << 20
#: Entries that are dropped between two groups: a few milliseconds that a command may have to wait.
DROP_ENTRIES = 1_024
#: A snapshot is due when the entries since the last one take this part of the bound, or are this many. Two
#: intervals and two snapshots must fit, with history to spare.
_SNAPSHOT_PART = 4
SNAPSHOT_ENTRIES = 250_000

assert IN_FLIGHT_BYTES_MAX * 2 <= RESERVE_BYTES < BYTES_MAX_LEAST <= BYTES_MAX
assert DROP_ENTRIES >= GROUP_ENTRIES_MAX, "dropping must outrun writing"
assert _SNAPSHOT_PART > SNAPSHOTS_KEPT


class Holdings(NamedTuple):
    """What is on the disk."""

    #: Journal and snapshots together.
    used_bytes: int
    first_sequence: int
    #: The oldest entry that recovery needs.
    needed_from: int


class Retention:
    """The rule, without the disk.

    Args:
        bytes_max: Bound of journal and snapshots together. While a snapshot is being written it comes on top.

    Raises:
        ValueError: The bound is too small.
    """

    def __init__(self, bytes_max: int = BYTES_MAX, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        least = BYTES_MAX_LEAST if reserve_bytes == RESERVE_BYTES else 2 * reserve_bytes
        if bytes_max < least:
            raise ValueError(f"the journal needs at least {least >> 20}M, not {bytes_max / (1 << 20):g}M")
        self.bytes_max = bytes_max
        self._near_bytes = bytes_max - reserve_bytes

    @property
    def measure_every_bytes(self) -> int:
        """After so many more bytes the disk is looked at again: a small part of the reserve."""
        return (self.bytes_max - self._near_bytes) // 16

    def drop_before(self, holdings: Holdings) -> int | None:
        """Return the new oldest entry, if some are to go now."""
        if holdings.used_bytes <= self._near_bytes or holdings.first_sequence >= holdings.needed_from:
            return None
        return min(holdings.needed_from, holdings.first_sequence + DROP_ENTRIES)

    def refusal(self, holdings: Holdings) -> str:
        """Return why nothing more may be written; empty when it may."""
        if holdings.used_bytes <= self._near_bytes or holdings.first_sequence < holdings.needed_from:
            return ""
        return (
            f"the journal is full: {holdings.used_bytes} of {self.bytes_max} bytes are needed to recover;"
            " a larger --journal-max helps"
        )

    def is_snapshot_due(self, entries: int, size_bytes: int) -> bool:
        """Whether so much since the last snapshot asks for a new one."""
        return entries >= SNAPSHOT_ENTRIES or size_bytes >= self._near_bytes // _SNAPSHOT_PART

    @staticmethod
    def needed_from(snapshots: list[int], first_sequence: int) -> int:
        """Return the oldest entry that recovery needs beside these good snapshots (sequences, oldest first)."""
        return snapshots[-SNAPSHOTS_KEPT] if len(snapshots) >= SNAPSHOTS_KEPT else first_sequence
