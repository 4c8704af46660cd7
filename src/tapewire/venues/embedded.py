"""The embedded venue: an exchange with its own market, in this process.

::

    users' commands ─┐                       ┌─ listings: book, tape, figures ──── current, recent_trades
                     ├─ desk ──── exchange ──┤
    participants ────┘  (one order)          ├─ streams: who has to be told ────── changed, happened
                                             └─ keeper ── archive ─┐
                                                 seeded past ──────┴─ history ──── bars, trades
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from tapewire.exchange import FIRST_ORDER_ID, Exchange
from tapewire.market import (
    AROUND_THE_CLOCK,
    BOND_TERMS,
    PARTICIPANT_MARK,
    Market,
    Past,
    TradingHours,
    pace_of,
)
from tapewire.model import (
    DAY_S,
    MOSCOW_OFFSET_S,
    Bar,
    CancelOrder,
    Command,
    CommandKey,
    Done,
    Fill,
    Instrument,
    InstrumentKind,
    LegacyMoney,
    OrderEstimate,
    OrderGroup,
    Outcome,
    PlaceOrder,
    Refused,
    Repeated,
    Topic,
    TopicKind,
    Trade,
    TradingCode,
    is_interval,
    trading_day,
)
from tapewire.ports import (
    Archive,
    ArchiveError,
    BarNeighbours,
    BarsPage,
    Clock,
    EstimateOrder,
    FeedSink,
    FillsFilter,
    RecordsPage,
    Snapshot,
    TradesFilter,
    TradesFound,
    TradesPage,
    UnknownTopicError,
)
from tapewire.venues.desk import Desk
from tapewire.venues.directory import Directory
from tapewire.venues.history import History
from tapewire.venues.keeper import Keeper
from tapewire.venues.listing import Listing
from tapewire.venues.memory_archive import MemoryArchive
from tapewire.venues.past_bars import PastBars, id_at
from tapewire.venues.revival import remember
from tapewire.venues.streams import SERVED_KINDS, Streams
from tapewire.venues.supervisor import Supervisor
from tapewire.venues.tape import Print

__all__ = ["STEPS_AT_ONCE_MAX", "EmbeddedVenue"]

#: Steps made without a pause after the loop was late. What is more is left out: a venue that cannot keep up
#: gives less market, not a longer and longer pause.
STEPS_AT_ONCE_MAX = 20

#: Wake-ups come at the edge of a step; the part of a step by which rounding may make them look early.
_EARLY_PART = 1e-3

#: Trades or bars turned into records before other tasks get their turn.
_RECORDS_AT_ONCE = 500

#: A crash loses at most so much of the market's past.
_KEEP_EVERY_S = 1.0

#: Windows of usual trading that make up the open interest of the past: four hours of them.
_OPEN_INTEREST_WINDOWS = 48

#: Keys of commands that are remembered; the oldest go first.
_COMMANDS_REMEMBERED_MAX = 100_000

_TIMED_KINDS = frozenset({TopicKind.BAR, TopicKind.CLUSTER})


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
        archive: Archive | None = None,
        hours: TradingHours = AROUND_THE_CLOCK,
    ) -> None:
        """Open the venue; its books are empty until ``run`` or ``step``.

        Args:
            market: Participants and instruments; the venue takes it over.
            clock: Stamps what happens.
            archive: What outlives the venue; ``start`` must be awaited before anything else. None: nothing
                does, and ``start`` may be left out.
            hours: When instruments are traded; outside of them orders are refused with code 306, cancellations
                are not, and what rests stays.

        Raises:
            ValueError: Two instruments have the same exchange, symbol and board.
        """
        at_ns = clock.wall_ns()
        # Of one width, so that later epochs are larger texts.
        epoch = f"{at_ns:016x}"
        self._market = market
        self._directory = Directory(market.instruments)
        # Without a journal a restart forgets the numbers it has given. Starting from the time keeps them
        # growing all the same, as long as there are fewer than 100,000 orders or 10,000 trades a second.
        self._core = Exchange(
            market.instruments,
            first_order_id=FIRST_ORDER_ID + at_ns // 10_000,
            first_trade_id=id_at(at_ns),
        )
        self._listings = tuple(
            Listing(
                instrument, self._core.book(position), BOND_TERMS.get(instrument.symbol), epoch=epoch, at_ns=at_ns
            )
            for position, instrument in enumerate(market.instruments)
        )
        self._streams = Streams()
        self._archive = MemoryArchive() if archive is None else archive
        self._keeper = Keeper(self._listings, self._archive)
        self._desk = Desk(self._core, self._directory, self._listings, self._streams, self._keeper, clock=clock)
        self._hours = hours
        self._supervisor = Supervisor(self._desk, self._listings, self._streams, market, hours)
        self._flushing: asyncio.Task[None] | None = None
        self._outcomes: OrderedDict[CommandKey, Done | Refused] = OrderedDict()
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
        now_ns = self._desk.now_ns()
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
        self._histories = [
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
        now_s = self._now_s()
        self._desk.pass_time(now_s)
        self._supervisor.watch(now_s)
        events = self._market.step(self._desk)
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
        first = self._outcomes.get(key) if key is not None else None
        if first is not None:
            return Repeated(first)
        outcome = self._carry_out(command)
        if key is not None:
            self._outcomes[key] = outcome
            if len(self._outcomes) > _COMMANDS_REMEMBERED_MAX:
                self._outcomes.popitem(last=False)
        self._streams.flush()
        return outcome

    def _carry_out(self, command: Command) -> Done | Refused:
        # All others are refused anyway.
        portfolio = command.portfolio if isinstance(command, PlaceOrder | CancelOrder) else ""
        if portfolio.startswith(PARTICIPANT_MARK):
            return Refused(
                int(TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED),
                f"portfolio {portfolio} is the market's own",
            )
        return self._desk.submit(command)

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
        position = self._position(topic)
        # Nobody wants most of the thousands of possible intervals: what is opened is made, nothing else.
        if topic.kind is TopicKind.BAR:
            self._listings[position].charts.open(topic.interval_s, self._now_s())
        elif topic.kind is TopicKind.CLUSTER:
            self._listings[position].clusters.open(topic.interval_s, self._now_s())
        self._streams.open(topic, position, sink)

    def close(self, topic: Topic, sink: FeedSink) -> None:
        """Stop telling ``sink`` about ``topic``; a topic that it has not opened changes nothing."""
        self._streams.close(topic, sink)
        if topic.kind not in _TIMED_KINDS:
            return
        position = self._directory.position(topic.exchange, topic.subject, topic.board)
        if position is None or self._streams.is_open(position, topic.kind, topic.interval_s):
            return
        listing = self._listings[position]
        (listing.charts if topic.kind is TopicKind.BAR else listing.clusters).close(topic.interval_s)

    def current(self, topic: Topic) -> Snapshot | None:
        """Return the state as it stands, open or not; None only for a bar before the first trade ever.

        Raises:
            UnknownTopicError: There is no such instrument, or the kind has no state.
        """
        snapshot = self._state(topic)
        self._streams.pulled(topic)
        return snapshot

    # --- Query ------------------------------------------------------------------------------------------

    def instruments(self) -> Sequence[Instrument]:
        """Return all instruments, most active first."""
        return self._directory.instruments

    def instrument(self, exchange: str, symbol: str, board: str = "") -> Instrument | None:
        """Return an instrument; an empty ``board`` means the primary one. None: there is none."""
        position = self._directory.position(exchange, symbol, board)
        return None if position is None else self._directory.instruments[position]

    async def recent_trades(self, topic: Topic, limit: int) -> TradesPage:
        """Return the last ``limit`` trades of an instrument, oldest first, and the position they reach.

        Before the venue's own trades come those of the seeded past. The page is that of the moment of the
        call, though other tasks get their turn while a long one is made.

        Raises:
            ArchiveError: Older trades cannot be read.
            UnknownTopicError: There is no such instrument, or the topic is not one of trades.
            ValueError: ``limit`` is negative.
        """
        if limit < 0:
            raise ValueError(f"limit is {limit}, not 0 or more")
        listing = self._listings[self._position(topic)]
        if topic.kind is not TopicKind.TRADES:
            raise UnknownTopicError(f"{topic.kind} is not the kind of the trade tape")
        position = listing.tape_position
        prints = await self._history(topic).last_trades(limit)
        return TradesPage(position, await self._trade_records(listing, prints))

    async def bars(self, topic: Topic, since_s: int, until_s: int, limit: int) -> BarsPage:
        """Return the bars that open from ``since_s`` to ``until_s``, oldest first, the newest ``limit``.

        Raises:
            UnknownTopicError: There is no such instrument, not a bar topic, or no such interval.
            ValueError: ``limit`` is negative.
        """
        if limit < 0:
            raise ValueError(f"limit is {limit}, not 0 or more")
        listing = self._listings[self._position(topic)]
        if topic.kind is not TopicKind.BAR:
            raise UnknownTopicError(f"{topic.kind} is not the kind of bars")
        position = listing.tape_position
        bars = await self._history(topic).bars(topic.interval_s, since_s, until_s, limit)
        records: list[Bar] = []
        for start in range(0, len(bars), _RECORDS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            records.extend(listing.bar_record(bar) for bar in bars[start : start + _RECORDS_AT_ONCE])
        return BarsPage(position, records)

    async def bar_neighbours(self, topic: Topic, since_s: int, until_s: int) -> BarNeighbours:
        """Return the openings of the last bar before and of the first bar behind a range of openings.

        Raises:
            ArchiveError: Older bars cannot be read.
            UnknownTopicError: There is no such instrument, not a bar topic, or no such interval.
        """
        before = await self.bars(topic, 0, since_s - 1, 1)
        now_s = self._now_s()
        behind_s = await self._history(topic).first_opening_s(topic.interval_s, until_s + 1, now_s + DAY_S)
        return BarNeighbours(before.bars[0].time_s if before.bars else None, behind_s)

    async def instrument_state(self, topic: Topic) -> Snapshot:
        """Return the full ``InstrumentUpdate`` of an instrument topic and the position it reaches up to.

        Raises:
            UnknownTopicError: There is no such instrument, or not an instrument topic.
        """
        listing = self._listings[self._position(topic)]
        if topic.kind is not TopicKind.INSTRUMENT:
            raise UnknownTopicError(f"{topic.kind} is not the kind of instrument rules")
        return listing.state()

    async def state(self, topic: Topic) -> Snapshot | None:
        """Return the state of a topic of a state kind; unlike ``current`` it takes no notice of who asks.

        Raises:
            UnknownTopicError: There is no such instrument, or the kind has no state.
        """
        return self._state(topic)

    async def portfolio_records(self, topic: Topic) -> RecordsPage:
        """Portfolios are not served yet.

        Raises:
            UnknownTopicError: Always.
        """
        raise _no_portfolios()

    async def past_fills(self, exchange: str, portfolio: str, wanted: FillsFilter) -> Sequence[Fill]:
        """Portfolios are not served yet.

        Raises:
            UnknownTopicError: Always.
        """
        raise _no_portfolios()

    async def legacy_money(self, exchange: str, portfolio: str) -> LegacyMoney:
        """Portfolios are not served yet.

        Raises:
            UnknownTopicError: Always.
        """
        raise _no_portfolios()

    async def estimate(self, order: EstimateOrder) -> OrderEstimate | Refused:
        """Portfolios are not served yet.

        Raises:
            UnknownTopicError: Always.
        """
        raise _no_portfolios()

    async def groups(self, login: str) -> Sequence[OrderGroup]:
        """Return nothing: groups are refused."""
        return ()

    async def group(self, login: str, group_id: str) -> OrderGroup | None:
        """Return None: groups are refused."""
        return None

    async def trades(self, topic: Topic, wanted: TradesFilter) -> TradesFound:
        """Return the kept trades of an instrument that match, and the last ones of the seeded past.

        Raises:
            ArchiveError: Older trades cannot be read.
            UnknownTopicError: There is no such instrument, or the topic is not one of trades.
            ValueError: ``limit`` or ``offset`` is negative.
        """
        listing = self._listings[self._position(topic)]
        if topic.kind is not TopicKind.TRADES:
            raise UnknownTopicError(f"{topic.kind} is not the kind of the trade tape")
        total, prints = await self._history(topic).find_trades(wanted)
        return TradesFound(total, await self._trade_records(listing, prints))

    def session_start_s(self) -> int:
        """Return when the current trading day began: midnight in Moscow, Unix s UTC."""
        return trading_day(self._now_s()) * DAY_S - MOSCOW_OFFSET_S

    def _history(self, topic: Topic) -> History:
        return self._histories[self._position(topic)]

    async def _trade_records(self, listing: Listing, prints: Sequence[Print]) -> list[Trade]:
        trades: list[Trade] = []
        for start in range(0, len(prints), _RECORDS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            chunk = prints[start : start + _RECORDS_AT_ONCE]
            trades.extend(listing.trade(printed, existing=True) for printed in chunk)
        return trades

    def _now_s(self) -> int:
        return self._desk.now_ns() // 1_000_000_000

    def _state(self, topic: Topic) -> Snapshot | None:
        listing = self._listings[self._position(topic)]
        match topic.kind:
            case TopicKind.BOOK:
                return listing.book()
            case TopicKind.QUOTE:
                return listing.quote()
            case TopicKind.BAR:
                return listing.bar(topic.interval_s)
            case TopicKind.CLUSTER:
                return listing.cluster(topic.interval_s, self._now_s())
        raise UnknownTopicError(f"{topic.kind} is a stream of events and has no state")

    def _position(self, topic: Topic) -> int:
        if topic.kind not in SERVED_KINDS:
            raise UnknownTopicError(f"this venue has no streams of kind {topic.kind}")
        position = self._directory.position(topic.exchange, topic.subject, topic.board)
        timed = topic.kind in _TIMED_KINDS
        if position is None or (timed and not is_interval(topic.interval_s)) or (topic.interval_s and not timed):
            raise UnknownTopicError(
                f"this venue has no stream {topic.kind} {topic.exchange} {topic.subject} {topic.board}".rstrip()
                + (f" of interval {topic.interval_s} s" if topic.interval_s else "")
            )
        return position


def _no_portfolios() -> UnknownTopicError:
    return UnknownTopicError("this venue serves no portfolios")


def _open_interest_at_start(instrument: Instrument) -> int:
    """Return the contracts that accounts of the past hold: some hours of trading at the usual pace."""
    if instrument.kind not in (InstrumentKind.FUTURE, InstrumentKind.OPTION):
        return 0
    pace = pace_of(instrument.symbol)
    return round(pace.trades_per_window * pace.lots_per_trade * _OPEN_INTEREST_WINDOWS)
