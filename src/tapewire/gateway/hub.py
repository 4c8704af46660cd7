"""The hub knows who wants what: it opens a topic at the source when the first subscriber comes, closes it when
the last one leaves, and hands what the source says to the feeds of that topic.
"""

from __future__ import annotations

import asyncio

from tapewire.gateway.feeds import BarFeed, EventFeed, FeedKey, StateFeed
from tapewire.gateway.pulse import Pulse
from tapewire.gateway.rhythm import Rhythm
from tapewire.gateway.windows import Windows
from tapewire.model import Record, StreamPosition, Topic, TopicKind
from tapewire.ports.venue import FeedSource

__all__ = ["Hub"]


class Hub:
    """All feeds of one gateway."""

    def __init__(self, source: FeedSource, loop: asyncio.AbstractEventLoop, pulse: Pulse) -> None:
        self._source = source
        self._loop = loop
        self.windows = Windows(loop)
        self._pulse = pulse
        self._rhythm = Rhythm(self.windows, pulse)
        self._state_feeds: dict[Topic, dict[FeedKey, StateFeed]] = {}
        self._event_feeds: dict[Topic, dict[FeedKey, EventFeed]] = {}

    @property
    def topics(self) -> int:
        """How many topics are open at the source."""
        return len(self._state_feeds) + len(self._event_feeds)

    @property
    def feeds(self) -> int:
        """How many feeds there are: kinds of subscription that differ in more than the guid."""
        return sum(map(len, self._state_feeds.values())) + sum(map(len, self._event_feeds.values()))

    @property
    def encoded(self) -> int:
        """Records that have been written for live delivery, since the start."""
        return self._rhythm.encoded

    def state_feed(self, key: FeedKey) -> StateFeed:
        """Return the feed that all subscriptions of this key share.

        Raises:
            UnknownTopicError: The venue has no such stream.
        """
        feeds = self._state_feeds.get(key.topic)
        if feeds is None:
            self._source.open(key.topic, self)
            feeds = self._state_feeds[key.topic] = {}
        feed = feeds.get(key)
        if feed is None:
            make = BarFeed if key.topic.kind in (TopicKind.BAR, TopicKind.CLUSTER) else StateFeed
            feed = feeds[key] = make(key, self._source.current, self._rhythm)
        return feed

    def event_feed(self, key: FeedKey) -> EventFeed:
        """Return the feed that all subscriptions of this key share.

        Raises:
            UnknownTopicError: The venue has no such stream.
        """
        feeds = self._event_feeds.get(key.topic)
        if feeds is None:
            self._source.open(key.topic, self)
            feeds = self._event_feeds[key.topic] = {}
        feed = feeds.get(key)
        if feed is None:
            feed = feeds[key] = EventFeed(key, self._rhythm)
        return feed

    def release(self, feed: StateFeed | EventFeed) -> None:
        """Close a feed that nobody wants any more, and its topic with the last feed."""
        if feed.subscribers:
            return
        topic = feed.key.topic
        all_feeds = self._state_feeds if isinstance(feed, StateFeed) else self._event_feeds
        feeds = all_feeds.get(topic)
        if feeds is None or feeds.get(feed.key) is not feed:
            return
        del feeds[feed.key]
        if isinstance(feed, StateFeed):
            feed.close()
        if not feeds:
            del all_feeds[topic]
            self._source.close(topic, self)

    def close(self) -> None:
        """Deliver what has happened, close all topics and wake nobody any more."""
        for feeds in self._event_feeds.values():
            for feed in feeds.values():
                feed.deliver()
        self.windows.close()
        for topic in (*self._state_feeds, *self._event_feeds):
            self._source.close(topic, self)
        self._state_feeds.clear()
        self._event_feeds.clear()

    # --- FeedSink ---------------------------------------------------------------------------------------

    def changed(self, topic: Topic) -> None:
        """Wake the feeds of a state topic."""
        for feed in self._state_feeds.get(topic, {}).values():
            feed.changed()

    def happened(self, topic: Topic, position: StreamPosition, record: Record) -> None:
        """Pass an event on to the feeds of its topic."""
        events = self._event_feeds.get(topic)
        feeds: tuple[EventFeed | BarFeed, ...]
        if events is not None:
            feeds = tuple(events.values())
        else:
            feeds = tuple(feed for feed in self._state_feeds.get(topic, {}).values() if isinstance(feed, BarFeed))
        for feed in feeds:
            try:
                feed.happened(position, record)
            except Exception as error:  # noqa: BLE001  (a record that cannot be written is no reason to stop the market)
                self._loop.call_exception_handler(
                    {"message": f"an event of {topic.kind} {topic.subject} was not delivered", "exception": error}
                )

    def told(self) -> None:
        """Deliver what has happened at once, where that is cheap."""
        self._pulse.lead()
