"""The pings of one connection: what they tell of its way, and until when it was good."""

from __future__ import annotations

import asyncio
import random
from functools import partial

from tapewire.client.connection import Connection
from tapewire.client.guid import new_guid
from tapewire.client.session import Session
from tapewire.client.tokens import TokenKeeper
from tapewire.protocol.messages import SystemMessage
from tapewire.protocol.requests import Ping, request_bytes

__all__ = ["Pings"]


class Pings:
    """Asks for signs of life. Any message is one, so an answer only tells how long the way is.

    Attributes:
        guid: Of the ping that was not answered yet; empty: there is none.
        round_trip_s: There and back, of the newest ping that was answered; None before the first.
        good_at_s: When the connection was last known to be good, time of the loop: the last ping that something
            followed. What was sent to us after it may be lost.
    """

    def __init__(self, connection: Connection[Session], tokens: TokenKeeper, rng: random.Random) -> None:
        self.guid = ""
        self.round_trip_s: float | None = None
        self._connection = connection
        self._tokens = tokens
        self._random = rng
        self._received_at_ping = connection.received
        self.good_at_s = self._pinged_at_s = _now()

    def ask(self) -> None:
        """Send one more ping."""
        self.look()
        self._pinged_at_s, self._received_at_ping = _now(), self._connection.received
        session = self._connection.session
        if self.guid:
            # Its answer will be late, if it comes.
            session.forget_answer(self.guid)
            session.ignore_answer(self.guid)
        self.guid = new_guid(self._random)
        session.expect_answer(self.guid, partial(self._answered, self._pinged_at_s))
        self._connection.send(request_bytes(Ping(guid=self.guid, token=self._tokens.newest, confirm=True)))

    def look(self) -> None:
        """Note whether anything has come since the last ping."""
        if self._connection.received > self._received_at_ping:
            self.good_at_s = self._pinged_at_s

    def _answered(self, sent_at_s: float, answer: SystemMessage) -> None:
        self.guid = ""
        self.round_trip_s = _now() - sent_at_s


def _now() -> float:
    return asyncio.get_running_loop().time()
