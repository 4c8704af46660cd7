"""One stream as its consumer holds it: opened, iterated, closed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from tapewire.client.buffer import Buffer, BufferPolicy
from tapewire.client.errors import ClosedError, GapError, RefusedError, TapewireError
from tapewire.client.gap import Gap
from tapewire.client.states import SubscriptionState, may_follow
from tapewire.model import Record
from tapewire.protocol.errors import UNREADABLE, MalformedMessageError
from tapewire.protocol.formats import Codec
from tapewire.protocol.requests import SubscribeRequest

__all__ = ["Subscription", "SubscriptionOwner"]

R = TypeVar("R", bound=Record)

log = logging.getLogger("tapewire.client")

#: Largest batch, in records and in bytes of their messages: decoded records of a long burst leave the processor's
#: cache before they are used and freed (measured with books: up to a fifth slower).
BATCH_RECORDS_MAX = 64
BATCH_BYTES_MAX = 16 * 1024


class SubscriptionOwner(Protocol):
    """Who brings subscriptions to the broker."""

    async def open(self, subscription: Subscription[Any]) -> None:
        """Ask the broker for a stream; returns when it has been granted."""

    def release(self, subscription: Subscription[Any]) -> None:
        """Ask the broker for a stream no longer."""

    def now(self) -> datetime:
        """Return the time of day, UTC."""


class Subscription(Generic[R]):
    """A typed stream of records in the order in which the broker sent them.

    Use it as ``async with broker.book("SBER") as books: async for book in books: ...``. Entering asks the broker
    and waits for its answer; leaving cancels. One consumer at a time. Records arrive in the format that was asked
    for and are decoded when they are consumed.

    A connection that is lost ends no stream: it is asked for again. Iterating raises ``GapError`` where something
    was missed for good, and goes on behind it; ``RefusedError`` when the broker has ended a stream that it had
    granted; ``BufferOverflowError`` when the consumer was too slow for a stream that loses nothing;
    ``TokenRefusedError`` when the refresh token has ceased to be good; ``ClosedError`` where the stream is not
    open. Each comes after all that was received before. A stream that was closed ends its iteration; to iterate
    again then raises ``ClosedError``. A stream is used once: ask the broker for a new one.
    """

    def __init__(
        self, request: SubscribeRequest, codec: Codec[R], policy: BufferPolicy, name: str, owner: SubscriptionOwner
    ) -> None:
        #: What it is called; with a number from its opening on where another stream is called the same.
        self.name = self.base_name = name
        self.codec = codec
        self._decode = codec.decode_message
        self._read_message = codec.read_message
        #: Whether ``_read_message`` does all that ``_decode`` does: then a record needs no call of ours.
        self._is_simple = codec.has_one_spelling
        #: Whether the next record is what stands first in the buffer; kinds of streams may put others before.
        self._is_direct = type(self).next_item is Subscription.next_item
        #: What is asked for; guid and token are the connection's business.
        self.request = request
        self.buffer = Buffer(policy, name, self._overflowed)
        #: Messages of this stream that could not be read. They are not delivered.
        self.malformed = 0
        #: Since when data flow without a break, UTC; None while they do not.
        self.active_since: datetime | None = None
        self._state = SubscriptionState.NEW
        self._owner = owner
        #: Whether its consumer knows that there is no more.
        self._end_told = False

    def __repr__(self) -> str:
        return f"<Subscription {self.name} {self._state.value}>"

    @property
    def state(self) -> SubscriptionState:
        """Where the subscription is in its life."""
        return self._state

    @property
    def received(self) -> int:
        """Messages that have come in, and records that were fetched, the past that was asked for included."""
        return self.buffer.received

    @property
    def dropped(self) -> int:
        """Messages that were not delivered because newer ones took their place or the buffer was full."""
        return self.buffer.dropped

    @property
    def waiting(self) -> int:
        """Messages that the consumer has not taken yet."""
        return len(self.buffer)

    async def open(self) -> Self:
        """Ask the broker for the stream and return when it is granted.

        Raises:
            RefusedError: The broker refused; code and text say why.
            AnswerTimeoutError: The broker did not answer.
            ConnectError: It needs one more connection, which cannot be opened.
            ConnectionLostError: The connection ended before the answer came.
            ClosedError: The stream was opened before, or has ended: ask the broker for a new one; or it or the
                broker was closed meanwhile.
            LimitError: A documented limit would be passed.
            TokenRefusedError: The refresh token has ceased to be good.
            TokenServiceError: A new token was needed and could not be had.
        """
        if self._state in (SubscriptionState.CLOSED, SubscriptionState.REFUSED):
            raise self._over()
        if self._state is not SubscriptionState.NEW:
            raise ClosedError(f"{self.name} was opened before: iterate it, or ask the broker for another one")
        try:
            await self._owner.open(self)
        except BaseException:
            # What came before an answer that never did has no consumer, and may wait in a file.
            self.buffer.discard()
            raise
        return self

    async def close(self) -> None:
        """Cancel the stream. What is in the buffer is dropped; a consumer that waits is told the end.

        An ``open`` that still waits for its answer raises ``ClosedError``.
        """
        self.close_nowait()

    def close_nowait(self) -> None:
        """Cancel the stream at once, as :meth:`close` does: the broker's answer is of no interest."""
        if self._state not in (SubscriptionState.CLOSED, SubscriptionState.REFUSED):
            self._owner.release(self)
            self.moved(SubscriptionState.CLOSED)
        self.buffer.discard()
        self.buffer.end()

    def batches(self) -> AsyncIterator[list[R]]:
        """Yield the records that have come since the last batch, oldest first: at least one, at most 64
        and about 16 KiB of messages.

        The fast way to consume a busy stream: a step of an iterator costs about as much as decoding a trade.
        """
        self._require_opened()
        return _Batches(self)

    def with_gaps(self) -> AsyncIterator[R | Gap]:
        """Yield records, and in its place each ``Gap`` that could not be filled, instead of raising it."""
        self._require_opened()
        return _WithGaps(self)

    def __aiter__(self) -> Self:
        self._require_opened()
        return self

    async def __anext__(self) -> R:
        # What next_item() does first: a coroutine within this one costs a third of decoding a trade.
        waiting = self.buffer.pop_nowait() if self._is_direct else None
        if type(waiting) is bytes:
            try:
                record: R = self._read_message(waiting).data if self._is_simple else self._decode(waiting)
                return record
            except (MalformedMessageError, *UNREADABLE) as error:
                self._note(error)
                waiting = None
        item: R | Gap = await self.next_item() if waiting is None else waiting
        if isinstance(item, Gap):
            raise GapError(item)
        return item

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- for the owner ----------------------------------------------------------------------------------

    def named(self, name: str) -> None:
        """Take the name under which it is told from others."""
        self.name = self.buffer.stream = name

    def moved(self, state: SubscriptionState) -> None:
        """Enter another state."""
        assert may_follow(self._state, state), f"{self._state} → {state}"
        self._state = state
        self.active_since = self._owner.now() if state is SubscriptionState.ACTIVE else None

    def granted(self) -> None:
        """Note that data flow; they may have begun before the answer, and may have been too many."""
        self.moved(SubscriptionState.ACTIVE)
        if self.buffer.has_overflowed:
            self._overflowed()

    def refused(self, error: RefusedError) -> None:
        """End the stream: the broker will not have it, or not any more."""
        self.moved(SubscriptionState.REFUSED)
        self.buffer.end(error)

    def ended(self, error: TapewireError | None) -> None:
        """End the stream for good, with what its consumer is told behind all that was received."""
        self.moved(SubscriptionState.CLOSED)
        self.buffer.end(error)

    async def next_batch(self) -> list[R]:
        """Return what has come, at least one record.

        Raises ``StopAsyncIteration`` at the end, ``ClosedError`` when that was told before.
        """
        buffer = self.buffer
        while await buffer.wait():
            if buffer.is_plain:
                # As many as are likely to have so many bytes.
                limit = BATCH_BYTES_MAX * len(buffer) // (buffer.held_bytes + 1)
                records = self._read_all(buffer.take_nowait(min(limit, BATCH_RECORDS_MAX) or 1))
            else:
                records = self._read_mixed()
            if records:
                return records
        raise self._end()

    async def next_item(self) -> R | Gap:
        """Return the next record or gap.

        Raises ``StopAsyncIteration`` at the end, ``ClosedError`` when that was told before.
        """
        buffer = self.buffer
        while True:
            item = buffer.pop_nowait()
            if type(item) is bytes:
                try:
                    return self._decode(item)
                except MalformedMessageError as error:
                    self._note(error)
            elif item is not None:
                found: R | Gap = item
                return found
            else:
                self._require_opened()
                if not await buffer.wait():
                    raise self._end()

    def next_nowait(self) -> R | Gap | None:
        """Return the next record or gap if it stands first in the buffer; None: ``next_item`` knows."""
        item = self.buffer.pop_nowait() if self._is_direct else None
        if type(item) is bytes:
            try:
                item = self._read_message(item).data if self._is_simple else self._decode(item)
            except (MalformedMessageError, *UNREADABLE) as error:
                self._note(error)
                return None
        found: R | Gap | None = item
        return found

    def _read_mixed(self) -> list[R]:
        """Return the records up to the next gap; a gap that comes first is raised."""
        records: list[R] = []
        while len(records) < BATCH_RECORDS_MAX:
            if isinstance(self.buffer.first, Gap):
                if not records:
                    raise GapError(self.buffer.pop_nowait())
                break
            item = self.buffer.pop_nowait()
            if item is None:
                break
            record = self._read(item) if type(item) is bytes else item
            if record is not None:
                records.append(record)
        return records

    def _overflowed(self) -> None:
        # Called by the reader. The broker need not send what nobody will get; what came before is delivered.
        # One that is still waiting for its answer is ended when it is granted.
        if self._state is SubscriptionState.ACTIVE:
            self._owner.release(self)
            self.moved(SubscriptionState.CLOSED)

    def _read_all(self, messages: list[bytes]) -> list[R]:
        try:
            return self.codec.decode_messages(messages)
        except MalformedMessageError:
            # Seldom: read them one by one and leave out what cannot be read.
            return [record for message in messages if (record := self._read(message)) is not None]

    def _read(self, message: bytes) -> R | None:
        try:
            return self._decode(message)
        except MalformedMessageError as error:
            self._note(error)
            return None

    def _note(self, error: Exception) -> None:
        self.malformed += 1
        if self.malformed == 1:
            log.warning("%s: a message cannot be read: %s", self.name, error)

    def _end(self) -> Exception:
        """Return what says that there is no more: a plain end once.

        A loop around the loop, for what may be missing, would come back at once for ever, and hold up all else.
        """
        if self._end_told:
            return self._over()
        self._end_told = True
        return StopAsyncIteration()

    def _over(self) -> ClosedError:
        return ClosedError(f"{self.name} has ended, and a stream is used once: ask the broker for a new one")

    def _require_opened(self) -> None:
        if self._state is SubscriptionState.NEW:
            raise ClosedError(f"{self.name} is not open: use `async with`, or `await stream.open()`")


class _WithGaps(Generic[R]):
    """Iterates over records and gaps."""

    def __init__(self, subscription: Subscription[R]) -> None:
        self._subscription = subscription

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R | Gap:
        return await self._subscription.next_item()


class _Batches(Generic[R]):
    """Iterates in batches. No generator: one would end for ever, without a word, when a wait is cancelled."""

    def __init__(self, subscription: Subscription[R]) -> None:
        self._subscription = subscription

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[R]:
        return await self._subscription.next_batch()
