"""The connections of a broker for data: which there are, and opening one more where there is need."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator
from functools import partial

from tapewire.client.errors import ClosedError, LimitError, TapewireError
from tapewire.client.events import Events
from tapewire.client.link import Link, LinkOwner, LinkState
from tapewire.client.planner import DATA_LINKS_MAX, Lane, Load, NoRoom, place
from tapewire.client.quota import Quota
from tapewire.client.reach import Reach
from tapewire.client.tokens import TokenKeeper
from tapewire.ports.network import Connector

__all__ = ["OWN_LINKS_MAX", "Links"]

#: Connections that are for one busy stream each.
OWN_LINKS_MAX = 3

log = logging.getLogger("tapewire.client")


class Links:
    """Opens connections and ends them; at most ``DATA_LINKS_MAX``, those on their way included."""

    def __init__(
        self,
        url: str,
        connector: Connector,
        tokens: TokenKeeper,
        rng: random.Random,
        events: Events,
        owner: LinkOwner,
        quota: Quota,
        reach: Reach,
    ) -> None:
        self._url = url
        self._connector = connector
        self._tokens = tokens
        self._random = rng
        self._events = events
        self._owner = owner
        self._quota = quota
        self._reach = reach
        self._links: list[Link] = []
        self._numbers = 0
        self._opening: dict[Lane, asyncio.Task[Link]] = {}
        self._received_before = 0

    def __iter__(self) -> Iterator[Link]:
        return iter(tuple(self._links))

    def __len__(self) -> int:
        return len(self._links)

    @property
    def received(self) -> int:
        """Messages that have come in over all connections, also those that were closed."""
        return self._received_before + sum(link.received for link in self._links)

    @property
    def is_opening(self) -> bool:
        """Whether a connection for any stream of a lane is on its way."""
        return bool(self._opening)

    def with_room(self, lane: Lane) -> Link | None:
        """Return the connection that one more stream goes to; None: :meth:`open_one` is to be waited for.

        Raises:
            LimitError: No connection can take one more stream of the lane.
        """
        links = [link for link in self._links if link.state is not LinkState.CLOSED and link.only is None]
        loads = [Load(link.lane, len(link.subscriber.feeds), link.state is LinkState.OPEN) for link in links]
        owned = sum(link.only is not None for link in self._links)
        found = place(lane, loads, links_max=DATA_LINKS_MAX - owned)
        if isinstance(found, NoRoom):
            raise LimitError("subscriptions", found.streams + 1, found.streams_max)
        opening = self._opening.get(lane)
        # One that is done is forgotten in the next turn only.
        is_opening = opening is not None and not opening.done()
        return None if found.link is None or is_opening else links[found.link]

    async def open(self, lane: Lane, only: str | None = None) -> Link:
        """Open one, whatever there is."""
        self._numbers += 1
        link = Link(
            self._numbers,
            lane,
            self._url,
            self._connector,
            self._tokens,
            random.Random(self._random.getrandbits(64)),
            self._events,
            self._owner,
            self._quota,
            self._reach,
            only=only,
        )
        # It has its place while it is being opened: nobody opens one too many.
        self._links.append(link)
        try:
            await link.start()
        except BaseException:
            if link in self._links:
                self._links.remove(link)
            raise
        return link

    async def open_one(self, lane: Lane) -> None:
        """Open one more; those who need one of the same lane share the wait."""
        opening = self._opening.get(lane)
        if opening is None or opening.done():
            opening = self._opening[lane] = asyncio.create_task(self.open(lane), name="new connection")
            opening.add_done_callback(partial(self._opened, lane))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            if opening.cancelled():
                raise ClosedError("the broker was closed") from None
            raise

    async def open_own(self, stream: str, lane: Lane) -> Link | None:
        """Open one that is for a stream alone; None: it has one, or there may be no more."""
        owned = [link.only for link in self._links if link.only is not None]
        # What is critical finds its connection whatever market data do.
        kept = 0 if any(link.lane is Lane.CRITICAL for link in self._links) else 1
        if stream in owned or len(owned) >= OWN_LINKS_MAX or len(self._links) >= DATA_LINKS_MAX - kept:
            return None
        try:
            return await self.open(lane, only=stream)
        except TapewireError as error:
            log.warning("%s gets no connection of its own: %s", stream, error)
            return None

    async def close_own(self, link: Link) -> None:
        """Close one that was for a stream which is gone."""
        if link.only is not None and not link.subscriber.feeds and link in self._links:
            self._links.remove(link)
            self._received_before += link.received
            await link.close()

    def stop_opening(self) -> list[asyncio.Task[Link]]:
        """Open no more; returns what ends on its own."""
        opening = list(self._opening.values())
        for task in opening:
            task.cancel()
        return opening

    async def close(self) -> None:
        """End all. Cancelled, it does not wait for the broker's goodbyes, and still leaves nothing."""
        links, self._links = self._links, []
        self._received_before += sum(link.received for link in links)
        closing = [asyncio.ensure_future(link.close()) for link in links]
        try:
            await asyncio.gather(*closing)
        except BaseException:
            for task in closing:
                task.cancel()
            await asyncio.gather(*closing, return_exceptions=True)
            raise

    def _opened(self, lane: Lane, opening: asyncio.Task[Link]) -> None:
        if self._opening.get(lane) is opening:
            del self._opening[lane]
        # Whoever waited for it may have gone.
        if not opening.cancelled():
            opening.exception()
