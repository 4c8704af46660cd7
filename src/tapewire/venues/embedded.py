"""The embedded venue: an exchange with its own market, in this process.

::

    users' commands ─┐                       ┌─ listings: book, tape, figures ──── current, recent_trades
    supervisor ──────┼─ desk ──── exchange ──┼─ portfolios: orders, fills, money ─ portfolio_records, state
    participants ────┘  (one     (clearing:  ├─ streams: who has to be told ────── changed, happened
                         order)   accounts)  └─ keeper ── archive ─┐
                                                 seeded past ──────┴─ history ──── bars, trades
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from tapewire.exchange import FIRST_ORDER_ID, Accounts, AccountTerms, Exchange
from tapewire.market import AROUND_THE_CLOCK, BOND_TERMS, Market, Past, TradingHours, pace_of
from tapewire.model import (
    Command,
    CommandKey,
    Fill,
    Instrument,
    InstrumentKind,
    LegacyMoney,
    OrderEstimate,
    OrderGroup,
    Outcome,
    Refused,
    Repeated,
    Topic,
    TopicKind,
    TradingCode,
    trading_day,
)
from tapewire.ports.archive import Archive, ArchiveError
from tapewire.ports.clock import Clock
from tapewire.ports.query import (
    BarNeighbours,
    BarsPage,
    EstimateOrder,
    FillsFilter,
    RecordsPage,
    TradesFilter,
    TradesFound,
    TradesPage,
)
from tapewire.ports.venue import FeedSink, Snapshot
from tapewire.venues.desk import Desk
from tapewire.venues.directory import Directory
from tapewire.venues.guid_memory import GuidMemory
from tapewire.venues.history import History
from tapewire.venues.keeper import Keeper
from tapewire.venues.listing import Listing
from tapewire.venues.market_query import TIMED_KINDS, MarketQuery
from tapewire.venues.marks import LastPrices
from tapewire.venues.memory_archive import MemoryArchive
from tapewire.venues.past_bars import PastBars, id_at
from tapewire.venues.portfolios import Portfolios
from tapewire.venues.revival import remember
from tapewire.venues.streams import Streams
from tapewire.venues.supervisor import Supervisor
from tapewire.venues.translation import named_participant
from tapewire.venues.venue_clock import VenueClock

__all__ = ["STEPS_AT_ONCE_MAX", "EmbeddedVenue"]

#: Steps made without a pause after the loop was late. What is more is left out: a venue that cannot keep up
#: gives less market, not a longer and longer pause.
STEPS_AT_ONCE_MAX = 20

#: Wake-ups come at the edge of a step; the part of a step by which rounding may make them look early.
_EARLY_PART = 1e-3

#: A crash loses at most so much of the market's past.
_KEEP_EVERY_S = 1.0

#: Windows of usual trading that make up the open interest of the past: four hours of them.
_OPEN_INTEREST_WINDOWS = 48


class EmbeddedVenue:
    """Implements ``FeedSource``, ``CommandSink`` and ``Query`` over an exchange in this process.

    All calls belong to one event loop's thread. Records carry event time: the wall clock at the command that
    caused them, never going back. Each start is a new epoch with empty books; order and trade numbers are above
    those of the one before, and with an archive the tape, the bars and the prices go on.
    """

    def __init__(
        self,
        market: Market,
        *,
        clock: Clock,
        accounts: Iterable[AccountTerms] = (),
        archive: Archive | None = None,
        hours: TradingHours = AROUND_THE_CLOCK,
    ) -> None:
        """Open the venue; its books are empty until ``run`` or ``step``.

        Args:
            market: Participants and instruments; the venue takes it over.
            clock: Stamps what happens.
            accounts: The portfolios that may trade, opened with their starting cash; each name once.
            archive: What outlives the venue; ``start`` must be awaited before anything else. None: nothing
                does, and ``start`` may be left out.
            hours: When instruments are traded; outside of them orders are refused with code 306, cancellations
                are not, and what rests stays.

        Raises:
            ValueError: Two instruments have the same exchange, symbol and board, or an account cannot be
                opened.
        """
        self._clock = VenueClock(clock)
        at_ns = self._clock.now_ns()
        # Of one width, so that later epochs are larger texts.
        epoch = f"{at_ns:016x}"
        self._market = market
        self._directory = Directory(market.instruments)
        # Without a journal a restart forgets the numbers it has given. Starting from the time keeps them
        # growing all the same, as long as there are fewer than 100,000 orders or 10,000 trades a second.
        marks = LastPrices()
        books = Accounts(
            market.instruments, accounts, marks, day=trading_day(at_ns // 1_000_000_000), bonds=BOND_TERMS
        )
        self._core = Exchange(
            market.instruments,
            clearing=books,
            first_order_id=FIRST_ORDER_ID + at_ns // 10_000,
            first_trade_id=id_at(at_ns),
        )
        marks.follow(self._core, books)
        self._listings = tuple(
            Listing(
                instrument, self._core.book(position), BOND_TERMS.get(instrument.symbol), epoch=epoch, at_ns=at_ns
            )
            for position, instrument in enumerate(market.instruments)
        )
        self._streams = Streams()
        self._archive = MemoryArchive() if archive is None else archive
        self._keeper = Keeper(self._listings, self._archive)
        self._portfolios = Portfolios(
            self._core, books, marks, self._directory, self._streams, epoch=epoch, now_ns=self._clock.now_ns
        )
        self._desk = Desk(
            self._core,
            self._directory,
            self._listings,
            self._streams,
            self._keeper,
            self._portfolios,
            clock=self._clock,
        )
        self._query = MarketQuery(self._directory, self._listings, (), now_ns=self._clock.now_ns)
        self._guids = GuidMemory()
        self._hours = hours
        self._supervisor = Supervisor(self._desk, self._listings, self._streams, market, hours)
        self._flushing: asyncio.Task[None] | None = None
        past = self._look_back(at_ns // 1_000_000_000)
        for listing, bars in zip(self._listings, past, strict=True):
            today = bars.today()
            listing.restore(bars, now_ns=at_ns, days=() if today is None else (today,))
        self._supervisor.begin(at_ns // 1_000_000_000)
        #: Market steps that were left out because the loop was late.
        self.steps_skipped = 0

    # --- life -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Continue where the archive ends: prices, tape, bars, numbers. Before anything else happens.

        Raises:
            ArchiveError: The archive cannot be read.
        """
        now_ns = self._clock.now_ns()
        now_s = now_ns // 1_000_000_000
        began_at_s = await self._archive.began_at_s(now_s)
        # The past reaches up to now, later than the moment of the first numbers.
        self._core.skip_trade_ids(id_at(now_ns))
        last_id = await self._archive.last_trade_id()
        if last_id is not None:
            self._core.skip_trade_ids(last_id + 1)
        past = self._look_back(began_at_s)
        for position, (listing, bars) in enumerate(zip(self._listings, past, strict=True)):
            memory = await remember(listing, self._archive, bars.today(), now_s)
            listing.restore(bars, now_ns=now_ns, prints=memory.prints, minutes=memory.minutes, days=memory.days)
            self._keeper.finished(position, memory.finished)
        self._supervisor.begin(now_s)
        self._streams.flush()

    async def stop(self) -> None:
        """Bring what is known into the archive; ``run`` must have ended. The archive itself stays open.

        Raises:
            ArchiveError: The archive did not take it.
        """
        await self._keeper.flush()

    def _look_back(self, until_s: int) -> list[PastBars]:
        """Lay the seeded past before a moment and return each listing's view of it."""
        past = Past(self._market.instruments, seed=self._market.seed, until_s=until_s, hours=self._hours)
        views = [
            PastBars(past, position, open_interest=_open_interest_at_start(instrument))
            for position, instrument in enumerate(self._market.instruments)
        ]
        self._query.histories = [
            History(listing, view, self._archive, self._keeper)
            for listing, view in zip(self._listings, views, strict=True)
        ]
        return views

    def _keep(self) -> None:
        """Bring what waits to the archive, in a task, if none is on its way."""
        if self._keeper.waiting and (self._flushing is None or self._flushing.done()):
            self._flushing = asyncio.get_running_loop().create_task(self._flush(), name="archive")

    async def _flush(self) -> None:
        try:
            await self._keeper.flush()
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
        step_s = self._market.step_s
        origin_s = loop.time()
        if not self._market.next_step:
            self.step()
        steps = 0
        kept_at_s = origin_s
        while True:
            if loop.time() - kept_at_s >= _KEEP_EVERY_S:
                kept_at_s = loop.time()
                self._keep()
            due = int((loop.time() - origin_s) / step_s + _EARLY_PART) - steps
            if due > STEPS_AT_ONCE_MAX:
                self.steps_skipped += due - STEPS_AT_ONCE_MAX
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
        now_s = self._clock.now_s()
        self._desk.pass_time(now_s)
        self._supervisor.watch(now_s)
        events = self._market.step(self._desk)
        self._portfolios.mark(self._clock.now_ns())
        self._streams.flush()
        return events

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
        first = None if key is None else self._guids.first(key)
        if first is not None:
            return Repeated(first)
        participant = named_participant(command)
        if participant is not None:
            code = TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED
            return Refused(int(code), f"portfolio {participant} is the market's own")
        outcome = self._desk.submit(command)
        if key is not None:
            self._guids.keep(key, outcome)
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
            self._streams.open(topic, self._portfolios.number(topic), sink)
            return
        position = self._query.position(topic)
        # Nobody wants most of the thousands of possible intervals: what is opened is made, nothing else.
        if topic.kind is TopicKind.BAR:
            self._listings[position].charts.open(topic.interval_s, self._clock.now_s())
        elif topic.kind is TopicKind.CLUSTER:
            self._listings[position].clusters.open(topic.interval_s, self._clock.now_s())
        self._streams.open(topic, position, sink)

    def close(self, topic: Topic, sink: FeedSink) -> None:
        """Stop telling ``sink`` about ``topic``; a topic that it has not opened changes nothing."""
        self._streams.close(topic, sink)
        if topic.kind not in TIMED_KINDS:
            return
        position = self._directory.position(topic.exchange, topic.subject, topic.board)
        if position is None or self._streams.is_open(position, topic.kind, topic.interval_s):
            return
        listing = self._listings[position]
        (listing.charts if topic.kind is TopicKind.BAR else listing.clusters).close(topic.interval_s)

    def current(self, topic: Topic) -> Snapshot | None:
        """Return the state as it stands, open or not; None only for a bar before the first trade ever.

        Raises:
            UnknownTopicError: There is no such instrument or portfolio, or the kind has no state.
        """
        snapshot = self._portfolios.state(topic) if topic.kind.of_portfolio else self._query.state(topic)
        self._streams.pulled(topic)
        return snapshot

    # --- Query ------------------------------------------------------------------------------------------
    # What is asked and answered: ``MarketQuery`` and ``Portfolios``.

    def instruments(self) -> Sequence[Instrument]:
        """Return all instruments, most active first."""
        return self._query.instruments()

    def instrument(self, exchange: str, symbol: str, board: str = "") -> Instrument | None:
        """Return an instrument; an empty ``board`` means the primary one. None: there is none."""
        return self._query.instrument(exchange, symbol, board)

    async def recent_trades(self, topic: Topic, limit: int) -> TradesPage:
        """Return the last ``limit`` trades of an instrument, oldest first, and the position they reach."""
        return await self._query.recent_trades(topic, limit)

    async def bars(self, topic: Topic, since_s: int, until_s: int, limit: int) -> BarsPage:
        """Return the bars that open from ``since_s`` to ``until_s``, oldest first, the newest ``limit``."""
        return await self._query.bars(topic, since_s, until_s, limit)

    async def bar_neighbours(self, topic: Topic, since_s: int, until_s: int) -> BarNeighbours:
        """Return the openings of the last bar before and of the first bar behind a range of openings."""
        return await self._query.bar_neighbours(topic, since_s, until_s)

    async def instrument_state(self, topic: Topic) -> Snapshot:
        """Return the full ``InstrumentUpdate`` of an instrument topic and the position it reaches up to."""
        return await self._query.instrument_state(topic)

    async def trades(self, topic: Topic, wanted: TradesFilter) -> TradesFound:
        """Return the kept trades of an instrument that match, and the last ones of the seeded past."""
        return await self._query.trades(topic, wanted)

    def session_start_s(self) -> int:
        """Return when the current trading day began: midnight in Moscow, Unix s UTC."""
        return self._query.session_start_s()

    async def state(self, topic: Topic) -> Snapshot | None:
        """Return the state of this moment; unlike ``current`` it takes no notice of who asks."""
        return self._portfolios.state_now(topic) if topic.kind.of_portfolio else self._query.state(topic)

    async def portfolio_records(self, topic: Topic) -> RecordsPage:
        """Return what a portfolio's stream of events begins with."""
        return await self._portfolios.records(topic)

    async def past_fills(self, exchange: str, portfolio: str, wanted: FillsFilter) -> Sequence[Fill]:
        """Return fills of the sessions before the running one, of this start of the venue."""
        return self._portfolios.past_fills(exchange, portfolio, wanted)

    async def legacy_money(self, exchange: str, portfolio: str) -> LegacyMoney:
        """Return a portfolio's money as the old call tells it."""
        return self._portfolios.legacy_money(exchange, portfolio)

    async def estimate(self, order: EstimateOrder) -> OrderEstimate | Refused:
        """Weigh an order against its portfolio; nothing changes."""
        return self._portfolios.estimate(order)

    async def groups(self, login: str) -> Sequence[OrderGroup]:
        """Return the groups of a login that are still known, oldest first."""
        return self._portfolios.groups(login)

    async def group(self, login: str, group_id: str) -> OrderGroup | None:
        """Return a group of a login; None: it has none of this id."""
        return self._portfolios.group(login, group_id)

    async def group_portfolios(self, login: str, group_id: str) -> frozenset[str]:
        """Return the portfolios whose orders are in a group of a login; none: it has no such group."""
        return self._portfolios.group_portfolios(login, group_id)


def _open_interest_at_start(instrument: Instrument) -> int:
    """Return the contracts that accounts of the past hold: some hours of trading at the usual pace."""
    if instrument.kind not in (InstrumentKind.FUTURE, InstrumentKind.OPTION):
        return 0
    pace = pace_of(instrument.symbol)
    return round(pace.trades_per_window * pace.lots_per_trade * _OPEN_INTEREST_WINDOWS)
