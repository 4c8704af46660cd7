"""Gaps: what a stream may have missed, from when to when and why; and the ledger that keeps them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from enum import Enum

import msgspec

__all__ = ["GAPS_KEPT_MAX", "Gap", "GapLedger", "GapState"]

#: Closed gaps that are remembered; the oldest goes first. Open ones are as many as there are streams.
GAPS_KEPT_MAX = 10_000


class GapState(Enum):
    """What has become of a gap."""

    #: The connection is not restored yet, or what was missed has not come yet.
    OPEN = "open"
    #: Nothing is missing: a newer state replaced what was missed, or it was fetched.
    FILLED = "filled"
    #: It could not be filled: something may be missing for good.
    LEFT = "left"


class Gap(msgspec.Struct, kw_only=True, eq=False):
    """A time in which a stream had no connection."""

    #: Among all gaps of a broker, from 1: the same wherever one is told of.
    number: int = 0
    #: The name of the stream, of several that share one on the wire that of the first: ``trades:SBER``.
    stream: str
    #: When the connection was last known to be good, and when data flowed again; UTC.
    since: datetime
    until: datetime | None = None
    #: Why: ``connection lost (1006)``.
    cause: str
    state: GapState = GapState.OPEN
    #: Records that were fetched to fill it; they have ``existing`` set.
    filled_records: int = 0
    #: Why it was left.
    reason: str = ""

    def __str__(self) -> str:
        until = "now" if self.until is None else f"{self.until:%H:%M:%S}"
        text = f"{self.stream}: {self.since:%Y-%m-%d %H:%M:%S} to {until} UTC, {self.cause}; {self.state.value}"
        return f"{text} ({self.reason})" if self.reason else text


class GapLedger:
    """All gaps of a broker's streams since the start, as far as they are kept."""

    def __init__(self) -> None:
        self._begun = 0
        self._open: dict[int, Gap] = {}
        self._closed: deque[Gap] = deque(maxlen=GAPS_KEPT_MAX)
        #: Gaps by what became of them, also those that are not kept any more.
        self.filled = 0
        self.left = 0

    def __iter__(self) -> Iterator[Gap]:
        """Yield the closed ones, oldest first, then those that are open."""
        yield from self._closed
        yield from self._open.values()

    def __repr__(self) -> str:
        return f"<GapLedger: {len(self._open)} open, {self.filled} filled, {self.left} left>"

    def __len__(self) -> int:
        return len(self._open) + len(self._closed)

    @property
    def open(self) -> tuple[Gap, ...]:
        """Those that are not closed yet."""
        return tuple(self._open.values())

    def copy(self) -> GapLedger:
        """Return a ledger of the gaps of now, in which no new ones are noted."""
        copied = GapLedger()
        copied._open, copied._closed = self._open.copy(), self._closed.copy()
        copied.filled, copied.left = self.filled, self.left
        return copied

    def begin(self, gap: Gap) -> None:
        """Note a gap that has opened, and give it its number."""
        self._begun += 1
        gap.number = self._begun
        self._open[gap.number] = gap

    def close(self, gap: Gap) -> bool:
        """Note that a gap is filled or left; False if that was known."""
        assert gap.state is not GapState.OPEN, "it says how it ended"
        if self._open.pop(gap.number, None) is None:
            return False
        self._closed.append(gap)
        if gap.state is GapState.FILLED:
            self.filled += 1
        else:
            self.left += 1
        return True
