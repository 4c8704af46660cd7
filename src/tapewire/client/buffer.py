"""Bounded buffers between the reader, which never stops, and a consumer, which may.

A buffer holds raw messages: what is never consumed is never decoded. Its policy says what happens when the
consumer is slower than the stream; nothing is ever lost without a count.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from tapewire.client.arguments import refuse, whole
from tapewire.client.errors import BufferOverflowError, BusyError, TapewireError
from tapewire.client.gap import Gap
from tapewire.client.spill_file import SpillFile, SpillFullError
from tapewire.model import Record

__all__ = [
    "BUFFER_BYTES_MAX",
    "GAPS_MAX",
    "PAST_MAX",
    "Buffer",
    "BufferPolicy",
    "Conflate",
    "DropOldest",
    "Fail",
    "Spill",
]


#: Whatever its policy, a buffer holds so many bytes at most: messages may be up to a megabyte long.
BUFFER_BYTES_MAX = 256 << 20
#: Marks of gaps that wait in one buffer; when there are more, the two newest become one.
GAPS_MAX = 1_000
#: Messages of the past that was asked for and ``BUFFER_BYTES_MAX`` of them: what is more is as what happens.
PAST_MAX = 100_000


class Conflate(msgspec.Struct, frozen=True):
    """Keep the newest message only: right for state, where the newest says all."""


class DropOldest(msgspec.Struct, frozen=True):
    """Keep the last ``size`` messages; older ones are dropped and counted."""

    size: int

    def __post_init__(self) -> None:
        _at_least_one("size", self.size)


class Fail(msgspec.Struct, frozen=True):
    """Lose nothing: when ``size`` messages wait and one more comes, the stream ends with an error."""

    size: int = 100_000

    def __post_init__(self) -> None:
        _at_least_one("size", self.size)


class Spill(msgspec.Struct, frozen=True):
    """Lose nothing: what is more than ``size`` messages waits in a file, in order, up to ``bytes_max`` bytes.

    ``path`` is a folder that is there. The file in it has no name, is readable by nobody else, and is gone when
    the stream is closed or the process ends, however it ends. When ``bytes_max`` is reached or the disk takes no
    more, the stream ends with an error as with ``Fail``, after all that was kept.
    """

    path: str | Path
    bytes_max: int = 4 << 30
    size: int = 10_000

    def __post_init__(self) -> None:
        _at_least_one("size", self.size)
        _at_least_one("bytes_max", self.bytes_max)
        if not isinstance(self.path, str | Path) or not Path(self.path).is_dir():
            raise refuse("path", self.path, "a folder that is there, to spill into")


def _at_least_one(name: str, value: object) -> None:
    if whole(name, value) < 1:
        raise refuse(name, value, "1 or more")


BufferPolicy = Conflate | DropOldest | Fail | Spill


class Buffer:
    """Raw messages of one subscription, with one consumer.

    The past that was asked for stands before all else, and is no business of the policy. ``end`` closes the
    buffer; what is inside is still delivered, then the error (or a plain end) comes.
    """

    def __init__(self, policy: BufferPolicy, stream: str, on_overflow: Callable[[], None] = lambda: None) -> None:
        """Make an empty one.

        Raises:
            ArgumentError: ``policy`` is none.
        """
        if not isinstance(policy, BufferPolicy):
            raise refuse("buffer", policy, "Conflate(), DropOldest(n), Fail(n) or Spill(folder)")
        self.policy = policy
        #: The stream's name, for people.
        self.stream = stream
        size = 1 if isinstance(policy, Conflate) else policy.size
        self._size = self._room = size
        self._spill = SpillFile(Path(policy.path), policy.bytes_max) if isinstance(policy, Spill) else None
        self._conflates = isinstance(policy, Conflate)
        self._fails = isinstance(policy, Fail)
        self._on_overflow = on_overflow
        #: Called for each message that the policy loses; conflating is no loss.
        self.on_loss: Callable[[Buffer], None] | None = None
        #: Why a message could not be kept, where it is not their number.
        self._full_because = ""
        #: The past that was asked for: messages and records.
        self._past: deque[Any] = deque()
        self._past_bytes = 0
        self._items: deque[Any] = deque()
        #: How many of them are no messages: records that were fetched, marks of gaps.
        self._objects = 0
        self._gaps = 0
        self._spilled_gaps = 0
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
        #: Those of them that the policy lost: pushed out by newer ones, though each was wanted, or not taken.
        self.lost = 0
        #: Whether a message came that a buffer that loses nothing could not take.
        self.has_overflowed = False

    def __len__(self) -> int:
        return len(self._past) + len(self._items) + self.spilled

    @property
    def spilled(self) -> int:
        """How many of its items are in a file."""
        return len(self._spill) if self._spill is not None else 0

    def put(self, message: bytes) -> None:
        """Take one message. Called by the reader: never waits, never raises."""
        self.received += 1
        if self._is_shut:
            self.dropped += 1
            return
        items = self._items
        size = len(message)
        if len(items) >= self._room or self._bytes + size > BUFFER_BYTES_MAX:
            if self._spill is not None:
                self._put_aside(message)
                return
            if not self._make_room(size):
                return
        self._bytes += size
        self.newest = message
        items.append(message)
        if self._must_wake:
            self._wake()

    def put_past(self, message: bytes) -> bool:
        """Take one message of the past that was asked for, of which the policy drops and counts nothing.

        False: it was not taken, as there are too many or something has happened since.
        """
        size = len(message)
        if (
            self._is_shut
            or self._items
            or self.spilled
            or len(self._past) >= PAST_MAX
            or self._past_bytes + size > BUFFER_BYTES_MAX
        ):
            return False
        self.received += 1
        self.newest = message
        self._past.append(message)
        self._past_bytes += size
        if self._must_wake:
            self._wake()
        return True

    def begin_with(self, records: Sequence[Record]) -> None:
        """Take a past that was fetched, before all else; whoever has fetched it bounds it."""
        self.received += len(records)
        self._past.extend(records)
        if records:
            self.newest = records[-1]

    def put_object(self, item: Record | Gap) -> None:
        """Take a record that did not come over the connection, or the mark of a gap, in its place among the rest.

        A gap is not counted as a record, and no policy drops it.
        """
        is_record = isinstance(item, Record)
        self.received += is_record
        if self._is_shut:
            self.dropped += is_record
            return
        if self._spill is not None and len(self._items) >= self._room:
            self._put_aside(item)
            return
        if is_record:
            if len(self._items) >= self._room and not self._make_room(0):
                return
            self.newest = item
        elif self._joined_gaps(item):
            return
        self._objects += 1
        self._gaps += not is_record
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
    def held_bytes(self) -> int:
        """Bytes of the messages that are in memory."""
        return self._past_bytes + self._bytes

    @property
    def first(self) -> Any:
        """The oldest item, None if there is none."""
        items = self._past or self._items
        return items[0] if items else None

    def latest(self, count: int) -> list[Any]:
        """Return the newest messages and records that are in memory, newest first; gaps are left out."""
        if self.spilled:
            return [] if self.newest is None else [self.newest]
        newest = chain(reversed(self._items), reversed(self._past))
        return [item for item in islice(newest, count) if not isinstance(item, Gap)]

    @property
    def is_plain(self) -> bool:
        """Whether there are messages of now only: no past, no records that were fetched, no marks of gaps."""
        return not (self._objects or self._past)

    def take_nowait(self, limit: int | None = None) -> list[Any]:
        """Remove and return what is inside, oldest first, ``limit`` items at most; first the past alone."""
        if self._past:
            count = len(self) if limit is None else limit
            return [self.pop_nowait() for _ in range(min(count, len(self._past)))]
        items = self._items
        if limit is None or len(items) <= limit:
            taken = list(items)
            items.clear()
            self._bytes = self._objects = self._gaps = 0
            if self._spill is not None:
                self._fetch()
            return taken
        take = items.popleft
        taken = [take() for _ in range(limit)]
        if self._objects:
            self._objects -= sum(type(item) is not bytes for item in taken)
            self._gaps -= sum(isinstance(item, Gap) for item in taken)
            self._bytes -= sum(len(item) for item in taken if type(item) is bytes)
        else:
            self._bytes -= sum(map(len, taken))
        return taken

    def discard(self) -> None:
        """Drop all that is inside."""
        self.dropped += len(self) - self._gaps - self._spilled_gaps
        self._past.clear()
        self._items.clear()
        self._past_bytes = self._bytes = self._objects = self._gaps = self._spilled_gaps = 0
        if self._spill is not None:
            self._spill.close()
            self._room = self._size

    def pop_nowait(self) -> Any:
        """Remove and return the oldest item, None if there is none."""
        if self._past:
            item = self._past.popleft()
            if type(item) is bytes:
                self._past_bytes -= len(item)
            return item
        if not self._items:
            return None
        item = self._items.popleft()
        if type(item) is bytes:
            self._bytes -= len(item)
        else:
            self._objects -= 1
            self._gaps -= isinstance(item, Gap)
        if not self._items and self._spill is not None:
            self._fetch()
        return item

    async def wait(self) -> bool:
        """Return True when there is a message, False when the buffer has ended without an error.

        Raises:
            BufferOverflowError: A message was lost that must not be, and all before it has been taken.
            TapewireError: What the buffer was ended with, once all that was inside has been taken.
            BusyError: Somebody else waits.
        """
        while not (self._items or self._past):
            if self.has_overflowed:
                raise BufferOverflowError(self.stream, self._size, self._full_because)
            if self._has_ended:
                if self.error is not None:
                    raise self.error.again()
                return False
            if self._waiter is not None:
                raise BusyError(f"{self.stream} has one consumer at a time: ask the broker for one more stream")
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
            if len(self._items) < self._size:
                self._full_because = f"{self._bytes} bytes wait"
            self._overflow()
            return False
        if self._conflates and not self._objects:  # nearly always
            items = self._items
            while items and (len(items) >= self._size or self._bytes + size > BUFFER_BYTES_MAX):
                self._bytes -= len(items.popleft())
                self.dropped += 1
            return True
        while self._has_records and (len(self._items) >= self._size or self._bytes + size > BUFFER_BYTES_MAX):
            self._drop_oldest()
        return True

    def _overflow(self) -> None:
        self.dropped += 1
        self.has_overflowed = self._is_shut = True
        self._lose()
        self._on_overflow()

    @property
    def _has_records(self) -> bool:
        return len(self._items) > self._gaps

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
        if not self._conflates:
            self._lose()

    def _lose(self) -> None:
        self.lost += 1
        if self.on_loss is not None:
            self.on_loss(self)

    def _joined_gaps(self, gap: object) -> bool:
        """Let the newest mark stand for one more gap when there are too many; False if there is room."""
        if self._gaps < GAPS_MAX or not isinstance(gap, Gap):
            return False
        place, newest = next(
            (place, item) for place, item in enumerate(reversed(self._items), 1) if isinstance(item, Gap)
        )
        # A gap stands in the ledger and in other buffers as well.
        reason = f"{newest.reason or gap.reason}; several gaps in one"
        self._items[-place] = msgspec.structs.replace(newest, until=gap.until, reason=reason)
        return True

    # --- the file ---------------------------------------------------------------------------------------

    def _put_aside(self, item: Any) -> None:
        """Put a message or another item into the file; from now on all others follow it there."""
        assert self._spill is not None
        try:
            if type(item) is bytes:
                self._spill.put(item)
            else:
                self._spill.put_object(item)
        except SpillFullError as error:
            self._full_because = str(error)
            self._overflow()
            return
        self._room = 0
        if isinstance(item, Gap):
            self._spilled_gaps += 1
        else:
            self.newest = item

    def _fetch(self) -> None:
        """Bring the next items from the file into memory, where there are none any more."""
        spill = self._spill
        assert spill is not None
        try:
            taken = spill.take()
        except OSError as error:
            self._full_because = f"what was spilled cannot be read: {error.strerror or error}"
            # The overflow counts one of them.
            missing = len(spill) - self._spilled_gaps - 1
            self.dropped += missing
            self.lost += missing
            self._spilled_gaps = 0
            spill.close()
            self._overflow()
            return
        if not spill:
            self._room = self._size
        self._items.extend(taken)
        self._bytes = sum(len(item) for item in taken if type(item) is bytes)
        self._objects = sum(type(item) is not bytes for item in taken)
        self._gaps = sum(isinstance(item, Gap) for item in taken)
        self._spilled_gaps -= self._gaps

    def _wake(self) -> None:
        self._must_wake = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
