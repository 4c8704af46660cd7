"""The journal as its owner sees it: append, be called back when it is durable, and apply then.

    fresh ── recover, start ──► usable ── the disk fails ──► failing ── a probe succeeds ──► usable
                                   └─────── an entry cannot be applied, the disk lost something ──► stopped
                                   └─────── close ──► closed

Only a usable journal takes entries; else the submitter is refused at once, with a reason. What waits when the
disk fails is refused as well. A failing disk is probed once in ``PROBE_S``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tapewire.journal.entry_queue import Draft, EntryQueue, NotWritten
from tapewire.journal.mark import Mark
from tapewire.journal.record import Entry, EntryKind
from tapewire.journal.recovery import Replay, StateHash, recover
from tapewire.journal.retention import Retention
from tapewire.journal.shell import Shell, WriterThread
from tapewire.journal.snapshot import SNAPSHOTS_KEPT, Snapshot
from tapewire.journal.writer import OpenFile, Report, Writer
from tapewire.ports.journal import JournalError, SnapshotStore

__all__ = ["CLOSE_S", "PROBE_S", "SNAPSHOT_RETRY_S", "Journal"]

#: Between two looks at a disk that has failed.
PROBE_S = 1.0
#: What is waiting has so long to reach the disk when the journal is closed.
CLOSE_S = 10.0
#: After a snapshot that could not be written the next one is not due for so long.
SNAPSHOT_RETRY_S = 60.0

_LOG = logging.getLogger(__name__)


class Journal:
    """One owner's entries, in one order. All methods belong to the loop's thread and none of them blocks, but
    making it and ``recover``, which come before the loop has other work.

    Args:
        open_file: Opens the file; called again when the disk has failed.
        snapshots: Where states are kept.
        retention: How much of the past is kept.
        shell: Who turns the writer; by default a thread.
        changed: Called when ``refusal`` has become empty or has ceased to be. What the owner appends in this call
            comes before the entries of anybody else.

    Raises:
        JournalError: The file cannot be opened.
    """

    def __init__(
        self,
        open_file: OpenFile,
        snapshots: SnapshotStore,
        *,
        retention: Retention | None = None,
        shell: Shell | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._snapshots = snapshots
        self._retention = retention if retention is not None else Retention()
        self._shell = shell if shell is not None else WriterThread()
        self._changed = changed
        self._queue = EntryQueue()
        self._writer = Writer(open_file, self._queue, self._retention)
        #: Why nothing is taken.
        self._refusal = "the journal has not been started"
        self._is_started = False
        self._is_over = False
        self._is_waking = False
        self._is_stopped = False
        self._replay: Replay | None = None
        self._applied_sequence = 0
        self._good: list[int] = []
        self._bytes_since_snapshot = 0
        self._snapshot_from = 0
        self._snapshot_not_before_s = 0.0
        self._saving: asyncio.Task[None] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._probe_timer: asyncio.TimerHandle | None = None
        self._broken: asyncio.Future[None] | None = None
        #: Entries of this run that are durable, the journal's own among them.
        self.written = 0
        #: Entries that were refused or failed.
        self.not_written = 0
        #: Why the last snapshot could not be written; empty when it could.
        self.snapshot_failure = ""

    # --- beginning and end ------------------------------------------------------------------------------

    def recover(self, restore: Callable[[Snapshot], None], state_hash: StateHash) -> Replay:
        """Bring back what is on the disk: see ``journal.recovery.recover``. The owner applies all entries of the
        answer, then calls ``start``. Blocks.
        """
        self._replay = recover(self._writer.file, self._snapshots, restore=restore, state_hash=state_hash)
        # A torn end may have been cut.
        self._writer.next_sequence = self._writer.file.next_sequence
        return self._replay

    def start(self) -> None:
        """Take entries from now on. Blocks for as long as measuring the files takes.

        Raises:
            JournalError: They cannot be measured.
        """
        assert self._replay is not None, "first recover"
        file = self._writer.file
        first, end = file.first_sequence, file.next_sequence
        assert self._replay.next_sequence == end, "first apply every entry of the replay"
        self._applied_sequence = end
        self._good = self._replay.good_snapshots
        self._snapshot_from = self._good[-1] if self._good else first
        self._bytes_since_snapshot = file.used_bytes * (end - self._snapshot_from) // max(end - first, 1)
        self._writer.keep(Retention.needed_from(self._good, first), self._snapshots.used_bytes)
        self._broken = asyncio.get_running_loop().create_future()
        self._refusal = ""
        self._is_started = True
        self._shell.start(self._writer, self._on_report, self._break)
        self._shell.wake()

    async def wait(self) -> None:
        """Return when the journal is closed; raises what has stopped it if something does."""
        assert self._broken is not None, "first start"
        await asyncio.shield(self._broken)

    async def close(self) -> None:
        """Write what waits, call it back, release the file. What the disk does not take in ``CLOSE_S`` fails."""
        if self._is_over:
            return
        self._is_over = True
        if not self._refusal or not self._is_started:
            self._refusal = "the journal is closed"
        if self._probe_timer is not None:
            self._probe_timer.cancel()
        if self._saving is not None:
            await self._saving
        if self._is_started:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await self._shell.stop()
            except TimeoutError:
                _LOG.error("the disk has not answered for %g s; %d entries fail", CLOSE_S, self._queue.in_flight)
                self._queue.close()
                self._fail(self._queue.drain(), NotWritten("the disk does not answer"))
        else:
            self._writer.close()
        self._pool.shutdown(wait=False)
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(None)

    # --- what the owner may know ------------------------------------------------------------------------

    @property
    def refusal(self) -> str:
        """Why an entry would be refused now; empty when it would be taken."""
        return self._refusal or self._writer.full

    @property
    def applied_sequence(self) -> int:
        """All entries before this one have been handed to the owner."""
        return self._applied_sequence

    @property
    def in_flight(self) -> int:
        """Entries that were taken and whose fate has not been told."""
        return self._queue.in_flight

    @property
    def used_bytes(self) -> int:
        """What journal and snapshots took when that was last looked at."""
        return self._writer.used_bytes

    @property
    def groups(self) -> int:
        """Syncs that wrote entries."""
        return self._writer.groups

    @property
    def snapshot_due(self) -> bool:
        """Whether the owner should call ``snapshot`` soon."""
        if self._saving is not None or self._refusal:
            return False
        if self.snapshot_failure and asyncio.get_running_loop().time() < self._snapshot_not_before_s:
            return False
        entries = self._applied_sequence - self._snapshot_from
        return entries > 0 and (
            bool(self._writer.full) or self._retention.is_snapshot_due(entries, self._bytes_since_snapshot)
        )

    # --- writing ----------------------------------------------------------------------------------------

    def append(
        self,
        kind: EntryKind,
        body: bytes,
        at_ns: int,
        applied: Callable[[Entry], None],
        failed: Callable[[NotWritten], None],
        *,
        is_vital: bool = False,
    ) -> NotWritten | None:
        """Put an entry behind all others. Returns at once: None when it was taken, else why not.

        A lack of room does not refuse an entry that ``is_vital``: one that a snapshot needs, which makes room.

        Of an entry that was taken exactly one callback is called, never inside this call: ``applied`` when it is
        durable, in the order of the calls, or ``failed``. An exception of either stops the journal: an entry that
        is durable and cannot be applied must not be followed by others.

        Raises:
            ValueError: The body is larger than ``BODY_BYTES_MAX``.
        """
        refusal = self._refusal if is_vital else self.refusal
        return self._append(Draft(kind, body, at_ns, applied, failed), refusal)

    def mark(self, state_hash: bytes, at_ns: int) -> NotWritten | None:
        """Journal the hash of the owner's state of now: a replay is held to it.

        Call it when every entry that was handed over has been applied. Refused like any entry, but for a lack of
        room: marks have some in reserve, because a snapshot makes room.
        """
        body = Mark(self._applied_sequence, state_hash).encode()
        return self._append(Draft(EntryKind.MARK, body, at_ns, _nothing, _nothing), self._refusal)

    def snapshot(self, state: bytes, state_hash: bytes, at_ns: int) -> NotWritten | None:
        """Keep the owner's state of now, in a thread; its hash is journaled as a mark.

        Returns at once: None when it is under way, else why not. When it is safe, older ones but one go and
        ``snapshot_failure`` is empty; else that says why, and ``snapshot_due`` asks again later.
        """
        if self._saving is not None:
            return NotWritten("a snapshot is being written")
        snapshot = Snapshot(self._applied_sequence, state_hash, state)
        refused = self.mark(state_hash, at_ns)
        if refused is None:
            self._saving = asyncio.get_running_loop().create_task(self._save(snapshot), name="snapshot")
        return refused

    def _append(self, draft: Draft, refusal: str) -> NotWritten | None:
        refusal = refusal or self._queue.admit(draft)
        if refusal:
            self.not_written += 1
            return NotWritten(refusal)
        if not self._is_waking:
            # At the end of this turn: all that the turn brings makes one group.
            self._is_waking = True
            asyncio.get_running_loop().call_soon(self._wake)
        return None

    def _wake(self) -> None:
        self._is_waking = False
        self._shell.wake()

    # --- what the disk's side tells ---------------------------------------------------------------------

    def _on_report(self, report: Report) -> None:
        if self._is_stopped:
            # Durable or not: it will not be applied in this run.
            self._fail(report.drafts, NotWritten(self._refusal, may_survive=True))
        elif report.fatal is not None:
            self._fail(report.drafts, NotWritten(str(report.fatal), may_survive=True))
            self._break(report.fatal)
        elif report.failure is not None:
            self._on_failure(report, report.failure)
        elif report.is_probe:
            self._on_recovery(report)
        elif report.drafts:
            self._on_written(report)
        else:
            self._changed()

    def _on_written(self, report: Report) -> None:
        self.written += len(report.entries)
        for number, (draft, entry) in enumerate(zip(report.drafts, report.entries, strict=True)):
            self._applied_sequence = entry.sequence + 1
            self._bytes_since_snapshot += draft.size_bytes
            self._queue.settle(draft)
            try:
                draft.applied(entry)
            except Exception as error:  # noqa: BLE001 - told to whoever waits for the journal
                self._break(error, behind=report.drafts[number + 1 :])
                return

    def _on_recovery(self, report: Report) -> None:
        self._applied_sequence = report.entries[-1].sequence + 1
        if not self._is_over:
            _LOG.warning("the disk takes entries again")
            self._refusal = ""
            self._queue.resume()
            self._changed()

    def _on_failure(self, report: Report, failure: NotWritten) -> None:
        if not report.is_probe:
            _LOG.error("the journal cannot be written: %s", failure.reason)
            self._refusal = self._refusal or f"the journal cannot be written: {failure.reason}"
            self._fail(report.drafts, failure)
            # None of these was given to the disk.
            self._fail(self._queue.drain(), NotWritten(failure.reason))
            self._changed()
        if not self._is_over:
            self._probe_timer = asyncio.get_running_loop().call_later(PROBE_S, self._probe)

    def _probe(self) -> None:
        self._writer.probe()
        self._shell.wake()

    def _fail(self, drafts: Sequence[Draft], failure: NotWritten) -> None:
        for draft in drafts:
            self._queue.settle(draft)
            self.not_written += 1
            try:
                draft.failed(failure)
            except Exception as error:  # noqa: BLE001 - told to whoever waits for the journal
                # The others have a right to know all the same.
                self._stop(error)

    def _break(self, error: Exception, behind: Sequence[Draft] = ()) -> None:
        """End for good: nothing is taken, what waits fails."""
        self._stop(error)
        self._fail(behind, NotWritten(self._refusal, may_survive=True))
        self._fail(self._queue.drain(), NotWritten(self._refusal, may_survive=True))
        self._changed()

    def _stop(self, error: Exception) -> None:
        assert self._broken is not None, "only what was started breaks"
        self._queue.close()
        self._is_stopped = True
        self._refusal = f"the journal has stopped: {error}"
        if not self._broken.done():
            _LOG.critical("the journal has stopped", exc_info=error)
            self._broken.set_exception(error)
            # It has been told; whether anybody waits is the owner's affair.
            self._broken.exception()

    async def _save(self, snapshot: Snapshot) -> None:
        loop = asyncio.get_running_loop()
        bytes_before = self._bytes_since_snapshot
        try:
            used_bytes = await loop.run_in_executor(self._pool, self._keep, snapshot)
        except JournalError as error:
            _LOG.error("the snapshot of entry %d could not be written: %s", snapshot.reaches, error)
            self.snapshot_failure = str(error)
            self._snapshot_not_before_s = loop.time() + SNAPSHOT_RETRY_S
        else:
            self.snapshot_failure = ""
            self._snapshot_from = snapshot.reaches
            self._bytes_since_snapshot -= bytes_before
            self._writer.keep(Retention.needed_from(self._good, 0), used_bytes)
            self._shell.wake()
        finally:
            self._saving = None

    def _keep(self, snapshot: Snapshot) -> int:
        """Write a snapshot and remove those that are not needed any more, blocking; return what they take."""
        self._snapshots.save(snapshot.reaches, snapshot.encode())
        self._good = [*(sequence for sequence in self._good if sequence < snapshot.reaches), snapshot.reaches]
        self._good = self._good[-SNAPSHOTS_KEPT:]
        for sequence in self._snapshots.sequences():
            if sequence not in self._good:
                self._snapshots.remove(sequence)
        return self._snapshots.used_bytes


def _nothing(_: object) -> None:
    """The journal's own entries ask nothing of the owner."""
