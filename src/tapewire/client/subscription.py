"""One stream as its consumer holds it: opened, iterated, closed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from tapewire.client.buffer import Buffer, BufferPolicy
from tapewire.client.errors import ClosedError, TapewireError
from tapewire.client.states import SubscriptionState, may_follow
from tapewire.model import Record
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.formats import Codec
from tapewire.protocol.requests import SubscribeRequest

__all__ = ["Subscription", "SubscriptionOwner"]

R = TypeVar("R", bound=Record)

log = logging.getLogger("tapewire.client")


class SubscriptionOwner(Protocol):
    """Who brings subscriptions to the broker."""

    async def open(self, subscription: Subscription[Record]) -> None:
        """Ask the broker for a stream; returns when it has been granted."""

    def release(self, subscription: Subscription[Record]) -> None:
        """Ask the broker for a stream no longer."""


class Subscription(Generic[R]):
    """A typed stream of records in the order in which the broker sent them.

    Use it as ``async with broker.book("SBER") as books: async for book in books: ...``. Entering asks the broker
    and waits for its answer; leaving cancels. One consumer at a time. Records arrive in the format that was asked
    for and are decoded when they are consumed.

    Iterating raises ``ConnectionLostError`` when the connection has ended and ``BufferOverflowError`` when the
    consumer was too slow for a stream that loses nothing; in both cases after all that was received before.
    """

    def __init__(
        self, request: SubscribeRequest, codec: Codec[R], policy: BufferPolicy, name: str, owner: SubscriptionOwner
    ) -> None:
        self.name = name
        self.codec = codec
        #: What is asked for; guid and token are the connection's business.
        self.request = request
        self.buffer = Buffer(policy, name)
        #: Messages of this stream that could not be read. They are not delivered.
        self.malformed = 0
        self._state = SubscriptionState.NEW
        self._owner = owner

    def __repr__(self) -> str:
        return f"<Subscription {self.name} {self._state.value}>"

    @property
    def state(self) -> SubscriptionState:
        """Where the subscription is in its life."""
        return self._state

    @property
    def received(self) -> int:
        """Messages that have come in."""
        return self.buffer.received

    @property
    def dropped(self) -> int:
        """Messages that were not delivered because newer ones took their place or the buffer was full."""
        return self.buffer.dropped

    async def open(self) -> Self:
        """Ask the broker for the stream and return when it is granted.

        Raises:
            RefusedError: The broker refused; code and text say why.
            AnswerTimeoutError: The broker did not answer.
            ConnectionLostError: The connection ended before the answer came.
            LimitError: A documented limit would be passed.
            TokenRefusedError: The refresh token has ceased to be good.
        """
        if self._state is not SubscriptionState.NEW:
            raise ClosedError(f"{self.name} was opened before")
        await self._owner.open(self)  # type: ignore[arg-type]  # owners do not care for the record's type
        return self

    async def close(self) -> None:
        """Cancel the stream. What is in the buffer is dropped; a consumer that waits is told the end."""
        if self._state not in (SubscriptionState.CLOSED, SubscriptionState.REFUSED):
            self._owner.release(self)  # type: ignore[arg-type]
            self.moved(SubscriptionState.CLOSED)
        self.buffer.take_nowait()
        self.buffer.end()

    async def batches(self) -> AsyncIterator[list[R]]:
        """Yield all records that have come since the last batch, oldest first, at least one.

        The fast way to consume a busy stream: a step of an iterator costs about as much as decoding a trade.
        """
        self._require_opened()
        while await self.buffer.wait():
            records = [record for message in self.buffer.take_nowait() if (record := self._read(message))]
            if records:
                yield records

    def __aiter__(self) -> Self:
        self._require_opened()
        return self

    async def __anext__(self) -> R:
        while True:
            message = self.buffer.pop_nowait()
            if message is None:
                if not await self.buffer.wait():
                    raise StopAsyncIteration
                continue
            record = self._read(message)
            if record is not None:
                return record

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- for the owner ----------------------------------------------------------------------------------

    def moved(self, state: SubscriptionState) -> None:
        """Enter another state."""
        assert may_follow(self._state, state), f"{self._state} → {state}"
        self._state = state

    def lost(self, error: TapewireError) -> None:
        """End the stream: its connection is gone for good."""
        if self._state not in (SubscriptionState.CLOSED, SubscriptionState.REFUSED):
            self.moved(SubscriptionState.CLOSED)
        self.buffer.end(error)

    def _read(self, message: bytes) -> R | None:
        try:
            return self.codec.decode_message(message)
        except MalformedMessageError as error:
            self.malformed += 1
            if self.malformed == 1:
                log.warning("%s: a message cannot be read: %s", self.name, error.reason)
            return None

    def _require_opened(self) -> None:
        if self._state is SubscriptionState.NEW:
            raise ClosedError(f"{self.name} is not open: use `async with`, or `await {self.name}.open()`")
