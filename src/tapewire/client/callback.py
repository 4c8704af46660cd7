"""Functions of the program that are called with every record of a stream, each by a task of its own.

::

    opening ──► consuming ──► ended: the stream is over, or the callback was stopped
       └── nobody there ──► pause ──► opening …

The reader knows nothing of it: records wait in the stream's buffer, whose policy says what becomes of them while a
call lasts. What a function raises is told and counted, and the next record comes.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial, wraps
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from tapewire.client.errors import ClosedError, TapewireError
from tapewire.client.events import CallbackEndedEvent, CallbackFailedEvent, Events
from tapewire.client.gap import Gap
from tapewire.client.subscription import BATCH_RECORDS_MAX, Subscription
from tapewire.model import Record

__all__ = ["Callback", "Callbacks", "HasCallbacks", "calling"]

R = TypeVar("R", bound=Record)
P = ParamSpec("P")

#: Of the failures of one callback one is told in so many seconds; all are counted.
FAILURE_TOLD_EVERY_S = 10.0
#: Pauses between tries to open a stream: doubled from the first to the last. There is no last try.
REOPEN_PAUSE_S, REOPEN_PAUSE_MAX_S = 1.0, 60.0
#: A function that does not end when it is cancelled is cancelled again, so often and in so many seconds.
CANCELS_MAX, CANCEL_EVERY_S = 5, 1.0


class Callback(Generic[R]):
    """A function that is called with the records of one stream, one after the other. Made by decorators.

    It can be called as the function itself. ``subscription`` is its stream, for state and counters.
    """

    def __init__(
        self,
        function: Callable[[R], Any],
        make: Callable[[], Subscription[R]],
        events: Events,
        owner: Callbacks,
    ) -> None:
        self.function = function
        self.subscription = make()
        #: Records that the function was called with, and how often it has raised.
        self.called = 0
        self.failed = 0
        #: Why there are no more records; None while there may be, and after :meth:`close`.
        self.error: TapewireError | None = None
        self._make = make
        self._events = events
        self._owner = owner
        self._gap_function: Callable[[Gap], Any] | None = None
        self._failure_told_at_s: float | None = None
        self._is_stopping = False
        # Wakes it from the pause between two tries.
        self._stopped = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"callback of {self.subscription.name}")
        self._task.add_done_callback(self._done)

    def __repr__(self) -> str:
        ended = " ended" if self.has_ended else ""
        return f"<Callback {self.subscription.name}{ended}, {self.called} calls, {self.failed} failed>"

    def __call__(self, record: R) -> Any:
        """Call the function as if it had not been decorated."""
        return self.function(record)

    @property
    def has_ended(self) -> bool:
        """Whether the function is never called again."""
        return self._task.done()

    @property
    def is_calling_this(self) -> bool:
        """Whether whoever asks runs inside of the function."""
        return self._task is asyncio.current_task()

    def on_gap(self, function: Callable[[Gap], Any]) -> Callable[[Gap], Any]:
        """Have a function called with each ``Gap`` that could not be filled, in its place among the records."""
        self._gap_function = function
        return function

    def stop(self) -> None:
        """Call the function no more, once the running call is over; for use inside of it."""
        self._is_stopping = True
        self._stopped.set()
        self.subscription.close_nowait()

    async def close(self) -> None:
        """Cancel the running call, if there is one, and return when nothing of the callback is left.

        From inside the function it returns at once, and the running call is the last.
        """
        self.stop()
        if self.is_calling_this:
            return
        for _ in range(CANCELS_MAX):
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CANCEL_EVERY_S)
            if self._task.done():
                return
        self._tell_ended(f"it does not end when it is cancelled ({CANCELS_MAX} times)", None)

    def _done(self, task: asyncio.Task[None]) -> None:
        # A function that ends the program (SystemExit, KeyboardInterrupt) has ended the loop with it already.
        if not task.cancelled():
            task.exception()
        self._owner.forget(self)

    async def _run(self) -> None:
        try:
            if await self._open():
                await self._consume()
        except StopAsyncIteration:
            return
        except TapewireError as error:
            if not self._is_stopping:
                self.error = error
                self._tell_ended(str(error), None)
        finally:
            self.subscription.close_nowait()

    async def _open(self) -> bool:
        """Open the stream, whenever that may be; False: the callback was stopped."""
        pause_s = REOPEN_PAUSE_S
        while not self._is_stopping:
            try:
                await self.subscription.open()
            except TapewireError as error:
                if not error.retriable:
                    raise
                self._tell_ended(str(error), pause_s)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), pause_s)
                    break
                pause_s = min(2 * pause_s, REOPEN_PAUSE_MAX_S)
                self.subscription = self._make()
            else:
                return True
        return False

    async def _consume(self) -> None:
        subscription, function = self.subscription, self.function
        taken = 0
        while not self._is_stopping:
            # Two coroutines for each record would cost as much as decoding two trades.
            item = subscription.next_nowait()
            if item is None:
                item = await subscription.next_item()
            if isinstance(item, Gap):
                if self._gap_function is not None:
                    await self._call(self._gap_function, item)
            else:
                self.called += 1
                try:
                    result = function(item)
                    if result is not None and inspect.isawaitable(result):
                        await result
                except asyncio.CancelledError as error:
                    self._note_cancelled(error)
                except Exception as error:  # noqa: BLE001  (a program's own, whatever it is)
                    self._note_failure(error)
            taken += 1
            if taken % BATCH_RECORDS_MAX == 0:
                # A function that never waits lets others have their turn all the same.
                await asyncio.sleep(0)

    async def _call(self, function: Callable[[Any], Any], item: Any) -> None:
        try:
            result = function(item)
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError as error:
            self._note_cancelled(error)
        except Exception as error:  # noqa: BLE001  (a program's own, whatever it is)
            self._note_failure(error)

    def _note_cancelled(self, error: asyncio.CancelledError) -> None:
        """Raise it again if it is this callback that was cancelled, not something that the function waited for."""
        task = asyncio.current_task()
        if self._is_stopping or (task is not None and task.cancelling()):
            raise error
        self._note_failure(error)

    def _note_failure(self, error: BaseException) -> None:
        self.failed += 1
        self._owner.note_failure(self.subscription.name, error)
        now_s = asyncio.get_running_loop().time()
        told_at_s = self._failure_told_at_s
        if told_at_s is None or now_s - told_at_s >= FAILURE_TOLD_EVERY_S:
            self._failure_told_at_s = now_s
            event = CallbackFailedEvent(stream=self.subscription.name, error=error, failed=self.failed)
            self._events.tell(event)

    def _tell_ended(self, reason: str, seconds: float | None) -> None:
        self._events.tell(CallbackEndedEvent(stream=self.subscription.name, reason=reason, seconds=seconds))


class Callbacks:
    """All callbacks of a broker; the owner of their tasks."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._running: dict[Callback[Any], None] = {}
        self._is_closed = False
        #: How often functions have raised, those included that are called no more.
        self.failed = 0
        #: Told with the name of the stream what a function has raised. It is kept nowhere else: the frames of its
        #: traceback would keep the program's streams.
        self.on_failure: Callable[[str, BaseException], None] = lambda stream, error: None

    def __repr__(self) -> str:
        return f"<Callbacks: {len(self)} running, {self.failed} calls have raised>"

    def __iter__(self) -> Iterator[Callback[Any]]:
        """Yield those that have not ended, in the order in which they were made."""
        return iter(tuple(self._running))

    def __len__(self) -> int:
        return len(self._running)

    def add(self, function: Callable[[R], Any], make: Callable[[], Subscription[R]]) -> Callback[R]:
        """Call a function with every record of the stream that ``make`` makes.

        Raises:
            ClosedError: The broker was closed.
        """
        if self._is_closed:
            raise ClosedError("the broker was closed")
        callback = Callback(function, make, self._events, self)
        self._running[callback] = None
        return callback

    async def close(self) -> None:
        """End all callbacks; returns when no task of them is left, but the one that this may be called from."""
        self._is_closed = True
        others = [callback for callback in self if not callback.is_calling_this]
        for callback in self:
            callback.stop()
        await asyncio.gather(*(callback.close() for callback in others))

    def forget(self, callback: Callback[Any]) -> None:
        """Note that a callback has ended."""
        self._running.pop(callback, None)

    def note_failure(self, stream: str, error: BaseException) -> None:
        """Note that a function has raised."""
        self.failed += 1
        self.on_failure(stream, error)


class HasCallbacks(Protocol):
    """Who makes streams and can have functions called with their records."""

    @property
    def callbacks(self) -> Callbacks:
        """The functions that are called."""


S = TypeVar("S", bound=HasCallbacks)


def calling(
    make: Callable[Concatenate[S, P], Subscription[R]],
) -> Callable[Concatenate[S, P], Callable[[Callable[[R], Any]], Callback[R]]]:
    """Return the decorator that has a function called with every record of a stream, with the stream's options."""

    @wraps(make)
    def on(streams: S, /, *args: P.args, **kwargs: P.kwargs) -> Callable[[Callable[[R], Any]], Callback[R]]:
        if args and inspect.isroutine(args[0]):
            raise TypeError(f"{on.__name__} takes the stream first: @….{on.__name__}(…) above the function")
        # What is wrong with the options is told here and now.
        make(streams, *args, **kwargs)
        return lambda function: streams.callbacks.add(function, partial(make, streams, *args, **kwargs))

    # Its name and its result are not those of the stream.
    on.__name__ = f"on_{make.__name__.removeprefix('watch_')}"
    on.__qualname__ = f"{make.__qualname__.rpartition('.')[0]}.{on.__name__}"
    on.__doc__ = (
        f"Have a function, plain or ``async``, called with every record of :meth:`{make.__name__}`.\n\n"
        "A decorator with the options of the stream. It gives a ``Callback``, which can be closed. The\n"
        "stream is opened in the background, again and again while the broker cannot be reached; one that it\n"
        "refuses is told as an event."
    )
    return on
