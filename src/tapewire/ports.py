"""The seams of tapewire: what its cores need from the world, each small and owned by its users.

========================  ==============================  ===========================================
port                      live                            simulated
========================  ==============================  ===========================================
``Clock``                 ``adapters.clock``              ``simulation.loop`` (virtual time)
``Transport``,            ``adapters.picows_transport``,  ``simulation.network``
``Connector``             ``adapters.picows_client``
``HttpClient``            ``adapters.http_client``        ``simulation.http``
``FeedSource``,           ``venues.embedded``             ``simulation.venue`` (scripted)
``CommandSink``, ``Query``
``JournalFile``           ``adapters.journal_file``       ``simulation.disk`` (drops what is unsynced)
``SnapshotStore``         ``adapters.snapshot_files``     ``simulation.disk``
``Archive``               ``adapters.sqlite_archive``,    ``simulation.archive`` (drops what is unsynced)
                          ``venues.memory_archive``
========================  ==============================  ===========================================

All callbacks run in the event loop's thread and must not block. Timers belong to the running loop
(``loop.call_at``), which is why virtual time needs no port of its own: a virtual loop supplies it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

import msgspec

from tapewire.model import (
    Bar,
    Command,
    CommandKey,
    Exchange,
    Fill,
    Instrument,
    LegacyMoney,
    OrderEstimate,
    OrderGroup,
    Outcome,
    Record,
    Refused,
    Side,
    StreamPosition,
    Topic,
    Trade,
)

__all__ = [
    "Archive",
    "ArchiveBatch",
    "ArchiveError",
    "ArchivedTrade",
    "BarNeighbours",
    "BarsPage",
    "Clock",
    "CommandSink",
    "ConnectError",
    "Connector",
    "EstimateOrder",
    "FeedSink",
    "FeedSource",
    "FillsFilter",
    "FrameListener",
    "HandshakeRefusedError",
    "HttpAnswer",
    "HttpClient",
    "InstrumentKey",
    "JournalError",
    "JournalFile",
    "Query",
    "RecordsPage",
    "Snapshot",
    "SnapshotStore",
    "TooManyStreamsError",
    "TradesFilter",
    "TradesFound",
    "TradesPage",
    "Transport",
    "UnknownPortfolioError",
    "UnknownTopicError",
]


class Clock(Protocol):
    """The time of day. Timers come from the running loop instead, which is too coarse to time code with."""

    def wall_ns(self) -> int:
        """Return the time since the Unix epoch, UTC, in nanoseconds."""

    def stopwatch_s(self) -> float:
        """Return seconds since no particular moment, never less than before: for how long code has run."""


# --- the network ----------------------------------------------------------------------------------------


class ConnectError(Exception):
    """A connection or request could not be made: refused, unreachable, timed out, not a WebSocket.

    ``status`` is the HTTP status of a refused handshake, else None.
    """

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Transport(Protocol):
    """One open WebSocket connection, seen frame by frame. After ``disconnected`` every call does nothing."""

    @property
    def peer(self) -> str:
        """Where the other end is, for people: ``host:port``."""

    @property
    def unsent_bytes(self) -> int:
        """Bytes that were written and that the network has not taken yet."""

    def send(self, messages: Sequence[bytes]) -> None:
        """Send whole text messages in their order, in one write."""

    def send_frames(self, frames: bytes) -> None:
        """Send whole unmasked frames that stand in one buffer, in one write. A server's end only."""

    def send_frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        """Send one frame as it stands: pings, pongs, fragments."""

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame behind all that was written, then end the connection."""

    def abort(self) -> None:
        """End the connection now; what was not taken by the network is lost."""

    def pause_reading(self) -> None:
        """Take no more bytes from the network. Frames that are already here may still be delivered."""

    def resume_reading(self) -> None:
        """Take bytes from the network again."""


class FrameListener(Protocol):
    """The owner of a connection. ``connected`` comes first and once, ``disconnected`` last and once."""

    def connected(self, transport: Transport) -> None:
        """The handshake is done."""

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        """One frame has come, unmasked. ``rsv`` holds the three reserved bits."""

    def writable(self) -> None:
        """All that was written has been taken by the network."""

    def disconnected(self, code: int, reason: str) -> None:
        """The connection is gone. ``code`` is the peer's close code, or 1006 without one."""


class HandshakeRefusedError(Exception):
    """A server does not take a WebSocket connection now; what it answers instead.

    ``status`` is that of HTTP, ``code`` the word for programs in the JSON body, ``retry_after_s`` when to come
    back, if that is known.
    """

    def __init__(self, status: int, code: str, text: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.retry_after_s = retry_after_s


class Connector(Protocol):
    """Opens WebSocket connections."""

    async def connect(self, url: str, listener: FrameListener, *, timeout_s: float) -> Transport:
        """Open a connection to ``url`` for ``listener``.

        Raises:
            ConnectError: There is no connection; ``listener`` was not called.
        """


class HttpAnswer(NamedTuple):
    status: int
    body: bytes

    def __repr__(self) -> str:
        # The body may be a token.
        return f"HttpAnswer(status={self.status}, {len(self.body)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        # What pretty printers ask for instead.
        return [("status", self.status), ("bytes", len(self.body))]


class HttpClient(Protocol):
    """Makes HTTP requests."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float,
    ) -> HttpAnswer:
        """Make one request and return its answer, whatever its status.

        Raises:
            ConnectError: No answer came.
        """

    async def close(self) -> None:
        """Release all connections."""


# --- the venue ------------------------------------------------------------------------------------------


class TooManyStreamsError(Exception):
    """A source makes no more streams of this kind now; the text says how many there are."""


class UnknownTopicError(LookupError):
    """The venue has no such stream: the instrument, board or portfolio does not exist."""


class UnknownPortfolioError(UnknownTopicError):
    """The venue serves portfolios, but has none of this name on this exchange."""


class Snapshot(NamedTuple):
    """The newest state of a stream and where the stream stood."""

    position: StreamPosition
    record: Record


class TradesPage(NamedTuple):
    """Trades, oldest first, and where the tape stood: live records up to ``position`` are in the page."""

    position: StreamPosition
    trades: Sequence[Trade]


class RecordsPage(NamedTuple):
    """Records of a portfolio, oldest first, marked as existing, and where their stream stood.

    Live records up to ``position`` are in the page: of orders and positions as the newest row of each.
    """

    position: StreamPosition
    records: Sequence[Record]


class BarsPage(NamedTuple):
    """Bars, oldest first, and where their stream stood: final bars up to ``position`` are in the page.

    The newest bar may be unfinished; a later state of it, or its final form, has a later position.
    """

    position: StreamPosition
    bars: Sequence[Bar]


class BarNeighbours(NamedTuple):
    """Openings (Unix s) of the bars next to a range; None where there is none."""

    previous_s: int | None
    next_s: int | None


class TradesFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which trades are wanted. All bounds are inclusive; None bounds nothing."""

    #: Unix s UTC; a trade belongs to the second it happened in.
    since_s: int | None = None
    until_s: int | None = None
    from_id: int | None = None
    to_id: int | None = None
    #: Lots.
    quantity_min: int | None = None
    quantity_max: int | None = None
    price_min: float | None = None
    price_max: float | None = None
    #: Of the aggressor.
    side: Side | None = None
    #: Newest first instead of oldest first.
    descending: bool = False
    #: Of those that match, in the order asked for: so many are passed over, then so many returned.
    offset: int = 0
    limit: int = 5_000


class TradesFound(NamedTuple):
    """The trades that were asked for and how many match in all."""

    total: int
    trades: Sequence[Trade]


class FillsFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which own trades of past sessions are wanted. Bounds are inclusive; None bounds nothing."""

    #: Unix s UTC.
    since_s: int | None = None
    from_id: int | None = None
    symbol: str | None = None
    #: None: all boards.
    board: str | None = None
    side: Side | None = None
    #: Ordered by time instead of by id.
    by_time: bool = False
    #: Newest (or largest id) first.
    descending: bool = False
    limit: int = 1_000


class EstimateOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order to be weighed, not placed."""

    portfolio: str
    exchange: Exchange
    symbol: str
    board: str
    #: None: at the market's price.
    price: Decimal | None = None
    #: None: the most that ``budget`` pays.
    quantity_lots: int | None = None
    #: Roubles; unused beside ``quantity_lots``.
    budget: Decimal | None = None
    #: Whether what working orders block counts.
    includes_limit_orders: bool = False


class FeedSink(Protocol):
    """What a source tells the subscriber of its topics, in the order of the stream."""

    def changed(self, topic: Topic) -> None:
        """The state of a topic of a state kind is new; ``FeedSource.current`` has it."""

    def happened(self, topic: Topic, position: StreamPosition, record: Record) -> None:
        """One more record of a topic of an event kind, or the final form of a bar: no state may replace it."""


class FeedSource(Protocol):
    """The streams of a venue. State is pulled when somebody's window ends, events are pushed.

    A bar topic does both: each bar that has become final ``happened``, and for the one that still runs the
    topic has ``changed``. Positions of bars grow with the bar's content: equal positions, equal bars. An
    instrument topic is one of events: partial ``InstrumentUpdate`` records, to be merged over
    ``Query.instrument_state``.

    Topics of portfolios are ``Topic(kind, exchange, portfolio)``. Fills, orders, stop orders and positions are
    events (each the whole row, ``existing`` false) whose past is ``Query.portfolio_records``; summary and both
    risks are states.
    """

    def open(self, topic: Topic, sink: FeedSink) -> None:
        """Begin to tell ``sink`` about ``topic``.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: There is no such stream.
        """

    def close(self, topic: Topic, sink: FeedSink) -> None:
        """Stop telling ``sink`` about ``topic``."""

    def current(self, topic: Topic) -> Snapshot | None:
        """Return the state of an open topic of a state kind; None while it is not known."""


class CommandSink(Protocol):
    """Takes commands in order."""

    async def submit(self, command: Command, key: CommandKey | None = None) -> Outcome:
        """Apply one command; what it caused is visible in the feeds only after it is durable.

        A command whose key was handled before, or is being handled, is not carried out: it is ``Repeated``, once
        the first one's outcome is known. Without a key nothing is remembered. Whoever is cancelled while
        waiting knows nothing: the command may be carried out all the same.
        """


class Query(Protocol):
    """Reads what is no stream."""

    def instruments(self) -> Sequence[Instrument]:
        """Return all instruments, in a fixed order."""

    def instrument(self, exchange: str, symbol: str, board: str = "") -> Instrument | None:
        """Return an instrument; an empty ``board`` means the primary one. None: there is none."""

    async def recent_trades(self, topic: Topic, limit: int) -> TradesPage:
        """Return the last ``limit`` trades of an instrument and the position they reach up to."""

    async def bars(self, topic: Topic, since_s: int, until_s: int, limit: int) -> BarsPage:
        """Return the bars that open from ``since_s`` to ``until_s`` (Unix s, inclusive), oldest first.

        At most ``limit`` of them: the newest ones. Intervals without trades have no bar.

        Raises:
            UnknownTopicError: No such instrument, not a bar topic, or an interval that does not exist.
        """

    async def bar_neighbours(self, topic: Topic, since_s: int, until_s: int) -> BarNeighbours:
        """Return the openings of the last bar before and of the first bar behind a range of openings."""

    async def instrument_state(self, topic: Topic) -> Snapshot:
        """Return the full ``InstrumentUpdate`` of an instrument topic and the position it reaches up to.

        Raises:
            UnknownTopicError: No such instrument, or not an instrument topic.
        """

    async def state(self, topic: Topic) -> Snapshot | None:
        """Return the state of a topic of a state kind, open or not; None while it is not known.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: There is no such stream.
        """

    async def portfolio_records(self, topic: Topic) -> RecordsPage:
        """Return what a portfolio's stream of events begins with: fills and orders of the session, positions.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: There is no such stream.
        """

    async def past_fills(self, exchange: str, portfolio: str, wanted: FillsFilter) -> Sequence[Fill]:
        """Return own trades of the sessions before the running one, marked as existing.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: The venue serves no portfolios.
        """

    async def legacy_money(self, exchange: str, portfolio: str) -> LegacyMoney:
        """Return a portfolio's money as the old call tells it.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: The venue serves no portfolios.
        """

    async def estimate(self, order: EstimateOrder) -> OrderEstimate | Refused:
        """Weigh an order against its portfolio; nothing changes.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: There is no such instrument, or the venue serves no portfolios.
        """

    async def groups(self, login: str) -> Sequence[OrderGroup]:
        """Return the groups of a login that are still known, oldest first; empty where none can be made."""

    async def group(self, login: str, group_id: str) -> OrderGroup | None:
        """Return a group of a login; None: it has none of this id."""

    async def group_portfolios(self, login: str, group_id: str) -> frozenset[str]:
        """Return the portfolios whose orders are in a group of a login; none: it has no such group."""

    async def trades(self, topic: Topic, wanted: TradesFilter) -> TradesFound:
        """Return the kept trades of an instrument that match, marked as existing."""

    def session_start_s(self) -> int:
        """Return when the trading day began that trades and figures of now belong to, Unix s UTC."""


# --- the disk -------------------------------------------------------------------------------------------


class JournalError(Exception):
    """The journal's file cannot be opened, read or written; the text says why.

    ``is_uncertain``: whether what was being written is on the disk, only a fresh reader can tell. The file takes
    nothing more until it is opened anew.
    """

    def __init__(self, text: str, *, is_uncertain: bool = False) -> None:
        super().__init__(text)
        self.is_uncertain = is_uncertain


class JournalFile(Protocol):
    """Numbered records on a disk, oldest first, without holes. Calls block: they belong in a thread.

    What a file shows is durable, also what a killed program had written and not synced: opening it syncs that.
    """

    def append(self, first_sequence: int, records: Sequence[bytes]) -> None:
        """Write records and return when they are durable: all of them or, after an error, none.

        Raises:
            JournalError: The disk refused, or ``first_sequence`` does not follow the last record. If it is
                uncertain, all of them may be there when the file is opened anew.
        """

    def read(self, from_sequence: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield durable records with their sequences, from ``from_sequence`` on."""

    @property
    def first_sequence(self) -> int:
        """The sequence of the oldest record that is kept; ``next_sequence`` if none is."""

    @property
    def next_sequence(self) -> int:
        """The sequence that the next record must have; 0 in a new file."""

    @property
    def used_bytes(self) -> int:
        """What the records take on the disk; what was dropped counts no more."""

    def drop_before(self, sequence: int) -> None:
        """Forget the records older than ``sequence``, durably."""

    def cut_from(self, sequence: int) -> None:
        """Forget the record ``sequence`` and all newer ones, durably; it is the next one then."""

    def close(self) -> None:
        """Release the file."""


class SnapshotStore(Protocol):
    """States of the journal's owner on a disk, each known by the sequence it reaches. Calls block.

    What a store shows is durable.
    """

    def sequences(self) -> Sequence[int]:
        """Return the sequences of all that are kept, oldest first."""

    def load(self, sequence: int) -> bytes:
        """Return the content of one.

        Raises:
            JournalError: It is not there or cannot be read.
        """

    def save(self, sequence: int, content: bytes) -> None:
        """Keep one; on return it is durable, after an error it is not there. An old one of that sequence goes.

        Raises:
            JournalError: The disk refused.
        """

    def remove(self, sequence: int) -> None:
        """Forget one; without it nothing happens.

        Raises:
            JournalError: The disk refused.
        """

    @property
    def used_bytes(self) -> int:
        """What they take on the disk."""


class ArchiveError(Exception):
    """The archive cannot be opened, read or written; the text says why and names the file."""


#: Exchange, symbol, board: ``Instrument.key``.
InstrumentKey = tuple[str, str, str]


class ArchivedTrade(NamedTuple):
    """A trade as it is kept: what the venue needs to make its record again."""

    id: int
    #: Event time, UTC ns.
    at_ns: int
    price: float
    #: Lots.
    quantity: int
    #: Of the aggressor.
    side: Side
    open_interest: int


class ArchiveBatch(NamedTuple):
    """What is kept together: final bars with their interval (s), and trades, oldest first."""

    bars: Sequence[tuple[InstrumentKey, int, Bar]]
    trades: Sequence[tuple[InstrumentKey, ArchivedTrade]]


class Archive(Protocol):
    """A venue's own bars and trades across its restarts. No call blocks the loop.

    Bars are keyed by instrument, interval and opening, trades by their id; ids grow over all instruments.
    How much is kept is the implementation's, stated bound: the oldest go first, bars of a day never.
    """

    async def began_at_s(self, now_s: int) -> int:
        """Return the first moment of the archive, Unix s: in a new one ``now_s``, and from then on the same.

        Raises:
            ArchiveError: It cannot be read or written.
        """

    async def append(self, batch: ArchiveBatch) -> None:
        """Keep a batch; on return it is durable, after an error nothing of it is kept.

        What is there already under the same key is replaced by the new one.

        Raises:
            ArchiveError: It could not be kept.
        """

    async def bars(
        self, key: InstrumentKey, interval_s: int, since_s: int, until_s: int, limit: int
    ) -> Sequence[Bar]:
        """Return the bars that open from ``since_s`` to ``until_s``, inclusive: the newest, oldest first.

        Raises:
            ArchiveError: It cannot be read.
        """

    async def trades(
        self, key: InstrumentKey, since_ns: int, before_id: int, limit: int
    ) -> Sequence[ArchivedTrade]:
        """Return the newest trades since a moment with ids below ``before_id``, oldest first.

        Raises:
            ArchiveError: It cannot be read.
        """

    async def find_trades(
        self, key: InstrumentKey, wanted: TradesFilter, before_id: int
    ) -> tuple[int, Sequence[ArchivedTrade]]:
        """Return how many trades with ids below ``before_id`` match, and those that are wanted of them.

        Raises:
            ArchiveError: It cannot be read.
        """

    async def last_trade_id(self) -> int | None:
        """Return the largest id of all trades that were ever kept; None: there was none.

        Raises:
            ArchiveError: It cannot be read.
        """
