"""The trade tape of one instrument: its last trades and how many there have been."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

import msgspec

from tapewire.exchange import Traded
from tapewire.model import Side

__all__ = ["TAPE_TRADES_MAX", "Print", "Tape"]

#: As many as the broker gives out at most. Some 200 bytes each: 26 full tapes take 25 MB.
TAPE_TRADES_MAX = 5_000


class Print(msgspec.Struct, frozen=True, gc=False):
    """What the public learns of a trade, in the exchange's units: the wire record is made when asked for."""

    id: int
    price_ticks: int
    lots: int
    aggressor: Side
    at_ns: int
    #: After the trade, contracts; 0 where the instrument has none.
    open_interest: int


class Tape:
    """The last ``TAPE_TRADES_MAX`` trades, oldest first."""

    def __init__(self, earlier: Iterable[Print] = ()) -> None:
        """Begin with the trades of earlier starts of the venue, oldest first; they have no sequence."""
        self._prints: deque[Print] = deque(earlier, maxlen=TAPE_TRADES_MAX)
        #: Trades since the venue was started, which is also the sequence of the newest one.
        self.sequence = 0

    def __len__(self) -> int:
        return len(self._prints)

    @property
    def is_full(self) -> bool:
        """Whether the next trade pushes the oldest one out: there may have been older ones."""
        return len(self._prints) == TAPE_TRADES_MAX

    def append(self, trade: Traded, open_interest: int) -> Print:
        """Note one more trade and return its print."""
        printed = Print(trade.trade_id, trade.price_ticks, trade.lots, trade.aggressor, trade.at_ns, open_interest)
        self._prints.append(printed)
        self.sequence += 1
        return printed

    def last(self, limit: int) -> list[Print]:
        """Return the last ``limit`` trades, or all that are kept, oldest first."""
        newest_first = list(islice(reversed(self._prints), limit))
        newest_first.reverse()
        return newest_first
