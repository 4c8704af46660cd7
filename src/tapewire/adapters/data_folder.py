"""The folder in which a trading system keeps what must outlive it.

The folder carries a version, in the file ``identity.json``. An older folder is brought to this version before
anything else in it is touched; a newer one is refused, not misread. One system at a time may have it; its users
are changed beside it too.

=======  =================================================================================================
version  what is in the folder
=======  =================================================================================================
1        ``identity.json`` with the signing key and the refresh token of one user, ``market.db`` (the archive)
2        also ``journal.db`` and ``snapshots``: a program that knows no journal must not trade on it
3        ``users.db`` with users, hashes of refresh tokens and keys; ``identity.json`` is the version alone
=======  =================================================================================================
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

__all__ = ["DataFolder", "DataFolderError", "FolderInUseError", "Identity"]

T = TypeVar("T")

VERSION = 3


class DataFolderError(Exception):
    """The folder cannot be used; the text says why in one line."""


class FolderInUseError(DataFolderError):
    """A system is running on it."""


class Identity(msgspec.Struct, frozen=True):
    """What the tokens of a system depended on up to version 2; both are secrets in clear text."""

    version: int
    #: Private key that signs access tokens, PEM.
    signing_key: str
    #: Refresh token of the demo user.
    refresh_token: str

    def __repr__(self) -> str:
        return f"Identity(version={self.version}, ***)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # What pretty printers ask for instead.
        return [("version", self.version), ("signing_key", "***"), ("refresh_token", "***")]


class _Version(msgspec.Struct, frozen=True):
    """What a file of any version has."""

    version: int


class DataFolder:
    """A folder that belongs to one running system."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folder if it is not there and keep others out.

        Raises:
            DataFolderError: It cannot be made or written, or another system has it.
        """
        try:
            import fcntl
        except ImportError as error:
            raise DataFolderError(f"cannot use {self.path}: files cannot be locked on this machine") from error
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataFolderError(f"cannot use {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise FolderInUseError(f"cannot use {self.path}: another system is running on it") from error
        except OSError as error:
            self.close()
            raise DataFolderError(f"cannot lock {self.path}: {error.strerror}") from error

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.path / "journal.db"

    @property
    def snapshots(self) -> Path:
        """The folder of the snapshots that belong to the journal."""
        return self.path / "snapshots"

    @property
    def users(self) -> Path:
        """The file of users and keys."""
        return self.path / "users.db"

    def keep_copy(self, name: str, lines: Iterable[bytes]) -> Path:
        """Write lines to a new file whose name begins so, and return it when it is durable.

        Raises:
            DataFolderError: It cannot be written.
        """
        number = 0
        while (file := self.path / f"{name}-{number}.jsonl").exists():
            number += 1
        self._write(file, lines)
        return file

    def close(self) -> None:
        """Let others have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def version(self) -> int | None:
        """Return the version of what is here; None: nothing is.

        Raises:
            DataFolderError: It cannot be read, or a newer program has written it.
        """
        content = self._identity()
        if content is None:
            return None
        return self._decoded(content, _Version).version

    def secrets_in_clear(self) -> Identity | None:
        """Return what a folder of an older version keeps in clear text; None: it is new, or of this version.

        Raises:
            DataFolderError: As for ``version``.
        """
        content = self._identity()
        if content is None or self._decoded(content, _Version).version == VERSION:
            return None
        return self._decoded(content, Identity)

    def mark(self) -> None:
        """Make the folder one of this version, in which no secret stands in clear text.

        Raises:
            DataFolderError: It cannot be written.
        """
        self._write(self.path / "identity.json", [msgspec.json.encode(_Version(VERSION))])

    def _identity(self) -> bytes | None:
        file = self.path / "identity.json"
        try:
            return file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataFolderError(f"cannot read {file}: {error.strerror}") from error

    def _decoded(self, content: bytes, kind: type[T]) -> T:
        file = self.path / "identity.json"
        try:
            # First the version alone: the rest of a newer file may look different.
            version = msgspec.json.decode(content, type=_Version).version
            if version > VERSION:
                raise DataFolderError(f"{file} was written by a newer version of tapewire")
            if version < 1:
                raise DataFolderError(f"cannot read {file}: it is damaged (there is no version {version})")
            return msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataFolderError(f"cannot read {file}: it is damaged ({error})") from error

    def _write(self, file: Path, pieces: Iterable[bytes]) -> None:
        draft = file.with_suffix(".new")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.writelines(pieces)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(file)
            self._sync_folder()
        except OSError as error:
            raise DataFolderError(f"cannot write {file}: {error.strerror}") from error

    def _sync_folder(self) -> None:
        """Make the new name durable, not only what stands behind it."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
