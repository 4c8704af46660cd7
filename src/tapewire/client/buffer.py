"""Bounded buffers between the reader, which never stops, and a consumer, which may.

A buffer holds raw messages: what is never consumed is never decoded. Its policy says what happens when the
consumer is slower than the stream; nothing is ever lost without a count.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from tapewire.client.errors import BufferOverflowError, TapewireError
from tapewire.client.gap import Gap
from tapewire.model import Record

__all__ = ["Buffer", "BufferPolicy", "Conflate", "DropOldest", "Fail"]


#: Whatever its policy, a buffer holds so many bytes at most: messages may be up to a megabyte long.
BUFFER_BYTES_MAX = 256 << 20


class Conflate(msgspec.Struct, frozen=True):
    """Keep the newest message only: right for state, where the newest says all."""


class DropOldest(msgspec.Struct, frozen=True):
    """Keep the last ``size`` messages; older ones are dropped and counted."""

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("a buffer holds at least one message")


class Fail(msgspec.Struct, frozen=True):
    """Lose nothing: when ``size`` messages wait and one more comes, the stream ends with an error."""

    size: int = 100_000

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("a buffer holds at least one message")


BufferPolicy = Conflate | DropOldest | Fail


class Buffer:
    """Raw messages of one subscription, with one consumer.

    ``end`` closes it; what is inside is still delivered, then the error (or a plain end) comes.
    """

    def __init__(self, policy: BufferPolicy, stream: str, on_overflow: Callable[[], None] = lambda: None) -> None:
        self.policy = policy
        #: The stream's name, for people.
        self.stream = stream
        size = 1 if isinstance(policy, Conflate) else policy.size
        self._size = size
        self._fails = isinstance(policy, Fail)
        self._on_overflow = on_overflow
        self._items: deque[Any] = deque()
        #: How many of them are no messages: records that were fetched, marks of gaps.
        self._objects = 0
        #: What came last.
        self.newest: bytes | object | None = None
        self._bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        #: Whether the waiter has still to be told: once for all the messages of a burst.
        self._must_wake = False
        self._has_ended = False
        #: Whether nothing is taken any more: ended or overflowed.
        self._is_shut = False
        #: What the buffer was ended with, None for a plain end or none yet.
        self.error: TapewireError | None = None
        #: Messages that came in.
        self.received = 0
        #: Messages that nobody gets: a newer one replaced or pushed them out, they came after an overflow or
        #: after the end, or they were discarded.
        self.dropped = 0
        #: Whether a message came that a buffer that loses nothing could not take.
        self.has_overflowed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, message: bytes) -> None:
        """Take one message. Called by the reader: never waits, never raises."""
        self.received += 1
        if self._is_shut:
            self.dropped += 1
            return
        items = self._items
        size = len(message)
        if (len(items) >= self._size or self._bytes + size > BUFFER_BYTES_MAX) and not self._make_room(size):
            return
        self._bytes += size
        self.newest = message
        items.append(message)
        if self._must_wake:
            self._wake()

    def put_object(self, item: Record | Gap) -> None:
        """Take a record that did not come over the connection, or the mark of a gap, in its place among the rest.

        A gap is not counted as a record, and no policy drops it.
        """
        is_record = isinstance(item, Record)
        self.received += is_record
        if self._is_shut:
            self.dropped += is_record
            return
        if is_record:
            if len(self._items) >= self._size and not self._make_room(0):
                return
            self.newest = item
        self._objects += 1
        self._items.append(item)
        if self._must_wake:
            self._wake()

    def end(self, error: TapewireError | None = None) -> None:
        """Close the buffer: after what is inside comes ``error``, or a plain end."""
        if not self._has_ended:
            self._has_ended = self._is_shut = True
            self.error = error
            self._wake()

    @property
    def first(self) -> Any:
        """The oldest item, None if there is none."""
        return self._items[0] if self._items else None

    @property
    def is_plain(self) -> bool:
        """Whether there are messages only: no records that were fetched, no marks of gaps."""
        return not self._objects

    def take_nowait(self, limit: int | None = None) -> list[Any]:
        """Remove and return what is inside, oldest first, ``limit`` items at most."""
        items = self._items
        if limit is None or len(items) <= limit:
            taken = list(items)
            items.clear()
            self._bytes = self._objects = 0
            return taken
        take = items.popleft
        taken = [take() for _ in range(limit)]
        if self._objects:
            self._objects -= sum(type(item) is not bytes for item in taken)
            self._bytes -= sum(len(item) for item in taken if type(item) is bytes)
        else:
            self._bytes -= sum(map(len, taken))
        return taken

    def discard(self) -> None:
        """Drop all that is inside."""
        self.dropped += len(self._items)
        self._items.clear()
        self._bytes = self._objects = 0

    def pop_nowait(self) -> Any:
        """Remove and return the oldest item, None if there is none."""
        if not self._items:
            return None
        item = self._items.popleft()
        if type(item) is bytes:
            self._bytes -= len(item)
        else:
            self._objects -= 1
        return item

    async def wait(self) -> bool:
        """Return True when there is a message, False when the buffer has ended without an error.

        Raises:
            BufferOverflowError: A message was lost that must not be, and all before it has been taken.
            TapewireError: What the buffer was ended with, once all that was inside has been taken.
        """
        while not self._items:
            if self.has_overflowed:
                raise BufferOverflowError(self.stream, self._size)
            if self._has_ended:
                if self.error is not None:
                    raise self.error.again()
                return False
            if self._waiter is not None:
                raise RuntimeError("a subscription has one consumer at a time")
            self._waiter = asyncio.get_running_loop().create_future()
            self._must_wake = True
            try:
                await self._waiter
            finally:
                self._waiter = None
                self._must_wake = False
        return True

    def _make_room(self, size: int) -> bool:
        """Drop the oldest messages until one more fits; False if nothing may be dropped."""
        if self._fails:
            self.dropped += 1
            self.has_overflowed = self._is_shut = True
            self._on_overflow()
            return False
        while self._has_records and (len(self._items) >= self._size or self._bytes + size > BUFFER_BYTES_MAX):
            self._drop_oldest()
        return True

    @property
    def _has_records(self) -> bool:
        return len(self._items) > self._objects or any(not isinstance(item, Gap) for item in self._items)

    def _drop_oldest(self) -> None:
        """Drop the oldest record; marks of gaps stay in front of those that follow."""
        marks = []
        while isinstance(item := self._items.popleft(), Gap):
            marks.append(item)
        if type(item) is bytes:
            self._bytes -= len(item)
        else:
            self._objects -= 1
        self.dropped += 1
        self._items.extendleft(reversed(marks))

    def _wake(self) -> None:
        self._must_wake = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
