"""A part of a program that holds one stream: opens it, consumes it in its way, writes down all that it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from enum import Enum
from typing import Any

from schedules.kind import Kind, make_stream
from tapewire.client.broker import Broker
from tapewire.client.buffer import BufferPolicy
from tapewire.client.callback import Callback
from tapewire.client.errors import GapError, TapewireError
from tapewire.client.gap import Gap
from tapewire.client.subscription import Subscription

__all__ = ["FIRST_STYLES", "ConsumerError", "Holder", "Style"]


class ConsumerError(Exception):
    """What a program raises while it consumes."""


class Style(Enum):
    """How a consumer takes what comes."""

    #: All items, with gaps among them.
    ITEMS = "items"
    BATCHES = "batches"
    #: One by one, told gaps as errors.
    ERRORS = "errors"
    #: One by one, until it raises.
    RAISES = "raises"
    #: A function that is called, and raises now and then.
    CALLBACK = "callback"


#: Those of the first edition of schedules.
FIRST_STYLES = tuple(Style)[:4]
#: A function raises with each of so many records.
_RAISES_EVERY = 3


class Holder:
    """One consumer with its stream.

    ``count_told`` says how many records the venue has told of its topic.

    Attributes:
        known: How many records the venue had told when the stream was open; None before.
        records: What came.
        gaps: What it was told to have missed.
        error: What it was told at the end; ``ended`` without one is a plain end.
        is_wanted: Whether the program still wants it.
        raised: How often its function has raised.
    """

    def __init__(
        self,
        number: int,
        kind: Kind,
        symbol: str,
        style: Style,
        policy: BufferPolicy | None,
        broker: Broker,
        count_told: Callable[[Kind, str], int],
    ) -> None:
        self.number = number
        self.kind = kind
        self.symbol = symbol
        self.style = style
        self.policy = policy
        self.known: int | None = None
        self.records: list[Any] = []
        self.gaps: list[Gap] = []
        self.error: TapewireError | None = None
        self.ended = False
        self.is_wanted = True
        self.raises_after: int | None = None
        self.raised = 0
        self.callback: Callback[Any] | None = None
        self.task: asyncio.Task[None] | None = None
        self._broker = broker
        self._count_told = count_told
        self._go_on = asyncio.Event()
        self._go_on.set()
        self._stream = self._make()

    def __repr__(self) -> str:
        return (
            f"<holder {self.number}: {self.kind.value} {self.symbol}, {self.style.value}, {self.policy},"
            f" {self.stream.state.value}, {len(self.records)} records, {len(self.gaps)} gaps, {self.error!r}>"
        )

    @property
    def stream(self) -> Subscription[Any]:
        """The stream; a callback may make another one while it has none that is open."""
        return self._stream if self.callback is None else self.callback.subscription

    @property
    def is_live(self) -> bool:
        """Whether it is open, wanted, and was not told an end."""
        return self.known is not None and self.is_wanted and not self.ended

    def stall(self) -> None:
        """Take nothing any more, until told to go on."""
        self._go_on.clear()

    def go_on(self) -> None:
        self._go_on.set()

    async def close(self) -> None:
        """End the stream in the orderly way."""
        if self.callback is not None:
            await self.callback.close()
        else:
            await self.stream.close()

    async def run(self) -> None:
        """Open, consume, close."""
        try:
            if self.style is Style.CALLBACK:
                await self._be_called()
                return
            async with self.stream:
                await self._consume()
        except TapewireError as error:
            self.error = error
        except ConsumerError:
            self.is_wanted = False
        finally:
            self.ended = True

    def _make(self) -> Subscription[Any]:
        stream = make_stream(self._broker, self.kind, self.symbol, self.policy)
        granted = stream.granted

        def note() -> None:
            # Whatever is told from here on is its own.
            if self.known is None:
                self.known = self._count_told(self.kind, self.symbol)
            granted()

        stream.granted = note  # type: ignore[method-assign]
        return stream

    async def _be_called(self) -> None:
        callback = self.callback = self._broker.callbacks.add(self._called, self._make)
        callback.on_gap(self.gaps.append)
        try:
            await asyncio.wait({callback._task})
        finally:
            await callback.close()
        self.error = callback.error

    async def _called(self, record: Any) -> None:
        self.records.append(record)
        await self._go_on.wait()
        if len(self.records) % _RAISES_EVERY == 0:
            self.raised += 1
            raise ConsumerError

    async def _consume(self) -> None:
        if self.style is Style.BATCHES:
            batches = self.stream.batches()
            while True:
                with contextlib.suppress(StopAsyncIteration):
                    try:
                        self._take(await anext(batches))
                    except GapError as error:
                        self.gaps.append(error.gap)
                    await self._go_on.wait()
                    continue
                return
        elif self.style is Style.ERRORS:
            while True:
                try:
                    async for record in self.stream:
                        self._take([record])
                        await self._go_on.wait()
                except GapError as error:
                    self.gaps.append(error.gap)
                else:
                    return
        else:
            async for item in self.stream.with_gaps():
                if isinstance(item, Gap):
                    self.gaps.append(item)
                else:
                    self._take([item])
                await self._go_on.wait()

    def _take(self, records: list[Any]) -> None:
        self.records += records
        if self.raises_after is not None and len(self.records) >= self.raises_after:
            raise ConsumerError
