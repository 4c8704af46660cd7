"""A whole trading system and its clients in one process, on virtual time, over the in-memory network."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from tapewire.client.broker import Broker
from tapewire.client.endpoints import Endpoints
from tapewire.client.tokens import TokenKeeper
from tapewire.connect import assembled
from tapewire.faults import FaultInjector, Faults
from tapewire.gateway.gateway import Gateway
from tapewire.gateway.outbox import OutboxMode
from tapewire.gateway.tokens import TokenAuthority, User, hash_refresh_token, new_signing_key
from tapewire.market.catalogue import catalogue
from tapewire.market.market import Market
from tapewire.market.trading_hours import AROUND_THE_CLOCK, TradingHours
from tapewire.simulation.http import SimulatedHttp
from tapewire.simulation.link import LinkConditions
from tapewire.simulation.loop import VirtualClock
from tapewire.simulation.network import Network
from tapewire.venues.demo_accounts import DEMO_ACCOUNTS
from tapewire.venues.embedded import EmbeddedVenue

__all__ = ["SimulatedSystem"]

HOST_PORT = "tapewire.test:80"
#: Streams of whose callbacks the first failure is kept.
FAILURES_KEPT_MAX = 100
REFRESH_TOKEN = "simulated"  # noqa: S105  (good for nothing outside the simulation)


class SimulatedSystem:
    """The embedded venue behind the gateway, reached over simulated links.

    Use it on a virtual loop: ``async with SimulatedSystem(seed=7) as system, system.connect() as broker``. The
    same seed and the same calls give the same run. ``network`` and ``http`` carry the faults.

    Args:
        seed: Decides the market, the guids and the jitter of the links.
        symbols: How many instruments are traded.
        events_per_second: Of the market's participants.
        conditions: Of the links between clients and system.
        mode: How the gateway counts state records.
        faults: What goes wrong on command; ``injector.plan.struck`` counts it.
        safety: Whether orders may be guarded, as with ``--safety``.
        hours: When instruments are traded; ``run_virtual(start=…)`` says when the run begins.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        symbols: int = 6,
        events_per_second: int = 200,
        conditions: LinkConditions | None = None,
        mode: OutboxMode = OutboxMode.CONFLATE,
        faults: Faults | None = None,
        safety: bool = False,
        hours: TradingHours = AROUND_THE_CLOCK,
    ) -> None:
        self.clock = VirtualClock()
        self.network = Network(seed=seed, conditions=conditions)
        self.http = SimulatedHttp()
        self.venue = EmbeddedVenue(
            Market(catalogue(symbols), seed=seed, events_per_second=events_per_second),
            clock=self.clock,
            accounts=DEMO_ACCOUNTS,
            hours=hours,
        )
        user = User(
            login="P070001",
            client_id="123456",
            agreement="70001",
            portfolios=tuple(account.name for account in DEMO_ACCOUNTS),
            refresh_token_hashes=(hash_refresh_token(REFRESH_TOKEN),),
        )
        # Signatures differ from run to run (the algorithm draws at random); nothing that a client sees does.
        self.tokens = TokenAuthority(new_signing_key(), [user], self.clock)
        self.gateway = Gateway(
            self.venue, self.venue, self.tokens, self.clock, commands=self.venue, mode=mode, safety=safety
        )
        self.injector = FaultInjector(faults, self.clock) if faults is not None else None
        #: What functions have raised that were called with records (``on_trades`` …), with their streams: the
        #: first of each, of ``FAILURES_KEPT_MAX`` streams.
        self.callback_failures: dict[str, BaseException] = {}
        self._random = random.Random(seed)
        self._trading: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Broker]:
        """Connect a client for the length of a block, as :func:`tapewire.connect` does."""
        where = Endpoints.from_base(f"http://{HOST_PORT}")
        rng = random.Random(self._random.getrandbits(64))
        tokens = TokenKeeper(self.http, where.oauth, REFRESH_TOKEN, rng)
        broker = assembled(where, self.network.connector(), tokens, _Shared(self.http), rng, self.clock)
        broker.callbacks.on_failure = self._callback_failed
        try:
            await broker.start()
            yield broker
        finally:
            await broker.close()

    def _callback_failed(self, stream: str, error: BaseException) -> None:
        if len(self.callback_failures) < FAILURES_KEPT_MAX:
            self.callback_failures.setdefault(stream, error)

    async def __aenter__(self) -> Self:
        injector = self.injector
        self.network.listen(HOST_PORT, injector.acceptor(self.gateway.accept) if injector else self.gateway.accept)
        self.http.listen(HOST_PORT, injector.application(self.gateway.http) if injector else self.gateway.http)
        self._trading = asyncio.create_task(self.venue.run(), name="embedded venue")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.gateway.close()
        assert self._trading is not None
        self._trading.cancel()
        await asyncio.wait([self._trading])
        if not self._trading.cancelled() and error is None:
            self._trading.result()


class _Shared:
    """The system's HTTP client as one broker holds it: closing it leaves it to the others."""

    def __init__(self, http: SimulatedHttp) -> None:
        self.request = http.request

    async def close(self) -> None:
        """Leave the client as it is."""
