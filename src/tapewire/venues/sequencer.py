"""The one order of all that happens in the hall, when a journal comes first.

::

    submit ──► journal ──► applied ─┐
                                    ├─ in one order ──► hall ──► sinks, answers
    step ────► granted before ──────┘

A command says after how many steps it comes. While it is at the disk, later steps wait for it; it waits for
nothing. Steps need no entry of their own: the next second of them is granted ahead (``step_grants``), so a disk
that takes its time holds nothing up.

When the journal cannot be written commands are refused and steps go on without it. What they do to portfolios is
withheld, because it could still be lost; as soon as the journal takes entries the steps are written first, then
what was withheld is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tapewire.exchange import AccountTerms
from tapewire.journal import Entry, EntryKind, Journal, NotWritten, StepRun
from tapewire.model import Command, CommandKey, Done, Outcome, Refused, Repeated, Unavailable
from tapewire.ports.journal import JournalError
from tapewire.ports.venue import OutcomeUnknownError
from tapewire.venues.entries import AccountsOpened, EpochStarted, StepsMade, command_taken, encode
from tapewire.venues.hall import Hall
from tapewire.venues.hall_state import HallSettings
from tapewire.venues.step_plan import StepPlan
from tapewire.venues.venue_clock import VenueClock

__all__ = ["SNAPSHOT_EVERY_S", "STEPS_WAITING_MAX", "Sequencer"]

#: Steps that may wait for the disk; more are left out, as when the loop is late.
STEPS_WAITING_MAX = 20
#: A disk that has not answered for so long hangs: steps go on, and what they do to portfolios is withheld.
HANGS_S = 0.3
#: A start replays at most about so much, unless a snapshot takes long to make.
SNAPSHOT_EVERY_S = 60.0
#: Part of the time that may go into snapshots.
_SNAPSHOT_PART = 50

_LOG = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    """An entry at the disk."""

    #: The steps that come before it; None: steps pass it by.
    after: int | None
    #: Since when, on the loop's time.
    since_s: float
    apply: Callable[[Entry], None]
    failed: Callable[[NotWritten], None]


class Sequencer:
    """Gives commands and steps their order. All methods belong to the loop's thread.

    Args:
        journal: Recovered and started.
        hall: Where the journal's entries have led.
        clock: Of the hall.
        stopwatch_s: For how long code has run.
        tell: Tells the sinks what has happened; may raise an ``ExceptionGroup`` of theirs.
    """

    def __init__(
        self,
        journal: Journal,
        hall: Hall,
        clock: VenueClock,
        *,
        stopwatch_s: Callable[[], float],
        tell: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._hall = hall
        self._clock = clock
        self._stopwatch_s = stopwatch_s
        self._tell = tell
        self._plan = StepPlan(hall.market.next_step, round(hall.market.step_s * 1e9))
        self._waiting: deque[_Waiting] = deque()
        self._under_way: dict[CommandKey, asyncio.Future[Outcome]] = {}
        #: Whether the disk may have an entry that was not carried out.
        self._is_uncertain = False
        self._withholds = False
        self._snapshot_at_disk = False
        self._snapshot_not_before_s = asyncio.get_running_loop().time() + SNAPSHOT_EVERY_S
        self._snapshot_of = journal.applied_sequence
        self._sinks_failure: ExceptionGroup[Exception] | None = None
        self._events = 0
        #: Commands that were refused before the journal was asked.
        self.refused = 0
        #: Steps that found no time.
        self.steps_skipped = 0

    # --- what comes in ----------------------------------------------------------------------------------

    async def begin(self, settings: HallSettings, state: bytes | None = None) -> None:
        """Journal this start of the program; with a ``state``, that all begins there.

        Raises:
            JournalError: It cannot be written.
        """

        def apply(entry: Entry) -> None:
            self._plan.clear()
            if state is None:
                self._hall.begin(settings, entry.at_ns)

        body = encode(EpochStarted(after=self._plan.due, settings=settings, state=state))
        await self._written(EntryKind.EPOCH_STARTED, body, apply)

    async def open_accounts(self, terms: Iterable[AccountTerms]) -> None:
        """Open the portfolios that are not there yet.

        Raises:
            JournalError: It cannot be written; none was opened.
            ValueError: Terms make no sense; none was opened.
        """
        known = self._hall.accounts.names
        new = tuple(one for one in terms if one.name not in known)
        if not new:
            return
        for one in new:
            self._hall.accounts.check(one)

        def apply(_: Entry) -> None:
            for one in new:
                self._hall.open_account(one)

        body = encode(AccountsOpened(after=self._plan.due, terms=new))
        await self._written(EntryKind.ACCOUNTS_OPENED, body, apply)

    async def submit(self, command: Command, key: CommandKey | None) -> Outcome:
        """Journal one command behind all others, carry it out, and return how it ended.

        Raises:
            OutcomeUnknownError: The disk has failed with the command on its way.
        """
        if key is not None:
            first = self._hall.guids.first(key)
            if first is not None:
                return Repeated(first)
            under_way = self._under_way.get(key)
            if under_way is not None:
                outcome = await asyncio.shield(under_way)
                return Repeated(outcome) if isinstance(outcome, Done | Refused) else outcome
        self._write_backlog()
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def apply(entry: Entry) -> None:
            self._under_way.pop(key, None) if key is not None else None
            future.set_result(self._hall.command(command, key, entry.at_ns))

        def failed(failure: NotWritten) -> None:
            self._under_way.pop(key, None) if key is not None else None
            if failure.may_survive:
                future.set_exception(OutcomeUnknownError(f"The disk has failed: {failure.reason}"))
                # Whoever asked may be gone.
                future.exception()
            else:
                future.set_result(Unavailable(failure.reason))

        try:
            refused = self._append(EntryKind.COMMAND, command_taken(command, key, self._plan.due), apply, failed)
        except ValueError as error:
            return Unavailable(str(error))
        if refused is not None:
            return Unavailable(refused.reason)
        if key is not None:
            self._under_way[key] = future
        # Who asked may go away; the command is carried out all the same.
        return await asyncio.shield(future)

    @property
    def is_behind(self) -> bool:
        """Whether something has happened that a start on the journal might not bring back."""
        return bool(self._plan.unwritten) or self._is_uncertain or self._made > self._plan.granted_to

    def step(self) -> int:
        """Let one more step be due, make what may be made, and return the number of the participants' events.

        Raises:
            ExceptionGroup: Sinks have failed since the last call; all others were told.
        """
        events_before = self._events
        self.steps_skipped += not self._schedule()
        self._make_steps()
        self._consider_snapshot()
        failure, self._sinks_failure = self._sinks_failure, None
        if failure is not None:
            raise failure
        return self._events - events_before

    async def stop(self) -> None:
        """Journal where all stands, keep that as a snapshot, and close the journal."""

        def apply(entry: Entry) -> None:
            self._plan.clear()
            self._snapshot(entry.at_ns)

        self._write_backlog()
        try:
            body = encode(StepsMade(after=self._plan.due, is_last=True))
            await self._written(EntryKind.STEPS_MADE, body, apply)
        except JournalError as error:
            _LOG.error("the last moments are not in the journal: %s", error)
        await self._journal.close()

    # --- entries ----------------------------------------------------------------------------------------

    def _append(
        self,
        kind: EntryKind,
        body: bytes,
        apply: Callable[[Entry], None],
        failed: Callable[[NotWritten], None],
        *,
        is_vital: bool = False,
    ) -> NotWritten | None:
        if self._plan.has_backlog:
            self.refused += 1
            return NotWritten(self._journal.refusal or "the journal has first to take what happened without it")
        refused = self._journal.append(
            kind, body, self._clock.now_ns(), self._on_written, self._on_failed, is_vital=is_vital
        )
        if refused is None:
            self._waiting.append(_Waiting(self._plan.due, asyncio.get_running_loop().time(), apply, failed))
        return refused

    async def _written(self, kind: EntryKind, body: bytes, apply: Callable[[Entry], None]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def apply_and_say(entry: Entry) -> None:
            apply(entry)
            done.set_result(None)

        def failed(failure: NotWritten) -> None:
            done.set_exception(JournalError(failure.reason))
            done.exception()

        refused = self._append(kind, body, apply_and_say, failed)
        if refused is not None:
            raise JournalError(refused.reason)
        await asyncio.shield(done)

    def _on_written(self, entry: Entry) -> None:
        waiting = self._waiting[0]
        if waiting.after is not None:
            self._make_until(waiting.after)
            assert self._made == waiting.after, "the steps before an entry were granted before it"
        self._waiting.popleft()
        try:
            waiting.apply(entry)
        except Exception as error:
            waiting.failed(NotWritten(f"it cannot be carried out: {error}", may_survive=True))
            raise
        self._make_steps()

    def _on_failed(self, failure: NotWritten) -> None:
        waiting = self._waiting.popleft()
        if failure.may_survive:
            # After a crash it may come before steps that were granted and are made without it now.
            self._is_uncertain = True
            self._withhold()
        waiting.failed(failure)

    # --- steps ------------------------------------------------------------------------------------------

    @property
    def _made(self) -> int:
        return self._hall.market.next_step

    def _schedule(self) -> bool:
        """Let the next step be due; False: there is no time for it."""
        plan = self._plan
        if plan.due - self._made >= STEPS_WAITING_MAX:
            return False
        now_ns = self._clock.now_ns()
        if self._journal.refusal:
            if not plan.is_sure(now_ns):
                if not plan.go_on(now_ns):
                    return False
                self._withhold()
        else:
            self._write_backlog()
            run = plan.wanted(now_ns)
            # One that comes in time for later steps may be asked for again.
            if run is not None and not self._ask(run) and run.first_step == plan.due:
                return False
        plan.due += 1
        return True

    def _ask(self, run: StepRun) -> bool:
        if self._plan.has_backlog:
            return False

        def failed(_: NotWritten) -> None:
            self._plan.is_refused(run, self._made)

        def granted(_: Entry) -> None:
            self._plan.is_granted(run)
            self._release()

        if self._grant(run, granted, failed) is not None:
            return False
        self._plan.asked_for(run)
        return True

    def _grant(
        self,
        run: StepRun,
        apply: Callable[[Entry], None],
        failed: Callable[[NotWritten], None],
        *,
        is_vital: bool = False,
    ) -> NotWritten | None:
        kind, body, at_ns = EntryKind.MARKET_STEPS, run.encode(), run.first_at_ns
        refused = self._journal.append(kind, body, at_ns, self._on_written, self._on_failed, is_vital=is_vital)
        if refused is None:
            self._waiting.append(_Waiting(None, asyncio.get_running_loop().time(), apply, failed))
        return refused

    def _disk_hangs(self) -> bool:
        return bool(self._waiting) and asyncio.get_running_loop().time() - self._waiting[0].since_s > HANGS_S

    def _withhold(self) -> None:
        if not self._withholds:
            self._withholds = True
            self._hall.portfolios.withhold()

    def _release(self) -> None:
        if self._withholds and not self.is_behind:
            self._withholds = False
            self._hall.portfolios.release()

    def _write_backlog(self) -> None:
        """Write the steps that were made without the journal, before anything else is written."""
        if self._is_uncertain and not self._journal.refusal:
            # It has been cut.
            self._is_uncertain = False
            self._release()
        plan = self._plan
        # A full journal takes them: they are needed for the snapshot that makes room.
        is_taken = not self._journal.refusal or self._journal.snapshot_due
        if plan.at_disk or not is_taken:
            return
        for run in list(plan.unwritten):
            if self._grant(run, self._on_backlog, self._on_backlog_failed, is_vital=True) is not None:
                return
            plan.at_disk += 1

    def _on_backlog(self, _: Entry) -> None:
        self._plan.is_written()
        self._release()

    def _on_backlog_failed(self, _: NotWritten) -> None:
        self._plan.at_disk -= 1

    def _make_steps(self) -> None:
        # Only grants may stand before the first entry that has its place among the steps: a few.
        self._make_until(next((one.after for one in self._waiting if one.after is not None), self._plan.due))
        try:
            self._tell()
        except ExceptionGroup as failure:
            self._sinks_failure = failure

    def _make_until(self, step: int) -> None:
        while self._made < step:
            at_ns = self._plan.may_be_made_at(self._made)
            if at_ns is None and self._disk_hangs():
                # At the time that the entry at the disk says: whatever becomes of it, it will be this step.
                at_ns = self._plan.asked_at(self._made)
                self._withhold()
            if at_ns is None:
                break
            self._events += self._hall.step(at_ns)
        self._plan.made(self._made)

    # --- snapshots --------------------------------------------------------------------------------------

    def _consider_snapshot(self) -> None:
        journal = self._journal
        now_s = asyncio.get_running_loop().time()
        is_due = journal.snapshot_due or (
            now_s >= self._snapshot_not_before_s
            and not journal.refusal
            and journal.applied_sequence > self._snapshot_of
        )
        if not is_due or self._snapshot_at_disk:
            return
        self._write_backlog()
        body = encode(StepsMade(after=self._plan.due))
        refused = self._append(
            EntryKind.STEPS_MADE, body, self._on_steps_made, self._on_steps_made_failed, is_vital=True
        )
        self._snapshot_at_disk = refused is None

    def _on_steps_made(self, entry: Entry) -> None:
        self._snapshot_at_disk = False
        self._snapshot(entry.at_ns)

    def _on_steps_made_failed(self, _: NotWritten) -> None:
        self._snapshot_at_disk = False

    def _snapshot(self, at_ns: int) -> None:
        began_s = self._stopwatch_s()
        self._hall.granted = self._plan.granted
        state = self._hall.state()
        self._journal.snapshot(state.encode(), state.hash(), at_ns)
        self._snapshot_of = self._journal.applied_sequence + 1  # its own mark is no reason for another one
        took_s = self._stopwatch_s() - began_s
        now_s = asyncio.get_running_loop().time()
        self._snapshot_not_before_s = now_s + max(SNAPSHOT_EVERY_S, took_s * _SNAPSHOT_PART)
