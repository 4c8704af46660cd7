"""A venue that does what a test tells it: all three ports of a gateway, driven by a script.

Nothing happens by itself. Records come from ``set_book``, ``set_quote``, ``publish_trade``, ``run_bar``,
``finish_bar``, ``change_instrument`` and their general forms ``set_state`` and ``publish``, which portfolios use
too; commands are written down and answered as told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from tapewire.model import (
    DAY_S,
    MOSCOW_OFFSET_S,
    UNSET,
    Bar,
    Book,
    BookLevel,
    Cluster,
    Command,
    CommandKey,
    Fill,
    Instrument,
    InstrumentUpdate,
    LegacyMoney,
    OrderEstimate,
    OrderGroup,
    Outcome,
    Quote,
    Record,
    Refused,
    Side,
    StreamPosition,
    Topic,
    TopicKind,
    Trade,
    TradingStatus,
    is_interval,
    to_iso,
    trading_day,
)
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
from tapewire.ports.venue import FeedSink, Snapshot, UnknownTopicError
from tapewire.simulation.loop import START_NS
from tapewire.simulation.scripted_commands import ScriptedCommands
from tapewire.simulation.scripted_portfolios import ScriptedPortfolios
from tapewire.venues.selection import select_trades

__all__ = ["TAPE_TRADES_MAX", "Levels", "ScriptedVenue"]

#: Trades kept for ``recent_trades``, per instrument: twice what the broker's history may ask for.
TAPE_TRADES_MAX = 10_000
_FIRST_TRADE_ID = 13_000_000_000

_TIMED_KINDS = frozenset({TopicKind.BAR, TopicKind.CLUSTER})

#: Price and lots of each level, best first.
Levels = Iterable[tuple[float, int]]


class ScriptedVenue:
    """``FeedSource``, ``CommandSink`` and ``Query`` in the hands of a test.

    Args:
        instruments: What is traded, in the order of ``instruments()``; the first board of a symbol is its
            primary one.
        portfolios: Whose streams exist, on every exchange; on ``UNITED`` those that begin with E.
        clock: Where records take their time from; by default it stands at the start of virtual runs.

    Attributes:
        desk: What was submitted and what is answered.
        portfolios: Past fills, money, estimates and groups.
        page_delays_s: What ``recent_trades``, ``bars``, ``instrument_state`` and ``portfolio_records`` wait
            before they look, and after. The first makes pages that hold live records, the second pages that are
            older than the live stream.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        *,
        portfolios: Sequence[str] = ("D39004",),
        clock: Clock | None = None,
    ) -> None:
        self.desk = ScriptedCommands()
        self.portfolios = ScriptedPortfolios(portfolios)
        self.page_delays_s = (0.0, 0.0)
        self._instruments = {instrument.key: instrument for instrument in instruments}
        self._clock = clock
        self._epoch_number = 1
        self._epoch = "epoch-0001"
        self._sequences: dict[Topic, int] = {}
        self._states: dict[Topic, Record] = {}
        self._tapes: dict[Topic, deque[Trade]] = {}
        self._bars: dict[Topic, dict[int, Bar]] = {}
        self._rules: dict[Topic, InstrumentUpdate] = {}
        self._late: set[Topic] = set()
        self._sinks: dict[Topic, list[FeedSink]] = {}
        self._trade_id = _FIRST_TRADE_ID

    # --- the script -------------------------------------------------------------------------------------

    @property
    def open_topics(self) -> tuple[Topic, ...]:
        """Topics with at least one sink, in the order of opening: empty when everybody has gone."""
        return tuple(self._sinks)

    def topic(self, kind: TopicKind, instrument: Instrument, interval_s: int = 0) -> Topic:
        """Return the topic of an instrument."""
        exchange, symbol, board = instrument.key
        return Topic(kind, exchange, symbol, board, interval_s)

    @property
    def commands(self) -> list[Command]:
        """What was submitted, oldest first, whatever came of it."""
        return self.desk.commands

    def position(self, topic: Topic) -> StreamPosition:
        """Return where a stream stands; sequence 0 before its first record."""
        return StreamPosition(self._epoch, self._sequences.get(topic, 0))

    def set_book(self, instrument: Instrument, bids: Levels = (), asks: Levels = ()) -> Book:
        """Replace the book of an instrument and tell."""
        book = Book(
            bids=tuple(BookLevel(price=price, volume=lots) for price, lots in bids),
            asks=tuple(BookLevel(price=price, volume=lots) for price, lots in asks),
            time_ms=self._now_ns() // 1_000_000,
            existing=False,
        )
        self.set_state(self.topic(TopicKind.BOOK, instrument), book)
        return book

    def set_quote(
        self, instrument: Instrument, last: float, *, bid: float | None = None, ask: float | None = None
    ) -> Quote:
        """Replace the quote of an instrument and tell. What is not given is plausible for ``last``."""
        now_ns = self._now_ns()
        quote = Quote(
            symbol=instrument.symbol,
            exchange=instrument.exchange,
            description=instrument.description,
            last_price=last,
            last_price_time_s=now_ns // 1_000_000_000,
            high_price=last,
            low_price=last,
            open_price=last,
            accrued_interest=0.0,
            volume=0.0,
            open_interest=None,
            ask=ask,
            bid=bid,
            ask_volume=0 if ask is None else 1,
            bid_volume=0 if bid is None else 1,
            total_ask_volume=0 if ask is None else 1,
            total_bid_volume=0 if bid is None else 1,
            book_time_ms=now_ns // 1_000_000,
            yield_percent=None,
            lot_size=float(instrument.lot_size),
            lot_value=last * instrument.lot_size,
            face_value=float(instrument.face_value),
            type=instrument.type_code,
        )
        self.set_state(self.topic(TopicKind.QUOTE, instrument), quote)
        return quote

    def publish_trade(
        self, instrument: Instrument, price: Decimal | float, lots: int = 1, side: Side = Side.BUY
    ) -> Trade:
        """Add a trade with the next id to the tape of an instrument and tell."""
        now_ns = self._now_ns()
        self._trade_id += 1
        trade = Trade(
            id=self._trade_id,
            symbol=instrument.symbol,
            board=instrument.board,
            quantity=lots,
            price=float(price),
            time=to_iso(now_ns),
            time_ms=now_ns // 1_000_000,
            open_interest=None,
            existing=False,
            side=side,
        )
        self.publish(self.topic(TopicKind.TRADES, instrument), trade)
        return trade

    def set_past_bars(self, topic: Topic, bars: Iterable[Bar]) -> None:
        """Lay bars into the history of a bar topic, without telling."""
        self._bars.setdefault(topic, {}).update((bar.time_s, bar) for bar in bars)

    def run_bar(self, topic: Topic, bar: Bar) -> None:
        """Replace the running bar of a topic and tell that it has changed."""
        self.set_past_bars(topic, (bar,))
        self.set_state(topic, bar)

    def finish_bar(self, topic: Topic, bar: Bar) -> None:
        """Make a bar final: it is in the history, and it has happened."""
        assert topic.kind is TopicKind.BAR, f"{topic.kind} has no bars"
        self.set_past_bars(topic, (bar,))
        self._tell_happened(topic, self._advance(topic), bar)

    def change_instrument(self, instrument: Instrument, update: InstrumentUpdate) -> None:
        """Lay a partial update over the rules of an instrument and tell it as it is."""
        topic = self.topic(TopicKind.INSTRUMENT, instrument)
        self._rules[topic] = self._rules_of(topic).merged(update)
        self.publish(topic, update)

    def set_state(self, topic: Topic, record: Record) -> None:
        """Replace the state of any topic of a state kind and tell, unless its snapshot is held back."""
        assert topic.kind.is_state, f"{topic.kind} is a kind of events"
        self._advance(topic)
        self._states[topic] = record
        if topic not in self._late:
            self._tell_changed(topic)

    def publish(self, topic: Topic, record: Record) -> None:
        """Add one record to any topic of an event kind and tell."""
        assert not topic.kind.is_state, f"{topic.kind} is a kind of states"
        position = self._advance(topic)
        if isinstance(record, Trade):
            tape = self._tapes.get(topic)
            if tape is None:
                tape = self._tapes[topic] = deque(maxlen=TAPE_TRADES_MAX)
            tape.append(record)
        elif topic.kind.of_portfolio:
            self.portfolios.note(topic, record)
        self._tell_happened(topic, position, record)

    def hold_snapshot(self, topic: Topic) -> None:
        """Answer None for the state of a topic until ``release_snapshot``: a venue that warms up."""
        self._late.add(topic)

    def release_snapshot(self, topic: Topic) -> None:
        """Give out the state of a topic again, and tell if there is one."""
        self._late.discard(topic)
        if topic in self._states:
            self._tell_changed(topic)

    def answer_next(self, *answers: Outcome | Exception) -> None:
        """Give these outcomes to the next commands, in order; an exception is raised. After them: ``Done``."""
        self.desk.answer_next(*answers)

    def restart(self) -> None:
        """Begin a new epoch: all sequences start again; states and tapes stay, and open states are told."""
        self._epoch_number += 1
        self._epoch = f"epoch-{self._epoch_number:04}"
        self._sequences.clear()
        for topic in self._states:
            self._advance(topic)
            if topic not in self._late:
                self._tell_changed(topic)

    # --- FeedSource -------------------------------------------------------------------------------------

    def open(self, topic: Topic, sink: FeedSink) -> None:
        """Begin to tell ``sink`` about ``topic``; opening it twice is opening it once.

        Raises:
            UnknownTopicError: Neither an instrument nor a portfolio given at the start has that stream.
        """
        self._check_known(topic)
        sinks = self._sinks.setdefault(topic, [])
        if not any(known is sink for known in sinks):
            sinks.append(sink)

    def close(self, topic: Topic, sink: FeedSink) -> None:
        """Stop telling ``sink`` about ``topic``; one that is not open changes nothing."""
        sinks = [known for known in self._sinks.get(topic, ()) if known is not sink]
        if sinks:
            self._sinks[topic] = sinks
        else:
            self._sinks.pop(topic, None)

    def current(self, topic: Topic) -> Snapshot | None:
        """Return the state of a topic; None while it is not set or held back.

        Raises:
            UnknownTopicError: There is no such stream, or it has no state.
        """
        record = self._states.get(topic)
        if record is None:
            self._check_known(topic)
            if not topic.kind.is_state:
                raise UnknownTopicError(f"{topic.kind} is a stream of events and has no state")
            return None
        if topic in self._late:
            return None
        return Snapshot(self.position(topic), record)

    # --- CommandSink ------------------------------------------------------------------------------------

    async def submit(self, command: Command, key: CommandKey | None = None) -> Outcome:
        """Write the command down and return the outcome scripted for it, or ``Done``."""
        return await self.desk.submit(command, key)

    # --- Query ------------------------------------------------------------------------------------------

    def instruments(self) -> Sequence[Instrument]:
        """Return all instruments, in the order given."""
        return tuple(self._instruments.values())

    def instrument(self, exchange: str, symbol: str, board: str = "") -> Instrument | None:
        """Return an instrument; an empty ``board`` means the primary one. None: there is none."""
        if board:
            return self._instruments.get((exchange, symbol, board))
        for key, instrument in self._instruments.items():
            if key[:2] == (exchange, symbol):
                return instrument
        return None

    async def recent_trades(self, topic: Topic, limit: int) -> TradesPage:
        """Return the last ``limit`` trades of an instrument, oldest first, and the position they reach.

        The trades are marked as existing.

        Raises:
            UnknownTopicError: There is no such instrument, or the topic is not one of trades.
        """
        self._check_known(topic)
        if topic.kind is not TopicKind.TRADES:
            raise UnknownTopicError(f"{topic.kind} is not the kind of the trade tape")
        before_s, after_s = self.page_delays_s
        await asyncio.sleep(before_s)
        tape = tuple(self._tapes.get(topic, ()))
        newest = tape[max(0, len(tape) - limit) :]
        page = TradesPage(
            self.position(topic), [msgspec.structs.replace(trade, existing=True) for trade in newest]
        )
        await asyncio.sleep(after_s)
        return page

    async def bars(self, topic: Topic, since_s: int, until_s: int, limit: int) -> BarsPage:
        """Return the newest ``limit`` bars that open in the range and the position they reach.

        Raises:
            UnknownTopicError: There is no such instrument or interval, or the topic is not one of bars.
        """
        self._check_known(topic)
        if topic.kind is not TopicKind.BAR:
            raise UnknownTopicError(f"{topic.kind} is not the kind of bars")
        before_s, after_s = self.page_delays_s
        await asyncio.sleep(before_s)
        known = self._bars.get(topic, {})
        bars = [known[opening_s] for opening_s in sorted(known) if since_s <= opening_s <= until_s]
        page = BarsPage(self.position(topic), bars[max(0, len(bars) - limit) :])
        await asyncio.sleep(after_s)
        return page

    async def bar_neighbours(self, topic: Topic, since_s: int, until_s: int) -> BarNeighbours:
        """Return the openings of the last bar before and of the first bar behind a range of openings.

        Raises:
            UnknownTopicError: There is no such instrument.
        """
        self._check_known(topic)
        openings = self._bars.get(topic, {})
        return BarNeighbours(
            max((opening_s for opening_s in openings if opening_s < since_s), default=None),
            min((opening_s for opening_s in openings if opening_s > until_s), default=None),
        )

    async def clusters(self, topic: Topic, since_s: int) -> ClustersPage:
        """Return the cluster that was set last, which is the running one.

        Raises:
            UnknownTopicError: There is no such instrument or interval, or the topic is not one of clusters.
        """
        self._check_known(topic)
        if topic.kind is not TopicKind.CLUSTER:
            raise UnknownTopicError(f"{topic.kind} is not the kind of clusters")
        before_s, after_s = self.page_delays_s
        await asyncio.sleep(before_s)
        newest = self._states.get(topic)
        page = ClustersPage(self.position(topic), [newest] if isinstance(newest, Cluster) else [])
        await asyncio.sleep(after_s)
        return page

    async def instrument_state(self, topic: Topic) -> Snapshot:
        """Return the full rules of an instrument: those of its listing, with all changes laid over them.

        Raises:
            UnknownTopicError: There is no such instrument, or the topic is not one of rules.
        """
        self._check_known(topic)
        if topic.kind is not TopicKind.INSTRUMENT:
            raise UnknownTopicError(f"{topic.kind} is not the kind of instrument rules")
        before_s, after_s = self.page_delays_s
        await asyncio.sleep(before_s)
        snapshot = Snapshot(self.position(topic), self._rules_of(topic))
        await asyncio.sleep(after_s)
        return snapshot

    async def state(self, topic: Topic) -> Snapshot | None:
        """Return what ``current`` returns."""
        return self.current(topic)

    async def portfolio_records(self, topic: Topic) -> RecordsPage:
        """Return the newest row of each key that was published, in the order of their first ones.

        Raises:
            UnknownPortfolioError: There is no such portfolio.
            UnknownTopicError: The topic is not one of a portfolio's events.
        """
        self._check_known(topic)
        if topic.kind.is_state or not topic.kind.of_portfolio:
            raise UnknownTopicError(f"{topic.kind} is not a kind of rows")
        before_s, after_s = self.page_delays_s
        await asyncio.sleep(before_s)
        page = RecordsPage(self.position(topic), self.portfolios.rows(topic))
        await asyncio.sleep(after_s)
        return page

    async def past_fills(self, exchange: str, portfolio: str, wanted: FillsFilter) -> Sequence[Fill]:
        """Return the past fills that were set and match.

        Raises:
            UnknownPortfolioError: There is no such portfolio.
        """
        return self.portfolios.past_fills(exchange, portfolio, wanted)

    async def legacy_money(self, exchange: str, portfolio: str) -> LegacyMoney:
        """Return the money that was set.

        Raises:
            UnknownPortfolioError: There is no such portfolio, or none was set.
        """
        return self.portfolios.money(exchange, portfolio)

    async def estimate(self, order: EstimateOrder) -> OrderEstimate | Refused:
        """Write the order down and return the answer that was set.

        Raises:
            UnknownPortfolioError: There is no such portfolio.
            UnknownTopicError: None was set.
        """
        return self.portfolios.weigh(order)

    async def groups(self, login: str) -> Sequence[OrderGroup]:
        """Return the groups that were set."""
        return self.portfolios.groups(login)

    async def group(self, login: str, group_id: str) -> OrderGroup | None:
        """Return a group that was set; None: the login has none of this id."""
        return next((group for group in self.portfolios.groups(login) if group.id == group_id), None)

    async def group_portfolios(self, login: str, group_id: str) -> frozenset[str]:
        """Return the portfolios that were set for a group of a login; none: it has no such group."""
        return self.portfolios.group_portfolios(login, group_id)

    async def trades(self, topic: Topic, wanted: TradesFilter) -> TradesFound:
        """Return the trades of the tape that match, marked as existing.

        Raises:
            UnknownTopicError: There is no such instrument, or the topic is not one of trades.
        """
        page = await self.recent_trades(topic, TAPE_TRADES_MAX)
        return select_trades(page.trades, wanted)

    def session_start_s(self) -> int:
        """Return the last midnight in Moscow, Unix s UTC."""
        return trading_day(self._now_ns() // 1_000_000_000) * DAY_S - MOSCOW_OFFSET_S

    def _rules_of(self, topic: Topic) -> InstrumentUpdate:
        known = self._rules.get(topic)
        if known is not None:
            return known
        instrument = self._instruments[topic.exchange, topic.subject, topic.board]
        low, high = instrument.price_band_ticks
        return InstrumentUpdate(
            symbol=instrument.symbol,
            exchange=instrument.exchange,
            board=instrument.board,
            trading_status=TradingStatus.NORMAL,
            trading_status_info="нормальный период торгов",
            price_min=instrument.price_float(low),
            price_max=instrument.price_float(high),
            margin_buy=UNSET if instrument.margin_buy is None else float(instrument.margin_buy),
            margin_sell=UNSET if instrument.margin_sell is None else float(instrument.margin_sell),
        )

    def _check_known(self, topic: Topic) -> None:
        if topic.kind.of_portfolio:
            self.portfolios.check(topic.exchange, topic.subject)
            return
        known = (topic.exchange, topic.subject, topic.board) in self._instruments
        if not known or (topic.kind in _TIMED_KINDS and not is_interval(topic.interval_s)):
            raise UnknownTopicError(f"no stream {topic}")

    def _advance(self, topic: Topic) -> StreamPosition:
        sequence = self._sequences.get(topic)
        if sequence is None:
            self._check_known(topic)
            sequence = 0
        self._sequences[topic] = sequence + 1
        return StreamPosition(self._epoch, sequence + 1)

    def _tell_happened(self, topic: Topic, position: StreamPosition, record: Record) -> None:
        for sink in tuple(self._sinks.get(topic, ())):
            sink.happened(topic, position, record)
            sink.told()

    def _tell_changed(self, topic: Topic) -> None:
        for sink in tuple(self._sinks.get(topic, ())):
            sink.changed(topic)

    def _now_ns(self) -> int:
        return self._clock.wall_ns() if self._clock is not None else START_NS
