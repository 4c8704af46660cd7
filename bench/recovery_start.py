"""A start of the embedded venue as far as its recovery goes, in a process of its own: state, entries, hash."""

from __future__ import annotations

import asyncio
import sys
import time
from decimal import Decimal
from pathlib import Path

import msgspec

from bench.matching_flow import ACCOUNTS, name_of
from tapewire.adapters.clock import SystemClock
from tapewire.adapters.journal_file import SqliteJournalFile
from tapewire.adapters.snapshot_files import SnapshotFiles
from tapewire.exchange import AccountTerms
from tapewire.journal import Journal
from tapewire.market import AROUND_THE_CLOCK, Market, catalogue
from tapewire.venues import EmbeddedVenue
from tapewire.venues.hall import Hall
from tapewire.venues.hall_state import HallState
from tapewire.venues.memory_archive import MemoryArchive
from tapewire.venues.replay import recover
from tapewire.venues.streams import Streams
from tapewire.venues.venue_clock import VenueClock

__all__ = ["Recovered", "Start", "market", "open_journal", "open_venue", "recover_hall"]

SYMBOLS = 3
#: Nobody runs out.
CASH = Decimal(10_000_000_000)


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Where the journal is."""

    journal: str
    snapshots: str


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """Where it has led."""

    seconds: float
    cpu_seconds: float
    state_hash: str
    orders_working: int


def market() -> Market:
    """Return the market of all that is measured; nobody makes its steps."""
    return Market(catalogue(SYMBOLS), seed=1)


def open_journal(journal: Path, snapshots: Path) -> Journal:
    """Open a journal that has not been recovered."""
    return Journal(lambda: SqliteJournalFile(journal), SnapshotFiles(snapshots))


def open_venue(journal: Path, snapshots: Path) -> EmbeddedVenue:
    """Make a venue that has not been started."""
    return EmbeddedVenue(
        market(),
        clock=SystemClock(),
        accounts=[AccountTerms(name=name_of(account), cash=CASH) for account in range(ACCOUNTS)],
        archive=MemoryArchive(),
        journal=open_journal(journal, snapshots),
    )


async def recover_hall(journal: Journal) -> Hall:
    """Bring a hall back as a start of the venue does."""
    clock, streams, archive = VenueClock(SystemClock()), Streams(), MemoryArchive()

    def opened(state: HallState) -> Hall:
        return Hall(market(), AROUND_THE_CLOCK, clock=clock, streams=streams, archive=archive, state=state)

    hall = await recover(journal, opened)
    assert hall is not None, "the journal holds a beginning"
    return hall


async def _start(start: Start) -> Recovered:
    began, cpu = time.perf_counter(), time.process_time()
    journal = open_journal(Path(start.journal), Path(start.snapshots))
    hall = await recover_hall(journal)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    await journal.close()
    return Recovered(
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        state_hash=hall.state().hash().hex(),
        orders_working=len(hall.exchange.orders.working),
    )


if __name__ == "__main__":
    print(msgspec.json.encode(asyncio.run(_start(msgspec.json.decode(sys.argv[1], type=Start)))).decode())
