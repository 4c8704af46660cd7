"""A part of a program that holds one stream: opens it, consumes it in its way, writes down all that it is told."""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum
from typing import Any

from tapewire.client.broker import Broker
from tapewire.client.buffer import BufferPolicy, Fail
from tapewire.client.errors import GapError, TapewireError
from tapewire.client.gap import Gap
from tapewire.client.subscription import Subscription
from tapewire.model import Bar
from tapewire.protocol.requests import SubscribeBars

__all__ = ["PORTFOLIO", "ConsumerError", "Holder", "Kind", "Style", "make_stream"]

PORTFOLIO = "D1"


class ConsumerError(Exception):
    """What a program raises while it consumes."""


class Kind(Enum):
    TRADES = "trades"
    PAST_TRADES = "past trades"
    BOOK = "book"
    QUOTES = "quotes"
    BARS = "bars"
    ORDERS = "orders"
    FILLS = "fills"
    POSITIONS = "positions"


class Style(Enum):
    """How a consumer takes what comes."""

    ITEMS = "items"
    BATCHES = "batches"
    ERRORS = "errors"
    RAISES = "raises"


def make_stream(broker: Broker, kind: Kind, symbol: str, policy: BufferPolicy | None) -> Subscription[Any]:
    """Return a stream that is not open yet."""
    portfolio = broker.portfolio(PORTFOLIO)
    match kind:
        case Kind.TRADES:
            return broker.trades(symbol, buffer=policy)
        case Kind.PAST_TRADES:
            return broker.trades(symbol, depth=3, buffer=policy)
        case Kind.BOOK:
            return broker.book(symbol, depth=5, frequency_ms=25, buffer=policy)
        case Kind.QUOTES:
            return broker.quotes(symbol, frequency_ms=25, buffer=policy)
        case Kind.BARS:
            request = SubscribeBars(
                guid="", exchange="MOEX", code=symbol, timeframe=60, since_s=0, skip_history=True, frequency=25
            )
            return broker._subscription(request, Bar, policy or Fail(), f"bars:{symbol}")
        case Kind.ORDERS:
            return portfolio.watch_orders(buffer=policy)
        case Kind.FILLS:
            return portfolio.watch_fills(buffer=policy)
        case Kind.POSITIONS:
            return portfolio.watch_positions(buffer=policy)


class Holder:
    """One consumer with its stream.

    Attributes:
        known: How many records the venue had told when the stream was open; None before.
        records: What came.
        gaps: What it was told to have missed.
        error: What it was told at the end; ``ended`` without one is a plain end.
        is_wanted: Whether the program still wants it.
    """

    def __init__(
        self, number: int, kind: Kind, symbol: str, style: Style, policy: BufferPolicy | None, broker: Broker
    ) -> None:
        self.number = number
        self.kind = kind
        self.symbol = symbol
        self.style = style
        self.policy = policy
        self.stream = make_stream(broker, kind, symbol, policy)
        self.known: int | None = None
        self.records: list[Any] = []
        self.gaps: list[Gap] = []
        self.error: TapewireError | None = None
        self.ended = False
        self.is_wanted = True
        self.raises_after: int | None = None
        self._go_on = asyncio.Event()
        self._go_on.set()
        self.task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return (
            f"<holder {self.number}: {self.kind.value} {self.symbol}, {self.style.value}, {self.policy},"
            f" {self.stream.state.value}, {len(self.records)} records, {len(self.gaps)} gaps, {self.error!r}>"
        )

    @property
    def is_live(self) -> bool:
        """Whether it is open, wanted, and was not told an end."""
        return self.known is not None and self.is_wanted and not self.ended

    def stall(self) -> None:
        """Take nothing any more, until told to go on."""
        self._go_on.clear()

    def go_on(self) -> None:
        self._go_on.set()

    async def run(self, known: Any) -> None:
        """Open, consume, close. ``known`` says how many records the venue has told of this stream."""
        try:
            async with self.stream:
                self.known = known(self)
                await self._consume()
        except TapewireError as error:
            self.error = error
        except ConsumerError:
            self.is_wanted = False
        finally:
            self.ended = True

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
