"""One session of the data socket: requests in, answers and subscriptions out. Knows no socket.

Order on the wire for each request: the answer, then the snapshot or the past, then what happens live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple

from tapewire.gateway.burst import Burst
from tapewire.gateway.feeds import EventFeed, FeedKey, StateFeed, encoder
from tapewire.gateway.hub import Hub
from tapewire.gateway.limits import Limit, Limits
from tapewire.gateway.misuse import Offence
from tapewire.gateway.outbox import Outbox, Outlet
from tapewire.gateway.standing import Standing
from tapewire.gateway.subscription import Subscription
from tapewire.model import Record, StreamPosition, Topic
from tapewire.ports import Query, TooManyStreamsError, UnknownTopicError
from tapewire.protocol.assembler import Message
from tapewire.protocol.codes import HANDLED, ResultCode
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.limits import (
    BARS_HISTORY_MAX,
    GUID_CHARACTERS_MAX,
    UNIX_SECONDS_MAX,
)
from tapewire.protocol.messages import SystemMessage
from tapewire.protocol.reading import Envelope
from tapewire.protocol.requests import (
    InstrumentRequest,
    Ping,
    PortfolioRequest,
    SubscribeBars,
    SubscribeBook,
    SubscribeInstrument,
    SubscribeRequest,
    SubscribeTrades,
    Unsubscribe,
    read_request,
    stream_of,
    topic_of,
    window_ms,
)
from tapewire.protocol.tokens import Claims

__all__ = ["DataSession", "SessionServices"]

HISTORY_UNREADABLE = "The history cannot be read"
#: How long a venue may take to say what came before a subscription.
PAST_DEADLINE_S = 10.0


#: Reads records, oldest first, and the position they reach up to.
Past = Callable[[], Coroutine[Any, Any, tuple[Sequence[Record], StreamPosition]]]


class SessionServices(NamedTuple):
    """What all sessions of a gateway share."""

    hub: Hub
    query: Query
    #: Owner of the tasks that read the past of subscriptions.
    spawn: Callable[..., asyncio.Task[None]]
    #: Taken while a past is read: many at a time would make each turn of the loop long.
    past_slots: asyncio.Semaphore
    limits: Limits = Limits()
    guid_characters_max: int = GUID_CHARACTERS_MAX


class DataSession:
    """The state of one connection of ``/ws``.

    ``hurry`` is called when the outbox has got something that must not wait; ``now`` is the loop's time.
    """

    def __init__(
        self,
        services: SessionServices,
        standing: Standing,
        outbox: Outbox,
        hurry: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._services = services
        self._standing = standing
        self._outbox = outbox
        self._hurry = hurry
        self._now = now
        self._subscriptions: dict[str, Subscription] = {}
        self._pasts: dict[Subscription, asyncio.Task[None]] = {}

    @property
    def subscriptions(self) -> int:
        """How many subscriptions are live."""
        return len(self._subscriptions)

    def receive(self, message: Message) -> None:
        """Handle one request and put its answer into the outbox; never raises for what a client sends."""
        try:
            envelope = self._standing.read(message, guid_characters_max=self._services.guid_characters_max)
            self._handle(envelope, message.payload)
        except BadRequestError as refusal:
            self._answer(refusal.guid, refusal.code, refusal.text)

    def broke(self, outlet: Outlet, error: Exception) -> None:
        """End a subscription whose past cannot be written: it would go on with a hole."""
        assert isinstance(outlet, Subscription)
        if self._subscriptions.get(outlet.guid) is outlet:
            self._cancel(outlet.guid)
            self._answer(outlet.guid, ResultCode.UNAVAILABLE, HISTORY_UNREADABLE)
        asyncio.get_running_loop().call_exception_handler(
            {"message": "the past of a subscription cannot be written", "exception": error}
        )

    def close(self) -> None:
        """End all subscriptions."""
        for task in self._pasts.values():
            task.cancel()
        self._pasts.clear()
        for subscription in self._subscriptions.values():
            self._leave(subscription)
        self._subscriptions.clear()

    def _handle(self, envelope: Envelope, message: bytes) -> None:
        if envelope.opcode.casefold() == "ping":
            # Asked without a token by some clients; that a connection lives is no secret.
            read_request(envelope, message)
            self._standing.greet(envelope.guid, envelope.token)
            self._answer(envelope.guid, ResultCode.OK, HANDLED)
            return
        claims = self._standing.authorise(envelope.guid, envelope.token)
        request = read_request(envelope, message)
        if isinstance(request, Unsubscribe):
            # Unknown guids are answered alike: terminals cancel the guids of their pings.
            self._cancel(request.guid)
            self._answer(request.guid, ResultCode.OK, HANDLED)
        elif not isinstance(request, Ping):
            self._standing.check_block(request.guid, claims.sub)
            self._subscribe(request, claims)

    def _subscribe(self, request: SubscribeRequest, claims: Claims) -> None:
        guid = request.guid
        topic = self._resolve(request, claims)
        is_new = guid not in self._subscriptions
        subscriptions_max = self._services.limits.subscriptions_per_connection
        if is_new and len(self._subscriptions) >= subscriptions_max:
            text = f"Too many subscriptions: at most {subscriptions_max} a connection"
            raise self._standing.refusal(guid, Limit.SUBSCRIPTIONS, text)
        depth = request.depth if isinstance(request, SubscribeBook) else 0
        key = FeedKey(topic, request.format, depth, window_ms(request))
        try:
            feed = self._feed(key)
        except TooManyStreamsError as error:
            raise self._standing.refusal(guid, Limit.STREAMS, f"Too many streams: {error}") from error
        except UnknownTopicError as error:
            # The instrument is there, so it is the kind of stream that the venue does not have.
            text = f"{stream_of(request).opcode} is not served by this version"
            raise BadRequestError(guid, ResultCode.NOT_SERVED, text) from error
        # What happens in a portfolio never waits for other sessions to write with.
        hurry = self._hurry if topic.kind.of_portfolio else None
        subscription = Subscription(guid, feed, self._outbox, hurry)
        # A guid that is live already now means the new request. The old one leaves its feed last, because
        # the two may share it and a feed that nobody wants is closed.
        replaced = self._subscriptions.get(guid)
        if replaced is not None:
            self._withdraw(replaced)
        self._subscriptions[guid] = subscription
        self._standing.charge(Offence.SUBSCRIPTION, claims.sub)
        self._answer(guid, ResultCode.OK, HANDLED)
        self._join(subscription, request)
        if replaced is not None:
            self._leave(replaced)

    def _feed(self, key: FeedKey) -> StateFeed | EventFeed:
        hub = self._services.hub
        return hub.state_feed(key) if key.topic.kind.is_state else hub.event_feed(key)

    def _resolve(self, request: SubscribeRequest, claims: Claims) -> Topic:
        if isinstance(request, InstrumentRequest):
            instrument = self._services.query.instrument(request.exchange, request.code, request.board)
            if instrument is None:
                where = f"{request.exchange}:{request.code}" + (request.board and f" on {request.board}")
                raise BadRequestError(request.guid, ResultCode.NOT_FOUND, f"Unknown instrument {where[:80]}")
            return topic_of(request, instrument.board)
        assert isinstance(request, PortfolioRequest)
        if request.portfolio not in claims.portfolio_list:
            raise BadRequestError(request.guid, ResultCode.FORBIDDEN, "The portfolio is not in the token")
        return topic_of(request)

    def _join(self, subscription: Subscription, request: SubscribeRequest) -> None:
        feed = subscription.feed
        past = self._past(request, feed.key.topic)
        if past is not None:
            subscription.hold()
        first = feed.add(subscription)
        if past is not None:
            task = self._services.spawn(self._send_past(subscription, feed.key, past))
            self._pasts[subscription] = task
            task.add_done_callback(lambda _: self._pasts.pop(subscription, None))
        elif first is not None and not _wants_no_history(request):
            # An event for the outbox: the first state is delivered, not replaced by a newer one.
            self._outbox.put_events(subscription, Burst((first,), self._now()))

    def _past(self, request: SubscribeRequest, topic: Topic) -> Past | None:
        """Return how to read what comes before the live records, None where nothing does."""
        query = self._services.query
        if isinstance(request, SubscribeTrades) and request.depth > 0:
            return partial(_recent_trades, query, topic, request.depth)
        if isinstance(request, SubscribeBars) and not request.skip_history:
            return partial(_bars, query, topic, request.since_s)
        if isinstance(request, SubscribeInstrument):
            return partial(_instrument_state, query, topic)
        return None

    async def _send_past(self, subscription: Subscription, key: FeedKey, past: Past) -> None:
        try:
            async with self._services.past_slots, asyncio.timeout(PAST_DEADLINE_S):
                records, reached = await past()
        except Exception:
            # The subscription would wait for its past for ever; without it, it would begin with a hole.
            if not subscription.is_cancelled:
                self._pasts.pop(subscription, None)
                self._cancel(subscription.guid)
                self._answer(subscription.guid, ResultCode.UNAVAILABLE, HISTORY_UNREADABLE)
            raise
        if not subscription.is_cancelled:
            subscription.begin(records, reached, encoder(key))

    def _cancel(self, guid: str) -> None:
        subscription = self._subscriptions.pop(guid, None)
        if subscription is not None:
            self._withdraw(subscription)
            self._leave(subscription)

    def _withdraw(self, subscription: Subscription) -> None:
        """Take back what still waits to be sent."""
        task = self._pasts.pop(subscription, None)
        if task is not None:
            task.cancel()
        self._outbox.drop(subscription)

    def _leave(self, subscription: Subscription) -> None:
        subscription.is_cancelled = True
        subscription.feed.remove(subscription)
        self._services.hub.release(subscription.feed)

    def _answer(self, guid: str, code: int, text: str) -> None:
        self._outbox.put_answer(SystemMessage(guid, int(code), text).encode(), self._now())
        self._hurry()


def _wants_no_history(request: SubscribeRequest) -> bool:
    return isinstance(request, SubscribeBars) and request.skip_history


async def _recent_trades(query: Query, topic: Topic, limit: int) -> tuple[Sequence[Record], StreamPosition]:
    page = await query.recent_trades(topic, limit)
    return page.trades, page.position


async def _bars(query: Query, topic: Topic, since_s: int) -> tuple[Sequence[Record], StreamPosition]:
    page = await query.bars(topic, since_s, UNIX_SECONDS_MAX, BARS_HISTORY_MAX)
    return page.bars, page.position


async def _instrument_state(query: Query, topic: Topic) -> tuple[Sequence[Record], StreamPosition]:
    snapshot = await query.instrument_state(topic)
    return (snapshot.record,), snapshot.position
