"""Who turns the writer: a thread with an owner."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from tapewire.journal.writer import Report, Writer

__all__ = ["Shell", "WriterThread"]


class Shell(Protocol):
    """Turns a writer while there is work and tells its reports on the loop, in order."""

    def start(self, writer: Writer, tell: Callable[[Report], None], broke: Callable[[Exception], None]) -> None:
        """Begin. Called on the loop, once. ``broke`` is called, once, when the writer cannot go on."""

    def wake(self) -> None:
        """Say that there is work. Called on the loop."""

    async def stop(self) -> None:
        """Let the writer do what there is, tell it, close its file and end.

        Cancelled, the work goes on until the disk answers.
        """


class WriterThread:
    """A ``Shell`` with a thread. A daemon: a disk that never answers must not keep the program from ending."""

    def __init__(self) -> None:
        self._has_work = threading.Event()
        self._is_stopping = False
        self._ended: asyncio.Future[None] | None = None

    def start(self, writer: Writer, tell: Callable[[Report], None], broke: Callable[[Exception], None]) -> None:
        """Begin with the running loop as the one that is told."""
        loop = asyncio.get_running_loop()
        ended = self._ended = loop.create_future()

        def work() -> None:
            try:
                self._work(writer, lambda report: loop.call_soon_threadsafe(tell, report))
            except Exception as error:  # noqa: BLE001 - the owner gets it
                _tell(loop, broke, error)
            try:
                writer.close()
            except Exception as error:  # noqa: BLE001 - the owner gets it
                _tell(loop, broke, error)
            _tell(loop, _end, ended)

        threading.Thread(target=work, name="journal", daemon=True).start()

    def wake(self) -> None:
        """Say that there is work."""
        self._has_work.set()

    async def stop(self) -> None:
        """Let the thread do what there is and end."""
        assert self._ended is not None, "only what was started stops"
        self._is_stopping = True
        self._has_work.set()
        await asyncio.shield(self._ended)

    def _work(self, writer: Writer, tell: Callable[[Report], object]) -> None:
        is_last = False
        while not is_last:
            self._has_work.wait()
            # Before the work, not behind it: what comes meanwhile is seen by another look.
            is_last = self._is_stopping
            self._has_work.clear()
            did_work = True
            while did_work:
                did_work, reports = writer.turn()
                for report in reports:
                    tell(report)


T = TypeVar("T")


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[T], None], what: T) -> None:
    """Call back on the loop, unless it has ended without waiting, and so has the program."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, what)


def _end(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
