"""Takes something off a connection that falls behind, and gives it back when there has been calm for long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from weakref import WeakKeyDictionary

import msgspec

from tapewire.client.backfill import newest_record
from tapewire.client.events import Events, PressureEvent
from tapewire.client.feed import Feed
from tapewire.client.link import Link
from tapewire.client.planner import Lane
from tapewire.model import TopicKind, Trade
from tapewire.protocol.limits import FREQUENCY_DEFAULT_MS, UNPROCESSED_MESSAGES_MAX
from tapewire.protocol.requests import SubscribeBook, SubscribeQuotes, SubscribeRequest

__all__ = ["HOT_PART", "LAG_MAX_S", "SLOWED_AT_ONCE", "SLOWEST_MS", "Relief", "Relieved"]

#: A stream with more than this part of a connection's messages gets a connection of its own, if there is one.
HOT_PART = 0.5
#: Streams that are asked for at other intervals in one go, the busiest first: twice as long, up to a bound.
SLOWED_AT_ONCE = 10
SLOWEST_MS = 2_000
#: Trades that are older, or as far ahead, say nothing of what waits.
LAG_MAX_S = 600.0


class Relieved(Protocol):
    """Whose connections are looked at, and what can be done about them."""

    async def replace(self, feed: Feed, request: SubscribeRequest, *, on_own_link: bool) -> bool:
        """Put a feed of state under another request, or on a link of its own, without a pause; False: not done."""

    def now(self) -> datetime:
        """Return the time of day, UTC."""


class Relief:
    """Looks at one connection after the other. ``acts``: whether anything is done; it is measured anyway."""

    def __init__(self, relieved: Relieved, events: Events, *, acts: bool) -> None:
        self.acts = acts
        self._relieved = relieved
        self._events = events
        #: Messages of each feed at the last look.
        self._counts: WeakKeyDictionary[Feed, int] = WeakKeyDictionary()

    async def look(self, link: Link) -> None:
        """Estimate what waits for a connection; when it is much, take something off it."""
        now_s = asyncio.get_running_loop().time()
        feeds = link.subscriber.feeds
        fresh = {feed: feed.received - self._counts.get(feed, 0) for feed in feeds}
        self._counts.update({feed: feed.received for feed in feeds})
        link.pressure.look(link.received, self._lag_s(fresh), link.round_trip_s, now_s)
        if not self.acts:
            return
        if link.pressure.must_act(now_s):
            await self._take_off(link, fresh)
        elif link.pressure.may_ease(now_s):
            await self._give_back(link, tuple(feeds))

    async def _take_off(self, link: Link, fresh: dict[Feed, int]) -> None:
        busy = [
            feed
            for feed in sorted(fresh, key=lambda feed: fresh[feed], reverse=True)
            if fresh[feed] > 0 and feed.is_state and feed.lane is Lane.MARKET
        ]
        hot = next(iter(busy), None)
        is_hot = hot is not None and len(fresh) > 1 and fresh[hot] > HOT_PART * sum(fresh.values())
        if hot is not None and is_hot and await self._relieved.replace(hot, hot.request, on_own_link=True):
            self._tell(link, hot, "it has a connection of its own")
            return
        for feed in busy[:SLOWED_AT_ONCE]:
            request = _slower(feed.request)
            if request is not None and not await self._pace(link, feed, request):
                # A broker that does not answer in time is not asked for more.
                return

    async def _give_back(self, link: Link, feeds: Sequence[Feed]) -> None:
        """Let streams that were slowed come more often, up to what their programs have asked for."""
        faster = ((feed, _faster(feed)) for feed in feeds)
        slowed = [(feed, request) for feed, request in faster if request is not None]
        for feed, request in slowed[:SLOWED_AT_ONCE]:
            if not await self._pace(link, feed, request):
                return

    async def _pace(self, link: Link, feed: Feed, request: SubscribeBook | SubscribeQuotes) -> bool:
        """Have a stream come at another interval; False: it goes on as it was."""
        if not await self._relieved.replace(feed, request, on_own_link=False):
            return False
        self._tell(link, feed, f"one message in {request.frequency} ms")
        return True

    def _lag_s(self, fresh: dict[Feed, int]) -> float | None:
        """Return the age of the newest trade that has come since the last look, of one stream."""
        feed = next((feed for feed, count in fresh.items() if count and feed.kind is TopicKind.TRADES), None)
        newest = newest_record(feed) if feed is not None else None
        if not isinstance(newest, Trade) or newest.existing or not isinstance(newest.time_ms, int):
            return None
        lag_s = self._relieved.now().timestamp() - newest.time_ms / 1_000
        # Beyond that it is not the way that is long: a time is false, or a clock.
        return lag_s if abs(lag_s) <= LAG_MAX_S else None

    def _tell(self, link: Link, feed: Feed, action: str) -> None:
        self._events.tell(
            PressureEvent(
                link=link.number,
                lane=link.lane.value,
                waiting=int(link.pressure.estimate.waiting),
                waiting_max=UNPROCESSED_MESSAGES_MAX,
                stream=feed.name,
                action=action,
            )
        )


def _slower(request: SubscribeRequest) -> SubscribeBook | SubscribeQuotes | None:
    """Return a request for the same at an interval twice as long; None: it cannot be longer."""
    if not isinstance(request, SubscribeBook | SubscribeQuotes) or request.frequency >= SLOWEST_MS:
        return None
    frequency_ms = min(2 * max(request.frequency, FREQUENCY_DEFAULT_MS), SLOWEST_MS)
    return msgspec.structs.replace(request, frequency=frequency_ms)


def _faster(feed: Feed) -> SubscribeBook | SubscribeQuotes | None:
    """Return a request for a feed that was slowed, at half its interval; None: it comes as it was asked for."""
    asked = feed.subscriptions[0].request if feed.subscriptions else None
    request = feed.request
    if not isinstance(request, SubscribeBook | SubscribeQuotes) or not isinstance(asked, type(request)):
        return None
    if request.frequency <= max(asked.frequency, FREQUENCY_DEFAULT_MS):
        return None
    half_ms = request.frequency // 2
    frequency_ms = half_ms if half_ms > max(asked.frequency, FREQUENCY_DEFAULT_MS) else asked.frequency
    return msgspec.structs.replace(request, frequency=frequency_ms)
