"""The broker and what hangs on it, for callers that wait. Each line names the method that it blocks on."""

from __future__ import annotations

import atexit
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import wraps
from types import TracebackType
from typing import ParamSpec

from tapewire.client import broker, events, order_groups, orders, portfolio
from tapewire.client.command_result import Resolution, Unknown
from tapewire.client.endpoints import Endpoints
from tapewire.client.errors import ClosedError
from tapewire.client.gap import GapLedger
from tapewire.client.pressure import Estimate
from tapewire.client.stream_status import StreamStatus
from tapewire.connect import Connecting as AsyncConnecting
from tapewire.connect import connect as async_connect
from tapewire.model import Exchange
from tapewire.sync.loop_thread import LoopThread
from tapewire.sync.wrapping import Blocking, called, looked, streamed

__all__ = ["Broker", "Connecting", "Events", "OrderGroups", "Orders", "Portfolio", "connect"]

P = ParamSpec("P")


class OrderGroups(Blocking[order_groups.OrderGroups]):
    """Binds orders together: ``broker.orders.groups``."""

    make = called(order_groups.OrderGroups.make)
    change = called(order_groups.OrderGroups.change)
    delete = called(order_groups.OrderGroups.delete)
    list = called(order_groups.OrderGroups.list)
    get = called(order_groups.OrderGroups.get)


class Orders(Blocking[orders.Orders]):
    """Places, replaces and cancels orders: ``broker.orders``. Results as of :class:`tapewire.Orders`."""

    open = called(orders.Orders.open)
    limit = called(orders.Orders.limit)
    market = called(orders.Orders.market)
    stop = called(orders.Orders.stop)
    stop_limit = called(orders.Orders.stop_limit)
    replace = called(orders.Orders.replace)
    cancel = called(orders.Orders.cancel)
    cancel_all = called(orders.Orders.cancel_all)
    list = called(orders.Orders.list)

    @property
    def groups(self) -> OrderGroups:
        """Orders bound together."""
        return OrderGroups(self._inner.groups, self._loop)

    def resolve(self, unknown: Unknown) -> Resolution:
        """Find out what became of a command, as ``Unknown.resolve`` does."""
        return self._loop.call(unknown.resolve())


class Portfolio(Blocking[portfolio.Portfolio]):
    """One portfolio on one exchange: ``broker.portfolio(name)``."""

    orders = called(portfolio.Portfolio.orders)
    stop_orders = called(portfolio.Portfolio.stop_orders)
    fills = called(portfolio.Portfolio.fills)
    positions = called(portfolio.Portfolio.positions)
    summary = called(portfolio.Portfolio.summary)
    risk = called(portfolio.Portfolio.risk)
    derivatives_risk = called(portfolio.Portfolio.derivatives_risk)
    watch_orders = streamed(portfolio.Portfolio.watch_orders)
    watch_stop_orders = streamed(portfolio.Portfolio.watch_stop_orders)
    watch_legacy_stop_orders = streamed(portfolio.Portfolio.watch_legacy_stop_orders)
    watch_fills = streamed(portfolio.Portfolio.watch_fills)
    watch_positions = streamed(portfolio.Portfolio.watch_positions)
    watch_summary = streamed(portfolio.Portfolio.watch_summary)
    watch_risk = streamed(portfolio.Portfolio.watch_risk)
    watch_derivatives_risk = streamed(portfolio.Portfolio.watch_derivatives_risk)

    @property
    def name(self) -> str:
        """Its name."""
        return self._inner.name

    @property
    def exchange(self) -> Exchange:
        """Where it trades."""
        return self._inner.exchange

    def __repr__(self) -> str:
        return repr(self._inner)


class Events(Blocking[events.Events]):
    """What happens to connections and streams: ``for event in broker.events``, from then on."""

    @property
    def count(self) -> int:
        """Events since the start."""
        return self._inner.count

    @property
    def dropped(self) -> int:
        """Events that listeners have lost because they did not take them in time, all together."""
        return self._inner.dropped

    def __iter__(self) -> Iterator[events.Event]:
        async def listen() -> AsyncIterator[events.Event]:
            return aiter(self._inner)

        # At once, not with the first step: nothing between the two is missed.
        return self._steps(self._loop.call(listen()))

    def _steps(self, listener: AsyncIterator[events.Event]) -> Iterator[events.Event]:
        async def step() -> events.Event | None:
            return await anext(listener, None)

        with suppress(ClosedError):
            while (event := self._loop.call(step())) is not None:
                yield event


class Broker(Blocking[broker.Broker]):
    """A connected broker on a thread of its own. Made by :func:`tapewire.sync.connect`; any thread may use it."""

    def __init__(self, inner: broker.Broker, loop: LoopThread, connecting: AsyncConnecting) -> None:
        super().__init__(inner, loop)
        self._connecting = connecting
        #: Places, replaces and cancels orders.
        self.orders = Orders(inner.orders, loop)
        #: What happens to connections and streams.
        self.events = Events(inner.events, loop)
        # A notebook that is left without a word ends in order.
        atexit.register(self.close)

    book = streamed(broker.Broker.book)
    quotes = streamed(broker.Broker.quotes)
    trades = streamed(broker.Broker.trades)
    bars = streamed(broker.Broker.bars)
    instrument_changes = streamed(broker.Broker.instrument_changes)
    clusters = streamed(broker.Broker.clusters)
    history = called(broker.Broker.history)
    past_trades = called(broker.Broker.past_trades)
    instrument = called(broker.Broker.instrument)
    instruments = called(broker.Broker.instruments)
    time = called(broker.Broker.time)
    streams: looked[tuple[StreamStatus, ...]] = looked(broker.Broker.streams)
    pressure: looked[tuple[Estimate, ...]] = looked(broker.Broker.pressure)
    received: looked[int] = looked(broker.Broker.received)
    unclaimed: looked[int] = looked(broker.Broker.unclaimed)
    #: As it is now: it does not change while it is read.
    gaps: looked[GapLedger] = looked(broker.Broker.gaps, GapLedger.copy)

    def close(self) -> None:
        """End all streams and connections; returns when no thread, task and socket is left."""
        atexit.unregister(self.close)
        try:
            with suppress(ClosedError):  # it was closed before
                self._loop.call(self._connecting.__aexit__(None, None, None))
        finally:
            self._loop.stop()

    def portfolio(self, name: str | None = None, *, exchange: Exchange = Exchange.MOEX) -> Portfolio:
        """Return a portfolio; arguments and errors as of :meth:`tapewire.Broker.portfolio`."""
        return Portfolio(self._inner.portfolio(name, exchange=exchange), self._loop)

    def access_token(self) -> str:
        """Return the newest access token, for requests of your own. Keep it out of logs."""
        return self._inner.access_token()

    @property
    def endpoints(self) -> Endpoints:
        """Where the broker is."""
        return self._inner.endpoints

    @property
    def portfolios(self) -> tuple[str, ...]:
        """The portfolios that the token may touch."""
        return self._inner.portfolios


class Connecting:
    """A broker for the length of a block, ``with connect() as broker``, or until it is closed: ``open``."""

    def __init__(self, make: Callable[[], AsyncConnecting]) -> None:
        self._make = make
        self._broker: Broker | None = None

    def open(self) -> Broker:
        """Connect without a block, as in the cells of a notebook; ``broker.close()`` ends it."""
        connecting = self._make()
        loop = LoopThread("tapewire")
        try:
            return Broker(loop.call(connecting.__aenter__()), loop, connecting)
        except BaseException:
            loop.stop()
            raise

    def __enter__(self) -> Broker:
        if self._broker is not None:
            raise ClosedError("this connection is in use: call tapewire.sync.connect() once for each block")
        self._broker = self.open()
        return self._broker

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        broker, self._broker = self._broker, None
        if broker is not None:
            broker.close()


def _blocking(connect: Callable[P, AsyncConnecting]) -> Callable[P, Connecting]:
    @wraps(connect)
    def connecting(*args: P.args, **kwargs: P.kwargs) -> Connecting:
        return Connecting(lambda: connect(*args, **kwargs))

    return connecting


#: As :func:`tapewire.connect`, for programs without ``async``.
connect = _blocking(async_connect)
