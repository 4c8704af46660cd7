"""The connections of a login, shared by the programs of one user on this machine: a locked file for each.

The system takes a lock from a process that ends, also from one that was killed. A process that is forked lets go
of what it inherits: the connections are its parent's. The files stay: to remove one that somebody is about to lock
would give the same slot to two. In each stands the number of the process that holds it, or that held it last; it
is read only to say who holds them all.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import os
import stat
import tempfile
import weakref
from pathlib import Path

from tapewire.ports.slots import NoSlot
from tapewire.protocol.limits import CONNECTIONS_PER_USER_MAX

__all__ = ["FileSlots"]

#: As many as any system's largest number has.
_PID_BYTES = 20

log = logging.getLogger("tapewire.client")


class FileSlots:
    """The slots of one broker's address.

    Where files cannot be locked (Windows, a folder that is not ours) every program counts for itself alone; the
    log says so once.
    """

    def __init__(
        self, endpoint: str, *, slots_max: int = CONNECTIONS_PER_USER_MAX, base: Path | None = None
    ) -> None:
        self._endpoint = endpoint
        self._slots_max = slots_max
        self._base = base
        self._has_warned = False

    def take(self, login: str) -> _FileSlot | NoSlot:
        """Take one more for a login, at once or not at all."""
        if importlib.util.find_spec("fcntl") is None:
            return _FileSlot(None)
        try:
            folder = self._folder(login)
            for number in range(self._slots_max):
                lock = _locked(folder / str(number))
                if lock is not None:
                    return _FileSlot(lock)
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                log.warning("connections are not shared with other programs: %s", error)
            return _FileSlot(None)
        holders = (_holder(folder / str(number)) for number in range(self._slots_max))
        return NoSlot(self._slots_max, tuple(pid for pid in holders if pid is not None))

    def _folder(self, login: str) -> Path:
        base = self._base or Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        top = base / f"tapewire-slots-{os.getuid()}"
        top.mkdir(mode=0o700, exist_ok=True)
        status = top.lstat()
        # The folder for temporary files belongs to everybody.
        is_private = stat.S_IMODE(status.st_mode) & 0o077 == 0
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or not is_private:
            raise PermissionError(f"{top} is not private")
        # Neither who nor where is to be read from the name.
        name = hashlib.sha256(f"{self._endpoint}\0{login}".encode()).hexdigest()[:32]
        folder = top / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


class _FileSlot:
    """One file that is locked while this is held; None: nothing was to be locked.

    One that nobody holds any more, because its loop was closed before its broker, is given back when it is
    collected.
    """

    def __init__(self, lock: int | None) -> None:
        self._lock = lock
        if lock is None:
            return
        self._unlocking = weakref.finalize(self, _unlock, lock)
        # The system unlocks at the end.
        self._unlocking.atexit = False
        _held.add(self)

    def release(self) -> None:
        """Give it back. More than once is as once."""
        if self._lock is not None:
            self._lock = None
            self._unlocking()

    def leave_to_parent(self) -> None:
        """Let go of it in a process that was forked; the other one still holds it."""
        lock, self._lock = self._lock, None
        if lock is not None:
            # Not unlocked: the lock is of both.
            self._unlocking.detach()
            with contextlib.suppress(OSError):
                os.close(lock)


#: Those of this process.
_held: weakref.WeakSet[_FileSlot] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for slot in tuple(_held):
        slot.leave_to_parent()
    _held.clear()


if hasattr(os, "register_at_fork"):  # where processes can be forked
    os.register_at_fork(after_in_child=_leave_all_to_parent)


def _unlock(lock: int) -> None:
    import fcntl

    # The lock belongs to the open file, which a process may have inherited that was forked while a fork could not
    # be seen: closing alone would leave it there.
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_UN)
    with contextlib.suppress(OSError):
        os.close(lock)


def _locked(file: Path) -> int | None:
    import fcntl

    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Padded: nothing of a longer number stays behind it. Where the disk is full the lock holds all the same.
        with contextlib.suppress(OSError):
            os.pwrite(lock, f"{os.getpid():<{_PID_BYTES}}".encode(), 0)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _holder(file: Path) -> int | None:
    """Return the process that holds a slot, None if the file does not say it."""
    try:
        return int(file.read_bytes()[:_PID_BYTES])
    except (OSError, ValueError):
        return None
