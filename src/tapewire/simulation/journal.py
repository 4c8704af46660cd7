"""A journal's writer turned by the loop itself: on virtual time, without a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tapewire.journal.writer import Report, Writer

__all__ = ["LoopShell"]


class LoopShell:
    """A ``journal.shell.Shell`` on the running loop, one turn of the writer a turn of the loop.

    Args:
        turn_s: What a piece of the disk's work takes, on the loop's time, before it is done.
    """

    def __init__(self, *, turn_s: float = 0.0) -> None:
        self.turn_s = turn_s
        self._writer: Writer | None = None
        self._tell: Callable[[Report], None] | None = None
        self._is_turning = False
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self, writer: Writer, tell: Callable[[Report], None], broke: Callable[[Exception], None]) -> None:
        """Begin. What a turn raises ends the run, as a fault of the code under test should."""
        self._writer, self._tell = writer, tell

    def wake(self) -> None:
        """Say that there is work."""
        if not self._is_turning:
            self._is_turning = True
            self._idle.clear()
            self._schedule()

    async def stop(self) -> None:
        """Do what there is, then release the file."""
        assert self._writer is not None, "only what was started stops"
        self.wake()
        await self._idle.wait()
        self._writer.close()

    def abandon(self) -> None:
        """Do nothing more and tell nothing more, as a machine without power."""
        self._writer = None

    def _schedule(self) -> None:
        asyncio.get_running_loop().call_later(self.turn_s, self._turn)

    def _turn(self) -> None:
        if self._writer is None or self._tell is None:
            return
        did_work, reports = self._writer.turn()
        for report in reports:
            self._tell(report)
        if did_work:
            self._schedule()
        else:
            self._is_turning = False
            self._idle.set()
