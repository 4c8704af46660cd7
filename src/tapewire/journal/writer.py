"""The disk's side of the journal: one turn at a time, blocking, without a thread of its own.

Whoever turns it (``journal.shell``: a thread; ``simulation.journal``: the virtual loop) hands each report to the
loop's side, in order. The writer alone touches the file.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tapewire.journal.entry_queue import Draft, EntryQueue, NotWritten, QueueState
from tapewire.journal.record import Entry, EntryKind, encode
from tapewire.journal.retention import Holdings, Retention
from tapewire.ports.journal import JournalError, JournalFile

__all__ = ["Lost", "Report", "Writer"]

_LOG = logging.getLogger(__name__)

OpenFile = Callable[[], JournalFile]


class Lost(JournalError):  # noqa: N818 - the disk's fault, told to the owner as it is
    """Records that were synced are not there any more. Nothing that this disk says can be trusted."""


class Report(NamedTuple):
    """What became of one group or probe."""

    drafts: Sequence[Draft]
    #: The drafts in their places, all durable; empty after an error.
    entries: Sequence[Entry]
    #: None when they were written.
    failure: NotWritten | None = None
    is_probe: bool = False
    #: Set when there is no going on.
    fatal: Exception | None = None


#: There is room again, or none any more.
_ROOM_CHANGED = Report((), ())


def _nothing(_: object) -> None:
    """The journal's own entries ask nothing of the owner."""


_PROBE = Draft(EntryKind.PROBE, b"", 0, _nothing, _nothing)


class Writer:
    """Appends groups, probes a disk that has failed, and lets history go.

    Args:
        open_file: Opens the journal's file, again after an error.
        queue: Where groups come from.
        retention: When history goes and when there is no room.

    Raises:
        JournalError: The file cannot be opened.
    """

    def __init__(self, open_file: OpenFile, queue: EntryQueue, retention: Retention) -> None:
        self._open_file = open_file
        self._queue = queue
        self._retention = retention
        self._is_asked_to_probe = False
        self._is_stale = False
        self.file = open_file()
        #: The sequence of the next entry: all before it are durable.
        self.next_sequence = self.file.next_sequence
        self._needed_from, self._snapshots_bytes = 0, 0
        #: Why there is no room; empty when there is. For the loop's side to read.
        self.full = ""
        self.used_bytes = 0
        #: Groups, and entries in them, that were synced.
        self.groups = 0
        self._is_measuring = True
        self._unmeasured_bytes = 0

    def probe(self) -> None:
        """Let the next turn find out whether the disk works again, with an entry of the journal's own."""
        self._is_asked_to_probe = True

    def keep(self, needed_from: int, snapshots_bytes: int) -> None:
        """Take note of what recovery needs from now on and what the snapshots take; history may go then."""
        self._needed_from, self._snapshots_bytes = needed_from, snapshots_bytes
        self._is_measuring = True

    def turn(self) -> tuple[bool, Sequence[Report]]:
        """Do one piece of work. The answer: whether there was any, and what to tell the loop's side."""
        if self._queue.state is not QueueState.OPEN:
            if not self._is_asked_to_probe:
                return False, ()
            self._is_asked_to_probe = False
            return True, [self._try_again()]
        reports = []
        group = self._queue.take()
        if group:
            reports.append(self._write(group))
        is_trimming = self._is_measuring and self._queue.state is QueueState.OPEN
        # Also behind a group: a load may never leave the disk idle.
        if is_trimming:
            reports += self._trim()
        return bool(group) or is_trimming, reports

    def close(self) -> None:
        """Release the file.

        Raises:
            JournalError: It could not be closed in order; what was synced is safe.
        """
        self.file.close()

    def _write(self, group: Sequence[Draft], *, is_probe: bool = False) -> Report:
        entries = [
            Entry(draft.kind, sequence, draft.at_ns, draft.body)
            for sequence, draft in enumerate(group, self.next_sequence)
        ]
        records = [encode(entry) for entry in entries]
        try:
            self.file.append(self.next_sequence, records)
        except JournalError as error:
            self._queue.halt()
            self._is_stale = self._is_stale or error.is_uncertain
            failure = NotWritten(str(error), error.is_uncertain)
            return Report(group, (), failure, is_probe, fatal=error if error.is_damaged else None)
        except Exception as error:  # noqa: BLE001 - told to the owner, together with the fate of the group
            self._queue.halt()
            return Report(group, (), NotWritten(str(error), may_survive=True), is_probe, fatal=error)
        self.next_sequence += len(entries)
        self.groups += 1
        self._unmeasured_bytes += sum(map(len, records))
        if self._unmeasured_bytes >= self._retention.measure_every_bytes:
            self._is_measuring = True
        return Report(group, entries, is_probe=is_probe)

    def _try_again(self) -> Report:
        try:
            if self._is_stale:
                self._open_again()
        except Lost as lost:
            return Report((), (), NotWritten(str(lost)), is_probe=True, fatal=lost)
        except JournalError as error:
            fatal = error if error.is_damaged else None
            return Report((), (), NotWritten(str(error), error.is_uncertain), is_probe=True, fatal=fatal)
        return self._write([_PROBE], is_probe=True)

    def _open_again(self) -> None:
        """Open the file anew and take out what was never acknowledged: its submitters were told so."""
        # It has failed already; that it cannot be closed either changes nothing.
        with contextlib.suppress(JournalError):
            self.file.close()
        self.file = self._open_file()
        if self.file.next_sequence < self.next_sequence:
            raise Lost(
                f"entries {self.file.next_sequence} to {self.next_sequence - 1} were synced and are gone:"
                " this disk does not keep what it says it has kept"
            )
        if self.file.next_sequence > self.next_sequence:
            self.file.cut_from(self.next_sequence)
        self._is_stale = False

    def _trim(self) -> list[Report]:
        """Measure, let one piece of history go if the bound is near; tell what changes for the owner."""
        # First: what the loop's side asks for while this runs asks for another look.
        self._is_measuring = False
        self._unmeasured_bytes = 0
        try:
            holdings = self._holdings()
            drop_before = self._retention.drop_before(holdings)
            if drop_before is not None:
                self.file.drop_before(drop_before)
                holdings = self._holdings()
        except JournalError as error:
            if error.is_damaged:
                # Without room there is an end some day, and until then every group might meet the damage.
                self._queue.halt()
                return [Report((), (), NotWritten(str(error)), fatal=error)]
            # Nothing was promised about history. The next group tells whether the disk is in order.
            _LOG.warning("the journal's history could not be measured or dropped: %s", error)
            self._is_stale = self._is_stale or error.is_uncertain
            return []
        self.used_bytes = holdings.used_bytes
        was_full, self.full = self.full, self._retention.refusal(holdings)
        if self._retention.drop_before(holdings) is not None:
            self._is_measuring = True
        return [_ROOM_CHANGED] if bool(was_full) != bool(self.full) else []

    def _holdings(self) -> Holdings:
        return Holdings(self.file.used_bytes + self._snapshots_bytes, self.file.first_sequence, self._needed_from)
