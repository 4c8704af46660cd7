"""How a stream is: what an overview of all of them shows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tapewire.client.states import SubscriptionState
from tapewire.protocol.words import Format

if TYPE_CHECKING:
    from tapewire.client.subscription import Subscription

__all__ = ["StreamStatus"]


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One stream at one moment; its text is one line."""

    #: ``trades:SBER``; ``trades:SBER#2`` beside another one.
    name: str
    state: SubscriptionState
    format: Format
    #: Since when data flow without a break, UTC; None while they do not.
    active_since: datetime | None
    #: Messages that came in, that nobody gets, that could not be read, that the consumer has not taken yet.
    received: int
    dropped: int
    malformed: int
    waiting: int
    #: Number of the connection that carries it; None while it has no place.
    connection: int | None
    #: Subscriptions, this one included, that are served by one stream of the wire.
    sharing: int

    @classmethod
    def of(cls, subscription: Subscription[Any], *, connection: int | None, sharing: int) -> StreamStatus:
        """Return how a subscription is now."""
        return cls(
            name=subscription.name,
            state=subscription.state,
            format=subscription.request.format,
            active_since=subscription.active_since,
            received=subscription.received,
            dropped=subscription.dropped,
            malformed=subscription.malformed,
            waiting=subscription.waiting,
            connection=connection,
            sharing=sharing,
        )

    def __str__(self) -> str:
        since = f" since {self.active_since:%H:%M:%S} UTC" if self.active_since is not None else ""
        return (
            f"{self.name} {self.state.value}{since}: {self.received} received, {self.dropped} dropped,"
            f" {self.malformed} malformed, {self.waiting} waiting"
        )
