"""Requests of the data socket: a class an opcode, and the table that ties opcode, record and stream together.

Source: reference of subscriptions, sections 4 and 7. Adding a stream is one class and one row of ``STREAMS``.
"""

from __future__ import annotations

from typing import NamedTuple

from tapewire.model import (
    UNSET,
    Bar,
    Book,
    Cluster,
    DerivativesRisk,
    Exchange,
    Fill,
    InstrumentUpdate,
    LegacyStopOrder,
    Maybe,
    Order,
    OrderStatus,
    Position,
    Quote,
    Record,
    Risk,
    StopOrder,
    Summary,
    Topic,
    TopicKind,
    Trade,
)
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.limits import (
    BOOK_DEPTH_DEFAULT,
    BOOK_DEPTH_MAX,
    FREQUENCY_DEFAULT_MS,
    INTERVAL_SECONDS_MAX,
    TRADES_HISTORY_MAX,
    UNIX_SECONDS_MAX,
    effective_frequency_ms,
)
from tapewire.protocol.reading import Envelope, WireRequest, camel, read_fields, write_request
from tapewire.protocol.words import Format, SliceMode

__all__ = [
    "STREAMS",
    "DataRequest",
    "InstrumentRequest",
    "Ping",
    "PortfolioRequest",
    "Stream",
    "SubscribeBars",
    "SubscribeBook",
    "SubscribeClusters",
    "SubscribeDerivativesRisk",
    "SubscribeFills",
    "SubscribeInstrument",
    "SubscribeLegacyStopOrders",
    "SubscribeOrders",
    "SubscribePositions",
    "SubscribeQuotes",
    "SubscribeRequest",
    "SubscribeRisk",
    "SubscribeStopOrders",
    "SubscribeSummary",
    "SubscribeTrades",
    "Unsubscribe",
    "interval_seconds",
    "read_request",
    "request_bytes",
    "stream_of",
    "topic_of",
    "window_ms",
]

#: Timeframes that have a letter. A month is 30 days and a year 365, as the broker has them.
_INTERVALS = {"D": 86_400, "W": 604_800, "M": 2_592_000, "Y": 31_536_000}


def interval_seconds(timeframe: str | int) -> int | None:
    """Return the seconds of a timeframe: seconds as text or number, or D, W, M, Y; None if it is none."""
    if isinstance(timeframe, str):
        lettered = _INTERVALS.get(timeframe.strip().upper())
        if lettered is not None:
            return lettered
        if not (timeframe.isascii() and timeframe.isdigit() and len(timeframe) < 12):
            return None
        timeframe = int(timeframe)
    return timeframe if 1 <= timeframe <= INTERVAL_SECONDS_MAX else None


class Unsubscribe(WireRequest, frozen=True, kw_only=True):
    """Cancel the subscription that has this guid."""

    token: str = ""


class Ping(WireRequest, frozen=True, kw_only=True):
    """Ask for an answer, to see that the other end lives. Works without a token."""

    token: Maybe[str | None] = UNSET
    confirm: Maybe[bool | None] = UNSET


class SubscribeRequest(WireRequest, frozen=True, kw_only=True):
    """What all subscriptions have."""

    exchange: Exchange
    format: Format = Format.SIMPLE
    token: str = ""


class InstrumentRequest(SubscribeRequest, frozen=True, kw_only=True):
    """What subscriptions to an instrument have."""

    code: str
    instrument_group: Maybe[str | None] = UNSET

    @property
    def board(self) -> str:
        """The board that was asked for; empty: the primary one (absent, null and empty mean the same)."""
        return self.instrument_group or ""


class SubscribeBook(InstrumentRequest, frozen=True, kw_only=True):
    #: Levels a side.
    depth: int = BOOK_DEPTH_DEFAULT
    #: Width of the window, ms.
    frequency: int = FREQUENCY_DEFAULT_MS

    def problem(self) -> str | None:
        if not 1 <= self.depth <= BOOK_DEPTH_MAX:
            return "Invalid or unsupported depth"
        return "Invalid or unsupported frequency" if self.frequency < 0 else None


class SubscribeQuotes(InstrumentRequest, frozen=True, kw_only=True):
    #: Width of the window, ms.
    frequency: int = FREQUENCY_DEFAULT_MS

    def problem(self) -> str | None:
        return "Invalid or unsupported frequency" if self.frequency < 0 else None


def _bars_spelling(name: str) -> str:
    return {"timeframe": "tf", "since_s": "from"}.get(name, camel(name))


class SubscribeBars(InstrumentRequest, frozen=True, kw_only=True, rename=_bars_spelling):
    #: Seconds as text or number, or one of D, W, M, Y.
    timeframe: str | int
    #: Opening time of the first bar wanted, Unix s UTC.
    since_s: int
    skip_history: bool = False
    split_adjust: bool = True
    slice_mode: Maybe[SliceMode | None] = UNSET
    #: Width of the window, ms.
    frequency: int = FREQUENCY_DEFAULT_MS

    def problem(self) -> str | None:
        if interval_seconds(self.timeframe) is None:
            return "Invalid or unsupported tf"
        if not 0 <= self.since_s <= UNIX_SECONDS_MAX:
            return "Invalid or unsupported from"
        return "Invalid or unsupported frequency" if self.frequency < 0 else None


class SubscribeClusters(InstrumentRequest, frozen=True, kw_only=True, rename=_bars_spelling):
    """Undocumented; sent by the broker's terminal."""

    timeframe: str | int
    since_s: int

    def problem(self) -> str | None:
        if interval_seconds(self.timeframe) is None:
            return "Invalid or unsupported tf"
        return None if 0 <= self.since_s <= UNIX_SECONDS_MAX else "Invalid or unsupported from"


class SubscribeInstrument(InstrumentRequest, frozen=True, kw_only=True):
    pass


class SubscribeTrades(InstrumentRequest, frozen=True, kw_only=True):
    #: Past trades to send first.
    depth: int = 0
    include_virtual_trades: bool = False

    def problem(self) -> str | None:
        return None if 0 <= self.depth <= TRADES_HISTORY_MAX else "Invalid or unsupported depth"


class PortfolioRequest(SubscribeRequest, frozen=True, kw_only=True):
    """What subscriptions to a portfolio have."""

    portfolio: str


class _WithHistory(PortfolioRequest, frozen=True, kw_only=True):
    #: True: no snapshot and no history, only what happens from now on.
    skip_history: bool = False


class SubscribePositions(_WithHistory, frozen=True, kw_only=True):
    pass


class SubscribeSummary(_WithHistory, frozen=True, kw_only=True):
    pass


class SubscribeRisk(_WithHistory, frozen=True, kw_only=True):
    pass


class SubscribeDerivativesRisk(_WithHistory, frozen=True, kw_only=True):
    pass


class SubscribeFills(_WithHistory, frozen=True, kw_only=True):
    pass


class SubscribeOrders(_WithHistory, frozen=True, kw_only=True):
    #: Which orders the history holds; live events are never filtered. None: all.
    order_statuses: Maybe[tuple[OrderStatus, ...] | None] = UNSET


class SubscribeStopOrders(_WithHistory, frozen=True, kw_only=True):
    #: Which orders the history holds; live events are never filtered. None: all.
    order_statuses: Maybe[tuple[OrderStatus, ...] | None] = UNSET


class SubscribeLegacyStopOrders(PortfolioRequest, frozen=True, kw_only=True):
    """Deprecated by the broker, still sent by clients."""


DataRequest = SubscribeRequest | Unsubscribe | Ping


class Stream(NamedTuple):
    """One kind of subscription."""

    kind: TopicKind
    opcode: str
    request: type[SubscribeRequest]
    record: type[Record]
    #: Other opcodes for the same stream.
    aliases: tuple[str, ...] = ()


STREAMS = {
    stream.kind: stream
    for stream in (
        Stream(TopicKind.BOOK, "OrderBookGetAndSubscribe", SubscribeBook, Book),
        Stream(TopicKind.BAR, "BarsGetAndSubscribe", SubscribeBars, Bar),
        Stream(TopicKind.QUOTE, "QuotesSubscribe", SubscribeQuotes, Quote),
        Stream(TopicKind.INSTRUMENT, "InstrumentsGetAndSubscribeV2", SubscribeInstrument, InstrumentUpdate),
        Stream(TopicKind.TRADES, "AllTradesGetAndSubscribe", SubscribeTrades, Trade, ("AllTradesSubscribe",)),
        Stream(TopicKind.CLUSTER, "ClustersGetAndSubscribe", SubscribeClusters, Cluster),
        Stream(TopicKind.POSITIONS, "PositionsGetAndSubscribeV2", SubscribePositions, Position),
        Stream(TopicKind.SUMMARY, "SummariesGetAndSubscribeV2", SubscribeSummary, Summary),
        Stream(TopicKind.RISK, "RisksGetAndSubscribe", SubscribeRisk, Risk),
        Stream(
            TopicKind.DERIVATIVES_RISK,
            "SpectraRisksGetAndSubscribe",
            SubscribeDerivativesRisk,
            DerivativesRisk,
        ),
        Stream(TopicKind.FILLS, "TradesGetAndSubscribeV2", SubscribeFills, Fill),
        Stream(TopicKind.ORDERS, "OrdersGetAndSubscribeV2", SubscribeOrders, Order),
        Stream(TopicKind.STOP_ORDERS, "StopOrdersGetAndSubscribeV2", SubscribeStopOrders, StopOrder),
        Stream(
            TopicKind.LEGACY_STOP_ORDERS,
            "StopOrdersGetAndSubscribe",
            SubscribeLegacyStopOrders,
            LegacyStopOrder,
        ),
    )
}

_BY_OPCODE: dict[str, tuple[str, type[DataRequest]]] = {
    "unsubscribe": ("unsubscribe", Unsubscribe),
    "ping": ("ping", Ping),
}
_BY_OPCODE.update(
    (name.casefold(), (stream.opcode, stream.request))
    for stream in STREAMS.values()
    for name in (stream.opcode, *stream.aliases)
)
_OPCODE_OF = {request: opcode for opcode, request in _BY_OPCODE.values()}
_STREAM_OF = {stream.request: stream for stream in STREAMS.values()}


def read_request(envelope: Envelope, message: bytes) -> DataRequest:
    """Read the request that an envelope announces.

    Raises:
        BadRequestError: Unknown opcode, or a field that is missing or has a value it cannot have.
    """
    known = _BY_OPCODE.get(envelope.opcode.casefold())
    if known is None:
        raise BadRequestError(envelope.guid, ResultCode.BAD_REQUEST, f"Unknown opcode {envelope.opcode[:64]}")
    return read_fields(known[1], envelope, message)


def request_bytes(request: DataRequest) -> bytes:
    """Write a request as the broker reads it."""
    return write_request(_OPCODE_OF[type(request)], request)


def stream_of(request: SubscribeRequest) -> Stream:
    """Return the kind of subscription that a request asks for."""
    return _STREAM_OF[type(request)]


def topic_of(request: SubscribeRequest, board: str = "") -> Topic:
    """Return the stream a request names; ``board`` is the one that the request's own resolves to."""
    kind = stream_of(request).kind
    if isinstance(request, InstrumentRequest):
        seconds = 0
        if isinstance(request, SubscribeBars | SubscribeClusters):
            seconds = interval_seconds(request.timeframe) or 0
        return Topic(kind, request.exchange, request.code, board or request.board, seconds)
    assert isinstance(request, PortfolioRequest)
    return Topic(kind, request.exchange, request.portfolio)


def window_ms(request: SubscribeRequest) -> int:
    """Return the width of the request's window; 0 for streams in which every event is sent."""
    if isinstance(request, SubscribeBook | SubscribeQuotes | SubscribeBars):
        return effective_frequency_ms(request.frequency, request.format)
    if stream_of(request).kind.is_state:
        # States that have no frequency of their own are sent at the default one.
        return effective_frequency_ms(FREQUENCY_DEFAULT_MS, request.format)
    return 0
