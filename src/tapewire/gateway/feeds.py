"""Feeds: one record, encoded once, on its way to all who asked for it alike.

Subscriptions with equal (topic, format, depth, frequency) share a feed. A state feed sends the newest state at
the end of each window in which something changed, an event feed sends every event at once. A feed of bars or
clusters does both: the running one once a window, and each in its last form, which conflation must not lose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from tapewire.gateway.burst import BURST_MESSAGES_MAX, Burst
from tapewire.gateway.rhythm import Rhythm
from tapewire.model import Book, LegacyStopOrder, Record, StopOrder, StreamPosition, Topic
from tapewire.ports.venue import Snapshot
from tapewire.protocol.formats import codec
from tapewire.protocol.messages import DATA_PREFIX
from tapewire.protocol.requests import STREAMS
from tapewire.protocol.words import Format

__all__ = ["BarFeed", "Event", "EventFeed", "FeedKey", "StateFeed", "Subscriber", "encoder"]


class FeedKey(NamedTuple):
    """What subscriptions must have in common to share a feed."""

    topic: Topic
    format: Format
    #: Levels of a book; 0 for everything else.
    depth: int = 0
    #: Width of the window; 0 for event feeds.
    window_ms: int = 0
    #: Whether stop orders are written as the deprecated stream has them.
    is_legacy: bool = False


class Event(NamedTuple):
    """One event of a topic, as it happened and as it is sent."""

    position: StreamPosition
    record: Record
    shared: bytes


class Subscriber(Protocol):
    """Who receives from a feed."""

    def deliver_state(self, position: StreamPosition, state: Burst) -> None:
        """Take a newer state."""

    def deliver_first(self, position: StreamPosition, state: Burst) -> None:
        """Take the first state of a topic that had none when this subscriber joined."""

    def deliver_final(self, position: StreamPosition, state: Burst) -> None:
        """Take the last form of a state, before the first form of the next."""

    def deliver_events(self, events: Sequence[Event], burst: Burst) -> None:
        """Take a few more events, oldest first; ``burst`` has a message for each."""


def encoder(key: FeedKey) -> Callable[[Record], bytes]:
    """Return how a feed writes its records: everything of a data message that does not name the subscriber."""
    if key.is_legacy:
        return _legacy_encoder(key)
    write = codec(STREAMS[key.topic.kind].record, key.format).encode
    if key.depth == 0:
        return lambda record: DATA_PREFIX + write(record)
    depth = key.depth

    def write_book(record: Record) -> bytes:
        assert isinstance(record, Book)
        if len(record.bids) > depth or len(record.asks) > depth:
            record = msgspec.structs.replace(record, bids=record.bids[:depth], asks=record.asks[:depth])
        return DATA_PREFIX + write(record)

    return write_book


def _legacy_encoder(key: FeedKey) -> Callable[[Record], bytes]:
    write = codec(LegacyStopOrder, key.format).encode

    def write_stop_order(record: Record) -> bytes:
        assert isinstance(record, StopOrder)
        # Its fields are some of those that stop orders have.
        fields = {name: getattr(record, name) for name in LegacyStopOrder.__struct_fields__}
        return DATA_PREFIX + write(LegacyStopOrder(**fields))

    return write_stop_order


class StateFeed:
    """The newest state of a topic, once a window.

    When a window ends, the feed is due; the state is read and written when the beat comes that delivers it, that
    of a portfolio at once.
    """

    def __init__(self, key: FeedKey, current: Callable[[Topic], Snapshot | None], rhythm: Rhythm) -> None:
        self.key = key
        self._current = current
        self._windows = rhythm.windows
        self._pulse = rhythm.pulse
        self._write = rhythm.counted(encoder(key))
        self._window_s = key.window_ms / 1000
        self._is_urgent = key.topic.kind.of_portfolio
        # Windows of a feed lie on its own grid, so that feeds of equal width do not all end at once.
        self._origin = rhythm.windows.now()
        self._wakes_at: int | None = None
        self._is_changed = False
        # Where each subscriber stands that has joined in the running window: it has that state already.
        self._joined: dict[Subscriber, StreamPosition | None] = {}
        self.subscribers: dict[Subscriber, None] = {}
        self._first: tuple[StreamPosition, bytes] | None = None

    def add(self, subscriber: Subscriber) -> bytes | None:
        """Add a subscriber and return the state it begins with, marked as existing; None: not known yet."""
        snapshot = self._current(self.key.topic)
        self.subscribers[subscriber] = None
        self._joined[subscriber] = snapshot.position if snapshot else None
        self._wake()
        if snapshot is None:
            return None
        if self._first is None or self._first[0] != snapshot.position:
            self._first = snapshot.position, self._write(_as_existing(snapshot.record))
        return self._first[1]

    def remove(self, subscriber: Subscriber) -> None:
        """Deliver nothing more to a subscriber."""
        self.subscribers.pop(subscriber, None)
        self._joined.pop(subscriber, None)

    def close(self) -> None:
        """Wake no more: nobody wants this feed."""
        if self._wakes_at is not None:
            self._windows.forget(self._wakes_at, self._end_window)

    def changed(self) -> None:
        """Remember that the topic has a new state; it is read when the window has ended."""
        if not self._is_changed:
            self._is_changed = True
            self._wake()

    def deliver(self) -> None:
        """Hand the newest state to all who do not have it."""
        self._is_changed = False
        joined, self._joined = self._joined, {}
        self._first = None
        if not self.subscribers:
            return
        snapshot = self._current(self.key.topic)
        if snapshot is None:
            self._joined = joined
            return
        position = snapshot.position
        state = Burst((self._write(snapshot.record),), self._windows.now())
        if not joined:
            for subscriber in self.subscribers:
                subscriber.deliver_state(position, state)
            return
        first: Burst | None = None
        for subscriber in self.subscribers:
            if subscriber not in joined:
                subscriber.deliver_state(position, state)
            elif joined[subscriber] is None:
                # The source did not know the state when this one joined, so this is its first.
                first = first or Burst((self._write(_as_existing(snapshot.record)),), state.at_s)
                subscriber.deliver_first(position, first)
            elif joined[subscriber] != position:
                subscriber.deliver_state(position, state)

    def _wake(self) -> None:
        if self._wakes_at is None:
            windows_passed = (self._windows.now() - self._origin) // self._window_s
            self._wakes_at = self._windows.wake_at(
                self._origin + (windows_passed + 1) * self._window_s, self._end_window
            )

    def _end_window(self) -> None:
        self._wakes_at = None
        if self._is_changed and self._is_urgent:
            self.deliver()
        elif self._is_changed:
            self._pulse.due(self)
        else:
            # Whoever has joined has the state that is still the newest; the next one is news to all.
            self._first = None
            self._joined = {who: position for who, position in self._joined.items() if position is None}


class BarFeed(StateFeed):
    """The running bar or cluster once a window, and each when it has become final."""

    def happened(self, position: StreamPosition, record: Record) -> None:
        """Hand a final bar to everybody at once: what the next window brings is a later bar."""
        final = Burst((self._write(record),), self._windows.now())
        for subscriber in self.subscribers:
            subscriber.deliver_final(position, final)


class EventFeed:
    """Every event of a topic: with the next beat, those of a portfolio at once."""

    def __init__(self, key: FeedKey, rhythm: Rhythm) -> None:
        self.key = key
        self._windows = rhythm.windows
        self._pulse = rhythm.pulse
        self._write = rhythm.counted(encoder(key))
        self._is_urgent = key.topic.kind.of_portfolio
        self._waiting: list[Event] = []
        self.subscribers: dict[Subscriber, None] = {}

    def add(self, subscriber: Subscriber) -> None:
        """Deliver to a subscriber from the next event on."""
        self.deliver()
        self.subscribers[subscriber] = None

    def remove(self, subscriber: Subscriber) -> None:
        """Deliver nothing more to a subscriber."""
        self.subscribers.pop(subscriber, None)

    def happened(self, position: StreamPosition, record: Record) -> None:
        """Write one event, for all."""
        self._waiting.append(Event(position, record, self._write(record)))
        if self._is_urgent or len(self._waiting) == BURST_MESSAGES_MAX:
            self.deliver()
        elif len(self._waiting) == 1:
            self._pulse.due(self)

    def deliver(self) -> None:
        """Hand what has happened to everybody."""
        if self._waiting:
            events, self._waiting = self._waiting, []
            burst = Burst([event.shared for event in events], self._windows.now())
            for subscriber in self.subscribers:
                subscriber.deliver_events(events, burst)


def _as_existing(record: Record) -> Record:
    """Return the record as the first message of a subscription carries it."""
    if isinstance(record, Book):
        return msgspec.structs.replace(record, existing=True, snapshot=True)
    return record
