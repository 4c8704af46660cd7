"""A program to be killed: it journals numbers and prints each one that was acknowledged, then goes on.

Every start first says which numbers it has found. A snapshot now and then, in a small journal, so that a kill also
hits snapshots and the dropping of history.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path

from tapewire.adapters.journal_file import SqliteJournalFile
from tapewire.adapters.snapshot_files import SnapshotFiles
from tapewire.journal import Entry, EntryKind, Journal, NotWritten, Retention, Snapshot

IN_FLIGHT = 100


class Counter:
    """Its state: how many numbers, the last one, and a hash over all of them in their order."""

    def __init__(self) -> None:
        self.count, self.last, self.chain = 0, -1, b""

    def apply(self, entry: Entry) -> None:
        number = int(entry.body)
        assert number > self.last, "nothing twice, everything in order"
        self.count, self.last = self.count + 1, number
        self.chain = hashlib.sha256(self.chain + entry.body).digest()

    def state(self) -> bytes:
        return json.dumps([self.count, self.last, self.chain.hex()]).encode()

    def state_hash(self) -> bytes:
        return hashlib.sha256(self.state()).digest()

    def restore(self, snapshot: Snapshot) -> None:
        self.count, self.last, chain = json.loads(snapshot.state)
        self.chain = bytes.fromhex(chain)


async def main(folder: Path) -> None:
    counter = Counter()
    journal = Journal(
        lambda: SqliteJournalFile(folder / "journal.db"),
        SnapshotFiles(folder / "snapshots"),
        retention=Retention(400_000, reserve_bytes=100_000),
    )
    for entry in journal.recover(counter.restore, counter.state_hash):
        counter.apply(entry)
    journal.start()
    print("found", counter.count, counter.last, flush=True)  # noqa: T201
    next_number = counter.last + 1

    def applied(entry: Entry) -> None:
        counter.apply(entry)
        # One system call: what the parent reads is what was acknowledged.
        os.write(1, b"%d\n" % counter.last)
        if journal.snapshot_due:
            assert journal.snapshot(counter.state(), counter.state_hash(), 0) is None
        submit()

    def failed(why: NotWritten) -> None:
        raise AssertionError(why)

    def submit() -> None:
        nonlocal next_number
        refused = journal.append(EntryKind.COMMAND, b"%d" % next_number, 0, applied, failed)
        assert refused is None, refused
        next_number += 1

    for _ in range(IN_FLIGHT):
        submit()
    await journal.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
