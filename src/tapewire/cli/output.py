"""Standard output of a program that must live on when whoever reads it stops.

A pipe that nobody reads blocks its writer. Written from the event loop that would stop everything else: the reader
of the socket, a whole trading system, even signals. So a thread of its own writes, and only the task waits.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from queue import SimpleQueue

__all__ = ["Output"]


class Output:
    """A file descriptor that tasks write to, in the order of their calls."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stdout.fileno() if descriptor is None else descriptor
        # Each task waits for its own write, so there are never more in here than tasks.
        self._jobs: SimpleQueue[tuple[bytes, asyncio.Future[None]]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def write(self, data: bytes) -> None:
        """Return when the reader's side has taken all of ``data``. Cancelled, the data may still be written.

        Raises:
            BrokenPipeError: Whoever read has gone.
            OSError: It cannot be written.
        """
        if self._thread is None:
            # A daemon: a write that nobody takes must not keep the program from ending. It writes past
            # ``sys.stdout``, whose lock would be waited for at the end.
            self._thread = threading.Thread(target=self._work, name="output", daemon=True)
            self._thread.start()
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs.put((data, written))
        await written

    def _work(self) -> None:
        while True:
            data, written = self._jobs.get()
            error: OSError | None = None
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError as caught:
                error = caught
            try:
                written.get_loop().call_soon_threadsafe(_settle, written, error)
            except RuntimeError:  # the loop has ended, and so has the program
                return


def _settle(written: asyncio.Future[None], error: OSError | None) -> None:
    if written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
