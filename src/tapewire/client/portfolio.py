"""One portfolio as it is read: what it holds, is worth and has ordered, once over HTTP or live as streams."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, TypeVar

import msgspec

from tapewire.client.arguments import flag, refuse, word
from tapewire.client.buffer import BufferPolicy, Conflate, Fail
from tapewire.client.callback import Callbacks, calling
from tapewire.client.http_reader import HttpReader, path_of
from tapewire.client.subscription import Subscription
from tapewire.model import (
    DerivativesRisk,
    Exchange,
    Fill,
    LegacyStopOrder,
    Order,
    OrderStatus,
    Position,
    Record,
    Risk,
    StopOrder,
    Summary,
)
from tapewire.protocol.requests import (
    PortfolioRequest,
    SubscribeDerivativesRisk,
    SubscribeFills,
    SubscribeLegacyStopOrders,
    SubscribeOrders,
    SubscribePositions,
    SubscribeRequest,
    SubscribeRisk,
    SubscribeStopOrders,
    SubscribeSummary,
)
from tapewire.protocol.words import Format

__all__ = ["Portfolio", "StreamMaker"]

R = TypeVar("R", bound=Record)


class StreamMaker(Protocol):
    """Makes a stream, not opened yet."""

    def __call__(
        self, request: SubscribeRequest, record: type[R], policy: BufferPolicy, name: str
    ) -> Subscription[R]:
        """Return the stream of what a request asks for."""


class Portfolio:
    """One portfolio on one exchange. Made by ``broker.portfolio(name)``; costs nothing and asks nothing by itself.

    Money and prices are ``Decimal``. Reading raises ``ConnectError`` when the broker cannot be reached,
    ``RefusedError`` when it does not answer this (403: the token lacks the right), ``TokenRefusedError`` and
    ``TokenServiceError``. Streams are opened, iterated and closed as those of the market are; rows of the past
    come first and have ``existing`` set. Nothing of orders, fills and positions is lost: a consumer that falls
    100,000 rows behind gets ``BufferOverflowError``. Of states (summary, risks) the newest is kept. Streams are
    in Simple by default: they are thin, and the shorter formats lack some fields.
    """

    def __init__(
        self,
        name: str,
        exchange: Exchange,
        reader: HttpReader,
        make_stream: StreamMaker,
        callbacks: Callbacks,
    ) -> None:
        self.name = name
        self.exchange = exchange
        self._reader = reader
        self._make_stream = make_stream
        #: Functions that are called with the records of streams.
        self.callbacks = callbacks

    def __repr__(self) -> str:
        return f"<Portfolio {self.name} on {self.exchange}>"

    # --- read once --------------------------------------------------------------------------------------

    async def orders(self) -> list[Order]:
        """Return the direct orders of the running session, those that have ended too."""
        return await self._reader.rows(Order, self._path("orders"))

    async def stop_orders(self) -> list[StopOrder]:
        """Return the conditional orders of the running session, those that have ended too."""
        return await self._reader.rows(StopOrder, self._path("stoporders"))

    async def fills(self) -> list[Fill]:
        """Return the executions of the running session."""
        return await self._reader.rows(Fill, self._path("trades"))

    async def positions(self) -> list[Position]:
        """Return what is held, a row for each instrument and for each currency (``is_currency``).

        A position that was closed today stays as a row with zero quantities.
        """
        return await self._reader.rows(Position, self._path("positions"))

    async def summary(self) -> Summary:
        """Return what the portfolio is worth and can buy."""
        return await self._reader.row(Summary, self._path("summary"))

    async def risk(self) -> Risk:
        """Return the margins of the portfolio."""
        return await self._reader.row(Risk, self._path("risk"))

    async def derivatives_risk(self) -> DerivativesRisk:
        """Return money and margin of a derivatives portfolio (``75…``); others are refused with 404."""
        return await self._reader.row(DerivativesRisk, self._path("fortsrisk"))

    # --- live -------------------------------------------------------------------------------------------

    def watch_orders(
        self,
        *,
        statuses: Collection[OrderStatus | str] | None = None,
        skip_history: bool = False,
        format: Format = Format.SIMPLE,  # noqa: A002  (the word of the wire)
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Order]:
        """Return the stream of direct orders: each row is the whole order as a command or fill has left it.

        Slim and Heavy lack only duplicates (``quantity``, ``filled``).

        Args:
            statuses: Which orders of the past come first: ``["working"]``. None: all. What happens live always
                comes.
            skip_history: No orders of the past.
            format: Spelling on the wire.
            buffer: What happens when the consumer is slower than the stream.

        Raises:
            ArgumentError: There is no such status.
        """
        return self._stream(
            SubscribeOrders, Order, format, buffer or Fail(), "orders", skip_history, _statuses(statuses)
        )

    def watch_stop_orders(
        self,
        *,
        statuses: Collection[OrderStatus | str] | None = None,
        skip_history: bool = False,
        format: Format = Format.SIMPLE,  # noqa: A002  (the word of the wire)
        buffer: BufferPolicy | None = None,
    ) -> Subscription[StopOrder]:
        """Return the stream of conditional orders: each row is the whole order. Options as of orders."""
        return self._stream(
            SubscribeStopOrders,
            StopOrder,
            format,
            buffer or Fail(),
            "stop_orders",
            skip_history,
            _statuses(statuses),
        )

    def watch_legacy_stop_orders(
        self,
        *,
        format: Format = Format.SIMPLE,  # noqa: A002  (the word of the wire)
        buffer: BufferPolicy | None = None,
    ) -> Subscription[LegacyStopOrder]:
        """Return the stream of conditional orders as the broker had it before, deprecated by it.

        For programs that move from it; :meth:`watch_stop_orders` tells more. All formats hold the same.
        """
        return self._stream(
            SubscribeLegacyStopOrders, LegacyStopOrder, format, buffer or Fail(), "legacy_stop_orders"
        )

    def watch_fills(
        self,
        *,
        skip_history: bool = False,
        format: Format = Format.SIMPLE,  # noqa: A002  (the word of the wire)
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Fill]:
        """Return the stream of executions, each once.

        Heavy alone has ``short_name``, ``currency`` and ``settles_at``; Slim lacks also ``quantity``, a duplicate.
        """
        return self._stream(SubscribeFills, Fill, format, buffer or Fail(), "fills", skip_history)

    def watch_positions(
        self,
        *,
        skip_history: bool = False,
        format: Format = Format.SIMPLE,  # noqa: A002  (the word of the wire)
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Position]:
        """Return the stream of positions: a whole row whenever lots or money of it have changed.

        Brokers need not send a row when only prices have moved. Slim counts in units only and lacks all lots;
        Heavy lacks duplicates. Rows have no time: after a cut ``skip_history`` brings those as well that were
        left out at first.
        """
        return self._stream(SubscribePositions, Position, format, buffer or Fail(), "positions", skip_history)

    def watch_summary(
        self,
        *,
        skip_history: bool = False,
        format: Format = Format.SIMPLE,  # noqa: A002  (the word of the wire)
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Summary]:
        """Return the stream of what the portfolio is worth and can buy. All formats hold the same."""
        return self._stream(SubscribeSummary, Summary, format, buffer or Conflate(), "summary", skip_history)

    def watch_risk(
        self,
        *,
        skip_history: bool = False,
        format: Format = Format.SIMPLE,  # noqa: A002  (the word of the wire)
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Risk]:
        """Return the stream of margins. All formats hold the same."""
        return self._stream(SubscribeRisk, Risk, format, buffer or Conflate(), "risk", skip_history)

    def watch_derivatives_risk(
        self,
        *,
        skip_history: bool = False,
        format: Format = Format.SIMPLE,  # noqa: A002  (the word of the wire)
        buffer: BufferPolicy | None = None,
    ) -> Subscription[DerivativesRisk]:
        """Return the stream of money and margin on derivatives; only ``75…`` portfolios have one.

        Slim lacks ``balance_money`` and ``margin``, Heavy the first.
        """
        return self._stream(
            SubscribeDerivativesRisk,
            DerivativesRisk,
            format,
            buffer or Conflate(),
            "derivatives_risk",
            skip_history,
        )

    # --- called with every record: ``@portfolio.on_orders()`` ---------------------------------------------

    on_orders = calling(watch_orders)
    on_stop_orders = calling(watch_stop_orders)
    on_legacy_stop_orders = calling(watch_legacy_stop_orders)
    on_fills = calling(watch_fills)
    on_positions = calling(watch_positions)
    on_summary = calling(watch_summary)
    on_risk = calling(watch_risk)
    on_derivatives_risk = calling(watch_derivatives_risk)

    def _stream(
        self,
        request: type[PortfolioRequest],
        record: type[R],
        form: Format,
        policy: BufferPolicy,
        name: str,
        skip_history: bool = False,
        statuses: tuple[OrderStatus, ...] = (),
    ) -> Subscription[R]:
        asked = request(guid="", exchange=self.exchange, portfolio=self.name, format=word("format", Format, form))
        if flag("skip_history", skip_history):
            asked = msgspec.structs.replace(asked, skip_history=True)
        if statuses:
            asked = msgspec.structs.replace(asked, order_statuses=statuses)
        return self._make_stream(asked, record, policy, f"{name}:{self.name}")

    def _path(self, *parts: str) -> str:
        return path_of("md", "v2", "Clients", self.exchange, self.name, *parts)


def _statuses(chosen: Collection[OrderStatus | str] | None) -> tuple[OrderStatus, ...]:
    """Return statuses that exist; empty: all.

    Raises:
        ArgumentError: They are none, or one of them does not exist.
    """
    if chosen is None:
        return ()
    if isinstance(chosen, str):
        chosen = [chosen]
    if not isinstance(chosen, Collection) or not chosen:
        raise refuse("statuses", chosen, f"a list with some of {', '.join(OrderStatus)}")
    return tuple(word("status of orders", OrderStatus, status) for status in chosen)
