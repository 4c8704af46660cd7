"""The caller's API: streams by name, the rest as plain calls."""

from __future__ import annotations

import contextlib
import logging
import warnings
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from urllib.parse import urlsplit

from tapewire.client.arguments import exchange_of
from tapewire.client.callback import Callbacks
from tapewire.client.endpoints import Endpoints
from tapewire.client.errors import ConnectError
from tapewire.client.events import Events
from tapewire.client.fleet import Fleet
from tapewire.client.gap import GapLedger
from tapewire.client.http_commands import HttpCommands
from tapewire.client.http_gate import HttpGate
from tapewire.client.http_reader import HttpReader
from tapewire.client.market_streams import MarketStreams
from tapewire.client.order_entry import OrderEntry
from tapewire.client.orders import Orders
from tapewire.client.portfolio import Portfolio
from tapewire.client.portfolio_choice import PortfolioChoice
from tapewire.client.pressure import Estimate
from tapewire.client.stream_status import StreamStatus
from tapewire.client.tokens import TokenKeeper
from tapewire.model import Exchange
from tapewire.ports.network import ConnectError as TransportError

__all__ = ["Broker"]

log = logging.getLogger("tapewire.client")

HTTP_TIMEOUT_S = 10.0


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
        return Portfolio(name, exchange, self._reader, self._subscription, self.callbacks)
