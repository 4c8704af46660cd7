"""The folder in which a trading system keeps what must outlive it: who its users are and how it signs.

The folder carries a version, in the file of the identity. An older folder is brought to this version step by step
before anything else in it is touched; a newer one is refused, not misread. One system at a time may have it.

=======  =================================================================================================
version  what is in the folder
=======  =================================================================================================
1        ``identity.json``, ``market.db`` (the archive)
2        also ``journal.db`` and ``snapshots``: a program that knows no journal must not trade on it
=======  =================================================================================================
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["DataFolder", "DataFolderError", "Identity"]

VERSION = 2


class DataFolderError(Exception):
    """The folder cannot be used; the text says why in one line."""


class Identity(msgspec.Struct, frozen=True):
    """What the tokens of a system depend on."""

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


def _to_2(identity: Identity) -> Identity:
    # What is new begins empty.
    return msgspec.structs.replace(identity, version=2)


#: From each version to the next one.
_STEPS: dict[int, Callable[[Identity], Identity]] = {1: _to_2}
assert sorted(_STEPS) == list(range(1, VERSION))


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
            raise DataFolderError(f"cannot use {self.path}: another system is running on it") from error
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

    def identity(self, new: Identity) -> Identity:
        """Return the identity kept here; in a new folder ``new`` is kept from now on.

        A folder of an older version is of this version afterwards.

        Raises:
            DataFolderError: It cannot be read or written, or a newer program has written it.
        """
        file = self.path / "identity.json"
        try:
            content = file.read_bytes()
            # First the version alone: the rest of a newer file may look different.
            if msgspec.json.decode(content, type=_Version).version > VERSION:
                raise DataFolderError(f"{file} was written by a newer version of tapewire")
            kept = msgspec.json.decode(content, type=Identity)
        except FileNotFoundError:
            self._write(file, [msgspec.json.encode(new)])
            return new
        except OSError as error:
            raise DataFolderError(f"cannot read {file}: {error.strerror}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataFolderError(f"cannot read {file}: it is damaged ({error})") from error
        if kept.version < min(_STEPS):
            raise DataFolderError(f"cannot read {file}: it is damaged (there is no version {kept.version})")
        if kept.version == VERSION:
            return kept
        while kept.version < VERSION:
            kept = _STEPS[kept.version](kept)
        self._write(file, [msgspec.json.encode(kept)])
        return kept

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
