"""The embedded venue: an exchange with its own market, in this process.

::

    users' commands ─┐                    ┌─ listings, portfolios ── current, records, answers
                     ├─ sequencer ─ hall ─┼─ streams ────────────── changed, happened
    market's steps ──┘      │             └─ keeper ── archive
                         journal

Without a journal commands and steps reach the hall at once, and nothing outlives the program but the archive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from tapewire.exchange import AccountTerms
from tapewire.journal import Journal
from tapewire.market import AROUND_THE_CLOCK, Market, TradingHours
from tapewire.model import (
    Command,
    CommandKey,
    Fill,
    Instrument,
    LegacyMoney,
    OrderEstimate,
    OrderGroup,
    Outcome,
    Refused,
    Repeated,
    Topic,
    TopicKind,
    TradingCode,
)
from tapewire.ports.archive import Archive, ArchiveError
from tapewire.ports.clock import Clock
from tapewire.ports.query import (
    BarNeighbours,
    BarsPage,
    ClustersPage,
    EstimateOrder,
    FillsFilter,
    RecordsPage,
    TradesFilter,
    TradesFound,
    TradesPage,
)
from tapewire.ports.venue import FeedSink, Snapshot
from tapewire.venues.hall import Hall
from tapewire.venues.hall_state import HallSettings, HallState
from tapewire.venues.market_query import TIMED_KINDS
from tapewire.venues.memory_archive import MemoryArchive
from tapewire.venues.replay import recover
from tapewire.venues.sequencer import Sequencer
from tapewire.venues.streams import Streams
from tapewire.venues.translation import named_participant
from tapewire.venues.venue_clock import VenueClock

__all__ = ["STEPS_AT_ONCE_MAX", "EmbeddedVenue"]

#: Steps made without a pause after the loop was late. What is more is left out: a venue that cannot keep up
#: gives less market, not a longer and longer pause.
STEPS_AT_ONCE_MAX = 20

#: Wake-ups come at the edge of a step; the part of a step by which rounding may make them look early.
_EARLY_PART = 1e-3

#: A crash loses at most so much of the market's past, without a journal.
_KEEP_EVERY_S = 1.0


class EmbeddedVenue:
    """Implements ``FeedSource``, ``CommandSink`` and ``Query`` over an exchange in this process.

    All calls belong to one event loop's thread. Records carry event time: the wall clock at the command that
    caused them, never going back. Each start is a new epoch of all streams. Order and trade numbers only grow;
    with an archive the tape, the bars and the prices go on, with a journal everything does.
    """

    def __init__(
        self,
        market: Market,
        *,
        clock: Clock,
        accounts: Iterable[AccountTerms] = (),
        archive: Archive | None = None,
        journal: Journal | None = None,
        hours: TradingHours = AROUND_THE_CLOCK,
    ) -> None:
        """Open the venue; its books are empty until ``run`` or ``step``.

        Args:
            market: Participants and instruments; the venue takes it over.
            clock: Stamps what happens.
            accounts: The portfolios that may trade, opened with their starting cash; each name once. Those that
                a journal knows already stay as they are.
            archive: Market data that outlives the venue; ``start`` must be awaited before anything else. None:
                nothing does, and ``start`` may be left out.
            journal: Commands that outlive it, not recovered yet; it needs an archive, and ``start`` as well.
            hours: When instruments are traded; outside of them orders are refused with code 306, cancellations
                are not, and what rests stays.

        Raises:
            ValueError: Two instruments have the same exchange, symbol and board, or an account cannot be
                opened.
        """
        assert journal is None or archive is not None, "what a journal brings back needs its past"
        self._wall = clock
        self._clock = VenueClock(clock)
        self._accounts = tuple(accounts)
        self._streams = Streams()
        self._archive = MemoryArchive() if archive is None else archive
        self._journal = journal
        self._sequencer: Sequencer | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._skipped = 0
        self._hall = Hall(
            market,
            hours,
            clock=self._clock,
            streams=self._streams,
            archive=self._archive,
            accounts=self._accounts,
        )
        self._hall.forget()
        self._hall.open_trading()

    # --- life -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Continue where journal and archive end. Before anything else happens.

        Raises:
            ArchiveError: The archive cannot be read.
            JournalError: The journal cannot be read or written, or does not lead where it led before.
            SnapshotRefusedError: The journal is of other instruments, or of another version.
        """
        settings = self._hall.settings
        recovered = None if self._journal is None else await recover(self._journal, self._hall_of)
        if recovered is None:
            await self._hall.look_back()
            self._hall.open_trading()
        else:
            self._hall = recovered
        if self._journal is not None:
            await self._begin_journal(self._journal, settings, is_new=recovered is None)
        self._streams.flush()

    def _hall_of(self, state: HallState) -> Hall:
        hall = self._hall
        return Hall(
            hall.market,
            hall.hours,
            clock=self._clock,
            streams=self._streams,
            archive=self._archive,
            state=state,
        )

    async def _begin_journal(self, journal: Journal, settings: HallSettings, *, is_new: bool) -> None:
        journal.start()
        self._sequencer = Sequencer(
            journal,
            self._hall,
            self._clock,
            stopwatch_s=self._wall.stopwatch_s,
            tell=self._streams.flush,
        )
        await self._sequencer.begin(settings, self._hall.state().encode() if is_new else None)
        await self._sequencer.open_accounts(self._accounts)

    async def stop(self) -> None:
        """Bring what is known to journal and archive; ``run`` must have ended. The archive itself stays open.

        Raises:
            ArchiveError: The archive did not take it.
        """
        if self._sequencer is not None:
            await self._sequencer.stop()
        elif self._journal is not None:
            await self._journal.close()
        if self._may_keep:
            await self._hall.keeper.flush()

    @property
    def portfolios(self) -> tuple[str, ...]:
        """The portfolios that are open, in the order of their opening."""
        return self._hall.accounts.names

    def journal_figures(self) -> Mapping[str, int]:
        """Return what the journal has done since the start, for the operator; empty without one."""
        journal = self._journal
        if journal is None:
            return {}
        return {
            "records": journal.written,
            "syncs": journal.groups,
            "refused": journal.not_written + (self._sequencer.refused if self._sequencer is not None else 0),
            "waiting": journal.in_flight,
            "bytes": journal.used_bytes,
            "usable": int(not journal.refusal),
        }

    async def wait(self) -> None:
        """Return when the journal is closed; raises what has stopped it. Without one: wait for ever."""
        if self._journal is None:
            await asyncio.get_running_loop().create_future()
        else:
            await self._journal.wait()

    async def open_accounts(self, accounts: Iterable[AccountTerms]) -> None:
        """Open portfolios; those that are there already stay as they are.

        Raises:
            JournalError: The journal cannot be written; none was opened.
            ValueError: Terms make no sense; none was opened.
        """
        if self._sequencer is not None:
            await self._sequencer.open_accounts(accounts)
            return
        new = [terms for terms in accounts if terms.name not in self._hall.accounts.names]
        for terms in new:
            self._hall.accounts.check(terms)
        for terms in new:
            self._hall.open_account(terms)

    @property
    def _may_keep(self) -> bool:
        """Whether what has happened may go to the archive: it must not know more than the journal."""
        return self._sequencer is None or not self._sequencer.is_behind

    def _keep(self) -> None:
        """Bring what waits to the archive, in a task, if none is on its way."""
        is_idle = self._flushing is None or self._flushing.done()
        if self._hall.keeper.waiting and is_idle and self._may_keep:
            self._flushing = asyncio.get_running_loop().create_task(self._flush(), name="archive")

    async def _flush(self) -> None:
        try:
            await self._hall.keeper.flush()
        except ArchiveError:
            # Said and counted by the keeper; what could not be kept waits for the next attempt.
            return

    # --- the market -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the market going on the running loop's time until cancelled.

        Steps fall on a fixed grid that begins with the call, so lateness does not add up. After a delay at
        most ``STEPS_AT_ONCE_MAX`` steps are made up; the others are counted in ``steps_skipped``.

        Raises:
            ExceptionGroup: A sink has failed; the venue's state is sound and ``run`` may be called again.
        """
        loop = asyncio.get_running_loop()
        step_s = self._hall.market.step_s
        origin_s = loop.time()
        if not self._hall.market.next_step:
            self.step()
        steps = 0
        kept_at_s = origin_s
        while True:
            if loop.time() - kept_at_s >= _KEEP_EVERY_S:
                kept_at_s = loop.time()
                self._keep()
            due = int((loop.time() - origin_s) / step_s + _EARLY_PART) - steps
            if due > STEPS_AT_ONCE_MAX:
                self._skipped += due - STEPS_AT_ONCE_MAX
                steps += due - STEPS_AT_ONCE_MAX
                due = STEPS_AT_ONCE_MAX
            for _ in range(due):
                steps += 1
                self.step()
            await asyncio.sleep(origin_s + (steps + 1) * step_s - loop.time())

    def step(self) -> int:
        """Make one market step, tell the sinks, and return the number of the participants' events.

        The first one opens the market and fills the books.

        Raises:
            ExceptionGroup: A sink has failed; all others were told.
        """
        if self._sequencer is not None:
            return self._sequencer.step()
        events = self._hall.step(self._clock.now_ns())
        self._streams.flush()
        return events

    @property
    def steps_skipped(self) -> int:
        """Market steps that were left out because the loop or the disk was late."""
        return self._skipped + (0 if self._sequencer is None else self._sequencer.steps_skipped)

    # --- CommandSink ------------------------------------------------------------------------------------

    async def submit(self, command: Command, key: CommandKey | None = None) -> Outcome:
        """Apply one command after all that came before it.

        Returns:
            ``Done`` with the number of the order that was made or cancelled, ``Refused`` and nothing has
            changed, or ``Repeated``. An order may be done and already cancelled: fill-or-kill that could not be
            filled, book-or-cancel that would have traded, a market order in an empty book.

        Raises:
            ExceptionGroup: A sink has failed; the command is applied, all other sinks were told.
        """
        participant = named_participant(command)
        if participant is not None:
            code = TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED
            return Refused(int(code), f"portfolio {participant} is the market's own")
        if self._sequencer is not None:
            return await self._sequencer.submit(command, key)
        first = None if key is None else self._hall.guids.first(key)
        if first is not None:
            return Repeated(first)
        outcome = self._hall.command(command, key, self._clock.now_ns())
        self._streams.flush()
        return outcome

    # --- FeedSource -------------------------------------------------------------------------------------

    def open(self, topic: Topic, sink: FeedSink) -> None:
        """Begin to tell ``sink`` about ``topic``; opening it twice is opening it once.

        Of a state, ``changed`` comes once and then not again until ``current`` was called. Of trades,
        ``happened`` comes for each one that follows, in order and without a hole in the sequence. Of bars both
        come, see ``FeedSource``.

        Raises:
            TooManyStreamsError: As many intervals of the instrument as are made are open.
            UnknownTopicError: There is no such instrument, or the venue has no streams of that kind.
        """
        if topic.kind.of_portfolio:
            self._streams.open(topic, self._hall.portfolios.number(topic), sink)
            return
        position = self._hall.query.position(topic)
        # Nobody wants most of the thousands of possible intervals: what is opened is made, nothing else.
        if topic.kind is TopicKind.BAR:
            self._hall.listings[position].charts.open(topic.interval_s, self._clock.now_s())
        elif topic.kind is TopicKind.CLUSTER:
            self._hall.listings[position].clusters.open(topic.interval_s, self._clock.now_s())
        self._streams.open(topic, position, sink)

    def close(self, topic: Topic, sink: FeedSink) -> None:
        """Stop telling ``sink`` about ``topic``; a topic that it has not opened changes nothing."""
        self._streams.close(topic, sink)
        if topic.kind not in TIMED_KINDS:
            return
        position = self._hall.directory.position(topic.exchange, topic.subject, topic.board)
        if position is None or self._streams.is_open(position, topic.kind, topic.interval_s):
            return
        listing = self._hall.listings[position]
        (listing.charts if topic.kind is TopicKind.BAR else listing.clusters).close(topic.interval_s)

    def current(self, topic: Topic) -> Snapshot | None:
        """Return the state as it stands, open or not; None only for a bar before the first trade ever.

        Raises:
            UnknownTopicError: There is no such instrument or portfolio, or the kind has no state.
        """
        snapshot = self._hall.portfolios.state(topic) if topic.kind.of_portfolio else self._hall.query.state(topic)
        self._streams.pulled(topic)
        return snapshot

    # --- Query ------------------------------------------------------------------------------------------
    # What is asked and answered: ``MarketQuery`` and ``Portfolios``.

    def instruments(self) -> Sequence[Instrument]:
        """Return all instruments, most active first."""
        return self._hall.query.instruments()

    def instrument(self, exchange: str, symbol: str, board: str = "") -> Instrument | None:
        """Return an instrument; an empty ``board`` means the primary one. None: there is none."""
        return self._hall.query.instrument(exchange, symbol, board)

    async def recent_trades(self, topic: Topic, limit: int) -> TradesPage:
        """Return the last ``limit`` trades of an instrument, oldest first, and the position they reach."""
        return await self._hall.query.recent_trades(topic, limit)

    async def bars(self, topic: Topic, since_s: int, until_s: int, limit: int) -> BarsPage:
        """Return the bars that open from ``since_s`` to ``until_s``, oldest first, the newest ``limit``."""
        return await self._hall.query.bars(topic, since_s, until_s, limit)

    async def clusters(self, topic: Topic, since_s: int) -> ClustersPage:
        """Return the clusters that hold ``since_s`` or open later, oldest first, the running one last."""
        return await self._hall.query.clusters(topic, since_s)

    async def bar_neighbours(self, topic: Topic, since_s: int, until_s: int) -> BarNeighbours:
        """Return the openings of the last bar before and of the first bar behind a range of openings."""
        return await self._hall.query.bar_neighbours(topic, since_s, until_s)

    async def instrument_state(self, topic: Topic) -> Snapshot:
        """Return the full ``InstrumentUpdate`` of an instrument topic and the position it reaches up to."""
        return await self._hall.query.instrument_state(topic)

    async def trades(self, topic: Topic, wanted: TradesFilter) -> TradesFound:
        """Return the kept trades of an instrument that match, and the last ones of the seeded past."""
        return await self._hall.query.trades(topic, wanted)

    def session_start_s(self) -> int:
        """Return when the current trading day began: midnight in Moscow, Unix s UTC."""
        return self._hall.query.session_start_s()

    async def state(self, topic: Topic) -> Snapshot | None:
        """Return the state of this moment; unlike ``current`` it takes no notice of who asks."""
        return self._hall.portfolios.state_now(topic) if topic.kind.of_portfolio else self._hall.query.state(topic)

    async def portfolio_records(self, topic: Topic) -> RecordsPage:
        """Return what a portfolio's stream of events begins with."""
        return await self._hall.portfolios.records(topic)

    async def past_fills(self, exchange: str, portfolio: str, wanted: FillsFilter) -> Sequence[Fill]:
        """Return fills of the sessions before the running one, of this start of the venue."""
        return self._hall.portfolio_query.past_fills(exchange, portfolio, wanted)

    async def legacy_money(self, exchange: str, portfolio: str) -> LegacyMoney:
        """Return a portfolio's money as the old call tells it."""
        return self._hall.portfolio_query.legacy_money(exchange, portfolio)

    async def estimate(self, order: EstimateOrder) -> OrderEstimate | Refused:
        """Weigh an order against its portfolio; nothing changes."""
        return self._hall.portfolio_query.estimate(order)

    async def groups(self, login: str) -> Sequence[OrderGroup]:
        """Return the groups of a login that are still known, oldest first."""
        return self._hall.portfolio_query.groups(login)

    async def group(self, login: str, group_id: str) -> OrderGroup | None:
        """Return a group of a login; None: it has none of this id."""
        return self._hall.portfolio_query.group(login, group_id)

    async def group_portfolios(self, login: str, group_id: str) -> frozenset[str]:
        """Return the portfolios whose orders are in a group of a login; none: it has no such group."""
        return self._hall.portfolio_query.group_portfolios(login, group_id)
