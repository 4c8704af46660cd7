"""An archive on a simulated disk: a crash takes what was not synced, and writes fail when told to."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence

from tapewire.model import Bar
from tapewire.ports.archive import ArchiveBatch, ArchivedTrade, ArchiveError, InstrumentKey
from tapewire.ports.query import TradesFilter
from tapewire.venues.memory_archive import MemoryArchive

__all__ = ["SimulatedArchive"]


class SimulatedArchive:
    """A ``ports.Archive`` in the hands of a test. It outlives the venues that a test starts over it.

    Attributes:
        append_delay_s: What ``append`` waits, on the loop's time, before its batch is durable: a crash or a
            cancellation in that time loses the batch.
        failures: So many of the next calls of ``append`` raise ``ArchiveError`` and keep nothing.
        batches: Durable batches, oldest first.
    """

    def __init__(self) -> None:
        self.append_delay_s = 0.0
        self.failures = 0
        self.batches: list[ArchiveBatch] = []
        self._kept = MemoryArchive()
        self._incarnation = 0

    def crash(self) -> None:
        """Lose every batch that is still being written; what is durable stays."""
        self._incarnation += 1

    async def began_at_s(self, now_s: int) -> int:
        """Return the moment of the first call."""
        return await self._kept.began_at_s(now_s)

    async def append(self, batch: ArchiveBatch) -> None:
        """Keep a batch after ``append_delay_s``.

        Raises:
            ArchiveError: ``failures`` said so, or the archive has crashed meanwhile.
        """
        incarnation = self._incarnation
        if self.failures:
            self.failures -= 1
            raise ArchiveError("the simulated disk is full")
        await asyncio.sleep(self.append_delay_s)
        if incarnation != self._incarnation:
            raise ArchiveError("the simulated machine has crashed")
        self.batches.append(copy.deepcopy(batch))
        await self._kept.append(batch)

    async def bars(
        self, key: InstrumentKey, interval_s: int, since_s: int, until_s: int, limit: int
    ) -> Sequence[Bar]:
        """Return durable bars."""
        return await self._kept.bars(key, interval_s, since_s, until_s, limit)

    async def trades(
        self, key: InstrumentKey, since_ns: int, before_id: int, limit: int
    ) -> Sequence[ArchivedTrade]:
        """Return durable trades."""
        return await self._kept.trades(key, since_ns, before_id, limit)

    async def find_trades(
        self, key: InstrumentKey, wanted: TradesFilter, before_id: int
    ) -> tuple[int, Sequence[ArchivedTrade]]:
        """Return durable trades that match."""
        return await self._kept.find_trades(key, wanted, before_id)

    async def last_trade_id(self) -> int | None:
        """Return the largest durable id."""
        return await self._kept.last_trade_id()
