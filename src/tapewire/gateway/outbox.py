"""What a session still has to send: bounded, conflating, in order. Pure.

Entries wait as (subscription, shared bytes) and become messages only when the socket takes them, so data of a
cancelled guid can be dropped and a state record can be replaced by its newer version where it stands.

The bound is on messages that pile up while the socket takes nothing. Live events count from the moment they
happen, also behind a past that is still being read. Not held to the bound is what cannot pile up: past trades
(they are drawn as the socket takes them) and states that newer ones replace (one a subscription at most). So a
healthy reader is never cut by its own questions, nor for having many subscriptions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from tapewire.protocol.limits import UNPROCESSED_MESSAGES_MAX

__all__ = ["Outbox", "OutboxMode", "Outlet"]


class OutboxMode(StrEnum):
    """How messages of state records count."""

    #: A state record has one slot a subscription and is replaced in place by its newer version.
    CONFLATE = "conflate"
    #: Every message counts: the hardest reading of the documentation, for testing clients.
    STRICT = "strict"


class Outlet:
    """One subscription as the outbox sees it: where its messages end and what of it is waiting."""

    __slots__ = ("is_cancelled", "paced", "slot", "tail")

    def __init__(self, tail: bytes) -> None:
        #: What stands behind the shared bytes in each message of this subscription.
        self.tail = tail
        self.is_cancelled = False
        self.slot: _Slot | None = None
        self.paced: _Paced | None = None


class _Slot:
    """A place in the queue. ``outlet`` is None for an answer."""

    __slots__ = ("outlet", "shared")

    def __init__(self, outlet: Outlet | None, shared: bytes) -> None:
        self.outlet = outlet
        self.shared = shared


class _Paced:
    """The past of one subscription, drawn as the socket takes it, and what has happened since."""

    __slots__ = ("live", "past", "state")

    def __init__(self) -> None:
        #: Empty until it has been read.
        self.past: Iterator[bytes] = iter(())
        self.live: deque[bytes] = deque()
        #: The newest state, which comes behind all of that.
        self.state: bytes | None = None


class Outbox:
    """The queue of one session.

    ``on_overflow`` is called once, when the bound is passed; from then on nothing is taken in. It must not
    change subscriptions itself, because a delivery to many sessions may be under way.
    """

    def __init__(
        self,
        on_overflow: Callable[[], None],
        *,
        messages_max: int = UNPROCESSED_MESSAGES_MAX,
        mode: OutboxMode = OutboxMode.CONFLATE,
    ) -> None:
        self._on_overflow = on_overflow
        self._messages_max = messages_max
        self._is_strict = mode is OutboxMode.STRICT
        self._queue: deque[_Slot] = deque()
        # Subscriptions whose past is being read, and those whose past is being sent, in their order.
        self._held: dict[Outlet, None] = {}
        self._paced: dict[Outlet, _Paced] = {}
        self._is_closed = False
        #: Messages that wait for the socket.
        self.count = 0
        # How many of them are states that newer ones will replace.
        self._replaceable = 0

    def __bool__(self) -> bool:
        """Whether there is anything to send."""
        return bool(self._queue or self._paced)

    @property
    def irreplaceable(self) -> int:
        """How many of the messages that wait will be sent as they are: what the bound is on."""
        return self.count - self._replaceable

    @property
    def pasts(self) -> int:
        """How many pasts are being read or sent; each may be long, and none of them is in ``count``."""
        return len(self._held) + len(self._paced)

    def put_answer(self, message: bytes) -> None:
        """Add a whole message that is never replaced."""
        self._put(_Slot(None, message))

    def put_event(self, outlet: Outlet, shared: bytes) -> None:
        """Add an event of a subscription, behind its past if that is still on its way."""
        if self._is_closed:
            return
        if outlet.paced is not None:
            outlet.paced.live.append(shared)
            self._counted()
        else:
            self._put(_Slot(outlet, shared))

    def put_state(self, outlet: Outlet, shared: bytes) -> None:
        """Add a newer state of a subscription; one that still waits is replaced where it stands.

        Behind a past it waits until the past has been sent.
        """
        if self._is_closed:
            return
        if outlet.paced is not None:
            if self._is_strict:
                outlet.paced.live.append(shared)
                self._counted()
            else:
                outlet.paced.state = shared
            return
        slot = outlet.slot
        if slot is not None:
            slot.shared = shared
            return
        slot = _Slot(outlet, shared)
        if not self._is_strict:
            outlet.slot = slot
            self._replaceable += 1
        self._put(slot)

    def put_final(self, outlet: Outlet, shared: bytes) -> None:
        """Add the last form of a state, which no newer state may replace.

        It takes the place of a state that still waits: that was an earlier form of the same thing.
        """
        if self._is_closed:
            return
        if outlet.paced is not None:
            outlet.paced.state = None
            outlet.paced.live.append(shared)
            self._counted()
        elif outlet.slot is not None:
            outlet.slot.shared = shared
            outlet.slot = None
            self._replaceable -= 1
            self._check_bound()
        else:
            self._put(_Slot(outlet, shared))

    def hold(self, outlet: Outlet) -> None:
        """Keep what :meth:`put_event` adds until :meth:`put_past` says what came before it."""
        if not self._is_closed:
            outlet.paced = _Paced()
            self._held[outlet] = None

    def put_past(self, outlet: Outlet, past: Iterable[bytes], known: int = 0) -> None:
        """Send ``past`` as the socket takes it, then the events that were held, without the first ``known``."""
        if self._is_closed:
            return
        paced = outlet.paced
        assert paced is not None, "hold() comes first"
        del self._held[outlet]
        for _ in range(known):
            paced.live.popleft()
        self.count -= known
        paced.past = iter(past)
        self._paced[outlet] = paced

    def drop(self, outlet: Outlet) -> None:
        """Forget all that waits for a cancelled subscription."""
        outlet.is_cancelled = True
        slot, outlet.slot = outlet.slot, None
        if self._is_closed:
            return
        if slot is not None:
            self._replaceable -= 1
        if outlet.paced is not None:
            self.count -= len(outlet.paced.live)
            self._held.pop(outlet, None)
            self._paced.pop(outlet, None)
            outlet.paced = None
        if self._queue:
            kept = deque(slot for slot in self._queue if slot.outlet is not outlet)
            self.count -= len(self._queue) - len(kept)
            self._queue = kept

    def take(self, bytes_max: int) -> list[bytes]:
        """Remove and return the next messages in order, one at least, until ``bytes_max`` is reached."""
        messages: list[bytes] = []
        size = 0
        queued = 0
        while size < bytes_max:
            if self._queue:
                slot = self._queue.popleft()
                queued += 1
                outlet = slot.outlet
                if outlet is None:
                    message = slot.shared
                else:
                    # An event of the same subscription may leave while its state still waits.
                    if outlet.slot is slot:
                        outlet.slot = None
                        self._replaceable -= 1
                    message = slot.shared + outlet.tail
            elif self._paced:
                outlet, paced = next(iter(self._paced.items()))
                shared = next(paced.past, None)
                if shared is None:
                    # The past is sent: what has happened since joins the queue.
                    del self._paced[outlet]
                    outlet.paced = None
                    self._queue.extend([_Slot(outlet, live) for live in paced.live])
                    if paced.state is not None:
                        self.put_state(outlet, paced.state)
                    continue
                message = shared + outlet.tail
            else:
                break
            messages.append(message)
            size += len(message)
        self.count -= queued
        return messages

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
        self._held.clear()
        self._paced.clear()
        self._queue.clear()
        self.count = self._replaceable = 0

    def _put(self, slot: _Slot) -> None:
        if self._is_closed:
            return
        self._queue.append(slot)
        self._counted()

    def _counted(self) -> None:
        self.count += 1
        self._check_bound()

    def _check_bound(self) -> None:
        if self.count - self._replaceable > self._messages_max:
            self.overflow()
