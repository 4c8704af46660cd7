"""Where the trading systems that run on this machine are: one small file each, for its user's eyes only.

``connect()`` and the command line find a local system here, so that a first program needs no address and no
token. The system keeps its file locked and removes it when it ends. A file without a lock was left by one that
was killed, and is removed by whoever finds it: numbers of processes are used again, locks are not.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["RunningSystem", "announced", "running_systems"]


class RunningSystem(msgspec.Struct, frozen=True):
    """One system that runs on this machine."""

    pid: int
    #: Base of its addresses: ``http://host:port``.
    url: str
    refresh_token: str
    #: What the operator's interface wants to see.
    admin_token: str = ""

    def __repr__(self) -> str:
        return f"RunningSystem(pid={self.pid}, url={self.url!r}, ***)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # What pretty printers ask for instead.
        return [("pid", self.pid), ("url", self.url), ("refresh_token", "***"), ("admin_token", "***")]


def _can_lock() -> bool:
    """Whether a system that runs can be told from one that was killed: not on Windows."""
    return importlib.util.find_spec("fcntl") is not None


def _folder() -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"tapewire-{os.getuid()}"


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can put files there: the folder for temporary files belongs to everybody."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    is_private = stat.S_IMODE(status.st_mode) & 0o077 == 0
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and is_private


@contextlib.contextmanager
def announced(system: RunningSystem) -> Iterator[None]:
    """Let programs of this user find the system while the block runs.

    Where that is impossible (no locks, no writable folder, or one that is not ours) the system runs all the same.
    """
    if not _can_lock():
        yield
        return
    folder = _folder()
    file = folder / f"{system.pid}-{system.url.rpartition(':')[2]}.json"
    try:
        lock = _write(folder, file, msgspec.json.encode(system))
    except OSError:
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            # Somebody may have tidied up; another system may have its file here still.
            with contextlib.suppress(OSError):
                file.unlink()
            with contextlib.suppress(OSError):
                folder.rmdir()
            os.close(lock)


def _write(folder: Path, file: Path, content: bytes) -> int:
    """Put the file in its place, locked and complete from the first moment; returns the lock."""
    import fcntl

    folder.mkdir(mode=0o700, exist_ok=True)
    if not _is_ours(folder):
        raise PermissionError(f"{folder} is not private")
    draft = file.with_suffix(".new")
    lock = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, content)
        draft.replace(file)
    except BaseException:
        os.close(lock)
        raise
    return lock


def running_systems() -> list[RunningSystem]:
    """Return the systems of this user that run on this machine, oldest first; none where there are no locks."""
    if not _can_lock():
        return []
    folder = _folder()
    if not _is_ours(folder):
        return []
    found = []
    for file in sorted(folder.glob("*.json"), key=_age):
        with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            if _is_left(file):
                file.unlink()
            else:
                found.append(msgspec.json.decode(file.read_bytes(), type=RunningSystem))
    return found


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _is_left(file: Path) -> bool:
    """Whether the system that wrote the file has ended without removing it."""
    import fcntl

    with file.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
