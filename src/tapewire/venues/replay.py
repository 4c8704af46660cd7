"""Brings a hall back from its journal: the newest state, then every entry behind it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tapewire.journal import Entry, EntryKind, Journal, Snapshot, StepRun
from tapewire.ports.journal import JournalError
from tapewire.venues.entries import AccountsOpened, CommandTaken, EpochStarted, StepsMade, command_of, read
from tapewire.venues.hall import Hall
from tapewire.venues.hall_state import HallState
from tapewire.venues.step_grants import StepGrants

__all__ = ["Replay", "recover"]

_LOG = logging.getLogger(__name__)

#: Entries that are applied before other tasks get their turn.
_ENTRIES_AT_ONCE = 256


class Replay:
    """Applies a journal's entries to a hall, with the steps that were made between them."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._grants = StepGrants(hall.granted)

    def apply(self, entry: Entry) -> None:
        """Let happen what an entry says, and the steps before it.

        Raises:
            JournalError: It cannot be read, or steps happened that it knows nothing of.
        """
        hall = self._hall
        match entry.kind:
            case EntryKind.MARKET_STEPS:
                self._grants.add(StepRun.decode(entry))
            case EntryKind.COMMAND:
                taken = read(entry, CommandTaken)
                self._make_until(taken.after, entry)
                hall.command(*command_of(taken), entry.at_ns)
            case EntryKind.EPOCH_STARTED:
                started = read(entry, EpochStarted)
                self._make_until(started.after, entry)
                self._grants = StepGrants()
                hall.begin(started.settings, entry.at_ns)
            case EntryKind.STEPS_MADE:
                made = read(entry, StepsMade)
                self._make_until(made.after, entry)
                if made.is_last:
                    self._grants = StepGrants()
            case EntryKind.ACCOUNTS_OPENED:
                opened = read(entry, AccountsOpened)
                self._make_until(opened.after, entry)
                for terms in opened.terms:
                    hall.open_account(terms)
            case _:
                raise JournalError(f"entry {entry.sequence} is of a kind that a venue does not write")

    def finish(self) -> None:
        """Make the steps that were granted last: the program ended somewhere among them."""
        while self._make_one():
            pass

    def state(self) -> HallState:
        """Return where the hall stands, with the steps that are still to be made."""
        self._grants.made(self._hall.market.next_step)
        self._hall.granted = self._grants.all()
        return self._hall.state()

    def _make_until(self, step: int, entry: Entry) -> None:
        while self._hall.market.next_step < step:
            if not self._make_one():
                raise JournalError(f"entry {entry.sequence} comes after step {step}, which was never granted")
        if self._hall.market.next_step > step:
            raise JournalError(f"entry {entry.sequence} comes after step {step}, and more were made")

    def _make_one(self) -> bool:
        step = self._hall.market.next_step
        at_ns = self._grants.at_ns(step)
        if at_ns is None:
            return False
        self._hall.step(at_ns)
        if step % 64 == 0:
            self._grants.made(step)
        return True


async def recover(journal: Journal, opened: Callable[[HallState], Hall]) -> Hall | None:
    """Return the hall that the journal knows, with all its past; None: the journal is new.

    Args:
        journal: Not started yet.
        opened: Makes a hall of a state; raises ``SnapshotRefusedError`` when it cannot.

    Raises:
        ArchiveError: The archive cannot be read, or takes nothing.
        JournalError: The journal cannot be read, or its entries do not lead where they led.
        SnapshotRefusedError: Its beginning cannot be taken up.
    """
    replay: Replay | None = None
    hall: Hall | None = None

    def restore(snapshot: Snapshot) -> None:
        nonlocal replay, hall
        hall = opened(HallState.decode(snapshot.state))
        replay = Replay(hall)

    def state_hash() -> bytes:
        return replay.state().hash() if replay is not None else b"\0"

    entries = journal.recover(restore, state_hash)
    if entries.snapshot_reaches is None:
        # One that was passed over has left a hall that is nowhere.
        replay = hall = None
    if hall is not None:
        await hall.look_back()
    count = 0
    for count, entry in enumerate(entries, 1):
        if replay is None:
            started = read(entry, EpochStarted) if entry.kind is EntryKind.EPOCH_STARTED else None
            if started is None or started.state is None:
                raise JournalError(f"entry {entry.sequence} does not say where all begins")
            hall = opened(HallState.decode(started.state))
            await hall.look_back()
            replay = Replay(hall)
            continue
        replay.apply(entry)
        assert hall is not None
        if hall.is_crowded:
            await hall.keeper.flush()
        if count % _ENTRIES_AT_ONCE == 0:
            await asyncio.sleep(0)
    if replay is not None:
        replay.finish()
        _LOG.info("the journal is replayed: %d entries", count)
    return hall
