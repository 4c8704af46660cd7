"""A file of SQLite that is ours: whose it is, in which format, durable at every commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

__all__ = ["FileFormat", "ForeignFileError", "claim", "share", "transaction"]


class ForeignFileError(Exception):
    """The file is not one of ours, is newer than this program, or cannot be made durable."""


class FileFormat(NamedTuple):
    """What a kind of file is known by."""

    #: With its article, for people: ``a journal``.
    kind: str
    application_id: int
    version: int
    #: Makes the tables of a new file.
    schema: str


def claim(database: sqlite3.Connection, path: Path, file_format: FileFormat) -> None:
    """Lock a file that was just connected to, check whose it is, and make the tables of a new one.

    Raises:
        ForeignFileError: It is not of this format.
        sqlite3.Error: It cannot be read or written.
    """
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    is_new = _is_new(database, path, file_format)
    (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise ForeignFileError(f"{path}: no write-ahead log is possible here")
    database.execute("PRAGMA synchronous = FULL")
    # Where a plain fsync stops at the drive's cache (macOS); elsewhere this means nothing.
    database.execute("PRAGMA fullfsync = ON")
    if is_new:
        _make(database, file_format)
    else:
        # Takes the lock at once rather than with the first write.
        with transaction(database):
            pass


def share(database: sqlite3.Connection, path: Path, file_format: FileFormat) -> None:
    """Check whose a file is that several programs have open at a time, and make the tables of a new one.

    It is one file, without a log beside it but while something is being written; what is deleted is overwritten.

    Raises:
        ForeignFileError: It is not of this format.
        sqlite3.Error: It cannot be read or written.
    """
    _is_new(database, path, file_format)
    database.execute("PRAGMA journal_mode = DELETE")
    # Also syncs the folder, from which the journal of a commit has to be gone.
    database.execute("PRAGMA synchronous = EXTRA")
    database.execute("PRAGMA fullfsync = ON")
    database.execute("PRAGMA secure_delete = ON")
    with transaction(database):
        # Once more behind the lock: another program may have made the tables meanwhile.
        if _is_new(database, path, file_format):
            for statement in _statements(file_format):
                database.execute(statement)


def _is_new(database: sqlite3.Connection, path: Path, file_format: FileFormat) -> bool:
    (application_id,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    is_new = (application_id, version, tables) == (0, 0, 0)
    if not is_new and application_id != file_format.application_id:
        raise ForeignFileError(f"{path} is not {file_format.kind} of tapewire")
    if version > file_format.version:
        raise ForeignFileError(f"{path} has format {version}; this tapewire knows up to {file_format.version}")
    return is_new


def _make(database: sqlite3.Connection, file_format: FileFormat) -> None:
    # One transaction: a crash in here leaves an empty file, which is a new one again.
    database.executescript(f"BEGIN IMMEDIATE; {'; '.join(_statements(file_format))}; COMMIT;")


def _statements(file_format: FileFormat) -> list[str]:
    marks = [
        f"PRAGMA application_id = {file_format.application_id}",
        f"PRAGMA user_version = {file_format.version}",
    ]
    return [text.strip() for text in file_format.schema.split(";") if text.strip()] + marks


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block does, or nothing of it."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back by itself.
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
