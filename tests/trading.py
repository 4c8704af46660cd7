"""What tests of exchange, market and venue share: an instrument, short commands, a floor, a clock, a sink."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tapewire import exchange
from tapewire.model import (
    CancelOrder,
    Command,
    Done,
    Exchange,
    Instrument,
    InstrumentKind,
    Outcome,
    Record,
    Refused,
    Side,
    StreamPosition,
    TimeInForce,
    Topic,
    TopicKind,
)

BUY, SELL = Side.BUY, Side.SELL


def instrument(symbol: str = "TEST", **changes: object) -> Instrument:
    """A share with a price step of a cent, a close of 10.00 and a band from 9.00 to 11.00."""
    rules: dict[str, object] = {
        "symbol": symbol,
        "exchange": Exchange.MOEX,
        "board": "TQBR",
        "kind": InstrumentKind.SHARE,
        "short_name": symbol,
        "description": f"{symbol} ао",
        "type_code": "CS",
        "currency": "RUB",
        "lot_size": 10,
        "tick_size": Decimal("0.01"),
        "face_value": Decimal(3),
        "prev_close_ticks": 1000,
        "price_band_ticks": (900, 1100),
    }
    return Instrument(**(rules | changes))  # type: ignore[arg-type]


def place(
    side: Side,
    lots: int,
    price_ticks: int | None,
    *,
    account: str = "A",
    time_in_force: TimeInForce = TimeInForce.ONE_DAY,
    instrument: int = 0,
    **more: Any,
) -> exchange.Place:
    return exchange.Place(
        account=account,
        instrument=instrument,
        side=side,
        lots=lots,
        price_ticks=price_ticks,
        time_in_force=time_in_force,
        **more,
    )


def rich(*names: str) -> tuple[exchange.AccountTerms, ...]:
    """Portfolios that nothing is too dear for."""
    return tuple(exchange.AccountTerms(name=name, cash=Decimal(10_000_000_000)) for name in names)


def trades(events: Sequence[exchange.Event]) -> list[exchange.Traded]:
    return [event for event in events if isinstance(event, exchange.Traded)]


class FakeClock:
    """Stands still until told otherwise. It begins on 2026-11-02 07:00 UTC, a Monday."""

    def __init__(self) -> None:
        self.now_ns = 1_793_602_800_000_000_000

    def wall_ns(self) -> int:
        return self.now_ns


class RecordingSink:
    """Notes what it is told, in order."""

    def __init__(self) -> None:
        self.changes: list[Topic] = []
        self.events: list[tuple[Topic, StreamPosition, Record]] = []
        #: How many events there were whenever all had been told.
        self.ends: list[int] = []

    def changed(self, topic: Topic) -> None:
        self.changes.append(topic)

    def happened(self, topic: Topic, position: StreamPosition, record: Record) -> None:
        self.events.append((topic, position, record))

    def told(self) -> None:
        self.ends.append(len(self.events))


def topic(kind: TopicKind, symbol: str = "TEST", board: str = "TQBR") -> Topic:
    return Topic(kind, "MOEX", symbol, board)


class ExchangeFloor:
    """The floor of a market over a bare exchange; keeps all trades and counts commands and refusals."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.core = exchange.Exchange(instruments)
        self.trades: list[exchange.Traded] = []
        self.counts: Counter[str] = Counter()
        self._positions = {instrument.key: number for number, instrument in enumerate(instruments)}

    def best(self, instrument: Instrument) -> tuple[int | None, int | None]:
        book = self.core.book(self._positions[instrument.key])
        return book.best_bid, book.best_ask

    def submit(self, command: Command) -> Outcome:
        self.counts[type(command).__name__] += 1
        events = self.core.apply(self._translated(command), at_ns=0)
        self.trades += trades(events)
        first = events[0]
        if isinstance(first, exchange.OrderRejected | exchange.CancelRejected):
            self.counts[f"{type(command).__name__} refused"] += 1
            return Refused(first.code, first.reason)
        assert isinstance(first, exchange.OrderAccepted | exchange.OrderCancelled)
        return Done(str(first.order_id))

    def _translated(self, command: Command) -> exchange.Command:
        if isinstance(command, CancelOrder):
            return exchange.Cancel(account=command.portfolio, order_id=int(command.order_number))
        position = self._positions[command.exchange.value, command.symbol, command.board]
        price = command.price
        return place(
            command.side,
            command.quantity_lots,
            None if price is None else self.core.instruments[position].ticks(price),
            account=command.portfolio,
            time_in_force=command.time_in_force,
            instrument=position,
        )
