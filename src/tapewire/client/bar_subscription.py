"""Bars as one run: what was, over HTTP where it is long, and what happens from then on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Self

import msgspec

from tapewire.client.bar_history import latest_opening_s
from tapewire.client.buffer import BufferPolicy
from tapewire.client.errors import ClosedError
from tapewire.client.gap import Gap
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription, SubscriptionOwner
from tapewire.model import Bar
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.formats import Codec
from tapewire.protocol.requests import SubscribeBars

__all__ = ["BarSubscription"]


class BarSubscription(Subscription[Bar]):
    """Bars in the order of their openings; the unfinished one comes again as it changes.

    The stream is asked for from the newest past bar on, which the broker sends again: nothing is between the two
    parts. A bar that says what the last one said is left out. So is one that is older, and counted as dropped; and
    one that opens more than a day ahead, counted as malformed: all that follow would be older than it.
    """

    def __init__(
        self,
        request: SubscribeBars,
        codec: Codec[Bar],
        policy: BufferPolicy,
        name: str,
        owner: SubscriptionOwner,
        fetch: Callable[[SubscribeBars], Awaitable[list[Bar]]] | None = None,
    ) -> None:
        """Make a stream of bars, not opened yet; ``fetch`` reads the past of a request, None: the wire has it."""
        super().__init__(request, codec, policy, name, owner)
        self._asked = request
        self._fetch = fetch
        self._last: Bar | None = None
        #: Bars that open later are looked at more closely, Unix s.
        self._plausible_s = 0

    async def open(self) -> Self:
        """Fetch the past, ask the broker for the stream and return when it is granted.

        Raises, beside what every stream does:
            ConnectError: The past could not be fetched.
            LimitError: It is longer than what is fetched at once.
        """
        fetch, self._fetch = self._fetch, None
        if fetch is not None and self.state is SubscriptionState.NEW:
            past = await fetch(self._asked)
            if self.state is not SubscriptionState.NEW:
                raise ClosedError(f"{self.name} was closed while it was being opened")
            self.buffer.begin_with(past)
            if past:
                self.request = msgspec.structs.replace(self._asked, since_s=past[-1].time_s)
        return await super().open()

    async def next_item(self) -> Bar | Gap:
        """Return the next bar or gap; ends as that of every stream."""
        while True:
            item = await super().next_item()
            if isinstance(item, Gap) or self._is_news(item):
                return item

    async def next_batch(self) -> list[Bar]:
        """Return what has come, at least one bar; ends as that of every stream."""
        while True:
            news = [bar for bar in await super().next_batch() if self._is_news(bar)]
            if news:
                return news

    def _is_news(self, bar: Bar) -> bool:
        """Whether a bar follows the last one, or says something else of it."""
        last = self._last
        time_s: object = bar.time_s
        if not isinstance(time_s, int):
            return True  # as wrong as it was sent; the consumer sees it
        if time_s > self._plausible_s:
            self._plausible_s = latest_opening_s(self._owner.now())
            if time_s > self._plausible_s:
                self._note(MalformedMessageError(f"a bar opens at {time_s}, more than a day ahead of our clock"))
                return False
        if last is not None and time_s < last.time_s:
            self.buffer.dropped += 1
            return False
        # Those of different formats are never equal.
        is_same = last is not None and msgspec.structs.astuple(bar) == msgspec.structs.astuple(last)
        self._last = bar
        return not is_same
