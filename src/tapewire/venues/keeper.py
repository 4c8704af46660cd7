"""Brings what is final into the archive, in batches, while the market goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

from tapewire.model import Bar
from tapewire.ports.archive import Archive, ArchiveBatch, ArchivedTrade, ArchiveError, InstrumentKey
from tapewire.venues.chart import FinishedBar
from tapewire.venues.charts import BASE_INTERVALS_S
from tapewire.venues.listing import Listing
from tapewire.venues.tape import Print

__all__ = ["WAITING_MAX", "Keeper"]

#: Trades and bars that wait for the archive at most: ten minutes of a busy market, some 50 MB. More is lost, and
#: counted: a broken disk must not take the memory as well.
WAITING_MAX = 300_000

#: Rows made and written together; making them takes about a microsecond each.
_BATCH_ROWS = 5_000

_LOG = logging.getLogger(__name__)


class Keeper:
    """Collects final base bars and trades; ``flush`` brings them to the archive, oldest first."""

    def __init__(self, listings: Sequence[Listing], archive: Archive) -> None:
        self._listings = listings
        self._archive = archive
        self._waiting: list[tuple[int, Print | FinishedBar]] = []
        self._turn = asyncio.Lock()
        #: Rows that found no place while the archive failed.
        self.lost = 0
        #: Why the last batch could not be kept; empty when it could.
        self.failure = ""

    @property
    def waiting(self) -> int:
        """Rows that are not in the archive yet."""
        return len(self._waiting)

    def state(self) -> tuple[list[tuple[int, Print]], list[tuple[int, FinishedBar]]]:
        """Return the rows that are not in the archive yet, trades and bars, each with its listing's position."""
        trades = [(position, row) for position, row in self._waiting if isinstance(row, Print)]
        bars = [(position, row) for position, row in self._waiting if not isinstance(row, Print)]
        return trades, bars

    def restore(self, trades: Iterable[tuple[int, Print]], bars: Iterable[tuple[int, FinishedBar]]) -> None:
        """Take rows that another keeper had not brought to the archive."""
        self._waiting += trades
        self._waiting += bars

    def trade(self, position: int, printed: Print) -> None:
        """Take a trade of a listing."""
        self._take(position, printed)

    def finished(self, position: int, finished: Sequence[FinishedBar]) -> None:
        """Take the base bars among those that are final."""
        for final in finished:
            if final.interval_s in BASE_INTERVALS_S:
                self._take(position, final)

    async def flush(self) -> None:
        """Return when all that was taken before the call is durable.

        Raises:
            ArchiveError: It could not be kept; it waits for the next call.
        """
        async with self._turn:
            left = len(self._waiting)
            while left > 0:
                rows = self._waiting[: min(left, _BATCH_ROWS)]
                try:
                    await self._archive.append(self._batch(rows))
                except ArchiveError as error:
                    if not self.failure:
                        _LOG.error("the archive takes nothing: %s", error)
                    self.failure = str(error)
                    raise
                if self.failure:
                    _LOG.warning("the archive takes what waits again")
                self.failure = ""
                del self._waiting[: len(rows)]
                left -= len(rows)

    def _take(self, position: int, row: Print | FinishedBar) -> None:
        if len(self._waiting) >= WAITING_MAX:
            self.lost += 1
        else:
            self._waiting.append((position, row))

    def _batch(self, rows: Sequence[tuple[int, Print | FinishedBar]]) -> ArchiveBatch:
        bars: list[tuple[InstrumentKey, int, Bar]] = []
        trades: list[tuple[InstrumentKey, ArchivedTrade]] = []
        for position, row in rows:
            listing = self._listings[position]
            key = listing.instrument.key
            if isinstance(row, Print):
                trades.append((key, listing.archived(row)))
            else:
                bars.append((key, row.interval_s, listing.bar_record(row.bar)))
        return ArchiveBatch(bars, trades)
