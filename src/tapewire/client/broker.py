"""The caller's API: streams by name, the rest as plain calls."""

from __future__ import annotations

import logging
import warnings
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from urllib.parse import urlsplit

from tapewire.client.arguments import AHEAD_MAX_S, Since, board_of, exchange_of, moment_s, text
from tapewire.client.callback import Callbacks
from tapewire.client.endpoints import Endpoints
from tapewire.client.errors import ArgumentError, ConnectError, Fault
from tapewire.client.events import Events
from tapewire.client.fleet import Fleet
from tapewire.client.gap import GapLedger
from tapewire.client.http_commands import HttpCommands
from tapewire.client.http_gate import HttpGate
from tapewire.client.http_reader import HttpReader
from tapewire.client.instruments import Instruments
from tapewire.client.market_streams import MarketStreams
from tapewire.client.order_entry import OrderEntry
from tapewire.client.orders import Orders
from tapewire.client.portfolio import Portfolio
from tapewire.client.portfolio_choice import PortfolioChoice
from tapewire.client.pressure import Estimate
from tapewire.client.stream_status import StreamStatus
from tapewire.client.tokens import TokenKeeper
from tapewire.client.trade_history import TradeHistory
from tapewire.model import Exchange, Security, Trade

__all__ = ["Broker"]

log = logging.getLogger("tapewire.client")


class Broker(MarketStreams):
    """A connected broker. Made by :func:`tapewire.connect`, which also closes it."""

    def __init__(
        self,
        endpoints: Endpoints,
        fleet: Fleet,
        entry: OrderEntry,
        events: Events,
        tokens: TokenKeeper,
        http: HttpGate,
    ) -> None:
        super().__init__(fleet, Callbacks(events), fleet.past)
        self._is_open = False
        self.endpoints = endpoints
        self._fleet = fleet
        self._entry = entry
        #: What happens to connections and streams: ``async for event in broker.events``.
        self.events = events
        self._tokens = tokens
        self._http = http
        self._reader = HttpReader(endpoints.http, tokens, http)
        self._choice = PortfolioChoice(tokens, self._reader)
        self._instruments = Instruments(self._reader)
        self._past_trades = TradeHistory(self._reader)
        #: Places, replaces and cancels orders.
        self.orders = Orders(entry, HttpCommands(self._reader), self._choice, self._portfolio)

    def __repr__(self) -> str:
        # Without user and password, which an address of one's own may have.
        where = urlsplit(self.endpoints.http).netloc.rpartition("@")[2]
        if not self._is_open:
            return f"<Broker {where}, not connected>"
        streams, links, gaps = len(self.streams), len(self._fleet.links), len(self.gaps.open)
        return f"<Broker {where}: streams {streams}, connections {links}, open gaps {gaps}>"

    def __del__(self) -> None:
        # One that was not made to its end has nothing to close.
        if getattr(self, "_is_open", False):
            text = (
                f"{self!r} was not closed: leave its block, `async with tapewire.connect() as broker:`,"
                " or call `await broker.close()`"
            )
            warnings.warn(text, ResourceWarning, source=self, stacklevel=2)
            # Python shows that warning to developers only, and others complain of what the broker has left.
            log.error("%s", text)

    async def start(self) -> None:
        """Get a token and open the connection. Entering the block of :func:`tapewire.connect` does this.

        Raises:
            TokenRefusedError: The refresh token is not good.
            TokenServiceError: The token service gave no usable answer.
            ConnectError: The data socket cannot be opened.
            LimitError: The login has as many connections on this machine as it may have.
        """
        self._is_open = True
        await self._tokens.start()
        await self._fleet.start()

    async def close(self) -> None:
        """End all streams and connections; returns when no task and no socket is left."""
        self._is_open = False
        async with AsyncExitStack() as stack:
            # The last first, and each whatever the others do.
            stack.callback(self.events.close)
            stack.push_async_callback(self._http.close)
            stack.push_async_callback(self._tokens.close)
            stack.push_async_callback(self._fleet.close)
            stack.push_async_callback(self._entry.close)
            # What functions of the program still do with all that is there.
            stack.push_async_callback(self.callbacks.close)

    @property
    def gaps(self) -> GapLedger:
        """What streams may have missed, and what became of it."""
        return self._fleet.gaps

    @property
    def pressure(self) -> tuple[Estimate, ...]:
        """How late messages are on each connection of streams, and how many wait at the broker by estimate."""
        return tuple(link.pressure.estimate for link in self._fleet.links)

    @property
    def streams(self) -> tuple[StreamStatus, ...]:
        """How all streams are that are wanted now, in the order of their opening."""
        return self._fleet.streams

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
            ArgumentError: There is no such exchange, or the name is no text.
        """
        return self._portfolio(self._choice.only(name), exchange_of(exchange))

    # --- calls ------------------------------------------------------------------------------------------

    async def instrument(self, symbol: str, *, exchange: Exchange = Exchange.MOEX, board: str = "") -> Security:
        """Return an instrument as it is listed.

        ``lot_size`` has the units of a lot, ``tick_size`` is the price step; ``price_down``, ``price_up`` and
        ``price_nearest`` put a price on it, exactly. What was read is good for five minutes; of the newest state
        there is a stream, :meth:`instrument_changes`.

        Args:
            symbol: Ticker.
            exchange: Where it is listed.
            board: Board code; empty: the primary board.

        Raises:
            ArgumentError: An argument is what it cannot be.
            RefusedError: There is no such instrument (404), or the broker does not answer this.
            ConnectError: The broker cannot be reached.
            TokenRefusedError: The refresh token has ceased to be good.
            TokenServiceError: A new token was needed and could not be had.
        """
        return await self._instruments.one(symbol, exchange, board)

    async def instruments(
        self, query: str = "", *, exchange: Exchange | None = None, board: str = "", limit: int = 100
    ) -> list[Security]:
        """Return the instruments that match, on their primary boards, the most traded first.

        Args:
            query: Part of a ticker or of a name; empty: any.
            exchange: Of one exchange; None: of all.
            board: Of one board; empty: of all.
            limit: How many at most, 1..50,000.

        Raises:
            LimitError: ``limit`` is outside 1..50,000.
            RefusedError: And the others, as of :meth:`instrument`.
        """
        return await self._instruments.search(query, exchange, board, limit)

    async def past_trades(
        self,
        symbol: str,
        *,
        since: Since,
        until: Since | None = None,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
    ) -> list[Trade]:
        """Return all public trades from ``since`` to ``until``, both included, in whole seconds, oldest first.

        Those of the running session and of the sessions before it, over HTTP, in pages; at most 500,000. The
        tape from now on is a stream, :meth:`trades`.

        Args:
            symbol: Ticker.
            since: A moment with its zone, or how long ago.
            until: The same; None: now.
            exchange: Where it is listed.
            board: Board code; empty: the primary board.

        Raises:
            ArgumentError: ``since`` or ``until`` is no moment of the past, or the range is empty.
            LimitError: There are more; nothing of them is returned.
            RefusedError: And the others, as of :meth:`instrument`.
        """
        ticker = text("symbol", symbol, "the ticker of an instrument")
        where, on = exchange_of(exchange), board_of(board)
        now = self._owner.now()
        since_s = moment_s("since", since, now)
        # The broker's clock may be ahead.
        until_s = int(now.timestamp()) + AHEAD_MAX_S if until is None else moment_s("until", until, now)
        if until_s < since_s:
            raise ArgumentError(f"until: {until} is before since: {since}: nothing was sent")
        return await self._past_trades.fetch(ticker, where, on, since_s, until_s)

    async def time(self) -> datetime:
        """Return the broker's clock, UTC, in whole seconds.

        Raises:
            ConnectError: The broker did not answer, or this is no time.
            RefusedError: It does not answer this.
            TokenRefusedError: The refresh token has ceased to be good.
            TokenServiceError: A new token was needed and could not be had.
        """
        # Asked with the token: without one the broker's clock is a quarter of an hour late.
        said_s = await self._reader.time_s()
        try:
            return datetime.fromtimestamp(said_s, UTC)
        except (ValueError, OverflowError, OSError):
            raise ConnectError(f"{self.endpoints.http}/md/v2/time", f"{said_s} is no time", Fault.BROKER) from None

    def _portfolio(self, name: str, exchange: Exchange) -> Portfolio:
        return Portfolio(name, exchange, self._reader, self._subscription, self.callbacks)
