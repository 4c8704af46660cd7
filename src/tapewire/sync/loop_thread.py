"""A thread with an event loop, on which other threads have coroutines run while they wait."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Generic, TypeVar

from tapewire.client.errors import ClosedError

__all__ = ["LoopThread"]

#: How long an interrupted call waits for what it has cancelled, so that it has let go when the next one begins.
CANCEL_WAIT_S = 5.0

T = TypeVar("T")

try:
    import uvloop
except ImportError:  # where uvloop does not exist, asyncio's own loop serves
    _new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    _new_loop = uvloop.new_event_loop


class _Work(Generic[T]):
    """A coroutine that runs on the loop while another thread waits."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> None:
        self.result: Future[T] = Future()
        self.has_ended = threading.Event()
        self._coroutine = coroutine
        self._loop = loop
        self._task: asyncio.Task[T] | None = None

    def begin(self) -> None:
        """Run it; on the loop."""
        self._task = asyncio.ensure_future(self._coroutine)
        self._task.add_done_callback(self._done)

    def close(self) -> None:
        """Never run it."""
        self._coroutine.close()

    def cancel(self) -> None:
        """Have it cancelled, and return when it has let go of everything; it has begun."""
        if not self.has_ended.is_set():
            self._loop.call_soon_threadsafe(self._cancel)
            self.has_ended.wait(CANCEL_WAIT_S)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _done(self, task: asyncio.Task[T]) -> None:
        self.has_ended.set()
        error = CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self.result.set_result(task.result())
        else:
            self.result.set_exception(error)


class LoopThread:
    """Runs coroutines for any number of threads, until it is stopped. One that was stopped stays so.

    A process that was forked has no such thread: for it, it is stopped.
    """

    def __init__(self, name: str) -> None:
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._end = asyncio.Event()
        # Whatever is handed over before the stop is on the loop before it, and is cancelled there.
        self._lock = threading.Lock()
        self._is_stopped = False
        self._process = os.getpid()
        # A program that forgets to stop it ends all the same.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._loop = self._started.result()

    @property
    def is_own(self) -> bool:
        """Whether the caller runs on this thread."""
        return threading.current_thread() is self._thread

    @property
    def is_stopped(self) -> bool:
        """Whether nothing runs on it any more."""
        return self._is_stopped or self._is_of_another_process

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and return its result or raise its error. Interrupted (Ctrl-C), it is cancelled.

        Raises:
            ClosedError: The loop was stopped, before or meanwhile.
            RuntimeError: The caller runs on this loop, which would wait for itself.
        """
        if self.is_own and not self._is_of_another_process:
            work.close()
            raise RuntimeError("a blocking call on the loop of tapewire.sync would wait for itself")
        running = _Work(work, self._loop)
        try:
            self._hand_over(running)
            return running.result.result()
        except CancelledError:
            raise ClosedError("the broker was closed") from None
        except ClosedError:
            raise
        except BaseException:
            running.cancel()
            raise

    def look(self, read: Callable[[], T]) -> T:
        """Return what ``read`` returns on the loop, where nothing changes meanwhile; once that has ended, here."""

        async def on_the_loop() -> T:
            return read()

        if not self.is_own:
            try:
                return self.call(on_the_loop())
            except ClosedError:
                if not self._is_stopped:
                    raise
                # Waits for its last steps.
                self.stop()
        return read()

    def post(self, work: Coroutine[Any, Any, None]) -> None:
        """Have a coroutine run without waiting for its end; raises ``ClosedError`` as ``call`` does."""
        self._hand_over(_Work(work, self._loop))

    def stop(self) -> None:
        """Cancel what runs, end loop and thread, and return when they have ended; nothing in a forked process."""
        if self._is_of_another_process:
            return
        with self._lock:
            if not self._is_stopped:
                self._is_stopped = True
                self._loop.call_soon_threadsafe(self._end.set)
        if not self.is_own:
            self._thread.join()

    def _hand_over(self, work: _Work[Any]) -> None:
        if self._is_of_another_process:  # the lock may have been held when it was forked
            work.close()
            raise ClosedError("the broker belongs to the process that this one was forked from: connect here anew")
        with self._lock:
            if self._is_stopped:
                work.close()
                raise ClosedError("the broker was closed")
            self._loop.call_soon_threadsafe(work.begin)

    @property
    def _is_of_another_process(self) -> bool:
        return os.getpid() != self._process

    def _run(self) -> None:
        try:
            # Cancels what is left and ends generators and threads of the loop's own.
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._main())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _main(self) -> None:
        self._started.set_result(asyncio.get_running_loop())
        await self._end.wait()
