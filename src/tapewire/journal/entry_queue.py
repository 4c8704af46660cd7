"""What waits for the disk: a bounded queue out of which groups are formed.

No thread, no loop, no lock: the loop's side admits, settles and drains, the disk's side takes and halts, and the
one thing they share is a deque, whose two ends may be used at the same time.

A group is what waits when the disk is free, ``GROUP_ENTRIES_MAX`` at most. It waits for nobody: while the disk
syncs one group the next one gathers by itself (docs/decisions/0051).

    OPEN ── halt ──► HALTED ── resume ──► OPEN     the disk's side halts with the first error and takes no more
      └──── close ──► CLOSED ◄── close ──┘         until the loop's side has drained and a probe has succeeded
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from tapewire.journal.record import BODY_BYTES_MAX, HEADER_BYTES, Entry, EntryKind

__all__ = [
    "GROUP_BYTES_MAX",
    "GROUP_ENTRIES_MAX",
    "IN_FLIGHT_BYTES_MAX",
    "IN_FLIGHT_MAX",
    "Draft",
    "EntryQueue",
    "NotWritten",
    "QueueState",
]

#: Entries that are written and synced together.
GROUP_ENTRIES_MAX = 64
#: A group ends with the entry that goes beyond this.
GROUP_BYTES_MAX = 1 << 20
#: Entries that were admitted and whose fate has not been told yet. Above it the submitter is refused at once.
IN_FLIGHT_MAX = 4_096
#: The same in bytes, headers included.
IN_FLIGHT_BYTES_MAX = 4 << 20

assert HEADER_BYTES + BODY_BYTES_MAX <= GROUP_BYTES_MAX <= IN_FLIGHT_BYTES_MAX
assert GROUP_ENTRIES_MAX <= IN_FLIGHT_MAX


class NotWritten(NamedTuple):
    """Why an entry is not in the journal.

    ``may_survive``: the disk failed in a way that leaves open whether the entry is on it. Until the journal says
    that it is usable again nobody can tell, and after a crash the entry may be applied after all.
    """

    reason: str
    may_survive: bool = False


class Draft(NamedTuple):
    """An entry that has no place yet."""

    kind: EntryKind
    body: bytes
    #: Event time, UTC ns.
    at_ns: int
    #: Called on the loop, in the order of the journal, when the entry is durable: apply it now.
    applied: Callable[[Entry], None]
    #: Called on the loop when it will not be: nothing happened.
    failed: Callable[[NotWritten], None]

    @property
    def size_bytes(self) -> int:
        return HEADER_BYTES + len(self.body)


class QueueState(Enum):
    """See the module's table."""

    OPEN = "open"
    HALTED = "halted"
    CLOSED = "closed"


class EntryQueue:
    """Drafts in order, each in flight from ``admit`` to ``settle``."""

    def __init__(self) -> None:
        self._waiting: deque[Draft] = deque()
        self._state = QueueState.OPEN
        self._in_flight = 0
        self._in_flight_bytes = 0

    @property
    def state(self) -> QueueState:
        """Whether groups are taken."""
        return self._state

    @property
    def in_flight(self) -> int:
        """Entries whose fate has not been told."""
        return self._in_flight

    # --- the loop's side --------------------------------------------------------------------------------

    def admit(self, draft: Draft) -> str:
        """Take a draft; the answer is empty, or why it was not taken.

        Raises:
            ValueError: Its body is larger than any entry may be.
        """
        size_bytes = draft.size_bytes
        if size_bytes > HEADER_BYTES + BODY_BYTES_MAX:
            raise ValueError(f"a body has at most {BODY_BYTES_MAX} bytes, not {len(draft.body)}")
        if self._in_flight >= IN_FLIGHT_MAX:
            return f"{IN_FLIGHT_MAX} entries wait for the disk"
        if self._in_flight_bytes + size_bytes > IN_FLIGHT_BYTES_MAX:
            return f"{self._in_flight_bytes} bytes wait for the disk"
        self._in_flight += 1
        self._in_flight_bytes += size_bytes
        self._waiting.append(draft)
        return ""

    def settle(self, draft: Draft) -> None:
        """Note that the fate of a draft is known."""
        self._in_flight -= 1
        self._in_flight_bytes -= draft.size_bytes
        assert self._in_flight >= 0, "settled once, and only what was admitted"

    def drain(self) -> list[Draft]:
        """Give back all that no group has taken. The disk's side must have halted or stopped."""
        drained = list(self._waiting)
        self._waiting.clear()
        return drained

    def resume(self) -> None:
        """Let groups be taken again."""
        assert self._state is QueueState.HALTED, "only what was halted resumes"
        self._state = QueueState.OPEN

    def close(self) -> None:
        """Let no group be taken any more."""
        self._state = QueueState.CLOSED

    # --- the disk's side --------------------------------------------------------------------------------

    def take(self) -> list[Draft]:
        """Return the next group; empty when nothing waits or none may be taken."""
        group: list[Draft] = []
        if self._state is not QueueState.OPEN:
            return group
        waiting = self._waiting
        size_bytes = 0
        while waiting and len(group) < GROUP_ENTRIES_MAX and size_bytes < GROUP_BYTES_MAX:
            draft = waiting.popleft()
            size_bytes += draft.size_bytes
            group.append(draft)
        return group

    def halt(self) -> None:
        """Take no more groups until the loop's side resumes."""
        if self._state is QueueState.OPEN:
            self._state = QueueState.HALTED
