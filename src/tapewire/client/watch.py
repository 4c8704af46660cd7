"""Looks at every connection now and then: which streams are silent, and how far the broker's cut is."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Protocol
from weakref import WeakKeyDictionary

from tapewire.client.events import Events, SilentEvent
from tapewire.client.feed import Feed
from tapewire.client.link import Link, LinkState
from tapewire.client.liveness import ANEW_PER_MINUTE_MAX, Liveness, Sample, Step
from tapewire.client.relief import Relief, Relieved
from tapewire.client.states import SubscriptionState
from tapewire.client.trading_hours import TradingHours

__all__ = ["LOOK_EVERY_S", "Watch", "Watched"]

#: Each connection is looked at so often; with 5,000 streams that takes some 10 ms of its loop.
LOOK_EVERY_S = 5.0

log = logging.getLogger("tapewire.client")


class Watched(Relieved, Protocol):
    """What is looked at, and what can be done about it."""

    @property
    def links(self) -> tuple[Link, ...]:
        """The connections."""

    async def close_own(self, link: Link) -> None:
        """Close a link that was for one stream which is gone."""

    def ask_anew(self, feed: Feed, cause: str) -> None:
        """Subscribe to a feed again under a new guid; what came under the old one is dropped from now on."""


class Watch:
    """One task that looks and acts."""

    def __init__(self, watched: Watched, hours: TradingHours, events: Events, *, relieves: bool) -> None:
        self._watched = watched
        self._hours = hours
        self._events = events
        self._relief = Relief(watched, events, acts=relieves)
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
            await self._relief.look(link)

    def _look_for_silence(self, link: Link) -> None:
        liveness = self._liveness.setdefault(link, Liveness(self._anew))
        samples = (
            Sample(feed, feed.kind, feed.received, feed.state is SubscriptionState.ACTIVE)
            for feed in link.subscriber.feeds
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
