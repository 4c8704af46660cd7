"""The journal's file: SQLite in WAL mode, synced at every commit.

One file has one owner: it is locked from opening to ``close`` or to the end of the process, however that comes.
The format is stated in the file itself (``application_id`` and ``user_version``), so that neither a foreign
file nor one of a newer tapewire is ever written into.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tapewire.adapters.sqlite_file import FileFormat, ForeignFileError, claim, transaction
from tapewire.ports.journal import JournalError

__all__ = ["APPLICATION_ID", "FORMAT_VERSION", "LOG_BYTES_KEPT", "SqliteJournalFile"]

#: "tape" in ASCII; shown by ``file(1)``.
APPLICATION_ID = 0x74617065
#: Grows with every change that an older tapewire would misread.
FORMAT_VERSION = 1

#: SQLite's own log beside the file keeps so much room at most; it is not in ``used_bytes``.
LOG_BYTES_KEPT = 8 << 20

#: Rows read or deleted at a time: the lock is free in between, so a long read does not stop the writer.
_CHUNK_ROWS = 4_096
_SCHEMA = """
    CREATE TABLE record (sequence INTEGER PRIMARY KEY, payload BLOB NOT NULL);
    CREATE TABLE dropped (before_sequence INTEGER NOT NULL);
    INSERT INTO dropped VALUES (0);
"""
FORMAT = FileFormat("a journal", APPLICATION_ID, FORMAT_VERSION, _SCHEMA)


class SqliteJournalFile:
    """A ``ports.JournalFile`` in one SQLite file. Methods may be called from any thread; they exclude each other.

    Args:
        path: The file; made if it does not exist, its folder is not.

    Raises:
        JournalError: The file cannot be opened or locked, is damaged, is not a journal, or is of a newer
            format than this tapewire knows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        #: Why the file takes nothing any more, once that is so.
        self._refusal = ""
        self._is_damaged = False
        with self._translated():
            # The lock is never waited for: its holder keeps it as long as it lives.
            self._database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            with self._translated():
                claim(self._database, self._path, FORMAT)
                self._make_durable()
                self._next_sequence = self._stored_next_sequence()
                # A log that has grown gives its room back with the next checkpoint.
                self._database.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_KEPT}")
        except BaseException:
            self._database.close()
            raise

    @property
    def next_sequence(self) -> int:
        """The sequence that the next record must have; 0 in a new file."""
        return self._next_sequence

    @property
    def first_sequence(self) -> int:
        """The sequence of the oldest record that is kept; ``next_sequence`` if none is.

        Raises:
            JournalError: The file cannot be read.
        """
        with self._usable() as database:
            (oldest,) = database.execute("SELECT min(sequence) FROM record").fetchone()
        return self._next_sequence if oldest is None else int(oldest)

    @property
    def used_bytes(self) -> int:
        """Bytes of the file's pages that hold something. The file itself never shrinks: free pages are used again.

        Raises:
            JournalError: The file cannot be read.
        """
        with self._usable() as database:
            pages, free, page_bytes = (
                database.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * page_bytes)

    def append(self, first_sequence: int, records: Sequence[bytes]) -> None:
        """Write records in one transaction and return when it is synced: all of them or, after an error, none.

        A full disk may be tried again. After any other error of the disk the file takes nothing until it is
        opened anew: whether a failed sync has written or lost its pages, nobody can tell but a fresh reader.

        Raises:
            JournalError: The disk refused, or ``first_sequence`` does not follow the last record.
        """
        with self._usable() as database:
            if first_sequence != self._next_sequence:
                raise JournalError(
                    f"{self._path}: sequence {first_sequence} does not follow; {self._next_sequence} is next"
                )
            rows = enumerate(records, first_sequence)
            with transaction(database):
                database.executemany("INSERT INTO record VALUES (?, ?)", rows)
            self._next_sequence += len(records)

    def read(self, from_sequence: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield records with their sequences, from ``from_sequence`` or the oldest kept on.

        Records appended or dropped while the reader is on its way may be seen or not.

        Raises:
            JournalError: The file cannot be read, is closed, or lacks a record in its middle.
        """
        expected: int | None = None
        while True:
            with self._usable() as database:
                rows = database.execute(
                    # A damaged page may give a payload another type; whoever reads it finds out.
                    "SELECT sequence, CAST(payload AS BLOB) FROM record"
                    " WHERE sequence >= ? ORDER BY sequence LIMIT ?",
                    (from_sequence if expected is None else expected, _CHUNK_ROWS),
                ).fetchall()
                (dropped_before,) = database.execute("SELECT before_sequence FROM dropped").fetchone()
            for sequence, payload in rows:
                if expected is not None and sequence != max(expected, dropped_before):
                    raise JournalError(f"{self._path}: record {expected} is missing")
                yield sequence, payload
                expected = sequence + 1
            if len(rows) < _CHUNK_ROWS:
                return

    def drop_before(self, sequence: int) -> None:
        """Forget the records older than ``sequence``, durably. ``next_sequence`` stays.

        The oldest go first, some thousand a transaction: a crash leaves a shorter journal without holes.

        Raises:
            JournalError: The disk refused; the records that are left are the newest.
        """
        while True:
            with self._usable() as database:
                target = min(sequence, self._next_sequence)
                with transaction(database):
                    database.execute(
                        "DELETE FROM record WHERE sequence IN"
                        " (SELECT sequence FROM record WHERE sequence < ? ORDER BY sequence LIMIT ?)",
                        (target, _CHUNK_ROWS),
                    )
                    (oldest,) = database.execute(
                        "SELECT min(sequence) FROM record WHERE sequence < ?", (target,)
                    ).fetchone()
                    database.execute(
                        "UPDATE dropped SET before_sequence = max(before_sequence, ?)",
                        (target if oldest is None else oldest,),
                    )
            if oldest is None:
                return

    def cut_from(self, sequence: int) -> None:
        """Forget the record ``sequence`` and all newer ones in one transaction; it is the next one then.

        Raises:
            JournalError: The disk refused; nothing is forgotten.
        """
        with self._usable() as database:
            with transaction(database):
                database.execute("DELETE FROM record WHERE sequence >= ?", (sequence,))
            # Numbers that were dropped at the old end are never given again.
            self._next_sequence = self._stored_next_sequence()

    def close(self) -> None:
        """Release the file; every later call but ``close`` is refused."""
        with self._lock:
            self._refusal = self._refusal or "the file is closed"
            with self._translated():
                self._database.close()

    def _make_durable(self) -> None:
        """Move all that SQLite's log has into the file itself, synced, and begin an empty log.

        A killed program may have written commits that it never synced, or whose sync has failed. The system still
        shows them, a loss of power would take them, and a sync of the log alone may pass over them. To be moved
        they are written once more.
        """
        (is_busy, *_) = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            raise JournalError(f"{self._path}: in use by another process")

    def _stored_next_sequence(self) -> int:
        (next_sequence,) = self._database.execute(
            "SELECT max(ifnull((SELECT max(sequence) + 1 FROM record), 0), before_sequence) FROM dropped"
        ).fetchone()
        assert isinstance(next_sequence, int)
        return next_sequence

    @contextmanager
    def _usable(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._refusal:
                raise JournalError(
                    f"{self._path}: {self._refusal}", is_uncertain=True, is_damaged=self._is_damaged
                )
            with self._translated():
                yield self._database

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn errors of SQLite into ours, and remember those after which the file cannot be trusted."""
        try:
            yield
        except ForeignFileError as error:
            raise JournalError(str(error)) from error
        except sqlite3.Error as error:
            # The low byte is the primary code. Errors of the binding itself carry none.
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            is_uncertain = code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT)
            if is_uncertain:
                self._refusal = f"failed earlier and must be opened anew: {error}"
                self._is_damaged = code == sqlite3.SQLITE_CORRUPT
            said = "in use by another process" if code == sqlite3.SQLITE_BUSY else str(error)
            is_damaged = code == sqlite3.SQLITE_CORRUPT
            if is_damaged:
                said += ". Put the folder back from a copy, or let SQLite's own tools recover the file"
            raise JournalError(
                f"{self._path}: {said}", is_uncertain=is_uncertain, is_damaged=is_damaged
            ) from error
