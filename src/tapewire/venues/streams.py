"""Who listens to which stream, and what they have yet to be told.

Marking and telling are separate: while commands are applied, notices are only noted; ``flush`` hands them
out once all state is consistent. A sink may therefore read anything it likes, and one that fails harms
neither the venue nor the other sinks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from tapewire.model import Record, StreamPosition, Topic, TopicKind
from tapewire.ports.venue import FeedSink

__all__ = ["PORTFOLIO_KINDS", "SERVED_KINDS", "Streams"]

#: The kinds of streams that the embedded venue has of instruments.
SERVED_KINDS = frozenset(
    {
        TopicKind.BOOK,
        TopicKind.QUOTE,
        TopicKind.TRADES,
        TopicKind.BAR,
        TopicKind.CLUSTER,
        TopicKind.INSTRUMENT,
    }
)

#: The kinds of streams that it has of portfolios.
PORTFOLIO_KINDS = frozenset(
    {
        TopicKind.FILLS,
        TopicKind.ORDERS,
        TopicKind.STOP_ORDERS,
        TopicKind.POSITIONS,
        TopicKind.SUMMARY,
        TopicKind.RISK,
        TopicKind.DERIVATIVES_RISK,
    }
)

#: What changes when the book does.
_BOOK_KINDS = (TopicKind.BOOK, TopicKind.QUOTE)


class _Channel(NamedTuple):
    """One stream, however its board is named in the topic: a primary board has two names."""

    instrument: int
    kind: TopicKind
    interval_s: int = 0


class _Feed:
    """One open topic."""

    __slots__ = ("channel", "sinks", "told", "topic")

    def __init__(self, topic: Topic, channel: _Channel) -> None:
        self.topic = topic
        self.channel = channel
        self.sinks: list[FeedSink] = []
        #: A sink was told of a change and nobody has pulled the new state yet: no need to tell again.
        self.told = False


class _Notice(NamedTuple):
    feed: _Feed
    sink: FeedSink
    #: None: the state has changed. Else: one more event.
    event: tuple[StreamPosition, Record] | None


class Streams:
    """The open topics of a venue.

    Instruments are named by their position in the venue's list, and so are portfolios by theirs: no kind of
    stream belongs to both.
    """

    def __init__(self) -> None:
        self._feeds: dict[Topic, _Feed] = {}
        self._channels: dict[_Channel, list[_Feed]] = {}
        # Dicts keep an order that a set would not: equal runs tell their sinks in equal order.
        self._changed: dict[_Channel, None] = {}
        self._notices: deque[_Notice] = deque()

    def open(self, topic: Topic, instrument: int, sink: FeedSink) -> None:
        """Begin to tell ``sink`` about a topic of this instrument. Opening it again does nothing."""
        feed = self._feeds.get(topic)
        if feed is None:
            feed = self._feeds[topic] = _Feed(topic, _Channel(instrument, topic.kind, topic.interval_s))
            self._channels.setdefault(feed.channel, []).append(feed)
        if not any(known is sink for known in feed.sinks):
            feed.sinks.append(sink)
        # The newcomer has not been told of a change that others have not pulled yet.
        feed.told = False

    def close(self, topic: Topic, sink: FeedSink) -> None:
        """Stop telling ``sink`` about ``topic``, also what is already noted. A stranger changes nothing."""
        feed = self._feeds.get(topic)
        if feed is None:
            return
        feed.sinks = [known for known in feed.sinks if known is not sink]
        if not feed.sinks:
            del self._feeds[topic]
            feeds = self._channels[feed.channel]
            feeds.remove(feed)
            if not feeds:
                del self._channels[feed.channel]

    def is_open(self, instrument: int, kind: TopicKind, interval_s: int = 0) -> bool:
        """Return whether somebody listens to this stream, under any name of its board."""
        return _Channel(instrument, kind, interval_s) in self._channels

    def pulled(self, topic: Topic) -> None:
        """Note that the state of a topic was read: its next change is worth telling."""
        feed = self._feeds.get(topic)
        if feed is not None:
            feed.told = False

    def changed(self, instrument: int) -> None:
        """Note that book and quote of an instrument are new."""
        for kind in _BOOK_KINDS:
            self.state_changed(instrument, kind)

    def state_changed(self, instrument: int, kind: TopicKind, interval_s: int = 0) -> None:
        """Note that one state of an instrument is new."""
        channel = _Channel(instrument, kind, interval_s)
        if channel in self._channels:
            self._changed[channel] = None

    def happened(
        self,
        instrument: int,
        position: StreamPosition,
        record: Callable[[], Record],
        *,
        kind: TopicKind = TopicKind.TRADES,
        interval_s: int = 0,
    ) -> None:
        """Note one more event of an instrument; ``record`` makes it, and is called only if somebody listens."""
        feeds = self._channels.get(_Channel(instrument, kind, interval_s))
        if not feeds:
            return
        event = (position, record())
        self._notices.extend(_Notice(feed, sink, event) for feed in feeds for sink in feed.sinks)

    def flush(self) -> None:
        """Tell the sinks all that was noted: events in their order, then changes of state, then that it was all.

        Raises:
            ExceptionGroup: Sinks have failed. All others were told all the same, and nothing is left over.
        """
        for channel in self._changed:
            for feed in self._channels.get(channel, ()):
                if not feed.told:
                    feed.told = True
                    self._notices.extend(_Notice(feed, sink, None) for sink in feed.sinks)
        self._changed.clear()
        failures: list[Exception] = []
        told: dict[FeedSink, None] = {}
        while self._notices:
            notice = self._notices.popleft()
            if notice.event is not None:
                told[notice.sink] = None
            try:
                _tell(notice)
            except Exception as failure:  # noqa: BLE001 – whatever it is, it is raised below
                failures.append(failure)
        for sink in told:
            try:
                sink.told()
            except Exception as failure:  # noqa: BLE001 – likewise
                failures.append(failure)
        if failures:
            raise ExceptionGroup("sinks have failed", failures)


def _tell(notice: _Notice) -> None:
    feed, sink, event = notice
    if not any(known is sink for known in feed.sinks):
        return  # closed in the meantime, perhaps by a sink that was told before
    if event is None:
        sink.changed(feed.topic)
    else:
        position, record = event
        sink.happened(feed.topic, position, record)
