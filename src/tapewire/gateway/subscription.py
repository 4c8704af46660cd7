"""One subscription of one session: what was asked for, and how its records reach the outbox."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from tapewire.gateway.feeds import EventFeed, StateFeed
from tapewire.gateway.outbox import Outbox, Outlet
from tapewire.model import StreamPosition
from tapewire.protocol.limits import UNPROCESSED_MESSAGES_MAX
from tapewire.protocol.messages import data_tail
from tapewire.protocol.requests import SubscribeRequest

__all__ = ["Subscription"]


class Subscription(Outlet):
    """Takes from a feed, gives to the outbox. While its past is being asked for, events wait here."""

    __slots__ = ("_joining", "_mark", "_outbox", "feed", "request")

    def __init__(
        self,
        request: SubscribeRequest,
        feed: StateFeed | EventFeed,
        outbox: Outbox,
        mark: Callable[[], None],
    ) -> None:
        super().__init__(data_tail(request.guid))
        self.request = request
        self.feed = feed
        self._outbox = outbox
        self._mark = mark
        self._joining: deque[tuple[StreamPosition, bytes]] | None = None

    def deliver_state(self, shared: bytes) -> None:
        """Take a newer state."""
        self._outbox.put_state(self, shared)
        self._mark()

    def deliver_event(self, position: StreamPosition, shared: bytes) -> None:
        """Take one more event."""
        if self._joining is not None:
            self._joining.append((position, shared))
            if len(self._joining) > UNPROCESSED_MESSAGES_MAX:
                self._outbox.overflow()
            return
        self._outbox.put_event(self, shared)
        self._mark()

    def hold(self) -> None:
        """Let events wait until :meth:`begin` says what came before them."""
        self._joining = deque()

    def begin(self, past: Iterable[bytes], reached: StreamPosition) -> None:
        """Send the past and continue behind it: what the past already holds is dropped."""
        waiting, self._joining = self._joining or deque(), None
        known = 0
        for index, (position, _) in enumerate(waiting, start=1):
            if position.epoch == reached.epoch and position.sequence <= reached.sequence:
                known = index
        live = (shared for index, (_, shared) in enumerate(waiting) if index >= known)
        self._outbox.put_past(self, past, live)
        self._mark()
