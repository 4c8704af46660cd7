"""What a session still has to send: bounded, conflating, in order. Pure.

Entries wait as (subscription, shared bytes) and become messages only when the socket takes them, so data of a
cancelled guid can be dropped and a state record can be replaced by its newer version where it stands.

The bound counts messages that wait for the socket. Past trades that a subscription asked for are not counted
(they are drawn as the socket takes them, so a healthy reader is never cut by its own question), while live
events that wait behind them are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
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

    __slots__ = ("live", "outlet", "past")

    def __init__(self, outlet: Outlet, past: Iterable[bytes]) -> None:
        self.outlet = outlet
        self.past = iter(past)
        self.live: deque[bytes] = deque()


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
        self._paced: deque[_Paced] = deque()
        self._is_closed = False
        #: Messages that wait for the socket.
        self.count = 0

    def __bool__(self) -> bool:
        """Whether there is anything to send."""
        return bool(self._queue or self._paced)

    def put_answer(self, message: bytes) -> None:
        """Add a whole message that is never replaced."""
        self._put(_Slot(None, message))

    def put_event(self, outlet: Outlet, shared: bytes) -> None:
        """Add an event of a subscription, behind its past if that is still on its way."""
        if outlet.paced is not None:
            outlet.paced.live.append(shared)
            self._counted()
        else:
            self._put(_Slot(outlet, shared))

    def put_state(self, outlet: Outlet, shared: bytes) -> None:
        """Add a newer state of a subscription; one that still waits is replaced where it stands."""
        slot = outlet.slot
        if slot is not None:
            slot.shared = shared
            return
        slot = _Slot(outlet, shared)
        if not self._is_strict:
            outlet.slot = slot
        self._put(slot)

    def put_past(self, outlet: Outlet, past: Iterable[bytes], live: Iterable[bytes] = ()) -> None:
        """Send ``past`` as the socket takes it, then ``live``, then what :meth:`put_event` adds."""
        if self._is_closed:
            return
        paced = _Paced(outlet, past)
        outlet.paced = paced
        self._paced.append(paced)
        for shared in live:
            paced.live.append(shared)
            self._counted()

    def drop(self, outlet: Outlet) -> None:
        """Forget all that waits for a cancelled subscription."""
        outlet.is_cancelled = True
        outlet.slot = None
        if outlet.paced is not None:
            self.count -= len(outlet.paced.live)
            self._paced.remove(outlet.paced)
            outlet.paced = None
        if self._queue:
            kept = deque(slot for slot in self._queue if slot.outlet is not outlet)
            self.count -= len(self._queue) - len(kept)
            self._queue = kept

    def take(self, bytes_max: int) -> list[bytes]:
        """Remove and return the next messages in order, at least one if there is any, up to ``bytes_max``."""
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
                    outlet.slot = None
                    message = slot.shared + outlet.tail
            elif self._paced:
                paced = self._paced[0]
                shared = next(paced.past, None)
                if shared is None:
                    # The past is sent: what has happened since joins the queue.
                    self._paced.popleft()
                    paced.outlet.paced = None
                    self._queue.extend(_Slot(paced.outlet, live) for live in paced.live)
                    continue
                message = shared + paced.outlet.tail
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
        self._queue.clear()
        self._paced.clear()
        self.count = 0

    def _put(self, slot: _Slot) -> None:
        if self._is_closed:
            return
        self._queue.append(slot)
        self._counted()

    def _counted(self) -> None:
        self.count += 1
        if self.count > self._messages_max:
            self.overflow()
