"""Listens to what the client says of itself, and notes where that is not so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from schedules.holder import Holder
from schedules.kind import Nature
from tapewire.client.broker import Broker
from tapewire.client.events import ConnectedEvent, Event, GapClosedEvent, GapOpenedEvent, LostEvent, WaitingEvent
from tapewire.client.gap import Gap, GapState
from tapewire.client.states import SubscriptionState

__all__ = ["Watcher"]

#: A connection that has lived so long has held: the first pause after it is short.
HELD_S = 10.0
FIRST_PAUSE_S = 1.0
#: Tries in a row over the longest time in which a schedule lets nobody in.
TRIES_MAX = 400


class Watcher:
    """Reads the events of a broker. ``holders`` may grow.

    Attributes:
        problems: What was said and is not so.
    """

    def __init__(self, broker: Broker, holders: Sequence[Holder]) -> None:
        self.problems: list[str] = []
        self._holders = holders
        self._fleet = broker._fleet
        self._events = aiter(broker.events)
        self._loop = asyncio.get_running_loop()
        #: When each connection was opened last, and those that have held and were lost.
        self._opened_at_s: dict[int, float] = {}
        self._has_held: set[int] = set()
        #: How much had come for whom when a gap was opened; by its identity, as the gap is kept.
        self._received: dict[int, dict[Holder, int]] = {}
        #: Gaps that were left, and who had the stream all the time.
        self._left: list[tuple[Gap, Holder]] = []
        self.task = asyncio.create_task(self._run(), name="watcher")

    def untold(self) -> Iterator[str]:
        """Yield which gaps that were left did not come to those who have the stream and took all there was."""
        for gap, holder in self._left:
            is_over = holder.stream.state in (SubscriptionState.REFUSED, SubscriptionState.CLOSED)
            if (
                holder.is_live
                and not is_over
                and not holder.stream.waiting
                and not any(told is gap for told in holder.gaps)
            ):
                yield f"was not told of {gap}: {holder}"

    def forget_ended(self) -> None:
        """Keep nothing of those who have no stream any more."""
        self._left = [(gap, holder) for gap, holder in self._left if not holder.ended]
        for missed in self._received.values():
            for holder in [holder for holder in missed if holder.ended]:
                del missed[holder]

    async def _run(self) -> None:
        async for event in self._events:
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case ConnectedEvent():
                self._opened_at_s[event.link] = self._loop.time()
            case LostEvent():
                if self._loop.time() - self._opened_at_s[event.link] >= HELD_S:
                    self._has_held.add(event.link)
            case WaitingEvent():
                if event.link in self._has_held and event.seconds > FIRST_PAUSE_S:
                    self.problems.append(f"a pause of {event.seconds} s after a connection that had held: {event}")
                if event.tries > TRIES_MAX:
                    self.problems.append(f"a server that lets nobody in is hammered: {event}")
                self._has_held.discard(event.link)
            case GapOpenedEvent():
                of_this = [one for one in self._holders if self._misses(one, event.gap)]
                self._received[event.gap.number] = {one: one.stream.received for one in of_this}
            case GapClosedEvent():
                self._closed(event.gap)

    def _misses(self, holder: Holder, gap: Gap) -> bool:
        """Return whether a gap is that of a holder's stream: others may have streams of the same name."""
        feed = self._fleet._feed_of.get(holder.stream)
        return feed is not None and feed.gap is not None and feed.gap.number == gap.number

    def _closed(self, gap: Gap) -> None:
        before = self._received.pop(gap.number, {})
        if gap.state is GapState.LEFT:
            self._left += [(gap, one) for one in before if one.is_live]
        live = {one: count for one, count in before.items() if one.is_live and one.kind.nature is Nature.STATE}
        if gap.state is GapState.FILLED and live and all(one.stream.received == live[one] for one in live):
            self.problems.append(f"a gap is called filled, and nothing has come: {gap}")
