"""Where the trading systems that run on this machine are: one small file each, for its user's eyes only.

``connect()`` and the command line find a local system here, so that a first program needs no address and no
token. The file is removed when the system ends; the file of one that was killed is recognised and removed.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

__all__ = ["RunningSystem", "announced", "running_systems"]


class RunningSystem(msgspec.Struct, frozen=True):
    """One system that runs on this machine."""

    pid: int
    #: Base of its addresses: ``http://host:port``.
    url: str
    refresh_token: str

    def __repr__(self) -> str:
        return f"RunningSystem(pid={self.pid}, url={self.url!r}, ***)"


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

    Where that is impossible (no writable folder, or one that is not ours) the system runs all the same.
    """
    folder = _folder()
    file = folder / f"{system.pid}-{system.url.rpartition(':')[2]}.json"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_ours(folder):
            raise PermissionError(f"{folder} is not private")
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(msgspec.json.encode(system))
    except OSError:
        yield
        return
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        # Another system may have its file here still.
        with contextlib.suppress(OSError):
            folder.rmdir()


def running_systems() -> list[RunningSystem]:
    """Return the systems of this user that run on this machine, oldest first."""
    folder = _folder()
    if not _is_ours(folder):
        return []
    found = []
    for file in sorted(folder.glob("*.json"), key=_age):
        try:
            system = msgspec.json.decode(file.read_bytes(), type=RunningSystem)
        except (OSError, msgspec.DecodeError):
            continue
        if _is_alive(system.pid):
            found.append(system)
        else:
            file.unlink(missing_ok=True)
    return found


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
