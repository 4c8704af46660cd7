"""What happens on the market and in the portfolio of a schedule, and all of it once more for comparing."""

from __future__ import annotations

import random
from collections import defaultdict

import portfolio as rows
from schedules.kind import PORTFOLIO, Kind
from tapewire.market.catalogue import catalogue
from tapewire.model import (
    Bar,
    Cluster,
    ClusterLevel,
    InstrumentUpdate,
    OrderStatus,
    Record,
    Topic,
    to_iso,
)
from tapewire.ports.clock import Clock
from tapewire.simulation import ScriptedVenue

__all__ = ["INSTRUMENTS", "SYMBOLS", "Teller"]

INSTRUMENTS = {instrument.symbol: instrument for instrument in catalogue(3)}
SYMBOLS = tuple(INSTRUMENTS)
MINUTE_NS = 60_000_000_000


class Teller:
    """Has a venue tell. ``told`` has all that was told of a topic, oldest first; each with a greater number."""

    def __init__(self, venue: ScriptedVenue, clock: Clock) -> None:
        self.told: dict[Topic, list[Record]] = defaultdict(list)
        self._venue = venue
        self._clock = clock
        self._count = 0
        self._bar: dict[str, Bar] = {}
        self._rules: dict[str, InstrumentUpdate] = {}

    def topic(self, kind: Kind, symbol: str) -> Topic:
        """Return the topic of a kind of stream."""
        if kind.topic_kind.of_portfolio:
            return Topic(kind.topic_kind, "MOEX", PORTFOLIO)
        return self._venue.topic(kind.topic_kind, INSTRUMENTS[symbol], kind.interval_s)

    def count(self, kind: Kind, symbol: str) -> int:
        """Return how many records were told of a kind of stream."""
        return len(self.told[self.topic(kind, symbol)])

    def tell(self, rng: random.Random) -> None:
        """Let something happen, as in the first edition of schedules."""
        for symbol in SYMBOLS:
            for _ in range(rng.choice((0, 0, 1, 1, 3))):
                self.tell_trade(symbol)
            if rng.random() < 0.5:
                self.tell_state(symbol)
            if rng.random() < 0.5:
                self.tell_bar(symbol)
        if rng.random() < 0.4:
            self.tell_rows(rng.randint(1, 4))

    def tell_more(self, rng: random.Random) -> None:
        """Let something happen that streams of the second edition tell of."""
        for symbol in SYMBOLS[:2]:
            if rng.random() < 0.4:
                self.tell_rules(symbol)
            if rng.random() < 0.4:
                self.tell_cluster(symbol)
        if rng.random() < 0.4:
            self.tell_sums()
        if rng.random() < 0.4:
            self.tell_stop_order(rng.randint(1, 4))

    def tell_all(self) -> None:
        """Tell one more record of everything."""
        for symbol in SYMBOLS:
            self.tell_trade(symbol)
            self.tell_state(symbol)
            self.tell_bar(symbol)
            self.tell_rules(symbol)
            self.tell_cluster(symbol)
        self.tell_rows(1)
        self.tell_stop_order(1)
        self.tell_sums()

    def tell_first_states(self) -> None:
        """Tell every state of which there is none yet: a gap in it is open until one comes."""
        for symbol in SYMBOLS:
            if not self.told[self.topic(Kind.BOOK, symbol)]:
                self.tell_state(symbol)
            if not self.told[self.topic(Kind.CLUSTERS, symbol)]:
                self.tell_cluster(symbol)
        if not self.told[self.topic(Kind.SUMMARY, "")]:
            self.tell_sums()

    def pour(self, rng: random.Random, times: int) -> None:
        """Let much happen at once."""
        symbol = rng.choice(SYMBOLS[:2])
        for _ in range(times):
            self.tell_trade(symbol)
            self.tell_rows(rng.randint(1, 4))
            self.tell_stop_order(rng.randint(1, 4))
            self.tell_rules(symbol)

    def tell_trade(self, symbol: str) -> None:
        trade = self._venue.publish_trade(INSTRUMENTS[symbol], 100 + self._next())
        self.told[self.topic(Kind.TRADES, symbol)].append(trade)

    def tell_state(self, symbol: str) -> None:
        number = 100 + self._next()
        book = self._venue.set_book(INSTRUMENTS[symbol], bids=[(number, 1)])
        quote = self._venue.set_quote(INSTRUMENTS[symbol], number)
        self.told[self.topic(Kind.BOOK, symbol)].append(book)
        self.told[self.topic(Kind.QUOTES, symbol)].append(quote)

    def tell_bar(self, symbol: str) -> None:
        topic = self.topic(Kind.BARS, symbol)
        number = self._next()
        time_s = self._minute_s()
        old = self._bar.get(symbol)
        if old is not None and old.time_s != time_s:
            self._venue.finish_bar(topic, old)
        price = 100.0 + number
        bar = Bar(time_s=time_s, open=price, close=price, high=price, low=price, volume=number)
        self._bar[symbol] = bar
        self._venue.run_bar(topic, bar)
        self.told[topic].append(bar)

    def tell_rules(self, symbol: str) -> None:
        """Change one of two rules; what is told to the streams is the other one too."""
        number = self._next()
        known = self._rules.get(symbol, InstrumentUpdate(symbol=symbol, price_min=0.0, price_max=0.0))
        if symbol not in self._rules:
            part = InstrumentUpdate(symbol=symbol, price_min=float(number), price_max=1e6 + number)
        elif number % 2:
            part = InstrumentUpdate(symbol=symbol, price_min=float(number))
        else:
            part = InstrumentUpdate(symbol=symbol, price_max=1e6 + number)
        self._venue.change_instrument(INSTRUMENTS[symbol], part)
        self._rules[symbol] = known.merged(part)
        self.told[self.topic(Kind.INSTRUMENT, symbol)].append(self._rules[symbol])

    def tell_cluster(self, symbol: str) -> None:
        topic = self.topic(Kind.CLUSTERS, symbol)
        level = ClusterLevel(price=100.0 + self._next(), buy_quantity=1, sell_quantity=0)
        cluster = Cluster(time_s=self._minute_s(), levels=(level,))
        self._venue.set_state(topic, cluster)
        self.told[topic].append(cluster)

    def tell_rows(self, number: int) -> None:
        count = self._next()
        now = to_iso(self._clock.wall_ns())
        price = rows.Decimal(count)
        order = rows.order(str(number), price=price, status=OrderStatus.WORKING, updated_at=now)
        self._publish(Kind.ORDERS, order)
        self._publish(Kind.FILLS, rows.fill(f"f{count}", time=now))
        self._publish(Kind.POSITIONS, rows.position("SBER", quantity_units=price))

    def tell_stop_order(self, number: int) -> None:
        now = to_iso(self._clock.wall_ns())
        price = rows.Decimal(self._next())
        self._publish(Kind.STOP_ORDERS, rows.stop_order(str(number), price=price, updated_at=now))

    def tell_sums(self) -> None:
        number = str(1000 + self._next())
        for kind, record in (
            (Kind.SUMMARY, rows.summary(number)),
            (Kind.RISK, rows.risk(number)),
            (Kind.DERIVATIVES_RISK, rows.derivatives_risk(number)),
        ):
            topic = self.topic(kind, "")
            self._venue.set_state(topic, record)
            self.told[topic].append(record)

    def _publish(self, kind: Kind, row: Record) -> None:
        topic = self.topic(kind, "")
        self._venue.publish(topic, row)
        self.told[topic].append(row)

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _minute_s(self) -> int:
        return self._clock.wall_ns() // MINUTE_NS * 60
