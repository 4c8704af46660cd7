"""What a session still has to send: bounded, conflating, in order. Pure.

Entries wait as (subscription, burst) and become frames only when the socket takes them, so data of a cancelled
guid can be dropped and a state record can be replaced by its newer version where it stands.

The bound is on messages that pile up while the socket takes nothing. Live events count from the moment they
happen, also behind a past that is still being read. Not held to the bound is what cannot pile up: past trades
(they are drawn as the socket takes them) and states that newer ones replace (one a subscription at most). So a
healthy reader is never cut by its own questions, nor for having many subscriptions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from enum import StrEnum

from tapewire.gateway.burst import Burst
from tapewire.protocol.frames import FrameOpcode, frame_header
from tapewire.protocol.limits import UNPROCESSED_MESSAGES_MAX

__all__ = ["Outbox", "OutboxMode", "Outlet"]

_TEXT = int(FrameOpcode.TEXT)


class OutboxMode(StrEnum):
    """How messages of state records count."""

    #: A state record has one slot a subscription and is replaced in place by its newer version.
    CONFLATE = "conflate"
    #: Every message counts: the hardest reading of the documentation, for testing clients.
    STRICT = "strict"


class _Place:
    """A place in the queue: a burst, and what stands behind the shared bytes of each of its messages."""

    __slots__ = ("burst", "is_replaceable", "since_s", "tail")

    def __init__(self, tail: bytes, *, is_replaceable: bool) -> None:
        self.tail = tail
        #: Whether it is a state that newer ones replace.
        self.is_replaceable = is_replaceable
        #: None: it stands in no queue.
        self.burst: Burst | None = None
        #: Time of the loop since which something waits here, whatever has replaced it.
        self.since_s = 0.0


class Outlet(_Place):
    """One subscription as the outbox sees it: where its messages end and what of it is waiting.

    It is itself a place: of its newest state, or of the first events that wait if it has no states. Nothing has to
    be made to put one into the queue.

    ::

        put_state   in its own place, where newer ones replace it
        put_final   stays in that place for good; what comes behind it stands in ``later``
    """

    __slots__ = ("is_cancelled", "later", "paced")

    def __init__(self, tail: bytes, *, is_of_states: bool) -> None:
        super().__init__(tail, is_replaceable=is_of_states)
        self.is_cancelled = False
        #: The place of its newest state behind a final one in its own.
        self.later: _Later | None = None
        self.paced: _Paced | None = None


class _Events(_Place):
    """The place of what is not replaced and cannot stand in the place of its outlet."""

    __slots__ = ("outlet",)

    def __init__(self, outlet: Outlet, burst: Burst) -> None:
        self.tail = outlet.tail
        self.is_replaceable = False
        self.burst = burst
        self.since_s = burst.at_s
        self.outlet = outlet


class _Later(_Events):
    """The place of a state behind a final one of the same subscription."""

    __slots__ = ()

    def __init__(self, outlet: Outlet, burst: Burst) -> None:
        super().__init__(outlet, burst)
        self.is_replaceable = True


#: Answers belong to no subscription and are whole.
_ANSWERS = Outlet(b"", is_of_states=False)


class _Paced:
    """The past of one subscription, drawn as the socket takes it, and what has happened since."""

    __slots__ = ("live", "past", "state")

    def __init__(self) -> None:
        #: Empty until it has been read.
        self.past: Iterator[bytes] = iter(())
        #: One message each.
        self.live: deque[Burst] = deque()
        #: The newest state, which comes behind all of that.
        self.state: Burst | None = None


class Outbox:
    """The queue of one session.

    Args:
        on_ready: Called when there is something to send after there was nothing.
        on_broken: Called when the past of a subscription cannot be written; nothing more of it is sent.
        on_overflow: Called once, when the bound is passed; from then on nothing is taken in. It must not change
            subscriptions itself, because a delivery to many sessions may be under way.
        messages_max: The bound.
        mode: What counts toward it.

    Attributes:
        irreplaceable: Messages that wait for the socket and will be sent as they are: what the bound is on.
        taken: Messages that the socket has been given.
        taken_bytes: Their bytes, frame headers included.
    """

    # Deliveries to many sessions visit many outboxes: the less memory each is spread over, the better.
    __slots__ = (
        "_held",
        "_is_closed",
        "_is_idle",
        "_is_strict",
        "_messages_max",
        "_on_broken",
        "_on_overflow",
        "_on_ready",
        "_paced",
        "_queue",
        "_replaceable",
        "irreplaceable",
        "taken",
        "taken_bytes",
    )

    def __init__(
        self,
        on_ready: Callable[[], None],
        on_overflow: Callable[[], None],
        on_broken: Callable[[Outlet, Exception], None],
        *,
        messages_max: int = UNPROCESSED_MESSAGES_MAX,
        mode: OutboxMode = OutboxMode.CONFLATE,
    ) -> None:
        self._on_ready = on_ready
        self._on_overflow = on_overflow
        self._on_broken = on_broken
        self._messages_max = messages_max
        self._is_strict = mode is OutboxMode.STRICT
        self._queue: deque[_Place] = deque()
        # Subscriptions whose past is being read, and those whose past is being sent, in their order.
        self._held: dict[Outlet, None] = {}
        self._paced: dict[Outlet, _Paced] = {}
        self._is_closed = False
        # Whether there was nothing to send when somebody looked last.
        self._is_idle = True
        self.irreplaceable = 0
        self.taken = 0
        self.taken_bytes = 0
        # States that wait and that newer ones will replace.
        self._replaceable = 0

    def __bool__(self) -> bool:
        """Whether there is anything to send."""
        return bool(self._queue or self._paced)

    @property
    def count(self) -> int:
        """How many messages wait for the socket."""
        return self.irreplaceable + self._replaceable

    @property
    def pasts(self) -> int:
        """How many pasts are being read or sent; each may be long, and none of them is in ``count``."""
        return len(self._held) + len(self._paced)

    @property
    def oldest_s(self) -> float | None:
        """Time of the loop since which something waits; None if nothing does.

        Pasts that wait do not count: they are as long as they were asked for.
        """
        waiting = [self._queue[0].since_s] if self._queue else []
        pasts = [outlet.paced for outlet in (*self._held, *self._paced)]
        waiting += [paced.live[0].at_s for paced in pasts if paced is not None and paced.live]
        return min(waiting, default=None)

    def put_answer(self, message: bytes, at_s: float) -> None:
        """Add a whole message that is never replaced."""
        burst = Burst((message,), at_s)
        self._put(_Events(_ANSWERS, burst), burst)

    def put_events(self, outlet: Outlet, burst: Burst) -> None:
        """Add events of a subscription, behind its past if that is still on its way."""
        paced = outlet.paced
        if paced is not None:
            for message in burst.messages:
                self._put_behind_past(paced, Burst((message,), burst.at_s))
        elif outlet.burst is not None or outlet.is_replaceable:
            self._put(_Events(outlet, burst), burst)
        elif not self._is_closed:
            outlet.burst = burst
            outlet.since_s = burst.at_s
            self._put(outlet, burst)

    def put_state(self, outlet: Outlet, burst: Burst) -> None:
        """Add a newer state of a subscription; one that still waits is replaced where it stands.

        Behind a past it waits until the past has been sent.
        """
        if self._is_strict:
            self.put_events(outlet, burst)
        elif outlet.paced is not None:
            outlet.paced.state = burst
        elif outlet.burst is not None and outlet.is_replaceable:
            outlet.burst = burst
        elif outlet.burst is not None or outlet.later is not None:
            self._put_later(outlet, burst)
        elif not self._is_closed:
            outlet.burst = burst
            outlet.since_s = burst.at_s
            outlet.is_replaceable = True
            self._queue.append(outlet)
            self._replaceable += 1
            if self._is_idle:
                self._is_idle = False
                self._on_ready()

    def put_final(self, outlet: Outlet, burst: Burst) -> None:
        """Add the last form of a state, which no newer state may replace.

        It takes the place of a state that still waits: that was an earlier form of the same thing.
        """
        if outlet.paced is not None:
            outlet.paced.state = None
            self._put_behind_past(outlet.paced, burst)
        elif (place := _place_of_state(outlet)) is not None:
            place.burst = burst
            place.is_replaceable = False
            self._replaceable -= 1
            self.irreplaceable += 1
            self._check_bound()
        else:
            self._put(_Events(outlet, burst), burst)

    def hold(self, outlet: Outlet) -> None:
        """Keep what :meth:`put_events` adds until :meth:`put_past` says what came before it."""
        if not self._is_closed:
            outlet.paced = _Paced()
            self._held[outlet] = None

    def put_past(self, outlet: Outlet, past: Iterable[bytes], known: Collection[int] = ()) -> None:
        """Send ``past`` as the socket takes it, then the events that were held.

        Without those that are ``known`` from the past: places among them, from 0.
        """
        if self._is_closed:
            return
        paced = outlet.paced
        assert paced is not None, "hold() comes first"
        del self._held[outlet]
        if known:
            paced.live = deque(live for place, live in enumerate(paced.live) if place not in known)
            self.irreplaceable -= len(known)
        paced.past = iter(past)
        self._paced[outlet] = paced
        self._has_something()

    def drop(self, outlet: Outlet) -> None:
        """Forget all that waits for a cancelled subscription."""
        outlet.is_cancelled = True
        if self._is_closed:
            return
        if outlet.paced is not None:
            self.irreplaceable -= len(outlet.paced.live)
            self._held.pop(outlet, None)
            self._paced.pop(outlet, None)
            outlet.paced = None
        kept: deque[_Place] = deque()
        for place in self._queue:
            if place is not outlet and not (isinstance(place, _Events) and place.outlet is outlet):
                kept.append(place)
                continue
            assert place.burst is not None
            if place.is_replaceable:
                self._replaceable -= 1
            else:
                self.irreplaceable -= len(place.burst.messages)
            place.burst = None
        self._queue = kept

    def take(self, bytes_max: int) -> bytes:
        """Remove the next messages in order and return their frames: one burst at least, until ``bytes_max``."""
        frames: list[bytes] = []
        size = states = others = 0
        queue = self._queue
        while size < bytes_max:
            if queue:
                place = queue.popleft()
                burst = place.burst
                assert burst is not None
                place.burst = None
                if place.is_replaceable:
                    states += 1
                else:
                    others += len(burst.messages)
                frame = burst.frames(place.tail)
            elif self._paced:
                # What has happened since a past may be put into the queue, states among it.
                past_frame = self._next_of_past()
                if past_frame is None:
                    continue
                self.taken += 1
                frame = past_frame
            else:
                break
            frames.append(frame)
            size += len(frame)
        self._replaceable -= states
        self.irreplaceable -= others
        self.taken += states + others
        self.taken_bytes += size
        self._is_idle = not queue and not self._paced
        return b"".join(frames)

    def overflow(self) -> None:
        """Give up: more waits for this session than may."""
        if not self._is_closed:
            self.close()
            self._on_overflow()

    def close(self) -> None:
        """Take in nothing more and forget what waits."""
        self._is_closed = True
        for outlet in (*self._held, *self._paced):
            outlet.paced = None
        for place in self._queue:
            place.burst = None
        self._held.clear()
        self._paced.clear()
        self._queue.clear()
        self.irreplaceable = self._replaceable = 0

    def _put(self, place: _Place, burst: Burst) -> None:
        if self._is_closed:
            return
        self._queue.append(place)
        self.irreplaceable = waiting = self.irreplaceable + len(burst.messages)
        if waiting > self._messages_max:
            self.overflow()
        elif self._is_idle:
            self._is_idle = False
            self._on_ready()

    def _put_later(self, outlet: Outlet, burst: Burst) -> None:
        place = _place_of_state(outlet)
        if place is not None:
            place.burst = burst
        elif outlet.burst is None:
            outlet.later = None
            self.put_state(outlet, burst)
        else:
            outlet.later = _Later(outlet, burst)
            self._queue.append(outlet.later)
            self._replaceable += 1

    def _put_behind_past(self, paced: _Paced, burst: Burst) -> None:
        if not self._is_closed:
            paced.live.append(burst)
            self.irreplaceable += 1
            self._check_bound()

    def _next_of_past(self) -> bytes | None:
        """Return the next frame of the first past; None if it is over and what has happened since has joined."""
        outlet, paced = next(iter(self._paced.items()))
        try:
            shared = next(paced.past, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others' messages are on their way
            del self._paced[outlet]
            # Held for good, as without it the subscription would go on with a hole; whoever is told ends it.
            self._held[outlet] = None
            self._on_broken(outlet, error)
            return None
        if shared is not None:
            return frame_header(_TEXT, len(shared) + len(outlet.tail)) + shared + outlet.tail
        del self._paced[outlet]
        outlet.paced = None
        self._queue.extend([_Events(outlet, live) for live in paced.live])
        if paced.state is not None:
            self.put_state(outlet, paced.state)
        return None

    def _has_something(self) -> None:
        if self._is_idle:
            self._is_idle = False
            self._on_ready()

    def _check_bound(self) -> None:
        if self.irreplaceable > self._messages_max:
            self.overflow()


def _place_of_state(outlet: Outlet) -> _Place | None:
    """Return the place in which a state waits that may be replaced; None: none waits."""
    for place in (outlet, outlet.later):
        if place is not None and place.is_replaceable and place.burst is not None:
            return place
    return None
