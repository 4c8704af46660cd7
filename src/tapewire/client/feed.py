"""One stream on the wire, shared by all subscriptions that ask for the same."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tapewire.client.errors import RefusedError, TapewireError
from tapewire.client.gap import Gap
from tapewire.client.planner import Lane
from tapewire.client.sieve import Sieve, needs_sieve
from tapewire.client.states import SubscriptionState, may_follow
from tapewire.model import Record, TopicKind
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.formats import Codec
from tapewire.protocol.requests import (
    SubscribeBars,
    SubscribeClusters,
    SubscribeRequest,
    SubscribeTrades,
    stream_of,
)

if TYPE_CHECKING:
    from tapewire.client.late_trades import LateTrades
    from tapewire.client.subscription import Subscription

__all__ = ["HELD_MAX", "Feed", "lane_of", "sharing_key"]

log = logging.getLogger("tapewire.client")

#: Messages that are held while a gap is filled; more, and the gap is left.
HELD_MAX = 100_000

#: Streams whose every message, or whose first message of a new request, says all.
STATE_KINDS = frozenset(
    {
        TopicKind.BOOK,
        TopicKind.QUOTE,
        TopicKind.SUMMARY,
        TopicKind.RISK,
        TopicKind.DERIVATIVES_RISK,
        TopicKind.CLUSTER,
    }
)


class Feed:
    """What is wanted on the wire, over all connections that carry it.

    Attributes:
        request: What is asked for, without guid and token; after a cut it may ask for less, or for the past.
        codec: Reads the messages.
        key: By which equal requests find it, whatever it asks for by now; None: it is not shared.
        guid: Of the newest request; data of earlier ones are dropped.
        subscriptions: Who gets the messages.
        opened: Who waits for the first answer waits for this.
        gap: What is open since the connection was lost; None while data flow.
        tries: Requests in a row that were not answered.
        refusals: Requests in a row that were refused by a busy broker.
        asked_at_s: When the first request was sent, time of the loop: nothing before it is missed.
        missing_since_s: When the newest gap began, time of the loop.
        last_id: Number of the last trade before it; None where there was none.
    """

    def __init__(
        self,
        request: SubscribeRequest,
        name: str,
        codec: Codec[Any],
        is_past: Callable[[bytes], bool] | None = None,
    ) -> None:
        """Make one that nobody wants yet; ``is_past`` tells messages of the past that was asked for."""
        self.request = request
        self.codec = codec
        self.key = sharing_key(request)
        self._name = name
        self.kind = stream_of(request).kind
        self.lane = lane_of(self.kind)
        self.guid = ""
        self.state = SubscriptionState.NEW
        # Replaced by ``share_with``, never changed: one who overflows leaves while all are being given a message.
        self.subscriptions: tuple[Subscription[Any], ...] = ()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gap: Gap | None = None
        self.tries = 0
        self.refusals = 0
        self.asked_at_s = 0.0
        self.missing_since_s = 0.0
        self.last_id: int | None = None
        self._received_before = 0
        #: Whether a new token was asked for because of the newest request.
        self.has_renewed = False
        #: Leaves out what was delivered before; None where nothing comes twice.
        self.sieve = Sieve(self.kind, codec) if needs_sieve(self.kind) else None
        #: Until the first message that is not of the past; whoever has asked for one has the feed alone.
        self._is_past = is_past
        #: Called when that has come.
        self.on_past_over: Callable[[], None] = lambda: None
        self._held: list[bytes] | None = None
        #: Tells live messages of what was fetched already, until the first that is newer has come.
        self._late: LateTrades | None = None
        #: Why what came then does not fit to what was fetched; empty if it does.
        self.odd = ""
        #: Whether the first message after a cut has still to come.
        self.is_awaited = False
        #: Whether that could not be read, where the later ones do not say all.
        self.begins_unreadable = False
        #: Called when the newer one, or the first one, has come.
        self.on_caught_up: Callable[[], None] = lambda: None
        #: Whether a fault of our own with a message was told.
        self._has_failed = False
        #: Whether more came than could be held.
        self.has_lost_held = False

    def __repr__(self) -> str:
        return f"<Feed {self.name} {self.state.value} for {len(self.subscriptions)}>"

    @property
    def name(self) -> str:
        """What its first subscription is called."""
        return self.subscriptions[0].name if self.subscriptions else self._name

    @property
    def is_state(self) -> bool:
        """Whether the next message after a cut says all."""
        return self.kind in STATE_KINDS

    @property
    def begins_whole(self) -> bool:
        """Whether the first message after a cut says all, whatever the later ones say."""
        return self.is_state or self.kind is TopicKind.INSTRUMENT

    @property
    def received(self) -> int:
        """Messages that have come in, however many subscriptions got each."""
        return self._received_before + max((one.buffer.received for one in self.subscriptions), default=0)

    @property
    def newest(self) -> bytes | object | None:
        """The last message that came, or the last record that was fetched; None before the first."""
        return next((one.buffer.newest for one in self.subscriptions if one.buffer.newest is not None), None)

    @property
    def held(self) -> Sequence[bytes]:
        """What is kept back."""
        return self._held or ()

    def latest(self, count: int) -> list[Any]:
        """Return the newest of what waits for its consumers, or else the last that came; newest first."""
        if not self.subscriptions:
            return []
        waiting = max((one.buffer.latest(count) for one in self.subscriptions), key=len)
        return waiting or ([] if self.newest is None else [self.newest])

    def share_with(self, subscriptions: tuple[Subscription[Any], ...]) -> None:
        """Have others get the messages from now on. Who joins or leaves does not count as one."""
        received = self.received
        self.subscriptions = subscriptions
        self._received_before += received - self.received

    # --- messages ---------------------------------------------------------------------------------------

    def route(self) -> Callable[[bytes], None]:
        """Return where the reader puts messages: straight into the buffer where there is only one."""
        is_told = self.sieve is None and self._late is None and not self.is_awaited
        if is_told and self._held is None and self._is_past is None and len(self.subscriptions) == 1:
            return self.subscriptions[0].buffer.put
        return self.put

    def put(self, message: bytes) -> None:
        """Give a message to all subscribers, or keep it back. Never waits, never raises."""
        try:
            is_wanted = self._is_wanted(message)
        except Exception:
            # A fault of our own with one message must not cost the connection, and all streams on it.
            is_wanted = True
            if not self._has_failed:
                log.exception("%s: a message could not be looked at, and is delivered as it is", self.name)
            self._has_failed = True
        if not is_wanted:
            return
        held = self._held
        if held is None:
            # One that overflows leaves.
            for subscription in tuple(self.subscriptions):
                subscription.buffer.put(message)
        elif len(held) < HELD_MAX:
            held.append(message)
        else:
            self.has_lost_held = True

    def _is_wanted(self, message: bytes) -> bool:
        """Whether a message is for subscribers, who have not got it yet."""
        if self.sieve is not None and not self.sieve.passes(message):
            return False
        late = self._late
        if late is not None:
            is_known = late.knows(message, asyncio.get_running_loop().time())
            if late.is_over or late.reason:
                self.odd, self._late = late.reason, None
                self.on_caught_up()
            if is_known:
                return False
        elif self.is_awaited:
            self.is_awaited = False
            self.begins_unreadable = self.kind is TopicKind.INSTRUMENT and not self._is_readable(message)
            self.on_caught_up()
        is_of_past = self._held is None and self._is_past is not None and self._put_past(self._is_past, message)
        return not is_of_past

    def _is_readable(self, message: bytes) -> bool:
        try:
            self.codec.decode_message(message)
        except MalformedMessageError:
            return False
        return True

    def _put_past(self, is_past: Callable[[bytes], bool], message: bytes) -> bool:
        """Give a message to whoever has asked for the past; False, from now on, if it is of now."""
        if len(self.subscriptions) == 1 and is_past(message) and self.subscriptions[0].buffer.put_past(message):
            return True
        self._is_past = None
        self.on_past_over()
        return False

    def hold(self) -> None:
        """Keep messages back: what came before them is still being fetched."""
        self._held = []
        self._late = None
        self.odd = ""
        self.is_awaited = False
        self.has_lost_held = False

    def release_held(self) -> list[bytes]:
        """Return what was kept back, and keep nothing back from now on."""
        held, self._held = self._held, None
        return held or []

    def skip(self, late: LateTrades) -> None:
        """Leave out live messages that are late: what they tell was fetched."""
        self._late = late

    def await_first(self) -> None:
        """Have ``on_caught_up`` called when the next message comes."""
        self._late = None
        self.begins_unreadable = False
        self.is_awaited = True

    def put_record(self, record: Record | Gap) -> None:
        """Give subscribers a record that did not come over the connection, or the mark of a gap."""
        self._is_past = None
        for subscription in tuple(self.subscriptions):
            subscription.buffer.put_object(record)

    # --- life -------------------------------------------------------------------------------------------

    def moved(self, state: SubscriptionState) -> None:
        """Enter another state, with all subscriptions."""
        assert may_follow(self.state, state), f"{self.state} → {state}"
        self.state = state
        for subscription in self.subscriptions:
            subscription.moved(state)

    def granted(self) -> None:
        """Note that data flow."""
        self.tries = 0
        self.refusals = 0
        self.has_renewed = False
        if not self.opened.done():
            self.opened.set_result(None)
        if self.state is not SubscriptionState.ACTIVE:
            self.state = SubscriptionState.ACTIVE
            # One that has overflowed before the answer leaves.
            for subscription in self.subscriptions:
                subscription.granted()

    def refused(self, error: RefusedError) -> None:
        """End all subscriptions: the broker will not have it, or not any more."""
        self.state = SubscriptionState.REFUSED
        for subscription in self.subscriptions:
            subscription.refused(error)
        self._fail(error)

    def ended(self, error: TapewireError | None) -> None:
        """End all subscriptions for good, with what consumers are told behind all that was received."""
        if self.state not in (SubscriptionState.CLOSED, SubscriptionState.REFUSED):
            self.state = SubscriptionState.CLOSED
            for subscription in self.subscriptions:
                subscription.ended(error)
        self._fail(error)

    def _fail(self, error: TapewireError | None) -> None:
        if not self.opened.done():
            if error is None:
                self.opened.cancel()
            else:
                self.opened.set_exception(error)
                # Whoever asked may be gone.
                self.opened.exception()


def lane_of(kind: TopicKind) -> Lane:
    """Return the lane of a kind of stream: what concerns a portfolio is critical."""
    return Lane.CRITICAL if kind.of_portfolio else Lane.MARKET


def sharing_key(request: SubscribeRequest) -> SubscribeRequest | None:
    """Return what equal requests have in common; None: this one cannot be shared.

    One who joins later gets the last state at once. A stream with a past cannot be joined: the past has gone by.
    """
    kind = stream_of(request).kind
    if isinstance(request, SubscribeTrades):
        is_shared = request.depth == 0
    elif isinstance(request, SubscribeBars):
        is_shared = request.skip_history
        # Where it begins means nothing then.
        request = msgspec.structs.replace(request, since_s=0)
    else:
        is_shared = kind in STATE_KINDS and not isinstance(request, SubscribeClusters)
    return msgspec.structs.replace(request, guid="", token="") if is_shared else None
