"""One subscription of one session: what was asked for, and how its records reach the outbox."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from operator import attrgetter

from tapewire.gateway.burst import Burst
from tapewire.gateway.feeds import Event, EventFeed, StateFeed
from tapewire.gateway.outbox import Outbox, Outlet
from tapewire.model import Record, StreamPosition, Trade
from tapewire.protocol.messages import data_tail

__all__ = ["Subscription"]


class Subscription(Outlet):
    """Takes from a feed, gives to the outbox. While its past is being read, it remembers what happens.

    ``hurry`` is called with each event if the topic's events must not wait for a beat; None if they may.
    """

    __slots__ = ("_hurry", "_is_settled", "_joining", "_outbox", "_reached", "_state", "feed", "guid")

    def __init__(
        self, guid: str, feed: StateFeed | EventFeed, outbox: Outbox, hurry: Callable[[], None] | None
    ) -> None:
        super().__init__(data_tail(guid), is_of_states=isinstance(feed, StateFeed))
        self.guid = guid
        self.feed = feed
        self._outbox = outbox
        self._hurry = hurry
        # Whether a state goes straight to the outbox: no past is being read, and the feed is beyond it.
        self._is_settled = True
        # What the outbox holds back until the past is read, in the same order; None: nothing is held.
        self._joining: list[tuple[StreamPosition, Record | None]] | None = None
        # The newest state that came meanwhile.
        self._state: tuple[StreamPosition, Burst] | None = None
        # How far the past reached: a state up to there has been sent with it.
        self._reached: StreamPosition | None = None

    def deliver_state(self, position: StreamPosition, state: Burst) -> None:
        """Take a newer state."""
        if self._is_settled:
            self._outbox.put_state(self, state)
            if self._hurry is not None:
                self._hurry()
        elif self._joining is not None:
            self._state = position, state
        elif not self._is_past(position):
            self._is_settled = True
            self._outbox.put_state(self, state)

    def deliver_first(self, position: StreamPosition, state: Burst) -> None:
        """Take the first state of a topic that had none at the joining.

        No newer one replaces it, unless a past comes first, which shows what there was.
        """
        if self._joining is not None:
            self._state = position, state
        elif not self._is_past(position):
            self._outbox.put_events(self, state)
            if self._hurry is not None:
                self._hurry()

    def deliver_final(self, position: StreamPosition, state: Burst) -> None:
        """Take the last form of a state."""
        self._outbox.put_final(self, state)
        self._remember(position, None)
        self._state = None

    def deliver_events(self, events: Sequence[Event], burst: Burst) -> None:
        """Take a few more events."""
        self._outbox.put_events(self, burst)
        if self._joining is not None:
            for event in events:
                self._remember(event.position, event.record)
        if self._hurry is not None:
            self._hurry()

    def hold(self) -> None:
        """Let what happens wait until :meth:`begin` says what came before it."""
        self._is_settled = False
        self._joining = []
        self._outbox.hold(self)

    def begin(
        self,
        past: Sequence[Record],
        reached: StreamPosition,
        write: Callable[[Record], bytes],
        is_wanted: Callable[[Record], bool] | None = None,
        length_max: int | None = None,
    ) -> None:
        """Send the past and continue behind it: nothing is told twice, and nothing is left out.

        Trades that have happened since :meth:`hold` are told live and taken out of the past; of all other records
        the past has the newest form, and live ones that it tells are dropped. ``is_wanted`` says which records of
        the past are sent, None: all; ``length_max`` how many, the newest.
        """
        if isinstance(self.feed, EventFeed):
            # What has happened and was not delivered yet is in the past too.
            self.feed.deliver()
        waiting, self._joining = self._joining or [], None
        before = _before(past, waiting)
        known: Collection[int] = ()
        if before is None:
            before = past
            newest = past[-1] if past else None
            known = {
                place
                for place, (position, record) in enumerate(waiting)
                if _is_known(position, record, newest, reached)
                and (record is None or is_wanted is None or is_wanted(record))
            }
        if length_max is not None:
            before = before[max(0, len(before) - length_max) :]
        sent = before if is_wanted is None else filter(is_wanted, before)
        self._outbox.put_past(self, (write(record) for record in sent), known)
        if self._hurry is not None:
            self._hurry()
        self._reached = reached
        state, self._state = self._state, None
        if state is not None:
            self.deliver_state(*state)

    def _is_past(self, position: StreamPosition) -> bool:
        reached = self._reached
        return reached is not None and position <= reached

    def _remember(self, position: StreamPosition, record: Record | None) -> None:
        if self._joining is not None and self.paced is not None:  # else the outbox is closed and has not taken it
            self._joining.append((position, record))


def _before(
    past: Sequence[Record], waiting: Sequence[tuple[StreamPosition, Record | None]]
) -> Sequence[Record] | None:
    """Return the part of a tape that is older than the live trades that wait; None: this is no such tape."""
    first, last = (waiting[0][1], waiting[-1][1]) if waiting else (None, None)
    newest = past[-1] if past else None
    if not (isinstance(first, Trade) and isinstance(last, Trade) and isinstance(newest, Trade)):
        return None
    if newest.id > last.id:
        # The venue has begun anew in between, and has told some of them to nobody.
        return None
    return past[: bisect_left(past, first.id, key=attrgetter("id"))]


def _is_known(
    position: StreamPosition, record: Record | None, newest: Record | None, reached: StreamPosition
) -> bool:
    """Return whether a past that reaches so far and ends with ``newest`` holds what happened at a position."""
    if position.epoch == reached.epoch or position > reached:
        return position <= reached
    # The venue has begun anew in between, and may have forgotten its last moments.
    if isinstance(record, Trade) and isinstance(newest, Trade):
        return record.id <= newest.id
    return newest is not None
