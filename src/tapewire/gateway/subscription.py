"""One subscription of one session: what was asked for, and how its records reach the outbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tapewire.gateway.feeds import EventFeed, StateFeed
from tapewire.gateway.outbox import Outbox, Outlet
from tapewire.model import Record, StreamPosition, Trade
from tapewire.protocol.messages import data_tail
from tapewire.protocol.requests import SubscribeRequest

__all__ = ["Subscription"]


class Subscription(Outlet):
    """Takes from a feed, gives to the outbox. While its past is being read, it remembers what happens."""

    __slots__ = ("_joining", "_mark", "_outbox", "_reached", "_state", "feed", "request")

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
        # What the outbox holds back until the past is read, in the same order; None: nothing is held.
        self._joining: list[tuple[StreamPosition, Record | None]] | None = None
        # The newest state that came meanwhile.
        self._state: tuple[StreamPosition, bytes] | None = None
        # How far the past reached: a state up to there has been sent with it.
        self._reached: StreamPosition | None = None

    def deliver_state(self, position: StreamPosition, shared: bytes) -> None:
        """Take a newer state."""
        if self._joining is not None:
            self._state = position, shared
        elif not self._is_past(position):
            self._outbox.put_state(self, shared)
            self._mark()

    def deliver_final(self, position: StreamPosition, shared: bytes) -> None:
        """Take the last form of a state."""
        self._outbox.put_final(self, shared)
        self._took(position, None)
        self._state = None

    def deliver_event(self, position: StreamPosition, record: Record, shared: bytes) -> None:
        """Take one more event."""
        self._outbox.put_event(self, shared)
        self._took(position, record)

    def hold(self) -> None:
        """Let what happens wait until :meth:`begin` says what came before it."""
        self._joining = []
        self._outbox.hold(self)

    def begin(self, past: Sequence[Record], reached: StreamPosition, write: Callable[[Record], bytes]) -> None:
        """Send the past and continue behind it: what the past already holds is dropped."""
        waiting, self._joining = self._joining or [], None
        newest = past[-1] if past else None
        newest_id = newest.id if isinstance(newest, Trade) else 0
        known = 0
        for index, (position, record) in enumerate(waiting, start=1):
            if position.epoch == reached.epoch:
                is_known = position.sequence <= reached.sequence
            else:
                # The venue has restarted between the two, and positions do not say which came first. The
                # numbers of trades do: they grow along a tape, whatever its epoch.
                is_known = isinstance(record, Trade) and record.id <= newest_id
            if is_known:
                known = index
        self._outbox.put_past(self, (write(record) for record in past), known)
        self._reached = reached
        state, self._state = self._state, None
        if state is not None and not self._is_past(state[0]):
            self._outbox.put_state(self, state[1])
        self._mark()

    def _is_past(self, position: StreamPosition) -> bool:
        reached = self._reached
        return reached is not None and position.epoch == reached.epoch and position.sequence <= reached.sequence

    def _took(self, position: StreamPosition, record: Record | None) -> None:
        if self._joining is None:
            self._mark()
        elif self.paced is not None:  # else the outbox is closed and has not taken it
            self._joining.append((position, record))
