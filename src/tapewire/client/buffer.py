"""Bounded buffers between the reader, which never stops, and a consumer, which may.

A buffer holds raw messages: what is never consumed is never decoded. Its policy says what happens when the
consumer is slower than the stream; nothing is ever lost without a count.
"""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from tapewire.client.errors import BufferOverflowError, TapewireError

__all__ = ["Buffer", "BufferPolicy", "Conflate", "DropOldest", "Fail"]


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

    def __init__(self, policy: BufferPolicy, stream: str) -> None:
        self.policy = policy
        #: The stream's name, for people.
        self.stream = stream
        size = 1 if isinstance(policy, Conflate) else policy.size
        self._size = size
        self._fails = isinstance(policy, Fail)
        self._messages: deque[bytes] = deque(maxlen=size)
        self._waiter: asyncio.Future[None] | None = None
        self._has_ended = False
        self._error: TapewireError | None = None
        #: Messages that came in.
        self.received = 0
        #: Messages that a newer one replaced or pushed out, or that came after an overflow.
        self.dropped = 0
        #: Whether a message came that a buffer that loses nothing could not take.
        self.has_overflowed = False

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: bytes) -> None:
        """Take one message. Called by the reader: never waits, never raises."""
        self.received += 1
        messages = self._messages
        if len(messages) == self._size:
            self.dropped += 1
            if self._fails:
                self.has_overflowed = True
                self._wake()
                return
        if not self.has_overflowed:
            messages.append(message)
        if self._waiter is not None:
            self._wake()

    def end(self, error: TapewireError | None = None) -> None:
        """Close the buffer: after what is inside comes ``error``, or a plain end."""
        if not self._has_ended:
            self._has_ended = True
            self._error = error
            self._wake()

    def take_nowait(self) -> list[bytes]:
        """Remove and return all that is inside, oldest first."""
        taken = list(self._messages)
        self._messages.clear()
        return taken

    def pop_nowait(self) -> bytes | None:
        """Remove and return the oldest message, None if there is none."""
        return self._messages.popleft() if self._messages else None

    async def wait(self) -> bool:
        """Return True when there is a message, False when the buffer has ended without an error.

        Raises:
            BufferOverflowError: A message was lost that must not be, and all before it has been taken.
            TapewireError: What the buffer was ended with, once all that was inside has been taken.
        """
        while not self._messages:
            if self.has_overflowed:
                raise BufferOverflowError(self.stream, self._size)
            if self._has_ended:
                if self._error is not None:
                    raise self._error
                return False
            if self._waiter is not None:
                raise RuntimeError("a subscription has one consumer at a time")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return True

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
