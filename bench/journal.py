"""The journal: appends one by one and in company, beside a bare synced append on the same disk, and the replay."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.machine import this_machine
from bench.options import Options
from bench.result import Result
from bench.rounds import interleave, median_of, median_ratio
from tapewire.adapters.journal_file import SqliteJournalFile
from tapewire.adapters.snapshot_files import SnapshotFiles
from tapewire.journal import Entry, EntryKind, Journal, NotWritten, recover
from tapewire.journal.record import HEADER_BYTES, encode

__all__ = ["measure"]

#: What a bare append writes; an entry's record has as many bytes.
RECORD_BYTES = 200
IN_FLIGHT = (1, 8, 64)
#: Groups a measurement, about: the same number of syncs whatever is in flight.
SYNCS = 400
REPLAYED = 300_000
REPLAY_BATCH = 4_096
#: Of what is in flight, the part that a sync should carry.
FILLING_MIN = 0.5
REPLAY_S_MAX = 5.0

#: Under the working folder and not in a temporary one, which may be memory.
PLACE = Path(__file__).parent.parent


class Reading(msgspec.Struct, frozen=True):
    """One measurement: so many records in so many seconds and syncs."""

    records: int
    seconds: float
    syncs: int

    @property
    def per_second(self) -> float:
        return self.records / self.seconds


def measure(options: Options) -> Result:
    """Take turns between the bare append and the journal. ``--messages`` are syncs, and entries of the replay."""
    syncs = options.messages or SYNCS
    replayed = options.messages or REPLAYED
    with tempfile.TemporaryDirectory(prefix=".bench-journal-", dir=PLACE) as folder:
        counter = iter(range(1_000_000))

        def run(_: str, candidate: Callable[[Path, int], Reading]) -> Reading:
            place = Path(folder) / str(next(counter))
            place.mkdir()
            return candidate(place, syncs)

        candidates: dict[str, Callable[[Path, int], Reading]] = {"bare": _bare}
        candidates |= {f"in_flight_{count}": _journal(count) for count in IN_FLIGHT}
        readings = interleave(candidates, run, options.runs)
        replays = _replays(Path(folder), replayed, options.runs)
    figures = {"bare_synced_appends_per_second": median_of(readings["bare"], lambda one: one.per_second)}
    ratios = {}
    targets = {}
    for count in IN_FLIGHT:
        name = f"in_flight_{count}"
        figures[f"{name}_appends_per_second"] = median_of(readings[name], lambda one: one.per_second)
        filling = median_of(readings[name], lambda one: one.records / one.syncs)
        figures[f"{name}_records_per_sync"] = filling
        ratios[f"{name}_to_bare"] = median_ratio(readings[name], readings["bare"], lambda one: one.per_second)
        targets[f"{name}_records_per_sync >= {FILLING_MIN * count:g}"] = filling >= FILLING_MIN * count
    figures["replayed_entries"] = float(replayed)
    figures["replay_entries_per_second"] = median_of(replays, lambda one: one.per_second)
    figures["replay_s"] = median_of(replays, lambda one: one.seconds)
    targets[f"replay_s <= {REPLAY_S_MAX:g}"] = figures["replay_s"] <= REPLAY_S_MAX
    return Result(name="journal", figures=figures, ratios=ratios, targets=targets, machine=this_machine())


def _bare(place: Path, syncs: int) -> Reading:
    """Append to a plain file and sync each time: the limit of this disk."""
    record = bytes(RECORD_BYTES)
    descriptor = os.open(place / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        began = time.perf_counter()
        for _ in range(syncs):
            os.write(descriptor, record)
            os.fdatasync(descriptor)
        return Reading(syncs, time.perf_counter() - began, syncs)
    finally:
        os.close(descriptor)


def _journal(in_flight: int) -> Callable[[Path, int], Reading]:
    return lambda place, syncs: asyncio.run(_append(place, in_flight, syncs * in_flight))


async def _append(place: Path, in_flight: int, entries: int) -> Reading:
    """Keep so many entries in flight until enough are acknowledged: each acknowledgement submits the next."""
    journal = Journal(lambda: SqliteJournalFile(place / "journal.db"), SnapshotFiles(place / "snapshots"))
    journal.recover(lambda _: None, lambda: b"")
    journal.start()
    body = bytes(RECORD_BYTES - HEADER_BYTES)
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = entries

    def applied(_: Entry) -> None:
        nonlocal left
        if left > 0:
            submit()
        elif journal.in_flight == 0:
            done.set_result(None)

    def failed(why: NotWritten) -> None:
        done.set_exception(RuntimeError(why.reason))

    def submit() -> None:
        nonlocal left
        left -= 1
        journal.append(EntryKind.COMMAND, body, 0, applied, failed)

    began = time.perf_counter()
    for _ in range(in_flight):
        submit()
    await done
    seconds = time.perf_counter() - began
    syncs = journal.groups
    await journal.close()
    return Reading(entries, seconds, syncs)


def _replays(folder: Path, entries: int, runs: int) -> list[Reading]:
    """Write a journal once, then read it to its end: every checksum, every place in the order, nothing applied."""
    body = bytes(RECORD_BYTES - HEADER_BYTES)
    file = SqliteJournalFile(folder / "replay.db")
    for first in range(0, entries, REPLAY_BATCH):
        batch = range(first, min(first + REPLAY_BATCH, entries))
        file.append(first, [encode(Entry(EntryKind.COMMAND, sequence, 0, body)) for sequence in batch])
    readings = []
    for _ in range(runs):
        began = time.perf_counter()
        replay = recover(file, SnapshotFiles(folder / "none"), restore=lambda _: None, state_hash=lambda: b"")
        read = sum(1 for _ in replay)
        readings.append(Reading(read, time.perf_counter() - began, 0))
    file.close()
    return readings
