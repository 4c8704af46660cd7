"""One subscription of one session: what was asked for, and how its records reach the outbox."""

from __future__ import annotations

from collections.abc import Callable

from tapewire.gateway.feeds import EventFeed, StateFeed
from tapewire.gateway.outbox import Outbox, Outlet
from tapewire.model import Record, StreamPosition, Trade
from tapewire.ports import TradesPage
from tapewire.protocol.messages import data_tail
from tapewire.protocol.requests import SubscribeRequest

__all__ = ["Subscription"]


class Subscription(Outlet):
    """Takes from a feed, gives to the outbox. While its past is being read, it remembers what happens."""

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
        # What the outbox holds back until the past is read, in the same order; None: nothing is held.
        self._joining: list[tuple[StreamPosition, Record]] | None = None

    def deliver_state(self, shared: bytes) -> None:
        """Take a newer state."""
        self._outbox.put_state(self, shared)
        self._mark()

    def deliver_event(self, position: StreamPosition, record: Record, shared: bytes) -> None:
        """Take one more event."""
        self._outbox.put_event(self, shared)
        if self._joining is None:
            self._mark()
        elif self.paced is not None:  # else the outbox is closed and has not taken it
            self._joining.append((position, record))

    def hold(self) -> None:
        """Let events wait until :meth:`begin` says what came before them."""
        self._joining = []
        self._outbox.hold(self)

    def begin(self, page: TradesPage, write: Callable[[Record], bytes]) -> None:
        """Send the past and continue behind it: what the past already holds is dropped."""
        waiting, self._joining = self._joining or [], None
        newest_id = page.trades[-1].id if page.trades else 0
        known = 0
        for index, (position, record) in enumerate(waiting, start=1):
            if position.epoch == page.position.epoch:
                is_known = position.sequence <= page.position.sequence
            else:
                # The venue has restarted between the two, and positions do not say which came first. The
                # numbers of trades do: they grow along a tape, whatever its epoch.
                is_known = isinstance(record, Trade) and record.id <= newest_id
            if is_known:
                known = index
        self._outbox.put_past(self, (write(trade) for trade in page.trades), known)
        self._mark()
