"""Portfolios as their owners see them: what happened to them, what they hold, what they are worth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import TypeVar

from tapewire.exchange import (
    Accounts,
    Cleared,
    ConditionalAccepted,
    ConditionalActivated,
    ConditionalCancelled,
    ConditionalFired,
    ConditionalOrder,
    DayTurned,
    Evaluation,
    Event,
    Exchange,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    OrderRow,
    Register,
    Traded,
)
from tapewire.model import Exchange as ExchangeName
from tapewire.model import (
    OrderStatus,
    Position,
    Record,
    StreamPosition,
    Topic,
    TopicKind,
)
from tapewire.ports.query import RecordsPage
from tapewire.ports.venue import (
    NoDerivativesError,
    Snapshot,
    UnknownPortfolioError,
    UnknownTopicError,
    VenueUnavailableError,
)
from tapewire.venues.marks import LastPrices
from tapewire.venues.order_records import OrderRecords
from tapewire.venues.streams import PORTFOLIO_KINDS, Streams

__all__ = ["MARKS_EVERY_NS", "Portfolios"]

#: New prices move the figures of a portfolio at most so often.
MARKS_EVERY_NS = 100_000_000

#: Rows turned into records before other tasks get their turn.
_RECORDS_AT_ONCE = 500

_NS_IN_S = 1_000_000_000
_STATE_KINDS = (TopicKind.SUMMARY, TopicKind.RISK, TopicKind.DERIVATIVES_RISK)

_Row = TypeVar("_Row")


class _Book:
    """Where the streams of one portfolio stand."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.sequences = dict.fromkeys(
            (TopicKind.FILLS, TopicKind.ORDERS, TopicKind.STOP_ORDERS, TopicKind.POSITIONS), 0
        )
        #: Counts the states that the figures have had.
        self.version = 1
        #: The states of this version that somebody has asked for.
        self.states: dict[TopicKind, Snapshot] = {}
        #: The prices that the figures of this version were reckoned at.
        self.marks: tuple[int, ...] = ()


class _Touched:
    """What one command has changed in one portfolio; dicts, for their order."""

    def __init__(self) -> None:
        self.orders: dict[int, None] = {}
        self.conditionals: dict[int, None] = {}
        self.positions: dict[int, None] = {}
        self.fills = 0
        self.is_cash = False


class Portfolios:
    """The accounts of a venue as streams and answers. All of them are on MOEX.

    Fills, orders and positions are events: one record a changed row and command, which shows the row as the
    command left it. A row of positions is told when lots or money change, not when prices do. Summary and risks
    are states: new with every such event, and with prices at most every ``MARKS_EVERY_NS``.
    """

    def __init__(
        self,
        core: Exchange,
        accounts: Accounts,
        marks: LastPrices,
        streams: Streams,
        *,
        epoch: str,
        now_ns: Callable[[], int],
    ) -> None:
        """Show ``accounts``, which are the clearing of ``core``."""
        self._core = core
        self._accounts = accounts
        self._marks = marks
        self._streams = streams
        self._epoch = epoch
        self._now_ns = now_ns
        self._records = OrderRecords(core, accounts.instruments)
        self._books = {name: _Book(number, name) for number, name in enumerate(accounts.names)}
        self._marked_at_ns = 0
        #: What has happened and may not be told yet; None: everything may.
        self._withheld: list[Event] | None = None

    def add(self, name: str) -> None:
        """Show one more portfolio, which the accounts have just opened."""
        self._books[name] = _Book(len(self._books), name)

    # --- what may not be told yet -----------------------------------------------------------------------

    def withhold(self) -> None:
        """Tell nothing more, and answer nothing, until ``release``: what happens now is not durable."""
        if self._withheld is None:
            for book in self._books.values():
                # Whoever has been told of a state will ask for it.
                for kind in _STATE_KINDS:
                    if self._streams.is_open(book.number, kind) and kind not in book.states:
                        book.states[kind] = Snapshot(
                            StreamPosition(self._epoch, book.version), self._state(book, kind)
                        )
            self._withheld = []

    def release(self) -> None:
        """Tell what was withheld, of each row its newest state; the streams hold it."""
        events, self._withheld = self._withheld, None
        if events:
            self.note(events)

    def _concerns(self, event: Event) -> bool:
        """Whether an event is of these portfolios or of all: those of the market's participants are many."""
        if isinstance(event, Traded):
            return event.buyer in self._books or event.seller in self._books
        account = getattr(event, "account", None)
        return account is None or account in self._books

    # --- what happens -----------------------------------------------------------------------------------

    def note(self, events: Sequence[Event]) -> None:
        """Take note of what a command has done; the streams hold what is to be told."""
        if self._withheld is not None:
            self._withheld += filter(self._concerns, events)
            return
        books = self._books
        touched: dict[str, _Touched] = {}
        for event in events:
            if isinstance(event, _ORDER_EVENTS):
                if event.account in books:
                    _of(touched, event.account).orders[event.order_id] = None
            elif isinstance(event, Traded):
                if event.buyer in books:
                    self._note_fill(_of(touched, event.buyer), event.instrument, event.buy_order_id)
                if event.seller in books:
                    self._note_fill(_of(touched, event.seller), event.instrument, event.sell_order_id)
            else:
                self._note_rare(event, touched)
        for name, what in touched.items():
            self._tell(books[name], what)

    def _note_fill(self, touched: _Touched, instrument: int, order_id: int) -> None:
        touched.orders[order_id] = None
        row = self._core.orders.get(order_id)
        if row is not None and row.conditional_id is not None:
            touched.conditionals[row.conditional_id] = None  # it shows what its order has filled
        touched.positions[instrument] = None
        touched.fills += 1
        touched.is_cash = True

    def _note_rare(self, event: Event, touched: dict[str, _Touched]) -> None:
        if isinstance(event, OrderRejected):
            if event.order_id is not None and event.account in self._books:
                _of(touched, event.account).orders[event.order_id] = None
        elif isinstance(event, _CONDITIONAL_EVENTS):
            if event.account in self._books:
                _of(touched, event.account).conditionals[event.order_id] = None
        elif isinstance(event, DayTurned | Cleared):
            for name in self._books:
                what = _of(touched, name)
                if isinstance(event, DayTurned):
                    what.positions |= dict.fromkeys(sorted(self._accounts.account(name).state.holdings))
                    what.is_cash = True

    def _tell(self, book: _Book, what: _Touched) -> None:
        records = self._records
        for row in self._accounts.fills.last(book.name, what.fills):
            self._happened(book, TopicKind.FILLS, partial(records.fill, row, existing=False))
        for order_id in what.orders:
            order = self._core.orders.get(order_id)
            if order is not None:
                self._happened(book, TopicKind.ORDERS, partial(records.order, order, existing=False))
        for order_id in what.conditionals:
            conditional = self._core.conditionals.get(order_id)
            if conditional is not None:
                tell = partial(records.stop_order, conditional, existing=False)
                self._happened(book, TopicKind.STOP_ORDERS, tell)
        for instrument in what.positions:
            if self._accounts.account(book.name).state.holdings[instrument].has_traded:
                self._happened(book, TopicKind.POSITIONS, partial(self._position, book, instrument))
        if what.is_cash:
            self._happened(book, TopicKind.POSITIONS, partial(self._cash, book))
        self._renew(book)

    def _happened(self, book: _Book, kind: TopicKind, record: Callable[[], Record]) -> None:
        book.sequences[kind] += 1
        self._streams.happened(book.number, self._stands(book, kind), record, kind=kind)

    def _position(self, book: _Book, instrument: int) -> Position:
        row = Evaluation(self._accounts, book.name).position(instrument, existing=False)
        assert row is not None, "a position that has traded has a row"
        return row

    def _cash(self, book: _Book) -> Position:
        return Evaluation(self._accounts, book.name).cash(existing=False)

    def mark(self, now_ns: int) -> None:
        """Take note of new prices where somebody listens; cheap, and nothing more often than it may be."""
        if now_ns - self._marked_at_ns < MARKS_EVERY_NS or self._withheld is not None:
            return
        self._marked_at_ns = now_ns
        for book in self._books.values():
            if any(self._streams.is_open(book.number, kind) for kind in _STATE_KINDS):
                self._mark(book)

    def _mark(self, book: _Book) -> None:
        if self._prices(book) != book.marks:
            self._renew(book)

    def _prices(self, book: _Book) -> tuple[int, ...]:
        """Return the prices that the figures of a portfolio depend on."""
        holdings = self._accounts.account(book.name).state.holdings
        return tuple(
            self._marks.last_ticks(position)
            for position, holding in holdings.items()
            if holding.lots or holding.buy_lots or holding.sell_lots
        )

    def _renew(self, book: _Book) -> None:
        book.version += 1
        book.states.clear()
        book.marks = self._prices(book)
        for kind in _STATE_KINDS:
            self._streams.state_changed(book.number, kind)

    # --- streams and answers ----------------------------------------------------------------------------

    def number(self, topic: Topic) -> int:
        """Return by what the streams know the portfolio of a topic.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: It has no such stream.
            VenueUnavailableError: Nobody can be told now.
        """
        book = self._find(topic)
        self.check_durable()
        return book.number

    def state(self, topic: Topic) -> Snapshot:
        """Return the newest figures that were told, reckoned when they are asked for.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: The kind has no state, or the portfolio no such figures.
        """
        book = self._find(topic)
        found = book.states.get(topic.kind)
        if found is None:
            self.check_durable()
            position = StreamPosition(self._epoch, book.version)
            found = book.states[topic.kind] = Snapshot(position, self._state(book, topic.kind))
        return found

    def state_now(self, topic: Topic) -> Snapshot:
        """Return the figures at the prices of this moment; whoever listens is told of them as well.

        Raises:
            As ``state``.
        """
        book = self._find(topic)
        self.check_durable()
        self._mark(book)
        return self.state(topic)

    def _state(self, book: _Book, kind: TopicKind) -> Record:
        figures = Evaluation(self._accounts, book.name)
        match kind:
            case TopicKind.SUMMARY:
                return figures.summary()
            case TopicKind.RISK:
                return figures.risk(self._now_ns())
            case TopicKind.DERIVATIVES_RISK:
                return figures.derivatives_risk()
        raise UnknownTopicError(f"{kind} is a stream of events and has no state")

    async def records(self, topic: Topic) -> RecordsPage:
        """Return fills and orders of the session, working orders of any, or all positions, marked as existing.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: The kind is not one of rows.
            VenueUnavailableError: Nobody can be told now.
        """
        book = self._find(topic)
        self.check_durable()
        match topic.kind:
            case TopicKind.FILLS:
                fills = [row for row in self._accounts.fills.of(book.name) if row.day == self._accounts.day]
                return await self._page(book, topic.kind, fills, partial(self._records.fill, existing=True))
            case TopicKind.ORDERS:
                orders = _of_session(self._core.orders, book.name)
                return await self._page(book, topic.kind, orders, partial(self._records.order, existing=True))
            case TopicKind.STOP_ORDERS:
                kept = _of_session(self._core.conditionals, book.name)
                return await self._page(book, topic.kind, kept, partial(self._records.stop_order, existing=True))
            case TopicKind.POSITIONS:
                rows = Evaluation(self._accounts, book.name).positions(existing=True)
                return RecordsPage(self._stands(book, topic.kind), rows)
        raise UnknownTopicError(f"{topic.kind} is not a kind of rows")

    async def _page(
        self, book: _Book, kind: TopicKind, rows: Sequence[_Row], record: Callable[[_Row], Record]
    ) -> RecordsPage:
        position = self._stands(book, kind)
        records: list[Record] = []
        for start in range(0, len(rows), _RECORDS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            records.extend(record(row) for row in rows[start : start + _RECORDS_AT_ONCE])
        return RecordsPage(position, records)

    def _stands(self, book: _Book, kind: TopicKind) -> StreamPosition:
        return StreamPosition(self._epoch, book.sequences[kind])

    def check_durable(self) -> None:
        """Look whether what is known of portfolios may be told now.

        Raises:
            VenueUnavailableError: It may not.
        """
        if self._withheld is not None:
            raise VenueUnavailableError(
                "The journal cannot be written: what portfolios hold is told again when it can be"
            )

    def _find(self, topic: Topic) -> _Book:
        book = self._named(topic.exchange, topic.subject)
        if topic.kind not in PORTFOLIO_KINDS:
            raise UnknownTopicError(f"this venue has no streams of kind {topic.kind}")
        is_derivative = self._accounts.account(book.name).is_derivative
        if topic.kind is TopicKind.DERIVATIVES_RISK and not is_derivative:
            raise NoDerivativesError(f"Portfolio {topic.exchange}:{book.name} has no derivatives")
        return book

    def check_known(self, exchange: str, portfolio: str) -> None:
        """Look whether there is a portfolio.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
        """
        self._named(exchange, portfolio)

    def _named(self, exchange: str, portfolio: str) -> _Book:
        book = self._books.get(portfolio)
        if book is None or exchange != ExchangeName.MOEX:
            raise UnknownPortfolioError(f"there is no portfolio {portfolio} on {exchange}")
        return book


# A tuple is made once: participants' orders come thousands a second.
_ORDER_EVENTS = (OrderAccepted, OrderCancelled)
_CONDITIONAL_EVENTS = (ConditionalAccepted, ConditionalActivated, ConditionalFired, ConditionalCancelled)

_RegisterRow = TypeVar("_RegisterRow", OrderRow, ConditionalOrder)


def _of(touched: dict[str, _Touched], name: str) -> _Touched:
    found = touched.get(name)
    if found is None:
        found = touched[name] = _Touched()
    return found


def _of_session(register: Register[_RegisterRow], account: str) -> list[_RegisterRow]:
    """Return copies of what works and of what has ended in the running session, by number."""
    return [
        copy(row)
        for row in register.of(account)
        if row.status is OrderStatus.WORKING or row.ended_in == register.session
    ]
