"""Composition root of what is done to a data folder while no system runs on it. Needs none of the extras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tapewire.adapters.data_folder import DataFolder, DataFolderError
from tapewire.adapters.journal_file import SqliteJournalFile
from tapewire.adapters.snapshot_files import SnapshotFiles
from tapewire.journal import Check, check, export, plan_repair, removed_by
from tapewire.ports.journal import JournalError, JournalFile, SnapshotStore
from tapewire.venues.entries import decode_body

__all__ = ["MaintenanceError", "Repaired", "check_journal", "export_journal", "repair_journal"]


class MaintenanceError(Exception):
    """It cannot be done; the text is one line that says why."""


class Repaired(NamedTuple):
    """What a repair has removed: records, and the file that holds them now. None: nothing was to be done."""

    records: int
    copy: Path | None


def check_journal(data: Path) -> Check:
    """Read all of a folder's journal, changing nothing that a start would not change.

    Raises:
        MaintenanceError: There is none, a system runs on it, or it cannot be read.
    """
    with _opened(data) as (_, file, snapshots):
        return check(file, snapshots)


def repair_journal(data: Path) -> Repaired:
    """Remove the least that keeps a system from starting; what is removed is copied first.

    Raises:
        MaintenanceError: As for ``check_journal``, or no repair can help; nothing was removed.
    """
    with _opened(data) as (folder, file, snapshots):
        repair = plan_repair(file, snapshots)
        records = max(repair.drop_before - file.first_sequence, 0) + max(file.next_sequence - repair.cut_from, 0)
        if records == 0:
            return Repaired(0, None)
        copy = folder.keep_copy("journal-removed", removed_by(repair, file))
        repair.carry_out(file)
        return Repaired(records, copy)


def export_journal(data: Path) -> Iterator[bytes]:
    """Yield the journal as lines of JSON, oldest entry first.

    Raises:
        MaintenanceError: As for ``check_journal``.
    """
    with _opened(data) as (_, file, _snapshots):
        yield from export(file, decode_body)


@contextmanager
def _opened(data: Path) -> Iterator[tuple[DataFolder, JournalFile, SnapshotStore]]:
    folder = DataFolder(data)
    if not folder.journal.is_file():
        raise MaintenanceError(f"there is no journal in {data}")
    try:
        folder.open()
        try:
            file = SqliteJournalFile(folder.journal)
            try:
                yield folder, file, SnapshotFiles(folder.snapshots)
            finally:
                file.close()
        finally:
            folder.close()
    except (DataFolderError, JournalError) as error:
        raise MaintenanceError(str(error)) from error
