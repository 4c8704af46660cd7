"""What happens to connections and streams beside their data, as one typed stream of events."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import AsyncIterator

import msgspec

from tapewire.client.gap import Gap

__all__ = [
    "EVENTS_KEPT_MAX",
    "ORDERS",
    "BlockedEvent",
    "CallbackEndedEvent",
    "CallbackFailedEvent",
    "ConnectedEvent",
    "Event",
    "Events",
    "GapClosedEvent",
    "GapOpenedEvent",
    "LostEvent",
    "OverflowEvent",
    "PressureEvent",
    "RefusedEvent",
    "RestoredEvent",
    "SilentEvent",
    "WaitingEvent",
]

#: Events that wait for each of those who listen; the oldest goes first and is counted in ``Events.dropped``.
EVENTS_KEPT_MAX = 1_000

#: The lane of the connection for orders.
ORDERS = "orders"

_LOG = logging.getLogger("tapewire.client")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened; its text is one line for people."""


class _OfLink(Event, frozen=True, kw_only=True):
    """Something that happened to a connection; ``link`` is its number, ``lane`` what it is for.

    The one for orders has the number 0 and the lane ``orders``; those for streams count from 1.
    """

    link: int
    lane: str

    @property
    def connection(self) -> str:
        """The connection in words."""
        return "the order connection" if self.lane == ORDERS else f"connection {self.link} ({self.lane})"


class ConnectedEvent(_OfLink, frozen=True, kw_only=True):
    """A connection is open, and the one for orders authorized."""

    #: Whether it takes the place of one that was lost.
    is_again: bool

    def __str__(self) -> str:
        return f"{self.connection} is open{' again' if self.is_again else ''}"


class LostEvent(_OfLink, frozen=True, kw_only=True):
    """A connection has ended that was wanted."""

    code: int
    reason: str
    #: Streams that were on it; the one for orders has none.
    streams: int

    def __str__(self) -> str:
        why = f"{self.code}: {self.reason}" if self.reason else str(self.code)
        carried = "" if self.lane == ORDERS else f" with {self.streams} streams"
        return f"{self.connection} was lost ({why}){carried}"


class WaitingEvent(_OfLink, frozen=True, kw_only=True):
    """A connection could not be opened, or was lost; the next try comes after a pause."""

    seconds: float
    tries: int
    reason: str

    def __str__(self) -> str:
        return f"{self.connection}: try {self.tries + 1} in {self.seconds:.1f} s ({self.reason})"


class BlockedEvent(_OfLink, frozen=True, kw_only=True):
    """The broker refuses connections again and again: tries are minutes apart from now on."""

    reason: str

    def __str__(self) -> str:
        return f"{self.connection} is blocked: {self.reason}"


class RestoredEvent(_OfLink, frozen=True, kw_only=True):
    """All streams of a connection were asked for again and answered."""

    ok: int
    refused: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.connection}: {self.ok} streams restored, {self.refused} refused, in {self.seconds:.2f} s"


class RefusedEvent(Event, frozen=True, kw_only=True):
    """The broker will not serve a stream, or not any more."""

    stream: str
    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.stream} was refused: {self.code} {self.text}"


class GapOpenedEvent(Event, frozen=True, kw_only=True):
    """A stream has lost its connection."""

    gap: Gap

    def __str__(self) -> str:
        return f"gap: {self.gap}"


class GapClosedEvent(Event, frozen=True, kw_only=True):
    """A stream flows again; the gap says whether anything is missing."""

    gap: Gap

    def __str__(self) -> str:
        return f"gap: {self.gap}"


class OverflowEvent(Event, frozen=True, kw_only=True):
    """A consumer was too slow: messages were dropped, or a stream that drops nothing has ended."""

    stream: str
    dropped: int
    has_ended: bool

    def __str__(self) -> str:
        return f"{self.stream}: {self.dropped} dropped" + (", the stream has ended" if self.has_ended else "")


class SilentEvent(Event, frozen=True, kw_only=True):
    """A stream, or a whole connection, has been silent for longer than it should, and what is done about it."""

    #: The stream's name, ``connection 2`` or ``the order connection``.
    subject: str
    seconds: float
    action: str

    def __str__(self) -> str:
        return f"{self.subject} has been silent for {self.seconds:.0f} s: {self.action}"


class PressureEvent(_OfLink, frozen=True, kw_only=True):
    """Messages wait for a connection, and what is done before the broker cuts it."""

    #: As estimated.
    waiting: int
    waiting_max: int
    stream: str
    action: str

    def __str__(self) -> str:
        return (
            f"{self.connection}: about {self.waiting} of {self.waiting_max} messages wait;"
            f" {self.stream}: {self.action}"
        )


class CallbackFailedEvent(Event, frozen=True, kw_only=True):
    """A function of the program has raised; its stream goes on. Of many in a row the first is told, then some."""

    stream: str
    error: BaseException
    #: How often it has raised since it was registered.
    failed: int

    def __str__(self) -> str:
        return f"{self.stream}: a callback has raised {type(self.error).__name__} ({self.failed} so far)"


class CallbackEndedEvent(Event, frozen=True, kw_only=True):
    """A function of the program gets no more records: its stream could not be opened, or has ended."""

    stream: str
    reason: str
    #: When its stream is asked for again; None: never.
    seconds: float | None

    def __str__(self) -> str:
        again = "" if self.seconds is None else f"; again in {self.seconds:.0f} s"
        return f"{self.stream}: a callback gets no records ({self.reason}){again}"


_WARNINGS = (
    LostEvent,
    BlockedEvent,
    RefusedEvent,
    OverflowEvent,
    PressureEvent,
    SilentEvent,
    CallbackFailedEvent,
    CallbackEndedEvent,
)


class Events:
    """Tells events to all who listen, and to the log."""

    def __init__(self) -> None:
        # Weak: who has left a loop before its end says so to nobody.
        self._listeners: weakref.WeakSet[_Listener] = weakref.WeakSet()
        # Not weak while one waits: nothing else may refer to a task that does nothing but listen.
        self._waiting: set[_Listener] = set()
        self._has_ended = False
        #: Events since the start.
        self.count = 0
        #: Events that listeners have lost because they did not take them in time, all together.
        self.dropped = 0

    def __repr__(self) -> str:
        ended = ", ended" if self._has_ended else ""
        return f"<Events: {self.count} so far, {len(self._listeners)} listening{ended}>"

    def tell(self, event: Event) -> None:
        """Tell one event. Never waits, never raises."""
        self.count += 1
        left = isinstance(event, GapClosedEvent) and bool(event.gap.reason)
        level = logging.WARNING if isinstance(event, _WARNINGS) or left else logging.INFO
        error = event.error if isinstance(event, CallbackFailedEvent) else None
        _LOG.log(level, "%s", event, exc_info=error)
        for listener in tuple(self._listeners):
            self.dropped += listener.put(event)

    def __aiter__(self) -> AsyncIterator[Event]:
        """Yield every event from now on, in order, until the broker is closed."""
        listener = _Listener(self._waiting)
        self._listeners.add(listener)
        if self._has_ended:
            listener.end()
        return listener

    def close(self) -> None:
        """End the iterations of all who listen, after what waits for them."""
        self._has_ended = True
        for listener in tuple(self._listeners):
            listener.end()


class _Listener:
    """One iteration. No generator: one would end for ever when a wait is cancelled."""

    def __init__(self, waiting: set[_Listener]) -> None:
        self._waiting = waiting
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT_MAX)
        self._news = asyncio.Event()
        self._has_ended = False

    def put(self, event: Event) -> bool:
        # True: the oldest had to go.
        is_full = len(self._events) == EVENTS_KEPT_MAX
        self._events.append(event)
        self._news.set()
        return is_full

    def end(self) -> None:
        self._has_ended = True
        self._news.set()

    def __aiter__(self) -> _Listener:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._has_ended:
                raise StopAsyncIteration
            self._news.clear()
            self._waiting.add(self)
            try:
                await self._news.wait()
            finally:
                self._waiting.discard(self)
        return self._events.popleft()
