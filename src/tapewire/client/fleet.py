"""The connections of a broker and the feeds they carry: what is wanted is kept here, whatever becomes of them."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime
from functools import partial
from typing import Any

from tapewire.client.asking import UNANSWERED_MAX
from tapewire.client.backfill import Backfill
from tapewire.client.bar_history import BarHistory
from tapewire.client.errors import ClosedError, ConnectionLostError, RefusedError, TapewireError
from tapewire.client.events import Events, RefusedEvent
from tapewire.client.feed import Feed, lane_of, sharing_key
from tapewire.client.gap import GapLedger
from tapewire.client.gap_keeper import GapKeeper
from tapewire.client.link import Link, LinkState
from tapewire.client.links import Links
from tapewire.client.losses import Losses
from tapewire.client.past import past_test
from tapewire.client.planner import Lane
from tapewire.client.quota import Quota
from tapewire.client.reach import Reach
from tapewire.client.states import SubscriptionState
from tapewire.client.stream_names import StreamNames
from tapewire.client.stream_status import StreamStatus
from tapewire.client.subscription import Subscription
from tapewire.client.succession import Succession
from tapewire.client.tokens import TokenKeeper
from tapewire.client.trading_hours import TradingHours
from tapewire.client.watch import Watch
from tapewire.ports.network import Connector
from tapewire.protocol.requests import SubscribeRequest, stream_of

__all__ = ["OPENINGS_MAX", "Fleet"]

#: Streams of a lane that are being opened at once; others wait for their turn. Thousands at once would hold up
#: everything else, and no more than these can be asked for at a time and be answered.
OPENINGS_MAX = 2 * UNANSWERED_MAX


class Fleet:
    """Brings subscriptions to the broker: shares equal ones, places them on connections, restores them.

    Implements ``SubscriptionOwner``, ``LinkOwner``, ``FeedKeeper`` and ``Watched``.
    """

    def __init__(
        self,
        url: str,
        connector: Connector,
        tokens: TokenKeeper,
        rng: random.Random,
        events: Events,
        backfill: Backfill,
        hours: TradingHours,
        quota: Quota,
        reach: Reach,
        *,
        relieves: bool = True,
    ) -> None:
        self._events = events
        self._links = Links(url, connector, tokens, rng, events, self, quota, reach)
        self._succession = Succession(self._links, self)
        self._losses = Losses(events)
        self._backfill = backfill
        self._watch = Watch(self, hours, events, relieves=relieves)
        self._watching: asyncio.Task[None] | None = None
        self._gaps = GapKeeper(backfill, events, self._reroute)
        #: Feeds that one more subscription may join.
        self._shared: dict[SubscribeRequest, Feed] = {}
        self._feed_of: dict[Subscription[Any], Feed] = {}
        self._names = StreamNames()
        #: Who opens a stream has one: what concerns a portfolio never waits behind the market.
        self._turns = {lane: asyncio.Semaphore(OPENINGS_MAX) for lane in Lane}
        self._link_of: dict[Feed, Link] = {}
        #: Why nothing can be asked for.
        self._error: TapewireError | None = ClosedError("the broker is not connected")

    # --- what may be known ------------------------------------------------------------------------------

    @property
    def links(self) -> tuple[Link, ...]:
        """The connections, for reading."""
        return tuple(self._links)

    @property
    def gaps(self) -> GapLedger:
        """What streams may have missed."""
        return self._gaps.ledger

    @property
    def past(self) -> BarHistory:
        """Reads bars that were."""
        return self._backfill.bars

    @property
    def streams(self) -> tuple[StreamStatus, ...]:
        """How all streams are that are wanted now, in the order of their opening."""
        return tuple(
            StreamStatus.of(
                subscription,
                connection=link.number if (link := self._link_of.get(feed)) is not None else None,
                sharing=len(feed.subscriptions),
            )
            for subscription, feed in self._feed_of.items()
        )

    @property
    def received(self) -> int:
        """Messages that have come in over all connections."""
        return self._links.received

    @property
    def unclaimed(self) -> int:
        """Messages of the connections of now that belonged to nobody."""
        return sum(link.session.unclaimed for link in self._links if link.session is not None)

    # --- life -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the first connection.

        Raises:
            ConnectError: It cannot be opened.
            LimitError: The login has as many connections on this machine as it may have.
        """
        self._error = None
        try:
            await self._links.open(Lane.MARKET)
        except BaseException:
            self._error = ClosedError("the broker is not connected")
            raise
        self._watching = asyncio.create_task(self._watch.run(), name="watch over connections")

    async def close(self) -> None:
        """End all streams and connections; returns when nothing of them is left."""
        if self._error is None or not isinstance(self._error, ClosedError):
            self._error = ClosedError("the broker was closed")
        ending: list[asyncio.Task[Any]] = [*self._links.stop_opening()]
        if self._watching is not None:
            self._watching.cancel()
            ending.append(self._watching)
        gaps_closed = self._gaps.close()
        self._end_all(None)
        await asyncio.gather(gaps_closed, *ending, return_exceptions=True)
        await self._links.close()

    # --- SubscriptionOwner ------------------------------------------------------------------------------

    async def open(self, subscription: Subscription[Any]) -> None:
        """Ask the broker for a stream, or join it to one that is there, and return when data flow."""
        if self._error is not None:
            raise self._error.again()
        key = sharing_key(subscription.request)
        if key in self._shared:
            await self._open(subscription)
            return
        turns = self._turns[lane_of(stream_of(subscription.request).kind)]
        try:
            await turns.acquire()
        except asyncio.CancelledError:
            if subscription.state is SubscriptionState.NEW:
                subscription.ended(None)
            raise
        try:
            if self._error is not None:
                raise self._error.again()
            if subscription.state is not SubscriptionState.NEW:
                raise _closed(subscription)
            await self._open(subscription)
        finally:
            turns.release()

    async def _open(self, subscription: Subscription[Any]) -> None:
        key = sharing_key(subscription.request)
        feed = None if key is None else self._shared.get(key)
        if feed is None:
            is_past = past_test(subscription.request, subscription.codec, int(self.now().timestamp()))
            feed = Feed(subscription.request, subscription.name, subscription.codec, is_past)
            feed.on_past_over = partial(self._reroute, feed)
            feed.state = SubscriptionState.PENDING
            if feed.key is not None:
                self._shared[feed.key] = feed
        self._join(subscription, feed)
        try:
            if feed not in self._link_of and feed.state is SubscriptionState.PENDING:
                await self._place(feed)
            await asyncio.shield(feed.opened)
            self._check_wanted(subscription)
        except asyncio.CancelledError:
            if subscription in self._feed_of:
                self.release(subscription)
                subscription.ended(None)
                raise
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            # It was closed while it was being opened.
            raise (self._error or _closed(subscription)).again() from None
        except TapewireError as error:
            if subscription in self._feed_of:
                self.release(subscription)
                subscription.ended(error)
            raise error.again() from None
        except Exception:
            # A fault of our own: nobody may keep a stream that nobody has.
            self.release(subscription)
            subscription.ended(None)
            raise

    def _check_wanted(self, subscription: Subscription[Any]) -> None:
        """Look whether the stream has ended in the turn in which it was granted."""
        if subscription not in self._feed_of and not subscription.buffer.has_overflowed:
            raise subscription.buffer.error or self._error or _closed(subscription)

    def now(self) -> datetime:
        """Return the time of day, UTC."""
        return self._backfill.now()

    def release(self, subscription: Subscription[Any]) -> None:
        """Want a stream no longer; the last one who leaves cancels it."""
        feed = self._feed_of.pop(subscription, None)
        if feed is None:
            return
        self._forget_subscription(subscription)
        feed.share_with(tuple(each for each in feed.subscriptions if each is not subscription))
        if feed.subscriptions:
            self._reroute(feed)
            return
        self.drop(feed)

    # --- Watched ----------------------------------------------------------------------------------------

    def ask_anew(self, feed: Feed, cause: str) -> None:
        """Subscribe to an active feed again under a new guid; what it may have missed is a gap."""
        link = self._link_of.get(feed)
        if link is not None and feed.state is SubscriptionState.ACTIVE:
            feed.moved(SubscriptionState.RESTORING)
            self._gaps.lost(feed, cause, max(link.good_at_s, feed.asked_at_s))
            link.subscriber.ask_anew(feed)

    async def replace(self, feed: Feed, request: SubscribeRequest, *, on_own_link: bool) -> bool:
        """Put an active feed of state under another request, or on a link of its own, without a pause."""
        return await self._succession.replace(feed, request, on_own_link=on_own_link)

    async def close_own(self, link: Link) -> None:
        """Close a link that was for one stream which is gone."""
        await self._links.close_own(link)

    # --- FeedKeeper -------------------------------------------------------------------------------------

    def link_of(self, feed: Feed) -> Link | None:
        """Return what carries a feed; None: it is not wanted any more, or not yet carried."""
        return self._link_of.get(feed)

    def carry(self, feed: Feed, link: Link) -> None:
        """Ask for a feed on a link."""
        self._link_of[feed] = link
        link.subscriber.ask(feed)

    def take_over(self, old: Feed, fresh: Feed) -> None:
        """Give the subscriptions of one feed to another, which is active, and end it."""
        fresh.share_with(old.subscriptions)
        old.share_with(())
        if old.key is not None:
            fresh.key, old.key = old.key, None
            self._shared[fresh.key] = fresh
        for subscription in fresh.subscriptions:
            self._feed_of[subscription] = fresh
            if subscription.state is SubscriptionState.RESTORING:
                subscription.granted()
        held = fresh.release_held()
        # Its connection may have been lost meanwhile: the first state of the new one says all.
        self._gaps.passed_on(old, fresh, has_come=bool(held))
        self.drop(old)
        if held:
            fresh.put(held[-1])
        self._reroute(fresh)

    def drop(self, feed: Feed) -> None:
        """Cancel and end a feed that nobody wants."""
        link = self._link_of.get(feed)
        if link is not None:
            link.subscriber.drop(feed)
        self._forget(feed)
        self._gaps.leave(feed, "the stream was closed")
        feed.ended(None)

    # --- LinkOwner --------------------------------------------------------------------------------------

    def feed_granted(self, feed: Feed) -> None:
        """Let data flow, after what was missed."""
        feed.granted()
        self._gaps.granted(feed)

    def feed_refused(self, feed: Feed, error: RefusedError) -> None:
        """End a feed: the broker will not have it."""
        if feed.state is not SubscriptionState.PENDING:  # else whoever asked is told
            self._events.tell(RefusedEvent(stream=feed.name, code=error.code, text=error.text))
        self._forget(feed)
        self._gaps.leave(feed, str(error))
        feed.refused(error)

    def feed_unanswered(self, feed: Feed, error: TapewireError) -> None:
        """End a feed that nobody has ever answered for."""
        self._forget(feed)
        feed.ended(error)

    def feed_unheard(self, feed: Feed) -> None:
        """Ask anew from what has come, also from what came without an answer."""
        self._backfill.prepare(feed)

    def link_lost(self, link: Link, error: ConnectionLostError) -> None:
        """Keep what was active for the next connection; what was never granted is told."""
        for feed in tuple(link.subscriber.feeds):
            if feed.state is SubscriptionState.PENDING:
                link.subscriber.forget(feed)
                self.feed_unanswered(feed, error)
                continue
            if feed.state is SubscriptionState.ACTIVE:
                feed.moved(SubscriptionState.RESTORING)
            # What was on its way when the connection broke is missing too.
            self._gaps.lost(feed, str(error), max(link.good_at_s, feed.asked_at_s))

    def link_failed(self, link: Link, error: TapewireError) -> None:
        """End everything: no connection can be used any more."""
        self._error = error
        self._end_all(error)

    # --- inside -----------------------------------------------------------------------------------------

    def _join(self, subscription: Subscription[Any], feed: Feed) -> None:
        newest = feed.newest if feed.is_state else None
        subscription.named(self._names.take(subscription.base_name))
        feed.share_with((*feed.subscriptions, subscription))
        subscription.buffer.on_loss = self._losses.lost
        self._feed_of[subscription] = feed
        subscription.moved(SubscriptionState.PENDING)
        self._reroute(feed)
        if feed.state is SubscriptionState.ACTIVE:
            if isinstance(newest, bytes):
                subscription.buffer.put(newest)
            subscription.granted()
        elif feed.state is SubscriptionState.RESTORING:
            subscription.moved(SubscriptionState.RESTORING)

    async def _place(self, feed: Feed) -> None:
        """Bring a feed to a link that has room for it, opening one if need be."""
        while feed.state is SubscriptionState.PENDING and feed not in self._link_of:
            link = self._links.with_room(feed.lane)
            if link is None:
                await self._links.open_one(feed.lane)
            elif link.state is LinkState.OPEN:
                self.carry(feed, link)
            else:
                # Nobody is made to wait for a connection that may come in minutes.
                raise ConnectionLostError(1006, "the connection is being restored")

    def _forget(self, feed: Feed) -> None:
        self._link_of.pop(feed, None)
        if feed.key is not None and self._shared.get(feed.key) is feed:
            del self._shared[feed.key]
        self._gaps.stop(feed)
        for subscription in feed.subscriptions:
            if self._feed_of.pop(subscription, None) is not None:
                self._forget_subscription(subscription)

    def _forget_subscription(self, subscription: Subscription[Any]) -> None:
        self._losses.forget(subscription.buffer)
        self._names.give_back(subscription.base_name)

    def _end_all(self, error: TapewireError | None) -> None:
        for feed in dict.fromkeys(self._feed_of.values()):
            link = self._link_of.get(feed)
            if link is not None:
                link.subscriber.forget(feed)
            self._forget(feed)
            self._gaps.leave(feed, "the broker was closed" if error is None else str(error))
            feed.ended(error)

    def _reroute(self, feed: Feed) -> None:
        link = self._link_of.get(feed)
        if link is not None:
            link.subscriber.reroute(feed)


def _closed(subscription: Subscription[Any]) -> ClosedError:
    return ClosedError(f"{subscription.name} was closed while it was being opened")
