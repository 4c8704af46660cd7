"""Live trades that are late: HTTP may be faster than the stream, and tell of a trade before it does. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from tapewire.model import Trade
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.formats import Codec

__all__ = ["LATE_S", "REPEATED_MAX", "LateTrades", "id_of"]

#: How long after a gap live trades are compared with what was fetched, at most.
LATE_S = 60.0
#: Trades from before a gap that are taken for repetitions and left out. Where more come, the numbers are wrong.
REPEATED_MAX = 1_000


class LateTrades:
    """Knows which live trades have been delivered, until the first that is newer than all of them.

    A trade is known by its number where it was fetched, or was the last one before the gap. A lower number that
    was not fetched is of a trade from before the gap as long as its time says so too. Everything else is news:
    one trade whose number is far too high must not make all that follow look old.
    """

    def __init__(
        self, codec: Codec[Trade], last: Trade | None, last_id: int | None, fetched: Iterable[int]
    ) -> None:
        """``last`` is what came last before the gap, with the number ``last_id``; ``fetched`` are numbers."""
        self._codec = codec
        self._fetched = frozenset(fetched)
        self._last_id = last_id
        self._last_ms = last.time_ms if last is not None and isinstance(last.time_ms, int) else None
        self._reached = max(self._fetched, default=last_id)
        self._repeated = 0
        #: After this, time of the loop, nothing is taken for late any more.
        self.until_s = float("inf")
        #: Whether nothing that comes from now on is known.
        self.is_over = self._reached is None
        #: Why what the stream and HTTP say does not fit together; empty if it does.
        self.reason = ""

    def knows(self, message: bytes, now_s: float) -> bool:
        """Return whether a live message tells what was delivered; one without a readable number does not."""
        if self.is_over:
            return False
        try:
            trade = self._codec.decode_message(message)
        except MalformedMessageError:
            return False
        number = id_of(trade)
        if number is None:
            return False
        assert self._reached is not None, "it would be over"
        if number > self._reached:
            self.is_over = True
            return False
        if now_s > self.until_s:
            self._end(f"{self._repeated} live trades were taken for old ones" if self._repeated else "")
            return number in self._fetched
        if number in self._fetched or number == self._last_id:
            return True
        if self._last_id is None or number > self._last_id:
            self.reason = (
                self.reason or f"the live trade {number} was not among those fetched up to {self._reached}"
            )
            return False
        if not self._is_as_old(trade):
            self._end(f"the live trade {number} is newer than {self._last_id}, and has a lower number")
            return False
        self._repeated += 1
        if self._repeated > REPEATED_MAX:
            self._end(f"{REPEATED_MAX} live trades were taken for old ones")
            return False
        return True

    def _is_as_old(self, trade: Trade) -> bool:
        return isinstance(trade.time_ms, int) and self._last_ms is not None and trade.time_ms <= self._last_ms

    def _end(self, reason: str) -> None:
        self.is_over = True
        self.reason = self.reason or reason


def id_of(trade: Trade) -> int | None:
    """Return the number of a trade; None where the broker sent none, though all have one."""
    return trade.id if isinstance(trade.id, int) else None
