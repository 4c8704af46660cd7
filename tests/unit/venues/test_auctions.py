"""Opening and closing auctions of the embedded venue, on a clock that jumps over the quiet hours."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tapewire.market import Market, SessionName, TradingHours, catalogue
from tapewire.model import (
    Done,
    Exchange,
    OrderStatus,
    OrderType,
    PlaceOrder,
    Refused,
    TimeInForce,
    Topic,
    TopicKind,
)
from tapewire.venues import EmbeddedVenue
from trading import BUY, SELL, RecordingSink, rich

RULES = Topic(TopicKind.INSTRUMENT, "MOEX", "SBER", "TQBR")
TRADES = RULES._replace(kind=TopicKind.TRADES)
BOND = RULES._replace(subject="SU26238RMFS4", board="TQOB")
SIX = 6  # shares, a future, a currency and a bond


class Clock:
    def __init__(self, moscow):
        self.go_to(moscow)

    def go_to(self, moscow):
        self.now_ns = (int(datetime.fromisoformat(moscow).replace(tzinfo=UTC).timestamp()) - 10_800) * 10**9

    def wall_ns(self):
        return self.now_ns


class Stage:
    """A venue with auctions, what its streams tell, and a look at every book after every step."""

    def __init__(self, moscow, seed=1, rate=600):
        self.clock = Clock(moscow)
        self.venue = EmbeddedVenue(
            Market(catalogue(SIX), seed=seed, events_per_second=rate),
            clock=self.clock,
            accounts=rich("D1", "D2"),
            hours=TradingHours(SessionName, has_auctions=True),
        )
        self.sink = RecordingSink()
        for listed in self.venue.instruments():
            topic = Topic(TopicKind.INSTRUMENT, "MOEX", listed.symbol, listed.board)
            self.venue.open(topic, self.sink)
            self.venue.open(topic._replace(kind=TopicKind.TRADES), self.sink)
        self.shares = [listed for listed in self.venue.instruments() if listed.board == "TQBR"]
        #: In order: (symbol, status) and (symbol, trade).
        self.told = []

    def run(self, until):
        """Step once a second until a moment of the day."""
        end = Clock(until).now_ns
        while self.clock.now_ns < end:
            self.clock.now_ns += 10**9
            self.venue.step()
            for topic, _, record in self.sink.events:
                if topic.kind is TopicKind.TRADES:
                    self.told.append((topic.subject, record))
                elif isinstance(record.trading_status, int):
                    self.told.append((topic.subject, int(record.trading_status)))
            self.sink.events.clear()
            self.check()

    def check(self):
        for position in range(SIX):
            trading = self.venue._hall.exchange._matching.trading[position]
            bid, ask = trading.book.best_bid, trading.book.best_ask
            assert trading.auction is not None or bid is None or ask is None or bid < ask
            assert not trading.at_market or trading.auction is not None

    def submit(self, account, side, lots, price=None, symbol="SBER", **more):
        order = PlaceOrder(
            portfolio=account,
            exchange=Exchange.MOEX,
            symbol=symbol,
            board="",
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            side=side,
            quantity_lots=lots,
            price=None if price is None else Decimal(price),
            allow_margin=True,
            **more,
        )
        return asyncio.run(self.venue.submit(order))

    def rows(self, account, kind):
        topic = Topic(kind, "MOEX", account)
        return asyncio.run(self.venue.portfolio_records(topic)).records

    def status(self, account, done):
        return next(row for row in self.rows(account, TopicKind.ORDERS) if row.id == done.order_number).status

    def of_shares(self):
        return [what for name, what in self.told if name in {each.symbol for each in self.shares}]

    def prints(self, symbol):
        return [what for name, what in self.told if name == symbol and not isinstance(what, int)]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_day_with_auctions(seed):
    stage = Stage("2026-11-02T09:49:00", seed)
    stage.run("2026-11-02T09:49:59")
    assert isinstance(stage.submit("D1", BUY, 5), Refused)
    stage.run("2026-11-02T09:55:00")
    low = catalogue(1)[0].price(stage.venue._hall.exchange.band_ticks(0)[0])
    bought = stage.submit("D1", BUY, 5)
    sold = stage.submit("D2", SELL, 7, low)
    own = stage.submit("D1", SELL, 1, low)
    assert all(isinstance(outcome, Done) for outcome in (bought, sold, own))
    assert stage.submit("D1", BUY, 1, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL).code == 412
    assert stage.status("D1", bought) is OrderStatus.WORKING
    assert stage.status("D1", own) is OrderStatus.CANCELED, "it would have met its own"
    stage.run("2026-11-02T09:59:59")
    # No trade in the call phase, on no share.
    assert stage.of_shares() == [119] * len(stage.shares)
    expected = stage.venue._hall.exchange.uncrossing(0)

    opened = {}
    stage.run("2026-11-02T10:00:00")
    for share in stage.shares:
        opened[share.symbol] = prints = stage.prints(share.symbol)
        auction = [trade for trade in prints if trade.time_ms == prints[0].time_ms]
        assert len({trade.price for trade in auction}) == 1, share.symbol
    # What the exchange foresaw a second before, give or take the orders of the last second.
    first = opened["SBER"][0]
    assert first.price == pytest.approx(float(expected.price_ticks) / 100, abs=0.05)
    assert stage.status("D1", bought) is stage.status("D2", sold) is OrderStatus.FILLED
    assert {row.price for row in stage.rows("D1", TopicKind.FILLS)} == {Decimal(str(first.price))}
    assert {row.price for row in stage.rows("D2", TopicKind.FILLS)} == {Decimal(str(first.price))}

    stage.run("2026-11-02T10:01:00")
    stage.clock.go_to("2026-11-02T18:39:00")
    stage.run("2026-11-02T18:39:59")
    stage.told.clear()
    stage.run("2026-11-02T18:45:00")
    closing = stage.submit("D2", BUY, 3)
    assert isinstance(closing, Done)
    stage.run("2026-11-02T18:49:59")
    assert [what for name, what in stage.told if name == "SBER"] == [102]
    stage.run("2026-11-02T18:50:00")
    for share in stage.shares:
        prints = stage.prints(share.symbol)
        assert prints
        assert len({trade.price for trade in prints}) == 1, share.symbol
    assert stage.status("D2", closing) is OrderStatus.FILLED
    quote = stage.venue.current(RULES._replace(kind=TopicKind.QUOTE)).record
    assert quote.last_price == stage.prints("SBER")[0].price
    assert isinstance(stage.submit("D1", BUY, 1), Refused)
    stage.run("2026-11-02T19:06:00")
    assert [what for name, what in stage.told if name == "SBER" and isinstance(what, int)] == [102, 18, 118, 17]
    assert [what for name, what in stage.told if name == BOND.subject and isinstance(what, int)] == [
        103,
        18,
        118,
        17,
    ]
    check_conservation(stage)


def check_conservation(stage):
    """Lots and money are those of the fills, to the smallest unit."""
    for account in ("D1", "D2"):
        fills = stage.rows(account, TopicKind.FILLS)
        assert fills
        rows = {row.symbol: row for row in stage.rows(account, TopicKind.POSITIONS)}
        lots = sum(fill.quantity_lots * (1 if fill.side is BUY else -1) for fill in fills)
        assert rows["SBER"].quantity_lots == lots
        paid = sum((1 if fill.side is BUY else -1) * fill.volume + (fill.commission or 0) for fill in fills)
        assert rows["RUB"].volume == Decimal(10_000_000_000) - paid
        for row in stage.rows(account, TopicKind.ORDERS):
            filled = sum(fill.quantity_lots for fill in fills if fill.order_number == row.id)
            assert row.filled_lots == filled
    printed = sum(trade.quantity for trade in stage.prints("SBER"))
    assert printed > 0


def test_a_venue_that_starts_in_the_call_phase_takes_part_in_it():
    stage = Stage("2026-11-02T09:55:00")
    assert asyncio.run(stage.venue.instrument_state(RULES)).record.trading_status == 119
    stage.run("2026-11-02T09:59:59")
    assert stage.of_shares() == []
    stage.run("2026-11-02T10:00:05")
    assert all(stage.prints(share.symbol) for share in stage.shares)
    assert len(stage.venue.current(RULES._replace(kind=TopicKind.BOOK)).record.bids) >= 20


def test_a_day_that_opens_without_orders_has_no_price_and_opens_all_the_same():
    stage = Stage("2026-11-02T09:49:00", rate=1)
    for position in range(SIX):
        stage.venue._hall.market._crowds[position]._maker.band_ticks = (1, 0)
    stage.run("2026-11-02T10:00:01")
    assert [what for name, what in stage.told if name == "SBER"] == [119, 17]
