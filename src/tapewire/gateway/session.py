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
from tapewire.gateway.order_entry import OrderEntry, check_portfolio, check_scope
from tapewire.gateway.outbox import Outbox, Outlet
from tapewire.gateway.safeguards import Safeguards
from tapewire.gateway.standing import Standing
from tapewire.gateway.subscription import Subscription
from tapewire.model import Order, Record, StopOrder, StreamPosition, Topic, TopicKind
from tapewire.ports.query import Query
from tapewire.ports.venue import (
    NoDerivativesError,
    TooManyStreamsError,
    UnknownPortfolioError,
    UnknownTopicError,
    VenueUnavailableError,
)
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
    SubscribeClusters,
    SubscribeInstrument,
    SubscribeLegacyStopOrders,
    SubscribeOrders,
    SubscribeRequest,
    SubscribeStopOrders,
    SubscribeTrades,
    Unsubscribe,
    read_request,
    stream_of,
    topic_of,
    window_ms,
)
from tapewire.protocol.tokens import Claims, Scope

__all__ = ["PAST_SPARE_TRADES", "DataSession", "SessionServices"]

HISTORY_UNREADABLE = "The history cannot be read"
#: How long a venue may take to say what came before a subscription.
PAST_DEADLINE_S = 10.0
#: Trades read beyond what was asked for: so many may happen before the venue looks, and the past is whole.
PAST_SPARE_TRADES = 128

#: The right that a stream of a portfolio needs.
SCOPES = {
    TopicKind.POSITIONS: Scope.PERSONAL,
    TopicKind.SUMMARY: Scope.PERSONAL,
    TopicKind.RISK: Scope.PERSONAL,
    TopicKind.DERIVATIVES_RISK: Scope.PERSONAL,
    TopicKind.FILLS: Scope.TRADES,
    TopicKind.ORDERS: Scope.ORDERS_READ,
    TopicKind.STOP_ORDERS: Scope.ORDERS_READ,
    TopicKind.LEGACY_STOP_ORDERS: Scope.ORDERS_READ,
}


#: Reads records, oldest first, and the position they reach up to.
Past = Callable[[], Coroutine[Any, Any, tuple[Sequence[Record], StreamPosition]]]


class SessionServices(NamedTuple):
    """What all sessions of a gateway share."""

    hub: Hub
    query: Query
    orders: OrderEntry
    #: Owner of the tasks that read the past of subscriptions and carry out commands.
    spawn: Callable[..., asyncio.Task[Any]]
    #: Taken while a past is read: many at a time would make each turn of the loop long.
    past_slots: asyncio.Semaphore
    limits: Limits = Limits()
    #: None: the extension is off, and its opcode unknown.
    safeguards: Safeguards | None = None
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

    #: Pasts that are being read count in the outbox.
    is_busy = False

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

    def close(self, *, is_clean: bool) -> None:
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
        is_legacy = isinstance(request, SubscribeLegacyStopOrders)
        key = FeedKey(topic, request.format, depth, window_ms(request), is_legacy)
        try:
            feed = self._feed(key)
        except TooManyStreamsError as error:
            raise self._standing.refusal(guid, Limit.STREAMS, f"Too many streams: {error}") from error
        except VenueUnavailableError as error:
            raise BadRequestError(guid, ResultCode.UNAVAILABLE, str(error)) from error
        except NoDerivativesError as error:
            raise BadRequestError(guid, ResultCode.NOT_FOUND, _no_derivatives(topic)) from error
        except UnknownPortfolioError as error:
            raise BadRequestError(guid, ResultCode.NOT_FOUND, _unknown_portfolio(topic)) from error
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
        check_portfolio(request.guid, claims, request.portfolio)
        topic = topic_of(request)
        check_scope(request.guid, claims, SCOPES[topic.kind])
        # The deprecated stream tells of the same orders, with fewer fields.
        is_legacy = topic.kind is TopicKind.LEGACY_STOP_ORDERS
        return topic._replace(kind=TopicKind.STOP_ORDERS) if is_legacy else topic

    def _join(self, subscription: Subscription, request: SubscribeRequest) -> None:
        feed = subscription.feed
        past = self._past(request, feed.key.topic)
        if past is not None:
            subscription.hold()
        first = feed.add(subscription)
        if past is not None:
            task = self._services.spawn(self._send_past(subscription, feed.key, past, request))
            self._pasts[subscription] = task
            task.add_done_callback(lambda _: self._pasts.pop(subscription, None))
        elif first is not None and not _wants_no_history(request):
            # An event for the outbox: the first state is delivered, not replaced by a newer one.
            self._outbox.put_events(subscription, Burst((first,), self._now()))

    def _past(self, request: SubscribeRequest, topic: Topic) -> Past | None:
        """Return how to read what comes before the live records, None where nothing does."""
        query = self._services.query
        if isinstance(request, SubscribeTrades) and request.depth > 0:
            return partial(_recent_trades, query, topic, request.depth + PAST_SPARE_TRADES)
        if isinstance(request, SubscribeBars) and not request.skip_history:
            return partial(_bars, query, topic, request.since_s)
        if isinstance(request, SubscribeClusters):
            return partial(_clusters, query, topic, request.since_s)
        if isinstance(request, SubscribeInstrument):
            return partial(_instrument_state, query, topic)
        if topic.kind.of_portfolio and not topic.kind.is_state and not _wants_no_history(request):
            return partial(_portfolio_records, query, topic)
        return None

    async def _send_past(
        self,
        subscription: Subscription,
        key: FeedKey,
        past: Past,
        request: SubscribeRequest,
    ) -> None:
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
            length_max = request.depth if isinstance(request, SubscribeTrades) else None
            subscription.begin(records, reached, encoder(key), _wanted_orders(request), length_max)

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
    return bool(getattr(request, "skip_history", False))


def _wanted_orders(request: SubscribeRequest) -> Callable[[Record], bool] | None:
    """Return which orders of the past are wanted; None: all. What happens live is never chosen from."""
    if not isinstance(request, SubscribeOrders | SubscribeStopOrders) or not request.order_statuses:
        return None
    statuses = frozenset(request.order_statuses)

    def is_wanted(record: Record) -> bool:
        assert isinstance(record, Order | StopOrder)
        return record.status in statuses

    return is_wanted


def _unknown_portfolio(topic: Topic) -> str:
    return f"Unknown portfolio {topic.exchange}:{topic.subject[:80]}"


def _no_derivatives(topic: Topic) -> str:
    return f"Portfolio {topic.exchange}:{topic.subject[:80]} has no derivatives"


async def _recent_trades(query: Query, topic: Topic, limit: int) -> tuple[Sequence[Record], StreamPosition]:
    page = await query.recent_trades(topic, limit)
    return page.trades, page.position


async def _portfolio_records(query: Query, topic: Topic) -> tuple[Sequence[Record], StreamPosition]:
    page = await query.portfolio_records(topic)
    return page.records, page.position


async def _bars(query: Query, topic: Topic, since_s: int) -> tuple[Sequence[Record], StreamPosition]:
    page = await query.bars(topic, since_s, UNIX_SECONDS_MAX, BARS_HISTORY_MAX)
    return page.bars, page.position


async def _clusters(query: Query, topic: Topic, since_s: int) -> tuple[Sequence[Record], StreamPosition]:
    page = await query.clusters(topic, since_s)
    return page.clusters, page.position


async def _instrument_state(query: Query, topic: Topic) -> tuple[Sequence[Record], StreamPosition]:
    snapshot = await query.instrument_state(topic)
    return (snapshot.record,), snapshot.position
