"""The engines of ``matching``, each driven the way its own documentation does it.

========================  ==============================================================================
``book``                  ``OrderBook`` alone: an order is matched and the rest of it waits; numbers and a
                          look-up for cancellations are kept here, nothing is checked
``exchange``              ``Exchange`` without accounts: the rules of the instrument, events, order numbers
``accounts``              ``Exchange`` with ``Accounts``: every order is checked against the money or the lots of
                          its portfolio, blocked, settled with commission, registered with its whole life
``lightmatchingengine``   ``add_order`` and ``cancel_order``, which return the order and its trades: pure Python,
                          no accounts, no checks
``bourse``                ``set_time``, ``place_order`` and ``cancel_order`` of ``bourse.core.OrderBook``, in Rust:
                          keeps all orders and trades, no accounts; trades are asked for at the end. It loses
                          orders of one price and one time, so each operation has a time of its own
========================  ==============================================================================

Run as a module it measures one of them in a process of its own.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple, Protocol

import msgspec

from bench.matching_flow import ACCOUNTS, PREV_CLOSE_TICKS, Operation, flow, name_of, warm_up
from tapewire.adapters.collector import relax_collector
from tapewire.exchange import Accounts, AccountTerms, Cancel, Exchange, OrderAccepted, Place, Traded
from tapewire.exchange.book import OrderBook
from tapewire.exchange.order import RestingOrder
from tapewire.exchange.side import Fill
from tapewire.model import Exchange as Market
from tapewire.model import Instrument, InstrumentKind, Side
from tapewire.venues.marks import LastPrices

__all__ = ["ENGINES", "Matched", "Work"]

_BUY, _SELL = Side.BUY, Side.SELL
#: Nobody runs out of either: every order is paid in full or sells what is there.
CASH = Decimal(10_000_000_000)
LOTS_HELD = 1_000_000
#: Stamps operations; any time does.
BEGAN_NS = 1_747_000_000_000_000_000

INSTRUMENT = Instrument(
    symbol="SBER",
    exchange=Market.MOEX,
    board="TQBR",
    kind=InstrumentKind.SHARE,
    short_name="",
    description="",
    type_code="CS",
    currency="RUB",
    lot_size=1,
    tick_size=Decimal("0.01"),
    face_value=Decimal(1),
    prev_close_ticks=PREV_CLOSE_TICKS,
    price_band_ticks=(1, 2 * PREV_CLOSE_TICKS),
)


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure."""

    engine: str
    resting_orders: int
    operations: int


class Matched(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine did of the operations after the warm-up, and how long it took."""

    operations: int
    trades: int
    #: Hash of who traded with whom, at what price and how much, in order.
    digest: str
    cpu_seconds: float

    @property
    def per_cpu_second(self) -> float:
        return self.operations / self.cpu_seconds


class Deal(NamedTuple):
    """One trade, in words that every engine has. Orders are named by their place among all, from 0."""

    aggressive: int
    passive: int
    ticks: int
    lots: int


class Engine(Protocol):
    """One engine with an empty book."""

    def play(self, operations: Iterable[Operation]) -> Iterator[Any]:
        """Execute one operation after another and yield what the engine says of each."""

    def deals(self, said: Sequence[Any]) -> Iterator[Deal]:
        """Read the trades out of all that ``play`` has yielded."""


class _Book:
    def __init__(self) -> None:
        self._book = OrderBook()
        self._resting: dict[int, RestingOrder] = {}
        self._names = [name_of(account) for account in range(ACCOUNTS)]

    def play(self, operations: Iterable[Operation]) -> Iterator[tuple[int, list[Fill]] | None]:
        book, resting, names = self._book, self._resting, self._names
        number = 0
        for cancels, account, buys, lots, ticks in operations:
            if cancels is not None:
                book.withdraw(resting.pop(cancels))
                yield None
                continue
            side = _BUY if buys else _SELL
            limit_ticks = ticks if ticks is not None else 2 * PREV_CLOSE_TICKS if buys else 1
            fills: list[Fill] = []
            if book.would_trade(side, limit_ticks):
                fills = book.match(side, limit_ticks, lots)
                for order, filled_lots in fills:
                    lots -= filled_lots
                    if not order.lots:
                        del resting[order.id]
            if lots and ticks is not None:
                order = resting[number] = RestingOrder(number, names[account], 0, side, ticks, lots)
                book.rest(order)
            yield number, fills
            number += 1

    def deals(self, said: Sequence[tuple[int, list[Fill]] | None]) -> Iterator[Deal]:
        for number, fills in filter(None, said):
            for order, lots in fills:
                yield Deal(number, order.id, order.price_ticks, lots)


class _Exchange:
    def __init__(self, *, with_accounts: bool) -> None:
        self._accounts = None
        if with_accounts:
            terms = [AccountTerms(name=name_of(account), cash=CASH) for account in range(ACCOUNTS)]
            marks = LastPrices()
            self._accounts = Accounts([INSTRUMENT], terms, marks, day=20_000)
        self._exchange = Exchange([INSTRUMENT], clearing=self._accounts)
        prefix = "" if with_accounts else "~"
        self._names = [prefix + name_of(account) for account in range(ACCOUNTS)]
        self._first = 0
        if self._accounts is not None:
            marks.follow(self._exchange, self._accounts)
        for name in self._names:
            self._give_lots(name)

    def _give_lots(self, name: str) -> None:
        """Let an account buy what it will sell."""
        self._place("~M", LOTS_HELD, _SELL)
        self._first = self._place(name, LOTS_HELD, _BUY) + 1

    def _place(self, account: str, lots: int, side: Side) -> int:
        place = Place(account=account, instrument=0, side=side, lots=lots, price_ticks=100)
        accepted = self._exchange.apply(place, at_ns=BEGAN_NS)[0]
        assert isinstance(accepted, OrderAccepted), accepted
        return accepted.order_id

    def play(self, operations: Iterable[Operation]) -> Iterator[list[Any]]:
        apply, names, first = self._exchange.apply, self._names, self._first
        for at_ns, (cancels, account, buys, lots, ticks) in enumerate(operations, BEGAN_NS):
            if cancels is not None:
                yield apply(Cancel(account=names[account], order_id=first + cancels), at_ns=at_ns)
            else:
                side = _BUY if buys else _SELL
                place = Place(account=names[account], instrument=0, side=side, lots=lots, price_ticks=ticks)
                yield apply(place, at_ns=at_ns)

    def deals(self, said: Sequence[list[Any]]) -> Iterator[Deal]:
        for events in said:
            for event in events:
                assert not hasattr(event, "code"), event
                if isinstance(event, Traded):
                    orders = event.buy_order_id - self._first, event.sell_order_id - self._first
                    aggressive, passive = orders if event.aggressor is _BUY else reversed(orders)
                    yield Deal(aggressive, passive, event.price_ticks, event.lots)


class _LightMatchingEngine:
    def __init__(self) -> None:
        from lightmatchingengine import lightmatchingengine

        self._engine = lightmatchingengine.LightMatchingEngine()
        self._sides = lightmatchingengine.Side

    def play(self, operations: Iterable[Operation]) -> Iterator[Any]:
        add_order, cancel_order = self._engine.add_order, self._engine.cancel_order
        buy, sell = self._sides.BUY, self._sides.SELL
        for cancels, _, buys, lots, ticks in operations:
            if cancels is not None:
                yield cancel_order(cancels + 1, "SBER")
            else:
                yield add_order("SBER", ticks or 0, lots, buy if buys else sell)

    def deals(self, said: Sequence[Any]) -> Iterator[Deal]:
        for order, trades in (one for one in said if isinstance(one, tuple)):
            for trade in trades:
                # The aggressive order has a trade of its own for each price; those of the others say it all.
                if trade.order_id != order.order_id:
                    yield Deal(order.order_id - 1, trade.order_id - 1, trade.trade_price, trade.trade_qty)


class _Bourse:
    def __init__(self) -> None:
        from bourse import core

        self._book = core.OrderBook(BEGAN_NS, 1)

    def play(self, operations: Iterable[Operation]) -> Iterator[Any]:
        place_order, cancel_order, set_time = self._book.place_order, self._book.cancel_order, self._book.set_time
        for at_ns, (cancels, account, buys, lots, ticks) in enumerate(operations, BEGAN_NS):
            set_time(at_ns)
            if cancels is not None:
                yield cancel_order(cancels)
            else:
                yield place_order(buys, lots, account, price=ticks)

    def deals(self, said: Sequence[Any]) -> Iterator[Deal]:
        for _, _, ticks, lots, aggressive, passive in self._book.get_trades():
            yield Deal(aggressive, passive, ticks, lots)


ENGINES: dict[str, Callable[[], Engine]] = {
    "book": _Book,
    "exchange": lambda: _Exchange(with_accounts=False),
    "accounts": lambda: _Exchange(with_accounts=True),
    "lightmatchingengine": _LightMatchingEngine,
    "bourse": _Bourse,
}


def _measure(work: Work) -> Matched:
    operations = flow(work.operations, work.resting_orders)
    engine = ENGINES[work.engine]()
    deals = list(engine.deals(list(engine.play(operations))))
    engine = ENGINES[work.engine]()
    playing = engine.play(operations)
    _exhaust(islice(playing, warm_up(work.resting_orders)))
    relax_collector()
    began = time.process_time()
    _exhaust(playing)
    return Matched(
        operations=work.operations,
        cpu_seconds=time.process_time() - began,
        trades=len(deals),
        digest=blake2b(msgspec.msgpack.encode(deals), digest_size=16).hexdigest(),
    )


def _exhaust(playing: Iterator[Any]) -> None:
    deque(playing, maxlen=0)


if __name__ == "__main__":
    print(msgspec.json.encode(_measure(msgspec.json.decode(sys.argv[1], type=Work))).decode())
