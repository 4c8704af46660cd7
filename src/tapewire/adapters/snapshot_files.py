"""Snapshots as files of a folder: each is written beside its name, synced, and then put in place in one step."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tapewire.ports.journal import JournalError

__all__ = ["SnapshotFiles"]

_SUFFIX = ".snapshot"
_DRAFT_SUFFIX = ".new"


class SnapshotFiles:
    """A ``ports.SnapshotStore``. A draft that a crash has left is removed with the next opening.

    Args:
        folder: Where they are; made if it does not exist, its parent is not.

    Raises:
        JournalError: The folder cannot be made or read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._translated():
            folder.mkdir(mode=0o700, exist_ok=True)
            for draft in folder.glob(f"*{_DRAFT_SUFFIX}"):
                draft.unlink()
            # A killed program may have put a snapshot in place and not synced its name.
            self._sync_folder()

    def sequences(self) -> Sequence[int]:
        """Return the sequences of all that are kept, oldest first; files of other names are left alone.

        Raises:
            JournalError: The folder cannot be read.
        """
        with self._translated():
            stems = [file.stem for file in self._folder.iterdir() if file.suffix == _SUFFIX]
        return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdecimal())

    def load(self, sequence: int) -> bytes:
        """Return the content of one.

        Raises:
            JournalError: It is not there or cannot be read.
        """
        with self._translated():
            return self._file(sequence).read_bytes()

    def save(self, sequence: int, content: bytes) -> None:
        """Keep one; on return its content and its name are synced.

        Raises:
            JournalError: The disk refused; what was there before still is.
        """
        file = self._file(sequence)
        draft = file.with_suffix(_DRAFT_SUFFIX)
        with self._translated():
            try:
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                draft.replace(file)
            except OSError:
                # On a full disk half a draft is in everybody's way.
                draft.unlink(missing_ok=True)
                raise
            self._sync_folder()

    def remove(self, sequence: int) -> None:
        """Forget one; without it nothing happens.

        Raises:
            JournalError: The disk refused.
        """
        with self._translated():
            self._file(sequence).unlink(missing_ok=True)
            self._sync_folder()

    @property
    def used_bytes(self) -> int:
        """Bytes of all of them.

        Raises:
            JournalError: The folder cannot be read.
        """
        with self._translated():
            return sum(self._file(sequence).stat().st_size for sequence in self.sequences())

    def _file(self, sequence: int) -> Path:
        return self._folder / f"{sequence:020}{_SUFFIX}"

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JournalError(f"{error.filename or self._folder}: {error.strerror}") from error
