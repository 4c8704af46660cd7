"""Looks at every connection now and then: which streams are silent, and how far the broker's cut is."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import datetime
from typing import Protocol
from weakref import WeakKeyDictionary

import msgspec

from tapewire.client.backfill import newest_record
from tapewire.client.events import Events, PressureEvent, SilentEvent
from tapewire.client.feed import Feed
from tapewire.client.link import Link, LinkState
from tapewire.client.liveness import ANEW_PER_MINUTE_MAX, Liveness, Sample, Step
from tapewire.client.planner import Lane
from tapewire.client.pressure import Estimate
from tapewire.client.states import SubscriptionState
from tapewire.client.trading_hours import TradingHours
from tapewire.model import TopicKind, Trade
from tapewire.protocol.limits import FREQUENCY_DEFAULT_MS, UNPROCESSED_MESSAGES_MAX
from tapewire.protocol.requests import SubscribeBook, SubscribeQuotes, SubscribeRequest

__all__ = ["LOOK_EVERY_S", "Watch", "Watched"]

#: Each connection is looked at so often; with 5,000 streams that takes some 10 ms of its loop.
LOOK_EVERY_S = 5.0
#: A stream with more than this part of a connection's messages gets a connection of its own, if there is one.
HOT_PART = 0.5
#: Streams that are asked for at longer intervals in one go, the busiest first: twice as long, up to a bound.
SLOWED_AT_ONCE = 10
SLOWEST_MS = 2_000

log = logging.getLogger("tapewire.client")


class Watched(Protocol):
    """What is looked at, and what can be done about it."""

    @property
    def links(self) -> tuple[Link, ...]:
        """The connections."""

    async def replace(self, feed: Feed, request: SubscribeRequest, *, on_own_link: bool) -> bool:
        """Put a feed of state under another request, or on a link of its own, without a pause; False: not done."""

    async def close_own(self, link: Link) -> None:
        """Close a link that was for one stream which is gone."""

    def ask_anew(self, feed: Feed, cause: str) -> None:
        """Subscribe to a feed again under a new guid; what came under the old one is dropped from now on."""

    def now(self) -> datetime:
        """Return the time of day, UTC."""


class Watch:
    """One task that looks and acts."""

    def __init__(self, watched: Watched, hours: TradingHours, events: Events, *, relieves: bool) -> None:
        self._watched = watched
        self._hours = hours
        self._events = events
        #: Whether something is done about pressure; it is measured anyway.
        self._relieves = relieves
        #: Messages of each feed at the last look.
        self._counts: WeakKeyDictionary[Feed, int] = WeakKeyDictionary()
        self._anew: deque[float] = deque(maxlen=ANEW_PER_MINUTE_MAX)
        self._liveness: WeakKeyDictionary[Link, Liveness[Feed]] = WeakKeyDictionary()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            links = self._watched.links
            for link in links:
                # One after the other, so that no look at all of them holds the loop up.
                await asyncio.sleep(LOOK_EVERY_S / len(links))
                try:
                    await self._look(link)
                except Exception:
                    # A fault of our own in one look does not end the watch.
                    log.exception("connection %d could not be looked at", link.number)
            if not links:
                await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, link: Link) -> None:
        await self._watched.close_own(link)
        if link.state is LinkState.OPEN:
            self._look_for_silence(link)
            await self._look_for_pressure(link)

    async def _look_for_pressure(self, link: Link) -> None:
        """Estimate what waits for a connection; when it is much, take something off it."""
        now_s = asyncio.get_running_loop().time()
        fresh = {feed: feed.received - self._counts.get(feed, 0) for feed in link.feeds}
        self._counts.update({feed: feed.received for feed in link.feeds})
        estimate = link.pressure.look(link.received, self._lag_s(fresh), link.round_trip_s, now_s)
        if not self._relieves or not link.pressure.must_act(now_s):
            return
        busy = [
            feed
            for feed in sorted(fresh, key=lambda feed: fresh[feed], reverse=True)
            if fresh[feed] > 0 and feed.is_state and feed.lane is Lane.MARKET
        ]
        hot = next(iter(busy), None)
        is_hot = hot is not None and len(fresh) > 1 and fresh[hot] > HOT_PART * sum(fresh.values())
        if hot is not None and is_hot and await self._watched.replace(hot, hot.request, on_own_link=True):
            self._tell(link, estimate, hot, "it has a connection of its own")
            return
        for feed in busy[:SLOWED_AT_ONCE]:
            request = _slower(feed.request)
            if request is None:
                continue
            if not await self._watched.replace(feed, request, on_own_link=False):
                # A broker that does not answer in time is not asked for more.
                return
            self._tell(link, estimate, feed, f"one message in {request.frequency} ms")

    def _lag_s(self, fresh: dict[Feed, int]) -> float | None:
        """Return the age of the newest trade that has come since the last look, of one stream."""
        feed = next((feed for feed, count in fresh.items() if count and feed.kind is TopicKind.TRADES), None)
        newest = newest_record(feed) if feed is not None else None
        if not isinstance(newest, Trade) or newest.existing:
            return None
        return self._watched.now().timestamp() - newest.time_ms / 1_000

    def _tell(self, link: Link, estimate: Estimate, feed: Feed, action: str) -> None:
        self._events.tell(
            PressureEvent(
                link=link.number,
                lane=link.lane.value,
                waiting=int(estimate.waiting),
                waiting_max=UNPROCESSED_MESSAGES_MAX,
                stream=feed.name,
                action=action,
            )
        )

    def _look_for_silence(self, link: Link) -> None:
        liveness = self._liveness.setdefault(link, Liveness(self._anew))
        samples = (
            Sample(feed, feed.kind, feed.received, feed.state is SubscriptionState.ACTIVE) for feed in link.feeds
        )
        is_trading = self._hours.are_at(self._watched.now())
        for alarm in liveness.look(samples, asyncio.get_running_loop().time(), is_trading=is_trading):
            feed = alarm.stream
            self._events.tell(SilentEvent(subject=feed.name, seconds=alarm.silent_s, action=alarm.step.value))
            if alarm.step is Step.PING:
                link.ping()
            elif alarm.step is Step.RESUBSCRIBE:
                self._watched.ask_anew(feed, f"silent for {alarm.silent_s:.0f} s")
            else:
                link.reconnect(f"{feed.name} and others are silent")
                return


def _slower(request: SubscribeRequest) -> SubscribeBook | SubscribeQuotes | None:
    """Return a request for the same at an interval twice as long; None: it cannot be longer."""
    if not isinstance(request, SubscribeBook | SubscribeQuotes) or request.frequency >= SLOWEST_MS:
        return None
    frequency_ms = min(2 * max(request.frequency, FREQUENCY_DEFAULT_MS), SLOWEST_MS)
    return msgspec.structs.replace(request, frequency=frequency_ms)
