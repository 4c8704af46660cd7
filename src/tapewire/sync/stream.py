"""One stream, consumed by a thread that waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from tapewire.client.errors import ClosedError, GapError
from tapewire.client.gap import Gap
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription
from tapewire.model import Record
from tapewire.sync.loop_thread import LoopThread

__all__ = ["Stream"]

R = TypeVar("R", bound=Record)
T = TypeVar("T")


class Stream(Generic[R]):
    """A typed stream of records, as :class:`tapewire.Subscription` without ``async``.

    ``for book in broker.book("SBER")`` opens it and closes it behind the loop, also after ``break``.
    ``with broker.book("SBER") as books`` keeps it open for several loops. One consumer at a time.
    """

    def __init__(self, inner: Subscription[R], loop: LoopThread) -> None:
        # The asynchronous stream is used on its loop only.
        self._inner = inner
        self._loop = loop
        #: What no loop has taken yet, filled on the other thread: a wait that is interrupted (Ctrl-C) when
        #: something has come leaves it here for the next one.
        self._ready: deque[R | Gap] = deque()
        #: Whether a loop knows that there is no more.
        self._end_told = False

    def __repr__(self) -> str:
        return f"<Stream {self.name} {self.state.value}>"

    @property
    def name(self) -> str:
        """Which stream: ``book:SBER``."""
        return self._inner.name

    @property
    def state(self) -> SubscriptionState:
        """Where the stream is in its life."""
        return self._inner.state

    @property
    def received(self) -> int:
        """Messages that have come in."""
        return self._inner.received

    @property
    def dropped(self) -> int:
        """Messages that were not delivered because newer ones took their place or the buffer was full."""
        return self._inner.dropped

    @property
    def waiting(self) -> int:
        """Messages that have come and that no loop has taken yet."""
        return self._inner.waiting + len(self._ready)

    @property
    def malformed(self) -> int:
        """Messages of this stream that could not be read. They are not delivered."""
        return self._inner.malformed

    def open(self) -> Self:
        """Ask the broker for the stream and return when it is granted; raises as ``Subscription.open``."""
        self._loop.call(self._inner.open())
        return self

    def close(self) -> None:
        """Cancel the stream. What has not been taken is dropped; a consumer that waits is told the end."""
        # The broker that was closed has closed it.
        with suppress(ClosedError):
            if self._loop.is_own:  # a loop that was left, collected on the other thread
                self._loop.post(self._inner.close())
            else:
                self._loop.call(self._inner.close())
        self._ready.clear()

    def next(self, timeout_s: float | None = None) -> R:
        """Return the next record of a stream that is open.

        Raises:
            TimeoutError: None came in time; nothing is lost.
            ClosedError: The stream has ended: ask the broker for a new one.
            TapewireError: What iterating raises.
        """
        self._require_more()
        if not self._ready and not self._fetch(timeout_s):
            self._end_told = True
            raise self._over()
        return self._first()

    def __iter__(self) -> Iterator[R]:
        with self._while_open():
            while self._ready or self._fetch():
                yield self._first()
            self._end_told = True

    def batches(self) -> Iterator[list[R]]:
        """Yield the records that have come since the last batch, oldest first: at least one, at most 64."""
        with self._while_open():
            while self._ready or self._fetch():
                batch = [self._first()]
                while self._ready and not isinstance(self._ready[0], Gap):
                    batch.append(self._first())
                yield batch
            self._end_told = True

    def with_gaps(self) -> Iterator[R | Gap]:
        """Yield records, and in its place each ``Gap`` that could not be filled, instead of raising it."""
        with self._while_open():
            while self._ready or self._fetch_item():
                yield self._ready.popleft()
            self._end_told = True

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _while_open(self) -> Iterator[None]:
        """Open the stream for a loop that finds it new, and close it behind that.

        Raises:
            ClosedError: A loop came to its end before: another one would come there at once, again and again.
        """
        self._require_more()
        if self.state is not SubscriptionState.NEW:
            yield
            return
        self.open()
        try:
            yield
        finally:
            self.close()
            self._end_told = True

    def _require_more(self) -> None:
        if self._end_told and not self._ready:
            raise self._over()

    def _over(self) -> ClosedError:
        return ClosedError(f"{self.name} has ended, and a stream is used once: ask the broker for a new one")

    def _fetch(self, timeout_s: float | None = None) -> bool:
        """Wait for records, all that have come; False: the stream has ended.

        Many at once: to cross from thread to thread costs as much as to read dozens of records.
        """
        return bool(self._take(_collect(self._inner, self._ready, timeout_s)))

    def _fetch_item(self) -> bool:
        return bool(self._take(_collect_item(self._inner, self._ready)))

    def _first(self) -> R:
        item = self._ready.popleft()
        if isinstance(item, Gap):
            raise GapError(item)
        return item

    def _take(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Wait for what comes; None: another thread has closed the broker."""
        try:
            return self._loop.call(work)
        except ClosedError:
            if self._loop.is_stopped:
                return None
            raise


async def _collect(stream: Subscription[R], into: deque[R | Gap], timeout_s: float | None) -> bool:
    """Wait for records and put them where the loop takes them; False: the stream has ended."""
    try:
        async with asyncio.timeout(timeout_s):
            into.extend(await anext(aiter(stream.batches())))
    except StopAsyncIteration:
        return False
    return True


async def _collect_item(stream: Subscription[R], into: deque[R | Gap]) -> bool:
    """Do the same with one record or gap."""
    item = await anext(aiter(stream.with_gaps()), None)
    if item is None:
        return False
    into.append(item)
    return True
