"""The journal with its thread and a real file."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from journals import MemoryFile, MemorySnapshots, Owner
from tapewire.adapters.journal_file import SqliteJournalFile
from tapewire.adapters.snapshot_files import SnapshotFiles
from tapewire.journal import Journal, NotWritten
from tapewire.journal import journal as journal_module
from tapewire.ports.journal import JournalError

DEADLINE_S = 20.0


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await main

    asyncio.run(bounded())


def journal_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("journal", "snapshot"))]


async def durable(owner: Owner, journal: Journal, body: bytes) -> None:
    told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    assert owner.append(journal, body, then=lambda: told.set_result(None)) is None
    await told


class StubbornFile(MemoryFile):
    """A disk that answers when it is let, or does something nobody expects."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.error: Exception | None = None

    def append(self, first_sequence: int, records: Sequence[bytes]) -> None:
        if not self.let.wait(DEADLINE_S):
            raise JournalError("the test has forgotten its disk")
        if self.error is not None:
            raise self.error
        super().append(first_sequence, records)


def started(file: MemoryFile, owner: Owner) -> Journal:
    journal = Journal(lambda: file, MemorySnapshots())
    owner.recover(journal)
    return journal


def test_entries_and_snapshots_survive_and_no_thread_is_left(tmp_path: Path) -> None:
    async def main() -> None:
        owner = Owner()
        for number in range(3):
            journal = Journal(
                lambda: SqliteJournalFile(tmp_path / "journal.db"), SnapshotFiles(tmp_path / "snapshots")
            )
            owner = Owner()
            owner.recover(journal)
            assert len(owner.applied) == 200 * number
            waiting = [durable(owner, journal, b"%d-%d" % (number, n)) for n in range(200)]
            await asyncio.gather(*waiting)
            assert owner.snapshot(journal) is None
            await journal.close()
            assert journal.groups < 50
            assert journal.snapshot_failure == ""
        assert owner.applied == [b"%d-%d" % (number, n) for number in range(3) for n in range(200)]

    run(main())
    assert len(SnapshotFiles(tmp_path / "snapshots").sequences()) == 2
    assert not [name for name in journal_threads() if name == "journal"]


def test_callbacks_run_on_the_loop_and_the_loop_never_waits_for_the_disk() -> None:
    async def main() -> None:
        file, owner, seen = StubbornFile(), Owner(), []
        journal = started(file, owner)
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def then() -> None:
            seen.append(threading.current_thread() is threading.main_thread())
            told.set_result(None)

        owner.append(journal, b"a", then=then)
        for _ in range(100):
            await asyncio.sleep(0)
        assert owner.applied == []
        file.let.set()
        await told
        assert seen == [True]
        await journal.close()

    run(main())


def test_a_fault_that_nobody_expects_is_told_to_the_submitter_and_the_owner() -> None:
    async def main() -> None:
        file, owner = StubbornFile(), Owner()
        file.error = ZeroDivisionError("a fault of the program")
        file.let.set()
        journal = started(file, owner)
        await durable(owner, journal, b"a")
        assert owner.failed == [(b"a", NotWritten("a fault of the program", may_survive=True))]
        with pytest.raises(ZeroDivisionError):
            await journal.wait()
        assert journal.refusal == "the journal has stopped: a fault of the program"
        await journal.close()

    run(main())


def test_a_disk_that_never_answers_does_not_keep_the_program_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "CLOSE_S", 0.05)

    async def main() -> None:
        file, owner = StubbornFile(), Owner()
        journal = started(file, owner)
        owner.append(journal, b"a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await journal.close()
        assert owner.append(journal, b"b") == NotWritten("the journal is closed")
        file.let.set()

    run(main())
