"""A stream that takes the place of another: asked for beside it, and put in its place when it is granted."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from tapewire.client.errors import TapewireError
from tapewire.client.feed import Feed
from tapewire.client.link import Link, LinkState
from tapewire.client.links import Links
from tapewire.client.states import SubscriptionState
from tapewire.protocol.requests import SubscribeRequest

__all__ = ["FeedKeeper", "Succession"]

log = logging.getLogger("tapewire.client")


class FeedKeeper(Protocol):
    """Who knows all feeds."""

    def link_of(self, feed: Feed) -> Link | None:
        """Return what carries a feed; None: it is not wanted any more."""

    def carry(self, feed: Feed, link: Link) -> None:
        """Ask for a feed on a link."""

    def take_over(self, old: Feed, fresh: Feed) -> None:
        """Give the subscriptions of one feed to another, which is active, and end it."""

    def drop(self, feed: Feed) -> None:
        """Cancel and end a feed that nobody wants."""


class Succession:
    """Puts feeds of state under other requests, or on links of their own, without a pause.

    The new one is asked for beside the old one, which goes when the new one is granted. So there is no gap; the
    first state of the new one may say again what the old one has said last.
    """

    def __init__(self, links: Links, keeper: FeedKeeper) -> None:
        self._links = links
        self._keeper = keeper
        #: Feeds whose successors are on their way.
        self._replacing: set[Feed] = set()

    async def replace(self, feed: Feed, request: SubscribeRequest, *, on_own_link: bool) -> bool:
        """Have a feed replaced; False: nothing has changed."""
        link = self._keeper.link_of(feed)
        is_ready = feed.state is SubscriptionState.ACTIVE and feed.is_state and feed not in self._replacing
        if link is None or not is_ready:
            return False
        self._replacing.add(feed)
        try:
            if on_own_link:
                link = await self._links.open_own(feed.name, feed.lane)
            if link is not None and link.state is LinkState.OPEN and self._keeper.link_of(feed) is not None:
                return await self._succeed(feed, request, link)
        finally:
            self._replacing.discard(feed)
        return False

    async def _succeed(self, old: Feed, request: SubscribeRequest, link: Link) -> bool:
        fresh = Feed(request, old.name, old.codec)
        fresh.key = None
        fresh.state = SubscriptionState.PENDING
        fresh.hold()
        self._keeper.carry(fresh, link)
        try:
            await asyncio.shield(fresh.opened)
        except TapewireError as error:
            log.warning("%s goes on as it was: %s", old.name, error)
        except BaseException:
            self._keeper.drop(fresh)
            raise
        if fresh.state is SubscriptionState.ACTIVE and old.subscriptions:
            self._keeper.take_over(old, fresh)
            return True
        self._keeper.drop(fresh)
        return False
