"""Looking at a journal that nobody runs on: check, repair, export.

A repair is planned, copied and then carried out, so that nothing goes that has not been kept elsewhere first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from tapewire.journal.record import Entry, NewerRecordError, RecordError, TornRecordError
from tapewire.journal.recovery import UnrecoverableError, read_entry
from tapewire.journal.snapshot import SnapshotFound, read_snapshots
from tapewire.ports.journal import JournalError, JournalFile, SnapshotStore

__all__ = ["DAMAGES_MAX", "Check", "Damage", "Repair", "check", "export", "plan_repair", "removed_by"]

#: Damaged places that a check names; it counts them all.
DAMAGES_MAX = 100

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)

#: Turns an entry's body into what JSON can say.
DecodeBody = Callable[[Entry], Any]


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """One place that cannot be used: a record, or a run of records that are missing."""

    sequence: int
    #: The first sequence behind it.
    until: int
    reason: str
    #: The record was never whole; at the end of the journal a start cuts it by itself.
    is_torn: bool = False


class SnapshotState(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot as a check sees it; ``problem`` is empty when a start could use it."""

    sequence: int
    size_bytes: int
    problem: str
    #: It is good and knows entries that the journal has not: some were lost.
    reaches_beyond: bool = False


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a journal and whether a system can start on it."""

    first_sequence: int
    next_sequence: int
    used_bytes: int
    #: Entries by the name of their kind.
    entries: dict[str, int]
    #: The first ``DAMAGES_MAX`` of ``damage_count``.
    damages: list[Damage]
    damage_count: int
    #: Newest first.
    snapshots: list[SnapshotState]
    #: The sequence a start begins with; None when it cannot.
    starts_from: int | None
    #: Why a start would be refused; empty when it would not. Whether the states agree, only a start finds out.
    problem: str


class Repair(NamedTuple):
    """What is to go so that a system can start: everything before one sequence and everything from another on."""

    #: Equal to the journal's first and next sequence when nothing is to go there.
    drop_before: int
    cut_from: int

    def carry_out(self, file: JournalFile) -> None:
        """Let it go.

        Raises:
            JournalError: The disk refused.
        """
        if self.cut_from < file.next_sequence:
            file.cut_from(self.cut_from)
        if self.drop_before > file.first_sequence:
            file.drop_before(self.drop_before)


class _Row(NamedTuple):
    """One stored record, or a run of sequences without one."""

    sequence: int
    until: int
    data: bytes | None


def check(file: JournalFile, snapshots: SnapshotStore) -> Check:
    """Read all of a journal, changing nothing.

    Raises:
        JournalError: The file or the store cannot be read at all.
    """
    first, end = file.first_sequence, file.next_sequence
    entries: dict[str, int] = {}
    damages: list[Damage] = []
    damage_count = 0
    found = [_state(one, first, end) for one in read_snapshots(snapshots)]
    starts_from = next((one.sequence for one in found if not one.problem), 0 if first == 0 else None)
    problem = (
        "" if starts_from is not None else f"no usable snapshot, and entry {first} is the oldest that is kept"
    )
    problem = next((one.problem for one in found if one.reaches_beyond), problem)
    for what in _inspected(file):
        if isinstance(what, Damage):
            damage_count += 1
            if len(damages) < DAMAGES_MAX:
                damages.append(what)
            is_cut_at_start = what.is_torn and what.until == end
            if not problem and starts_from is not None and what.sequence >= starts_from and not is_cut_at_start:
                problem = f"entry {what.sequence}: {what.reason}"
        else:
            name = what.kind.name.lower()
            entries[name] = entries.get(name, 0) + 1
    return Check(
        first_sequence=first,
        next_sequence=end,
        used_bytes=file.used_bytes + snapshots.used_bytes,
        entries=entries,
        damages=damages,
        damage_count=damage_count,
        snapshots=found,
        starts_from=starts_from,
        problem=problem,
    )


def plan_repair(file: JournalFile, snapshots: SnapshotStore) -> Repair:
    """Return the least that must go: the journal ends with the last entry that a start can reach in good order.

    Damage that the newest good snapshot makes unimportant goes with the history before it, and nothing else does.

    Raises:
        UnrecoverableError: Nothing that is left would give a state to begin with.
        NewerRecordError: A newer tapewire has written into it; that is no damage.
        JournalError: The file or the store cannot be read.
    """
    first, end = file.first_sequence, file.next_sequence
    good = (one.sequence for one in read_snapshots(snapshots) if not _state(one, first, end).problem)
    begin = next(good, 0 if first == 0 else None)
    if begin is None:
        raise UnrecoverableError(
            f"there is no usable snapshot and entry {first} is the oldest that is kept: no repair can help."
            " Put the folder back from a copy, or begin a new one"
        )
    drop_before, cut_from = first, end
    for what in _inspected(file):
        if not isinstance(what, Damage):
            continue
        if what.sequence >= begin:
            cut_from = what.sequence
            break
        drop_before = min(what.until, begin)
    return Repair(drop_before, cut_from)


def removed_by(repair: Repair, file: JournalFile) -> Iterator[bytes]:
    """Yield what a repair will remove, as lines of JSON with the records in hexadecimal, oldest first.

    Raises:
        JournalError: The file cannot be read.
    """
    for row in _rows(file):
        if row.data is not None and not repair.drop_before <= row.sequence < repair.cut_from:
            yield _line({"sequence": row.sequence, "record": row.data.hex()})


def export(file: JournalFile, decode_body: DecodeBody | None = None) -> Iterator[bytes]:
    """Yield a line of JSON an entry, oldest first; a place that cannot be read is a line that says so.

    Args:
        decode_body: Makes the body readable; without it, and when it raises ``ValueError``, the body is in
            hexadecimal.

    Raises:
        JournalError: The file cannot be read at all.
    """
    for what in _inspected(file):
        if isinstance(what, Damage):
            yield _line({"sequence": what.sequence, "until": what.until, "damage": what.reason})
            continue
        line: dict[str, Any] = {
            "sequence": what.sequence,
            "time": _time(what.at_ns),
            "at_ns": what.at_ns,
            "kind": what.kind.name.lower(),
        }
        try:
            body = decode_body(what) if decode_body is not None else None
        except ValueError as error:
            body, line["problem"] = None, str(error)
        line |= {"body_hex": what.body.hex()} if body is None else {"body": body}
        yield _line(line)


def _state(found: SnapshotFound, first: int, end: int) -> SnapshotState:
    problem = found.problem
    reaches_beyond = found.snapshot is not None and found.sequence > end
    if reaches_beyond:
        problem = f"snapshot {found.sequence} knows more than the journal, which ends before entry {end}"
    if not problem and found.sequence < first:
        problem = f"the journal begins behind it, with entry {first}"
    return SnapshotState(
        sequence=found.sequence, size_bytes=found.size_bytes, problem=problem, reaches_beyond=reaches_beyond
    )


def _inspected(file: JournalFile) -> Iterator[Entry | Damage]:
    for sequence, until, data in _rows(file):
        if data is None:
            yield Damage(sequence=sequence, until=until, reason="it is missing")
            continue
        try:
            yield read_entry(sequence, data)
        except NewerRecordError as error:
            raise NewerRecordError(f"entry {sequence}: {error}") from error
        except RecordError as error:
            is_torn = isinstance(error, TornRecordError)
            yield Damage(sequence=sequence, until=until, reason=str(error), is_torn=is_torn)


def _rows(file: JournalFile) -> Iterator[_Row]:
    """Yield all that is stored, and the holes between."""
    at, end = file.first_sequence, file.next_sequence
    while at < end:
        begin = at
        try:
            for sequence, data in file.read(at):
                if sequence > at:
                    yield _Row(at, sequence, None)
                yield _Row(sequence, sequence + 1, data)
                at = sequence + 1
        except JournalError:
            # The file stops at a hole. Reading on behind it shows where it ends; no progress is a worse fault.
            if at == begin:
                raise
        else:
            if at < end:
                yield _Row(at, end, None)
            return


def _time(at_ns: int) -> str:
    """Return a moment as text, UTC, to the nanosecond; empty beyond the years that have four digits."""
    seconds, ns = divmod(at_ns, 1_000_000_000)
    try:
        moment = _BEGIN + timedelta(seconds=seconds)
    except OverflowError:
        return ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns:09}Z"


def _line(content: dict[str, Any]) -> bytes:
    return msgspec.json.encode(content) + b"\n"
