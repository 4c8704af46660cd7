"""The users of a data folder: a SQLite file that a running system and the command line share.

A row is a user or a key, as JSON. Refresh tokens are there as hashes only. A foreign file, a damaged one and one
of a newer tapewire are refused and left as they are.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import msgspec

from tapewire.adapters.sqlite_file import FileFormat, ForeignFileError, share, transaction
from tapewire.model.user_book import SigningKey, UserBook, UserEntry
from tapewire.ports.users import UserStoreError

__all__ = ["APPLICATION_ID", "FORMAT_VERSION", "SqliteUsers"]

#: "twus" in ASCII; shown by ``file(1)``.
APPLICATION_ID = 0x74777573
#: Grows with every change that an older tapewire would misread.
FORMAT_VERSION = 1
#: How long a program waits for another that is writing; that takes milliseconds.
BUSY_S = 5.0

_SCHEMA = """
    CREATE TABLE user (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, content TEXT NOT NULL);
    CREATE TABLE signing_key (number INTEGER PRIMARY KEY, content TEXT NOT NULL);
"""
FORMAT = FileFormat("a list of users", APPLICATION_ID, FORMAT_VERSION, _SCHEMA)


class SqliteUsers:
    """A ``ports.UserStore`` in one SQLite file. ``look`` works in a thread, everything else blocks.

    Args:
        path: The file; made for its user's eyes only if it does not exist, its folder is not.

    Raises:
        UserStoreError: The file cannot be opened, is damaged or foreign, or is of a newer format than this
            tapewire knows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # One call at a time, from whichever thread.
        self._lock = Lock()
        self._seen: int | None = None
        with self._translated():
            # SQLite would make it readable for others.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)
            self._database = sqlite3.connect(
                path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=16
            )
        try:
            with self._translated():
                share(self._database, path, FORMAT)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._database.close()

    def update(self, change: Callable[[UserBook], UserBook]) -> UserBook:
        """Replace the book by what ``change`` makes of it."""
        with self._lock, self._translated(), transaction(self._database):
            before = self._read()
            after = change(before)
            self._write(before, after)
        return after

    async def look(self) -> UserBook | None:
        """Return the book if another program has changed the file since the last call.

        That is one number of the file's first page.
        """
        version, book = await asyncio.to_thread(self._look, self._seen)
        # Here and not in the thread: whoever was cancelled meanwhile has not seen it.
        self._seen = version
        return book

    def _look(self, seen: int | None) -> tuple[int, UserBook | None]:
        with self._lock, self._translated():
            # Before the book: what changes in between is seen once more the next time, and not missed.
            (version,) = self._database.execute("PRAGMA data_version").fetchone()
            return version, None if version == seen else self._read()

    def _read(self) -> UserBook:
        try:
            # One statement sees one state of the file.
            rows = self._database.execute(
                "SELECT 0, number, content FROM user UNION ALL SELECT 1, number, content FROM signing_key"
                " ORDER BY 1, 2"
            ).fetchall()
            return UserBook(
                tuple(msgspec.json.decode(content, type=UserEntry) for kind, _, content in rows if kind == 0),
                tuple(msgspec.json.decode(content, type=SigningKey) for kind, _, content in rows if kind == 1),
            )
        except (msgspec.DecodeError, TypeError, UnicodeError) as error:
            # What stands there is not told.
            raise UserStoreError(f"{self._path} is damaged: a row cannot be read") from error

    def _write(self, before: UserBook, after: UserBook) -> None:
        known = {user.name: user for user in before.users}
        for name in known.keys() - {user.name for user in after.users}:
            self._database.execute("DELETE FROM user WHERE name = ?", (name,))
        for user in after.users:
            if user.name not in known:
                self._database.execute("INSERT INTO user (name, content) VALUES (?, ?)", (user.name, _text(user)))
            elif known[user.name] != user:
                self._database.execute("UPDATE user SET content = ? WHERE name = ?", (_text(user), user.name))
        if before.keys != after.keys:
            self._database.execute("DELETE FROM signing_key")
            self._database.executemany(
                "INSERT INTO signing_key (content) VALUES (?)", [(_text(key),) for key in after.keys]
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ForeignFileError as error:
            raise UserStoreError(str(error)) from error
        except OSError as error:
            raise UserStoreError(f"cannot use {self._path}: {error.strerror}") from error
        except sqlite3.Error as error:
            # The low byte is the primary code. Errors of the binding itself carry none.
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            said = "in use by another program" if code == sqlite3.SQLITE_BUSY else str(error)
            raise UserStoreError(f"cannot use {self._path}: {said}") from error


def _text(entry: UserEntry | SigningKey) -> str:
    return msgspec.json.encode(entry).decode()
