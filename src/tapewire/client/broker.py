"""The caller's API: streams by name, the rest as plain calls."""

from __future__ import annotations

import contextlib
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TypeVar

from tapewire.client.buffer import BufferPolicy, Conflate, Fail
from tapewire.client.endpoints import Endpoints
from tapewire.client.errors import ConnectError, LimitError
from tapewire.client.events import Events
from tapewire.client.fleet import Fleet
from tapewire.client.gap import GapLedger
from tapewire.client.http_commands import HttpCommands
from tapewire.client.http_reader import HttpReader
from tapewire.client.order_entry import OrderEntry
from tapewire.client.orders import Orders
from tapewire.client.portfolio import Portfolio
from tapewire.client.portfolio_choice import PortfolioChoice
from tapewire.client.pressure import Estimate
from tapewire.client.subscription import Subscription
from tapewire.client.tokens import TokenKeeper
from tapewire.model import Book, Exchange, Quote, Record, Trade
from tapewire.ports.network import ConnectError as TransportError
from tapewire.ports.network import HttpClient
from tapewire.protocol.formats import codec
from tapewire.protocol.limits import BOOK_DEPTH_DEFAULT, BOOK_DEPTH_MAX, FREQUENCY_DEFAULT_MS, TRADES_HISTORY_MAX
from tapewire.protocol.requests import SubscribeBook, SubscribeQuotes, SubscribeRequest, SubscribeTrades
from tapewire.protocol.words import Format

__all__ = ["Broker"]

R = TypeVar("R", bound=Record)

HTTP_TIMEOUT_S = 10.0


class Broker:
    """A connected broker. Made by :func:`tapewire.connect`, which also closes it."""

    def __init__(
        self,
        endpoints: Endpoints,
        fleet: Fleet,
        entry: OrderEntry,
        events: Events,
        tokens: TokenKeeper,
        http: HttpClient,
    ) -> None:
        self.endpoints = endpoints
        self._fleet = fleet
        self._entry = entry
        #: What happens to connections and streams: ``async for event in broker.events``.
        self.events = events
        self._tokens = tokens
        self._http = http
        self._reader = HttpReader(endpoints.http, tokens, http)
        self._choice = PortfolioChoice(tokens, self._reader)
        #: Places, replaces and cancels orders.
        self.orders = Orders(entry, HttpCommands(self._reader), self._choice, self._portfolio)

    async def start(self) -> None:
        """Get a token and open the connection.

        Raises:
            TokenRefusedError: The refresh token is not good.
            TokenServiceError: The token service gave no usable answer.
            ConnectError: The data socket cannot be opened.
        """
        await self._tokens.start()
        await self._fleet.start()

    async def close(self) -> None:
        """End all streams and connections; returns when no task and no socket is left."""
        async with AsyncExitStack() as stack:
            # The last first, and each whatever the others do.
            stack.callback(self.events.close)
            stack.push_async_callback(self._http.close)
            stack.push_async_callback(self._tokens.close)
            stack.push_async_callback(self._fleet.close)
            stack.push_async_callback(self._entry.close)

    @property
    def gaps(self) -> GapLedger:
        """What streams may have missed, and what became of it."""
        return self._fleet.gaps

    @property
    def pressure(self) -> tuple[Estimate, ...]:
        """How late messages are on each connection of streams, and how many wait at the broker by estimate."""
        return tuple(link.pressure.estimate for link in self._fleet.links)

    @property
    def portfolios(self) -> tuple[str, ...]:
        """The portfolios that the token may touch."""
        return self._tokens.claims.portfolio_list

    @property
    def received(self) -> int:
        """Messages that have come in since the start, over all connections."""
        return self._fleet.received

    @property
    def unclaimed(self) -> int:
        """Messages that belonged to no stream: late data of cancelled ones, late answers."""
        return self._fleet.unclaimed

    def access_token(self) -> str:
        """Return the newest access token, for requests of your own. Keep it out of logs.

        Raises:
            TokenRefusedError: The refresh token has ceased to be good.
        """
        return self._tokens.current()

    def portfolio(self, name: str | None = None, *, exchange: Exchange = Exchange.MOEX) -> Portfolio:
        """Return a portfolio: positions, summary, risks, orders and fills, once or as streams.

        Args:
            name: None: the only one of the token.
            exchange: Where it trades; ``UNITED`` for united portfolios (``E…``).

        Raises:
            ConfigurationError: None is named, and the token has none or several.
        """
        return self._portfolio(self._choice.only(name), Exchange(exchange))

    # --- streams ----------------------------------------------------------------------------------------

    def book(
        self,
        symbol: str,
        *,
        depth: int = BOOK_DEPTH_DEFAULT,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        frequency_ms: int = FREQUENCY_DEFAULT_MS,
        format: Format = Format.SLIM,  # noqa: A002  (the word of the wire)
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Book]:
        """Return the stream of an instrument's order book: at once its state, then each change.

        Every record is the complete book. Several changes within one window of ``frequency_ms`` arrive as one;
        so do, by default, books that a slow consumer did not take in time (``Conflate``).

        Args:
            symbol: Ticker.
            depth: Levels a side, 1..50.
            exchange: Where the instrument is listed.
            board: Board code; empty: the primary board.
            frequency_ms: Width of the window; below the floor of the format the floor is used.
            format: Spelling on the wire. Slim is the shortest and lacks nothing but deprecated fields.
            buffer: What happens when the consumer is slower than the stream.

        Raises:
            LimitError: ``depth`` is outside 1..50.
        """
        _within("depth of a book", depth, 1, BOOK_DEPTH_MAX)
        request = SubscribeBook(
            guid="",
            code=symbol,
            exchange=exchange,
            instrument_group=board or None,
            depth=depth,
            frequency=max(frequency_ms, 0),
            format=Format(format),
        )
        return self._subscription(request, Book, buffer or Conflate(), f"book:{symbol}")

    def quotes(
        self,
        symbol: str,
        *,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        frequency_ms: int = FREQUENCY_DEFAULT_MS,
        format: Format = Format.SIMPLE,  # noqa: A002
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Quote]:
        """Return the stream of an instrument's quote: at once its state, then each change.

        Every record is complete. Conflation as in :meth:`book`. Slim lacks the previous close and the change.
        """
        request = SubscribeQuotes(
            guid="",
            code=symbol,
            exchange=exchange,
            instrument_group=board or None,
            frequency=max(frequency_ms, 0),
            format=Format(format),
        )
        return self._subscription(request, Quote, buffer or Conflate(), f"quotes:{symbol}")

    def trades(
        self,
        symbol: str,
        *,
        depth: int = 0,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        format: Format = Format.SLIM,  # noqa: A002
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Trade]:
        """Return an instrument's trade tape: the last ``depth`` trades, oldest first, then every new one.

        Nothing is conflated. By default nothing is lost either: a consumer that falls 100,000 trades behind gets
        ``BufferOverflowError`` (``Fail``). Past trades have ``existing`` set.

        Raises:
            LimitError: ``depth`` is outside 0..5,000.
        """
        _within("past trades", depth, 0, TRADES_HISTORY_MAX)
        request = SubscribeTrades(
            guid="",
            code=symbol,
            exchange=exchange,
            instrument_group=board or None,
            depth=depth,
            format=Format(format),
        )
        return self._subscription(request, Trade, buffer or Fail(), f"trades:{symbol}")

    # --- calls ------------------------------------------------------------------------------------------

    async def time(self) -> datetime:
        """Return the broker's clock, UTC, in whole seconds.

        Raises:
            ConnectError: The broker did not answer.
        """
        url = f"{self.endpoints.http}/md/v2/time"
        try:
            # Without a token the broker's clock is a quarter of an hour late.
            answer = await self._http.request(
                "GET",
                url,
                headers={"Authorization": f"Bearer {self._tokens.current()}"},
                timeout_s=HTTP_TIMEOUT_S,
            )
        except TransportError as error:
            raise ConnectError(url, error.reason) from error
        with contextlib.suppress(ValueError, OverflowError, OSError):
            if answer.status == 200:
                return datetime.fromtimestamp(int(answer.body), UTC)
        raise ConnectError(url, f"answered {answer.status} without a time")

    def _portfolio(self, name: str, exchange: Exchange) -> Portfolio:
        return Portfolio(name, exchange, self._reader, self._subscription)

    def _subscription(
        self, request: SubscribeRequest, record: type[R], policy: BufferPolicy, name: str
    ) -> Subscription[R]:
        if not request.format.known:
            raise LimitError("format", request.format, "Simple, Slim or Heavy")
        return Subscription(request, codec(record, request.format), policy, name, self._fleet)


def _within(what: str, asked: int, low: int, high: int) -> None:
    if not low <= asked <= high:
        raise LimitError(what, asked, f"{low}..{high}")
