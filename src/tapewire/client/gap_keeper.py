"""What becomes of the gaps of feeds: opened when data cease, filled when they flow again, or left."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from tapewire.client.backfill import Backfill
from tapewire.client.events import Events, GapClosedEvent, GapOpenedEvent
from tapewire.client.feed import Feed
from tapewire.client.gap import Gap, GapLedger, GapState
from tapewire.client.states import SubscriptionState

__all__ = ["GapKeeper"]

log = logging.getLogger("tapewire.client")


class _Filling(NamedTuple):
    """What was missed is being fetched."""

    task: asyncio.Task[None]
    gap: Gap


class GapKeeper:
    """Opens and closes gaps; each is told, and in the ledger. ``reroute`` is called when messages flow again."""

    def __init__(self, backfill: Backfill, events: Events, reroute: Callable[[Feed], None]) -> None:
        self.ledger = GapLedger()
        self._backfill = backfill
        self._events = events
        self._reroute = reroute
        self._filling: dict[Feed, _Filling] = {}

    @property
    def is_filling(self) -> bool:
        """Whether anything is being fetched."""
        return bool(self._filling)

    def close(self) -> asyncio.Future[Any]:
        """Fetch no more; the future is done when nothing is under way."""
        tasks = [filling.task for filling in self._filling.values()]
        for task in tasks:
            task.cancel()
        return asyncio.gather(*tasks, return_exceptions=True)

    def lost(self, feed: Feed, cause: str, since_s: float) -> None:
        """Note that a feed's data have ceased, and make it ready to be asked for again.

        ``since_s`` is when they were last known to flow, on the loop's time.
        """
        # What was being fetched is fetched again, and more: the gap goes on.
        self.stop(feed)
        if feed.gap is None:
            feed.missing_since_s = since_s
            ago = timedelta(seconds=asyncio.get_running_loop().time() - since_s)
            feed.gap = Gap(stream=feed.name, since=self._backfill.now() - ago, cause=cause)
            self.ledger.begin(feed.gap)
            self._backfill.begin(feed)
            # As it is now: the gap itself will have changed before anybody reads of it.
            self._events.tell(GapOpenedEvent(gap=copy.copy(feed.gap)))
        if feed.begins_whole:
            feed.on_caught_up = partial(self._arrived, feed)
        self._backfill.prepare(feed)

    def granted(self, feed: Feed) -> None:
        """Note that a feed may send; what was missed is fetched where that is needed."""
        gap = feed.gap
        if gap is None or feed.is_awaited:
            return
        if not self._backfill.is_needed(feed):
            self._flows(feed)
        else:
            feed.gap = None
            gap.until = self._backfill.now()
            task = asyncio.create_task(self._fill(feed, gap), name=f"gap of {feed.name}")
            self._filling[feed] = _Filling(task, gap)

    def passed_on(self, feed: Feed, successor: Feed, *, has_come: bool) -> None:
        """Let the successor of a feed fill its gap, if there is one: with what has come for it, or the next."""
        successor.gap, feed.gap = feed.gap, None
        if has_come:
            self._flows(successor)
        elif successor.gap is not None:
            successor.await_first()
            successor.on_caught_up = partial(self._arrived, successor)

    def stop(self, feed: Feed) -> None:
        """Fetch no more for a feed; its gap is open."""
        filling = self._filling.pop(feed, None)
        if filling is not None:
            filling.task.cancel()
            feed.gap = filling.gap

    def leave(self, feed: Feed, reason: str) -> None:
        """Close the open gap of a feed, if there is one: nobody will fill it."""
        gap, feed.gap = feed.gap, None
        if gap is not None:
            gap.state, gap.reason = GapState.LEFT, reason
            self._close(gap)

    def _arrived(self, feed: Feed) -> None:
        """Take note of the message that says all; it may come before the answer."""
        self._reroute(feed)
        if feed.state is SubscriptionState.ACTIVE:
            self._flows(feed)

    def _flows(self, feed: Feed) -> None:
        """Close the gap of a feed, if there is one: what it sends says all, if it can be read."""
        gap, feed.gap = feed.gap, None
        if gap is not None:
            gap.until = self._backfill.now()
            gap.state = GapState.FILLED
            if feed.begins_unreadable:
                gap.state, gap.reason = GapState.LEFT, "the whole state came, and cannot be read"
                feed.put_record(gap)
            self._close(gap)

    async def _fill(self, feed: Feed, gap: Gap) -> None:
        try:
            await self._backfill.fill(feed, gap)
        except Exception as error:
            # A fault of our own: what was held back must flow, and the gap must not look as if it were filled.
            log.exception("the gap of %s was not filled", feed.name)
            if gap.state is GapState.OPEN:
                gap.state, gap.reason = GapState.LEFT, repr(error)
                feed.put_record(gap)
            for message in feed.release_held():
                feed.put(message)
        # A consumer that overflowed meanwhile has taken its feed with it.
        if self._filling.pop(feed, None) is not None:
            self._reroute(feed)
            feed.on_caught_up = partial(self._caught_up, feed)
            self._close(gap)

    def _caught_up(self, feed: Feed) -> None:
        """Take note that nothing is late any more; what does not fit together may hide what is missing."""
        self._reroute(feed)
        if feed.odd:
            now = self._backfill.now()
            gap = Gap(stream=feed.name, since=now, until=now, cause="numbers of trades that do not follow")
            gap.state, gap.reason = GapState.LEFT, feed.odd
            self.ledger.begin(gap)
            feed.put_record(gap)
            self._close(gap)

    def _close(self, gap: Gap) -> None:
        if self.ledger.close(gap):
            self._events.tell(GapClosedEvent(gap=gap))
