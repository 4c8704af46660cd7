"""One portfolio as it is read: what it holds, is worth and has ordered, once over HTTP or live as streams."""

from __future__ import annotations

from typing import Protocol, TypeVar

from tapewire.client.buffer import BufferPolicy, Conflate, Fail
from tapewire.client.http_reader import HttpReader, path_of
from tapewire.client.subscription import Subscription
from tapewire.model import (
    DerivativesRisk,
    Exchange,
    Fill,
    Order,
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
    100,000 rows behind gets ``BufferOverflowError``. Of states (summary, risks) the newest is kept.
    """

    def __init__(self, name: str, exchange: Exchange, reader: HttpReader, make_stream: StreamMaker) -> None:
        self.name = name
        self.exchange = exchange
        self._reader = reader
        self._make_stream = make_stream

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

    def watch_orders(self, *, buffer: BufferPolicy | None = None) -> Subscription[Order]:
        """Return the stream of direct orders: each row is the whole order as a command or fill has left it."""
        return self._stream(SubscribeOrders, Order, buffer or Fail(), "orders")

    def watch_stop_orders(self, *, buffer: BufferPolicy | None = None) -> Subscription[StopOrder]:
        """Return the stream of conditional orders: each row is the whole order."""
        return self._stream(SubscribeStopOrders, StopOrder, buffer or Fail(), "stop_orders")

    def watch_fills(self, *, buffer: BufferPolicy | None = None) -> Subscription[Fill]:
        """Return the stream of executions, each once."""
        return self._stream(SubscribeFills, Fill, buffer or Fail(), "fills")

    def watch_positions(self, *, buffer: BufferPolicy | None = None) -> Subscription[Position]:
        """Return the stream of positions: a whole row whenever lots or money of it have changed.

        Brokers need not send a row when only prices have moved.
        """
        return self._stream(SubscribePositions, Position, buffer or Fail(), "positions")

    def watch_summary(self, *, buffer: BufferPolicy | None = None) -> Subscription[Summary]:
        """Return the stream of what the portfolio is worth and can buy."""
        return self._stream(SubscribeSummary, Summary, buffer or Conflate(), "summary")

    def watch_risk(self, *, buffer: BufferPolicy | None = None) -> Subscription[Risk]:
        """Return the stream of margins."""
        return self._stream(SubscribeRisk, Risk, buffer or Conflate(), "risk")

    def watch_derivatives_risk(self, *, buffer: BufferPolicy | None = None) -> Subscription[DerivativesRisk]:
        """Return the stream of money and margin on derivatives; only ``75…`` portfolios have one."""
        return self._stream(SubscribeDerivativesRisk, DerivativesRisk, buffer or Conflate(), "derivatives_risk")

    def _stream(
        self, request: type[PortfolioRequest], record: type[R], policy: BufferPolicy, name: str
    ) -> Subscription[R]:
        # Simple lacks nothing, and these streams are thin.
        asked = request(guid="", exchange=self.exchange, portfolio=self.name, format=Format.SIMPLE)
        return self._make_stream(asked, record, policy, f"{name}:{self.name}")

    def _path(self, *parts: str) -> str:
        return path_of("md", "v2", "Clients", self.exchange, self.name, *parts)
