"""An archive that lives as long as the process: for a venue without a data folder, and for tests."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from tapewire.model import DAY_S, Bar
from tapewire.ports.archive import ArchiveBatch, ArchivedTrade, InstrumentKey
from tapewire.ports.query import TradesFilter
from tapewire.venues.selection import matching

__all__ = ["BARS_MAX", "TRADES_MAX", "MemoryArchive"]

#: Kept of each instrument and interval below a day: a week of minutes. Some 200 bytes each: 33 instruments that
#: trade every minute take 65 MB.
BARS_MAX = 10_080
#: Kept of each instrument, some 250 bytes each: 80 MB for 32 of them.
TRADES_MAX = 10_000


class MemoryArchive:
    """A ``ports.Archive`` without a disk. Bounded: the oldest go first."""

    def __init__(self, *, bars_max: int = BARS_MAX, trades_max: int = TRADES_MAX) -> None:
        self._bars_max = bars_max
        self._trades_max = trades_max
        self._began_at_s: int | None = None
        self._bars: dict[tuple[InstrumentKey, int], dict[int, Bar]] = {}
        self._trades: dict[InstrumentKey, dict[int, ArchivedTrade]] = {}
        self._last_trade_id: int | None = None

    async def began_at_s(self, now_s: int) -> int:
        """Return the moment of the first call."""
        if self._began_at_s is None:
            self._began_at_s = now_s
        return self._began_at_s

    async def append(self, batch: ArchiveBatch) -> None:
        """Keep a batch."""
        for key, interval_s, bar in batch.bars:
            bars = self._bars.setdefault((key, interval_s), {})
            bars[bar.time_s] = bar
            if interval_s < DAY_S and len(bars) > self._bars_max:
                del bars[next(iter(bars))]
        for key, trade in batch.trades:
            trades = self._trades.setdefault(key, {})
            trades[trade.id] = trade
            self._last_trade_id = max(trade.id, self._last_trade_id or 0)
            if len(trades) > self._trades_max:
                del trades[next(iter(trades))]

    async def bars(
        self, key: InstrumentKey, interval_s: int, since_s: int, until_s: int, limit: int
    ) -> Sequence[Bar]:
        """Return the bars that open in the range: the newest ``limit``, oldest first."""
        bars = list(self._bars.get((key, interval_s), {}).values())
        first = bisect_left(bars, since_s, key=lambda bar: bar.time_s)
        behind = bisect_right(bars, until_s, key=lambda bar: bar.time_s)
        return bars[max(first, behind - limit) : behind]

    async def trades(
        self, key: InstrumentKey, since_ns: int, before_id: int, limit: int
    ) -> Sequence[ArchivedTrade]:
        """Return the newest trades since a moment with ids below ``before_id``, oldest first."""
        trades = list(self._trades.get(key, {}).values())
        first = bisect_left(trades, since_ns, key=lambda trade: trade.at_ns)
        behind = bisect_left(trades, before_id, key=lambda trade: trade.id)
        return trades[max(first, behind - limit) : behind]

    async def find_trades(
        self, key: InstrumentKey, wanted: TradesFilter, before_id: int
    ) -> tuple[int, Sequence[ArchivedTrade]]:
        """Return how many trades below ``before_id`` match, and those that are wanted of them."""
        trades = [trade for trade in self._trades.get(key, {}).values() if trade.id < before_id]
        return matching(trades, wanted)

    async def last_trade_id(self) -> int | None:
        """Return the largest id that was ever kept."""
        return self._last_trade_id
