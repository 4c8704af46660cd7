"""Sessions, the turn of a day, and what the instruments' streams tell of them, on virtual time."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tapewire.market import AROUND_THE_CLOCK, Market, SessionName, TradingHours, catalogue
from tapewire.model import (
    UNSET,
    CancelOrder,
    Condition,
    Done,
    Exchange,
    OrderStatus,
    OrderType,
    PlaceOrder,
    PlaceStopOrder,
    Refused,
    StopType,
    Topic,
    TopicKind,
)
from tapewire.venues import EmbeddedVenue
from trading import BUY, RecordingSink, rich

ALL_SESSIONS = TradingHours(SessionName)
RULES = Topic(TopicKind.INSTRUMENT, "MOEX", "SBER", "TQBR")
QUOTE = RULES._replace(kind=TopicKind.QUOTE)
TRADES = RULES._replace(kind=TopicKind.TRADES)
OPTION = RULES._replace(subject="Si92500BC7", board="ROPD")


class Clock:
    def __init__(self, moscow):
        self.now_ns = (int(datetime.fromisoformat(moscow).replace(tzinfo=UTC).timestamp()) - 10_800) * 10**9

    def wall_ns(self):
        return self.now_ns


class Stage:
    """A venue whose clock jumps; instruments from the front of the catalogue or all."""

    def __init__(self, moscow, hours=AROUND_THE_CLOCK, count=1):
        self.clock = Clock(moscow)
        self.venue = EmbeddedVenue(
            Market(catalogue(count), seed=1, events_per_second=500),
            clock=self.clock,
            accounts=rich("D1", "751"),
            hours=hours,
        )
        self.sink = RecordingSink()

    def run(self, seconds, steps_a_second=10):
        for _ in range(round(seconds * steps_a_second)):
            self.clock.now_ns += 10**9 // steps_a_second
            self.venue.step()

    def state(self, topic=RULES):
        return asyncio.run(self.venue.instrument_state(topic))

    def submit(self, command):
        return asyncio.run(self.venue.submit(command))

    def traded(self):
        return asyncio.run(self.venue.recent_trades(TRADES, 0)).position.sequence


def bid(price="300.00"):
    return PlaceOrder(
        portfolio="D1",
        exchange=Exchange.MOEX,
        symbol="SBER",
        board="TQBR",
        type=OrderType.LIMIT,
        side=BUY,
        quantity_lots=1,
        price=Decimal(price),
    )


def test_outside_the_sessions_nothing_trades_and_orders_are_refused_but_cancellations_are_not():
    stage = Stage("2026-11-02T18:39:55", ALL_SESSIONS)
    stage.run(3)
    resting = stage.submit(bid())
    assert isinstance(resting, Done)
    stage.run(3)
    traded = stage.traded()
    assert traded
    book = stage.venue.current(RULES._replace(kind=TopicKind.BOOK)).record

    stage.run(600)
    assert stage.traded() == traded
    assert stage.venue.current(RULES._replace(kind=TopicKind.BOOK)).record == book
    assert stage.submit(bid()) == Refused(306, "the instrument is not traded now")
    assert isinstance(stage.submit(CancelOrder(portfolio="D1", order_number=resting.order_number)), Done)

    stage.run(15 * 60)
    assert stage.traded() > traded


def test_the_instrument_stream_tells_each_phase_as_a_partial_update():
    stage = Stage("2026-11-02T18:39:50", ALL_SESSIONS)
    stage.venue.open(RULES, stage.sink)
    before = stage.state()
    stage.run(1_600, steps_a_second=1)

    told = [record for _, _, record in stage.sink.events]
    assert [(update.trading_status, update.trading_status_info) for update in told] == [
        (103, "период закрытия"),
        (18, "нет торгов / торги закрыты"),
        (118, "период открытия"),
        (17, "нормальный период торгов"),
    ]
    assert all(update.price_min is UNSET and update.symbol == "SBER" for update in told)
    positions = [position.sequence for _, position, _ in stage.sink.events]
    assert positions == list(range(before.position.sequence + 1, stage.state().position.sequence + 1))


def test_a_venue_that_starts_on_a_closed_day_fills_its_books_when_trading_begins():
    stage = Stage("2026-11-07T09:59:30", ALL_SESSIONS)
    assert stage.state().record.trading_status == 118
    stage.run(5)
    assert stage.venue.current(RULES._replace(kind=TopicKind.BOOK)).record.bids == ()

    stage.run(30)
    assert len(stage.venue.current(RULES._replace(kind=TopicKind.BOOK)).record.bids) >= 20
    assert stage.traded()


@pytest.mark.parametrize("seed", range(3))
def test_at_midnight_the_figures_turn_and_limits_and_margins_follow_the_close(seed):
    stage = Stage("2026-11-02T23:59:00", count=6)
    future = RULES._replace(subject="SiH7", board="RFUD")
    stage.run(20 + seed * 10, steps_a_second=30)
    full = {topic: stage.state(topic).record for topic in (RULES, future)}
    for topic in (RULES, future, QUOTE):
        stage.venue.open(topic, stage.sink)
    stage.run(59 - 20 - seed * 10, steps_a_second=30)
    last = stage.venue.current(QUOTE).record.last_price
    assert last != 301.15
    stage.clock.now_ns += 2 * 10**9
    stage.venue.step()
    quote = stage.venue.current(QUOTE).record
    assert quote.prev_close_price == last

    assert QUOTE in stage.sink.changes
    for topic, _, update in stage.sink.events:
        full[topic] = full[topic].merged(update)
    share, contract = stage.state().record, stage.state(future).record
    assert full == {RULES: share, future: contract}
    assert share.price_min == pytest.approx(last * 0.9, abs=0.02)
    assert share.price_max == pytest.approx(last * 1.1, abs=0.02)
    assert share.margin_buy is UNSET
    assert contract.margin_buy != 14_200
    assert contract.margin_buy == pytest.approx(14_200, rel=0.01)
    low = stage.venue._hall.exchange.band_ticks(0)[0]
    assert stage.submit(bid(str(Decimal(low - 1) / 100))).code == 301


def test_the_option_follows_its_future_by_the_minute():
    stage = Stage("2026-11-02T12:00:00", count=None)
    stage.venue.open(OPTION, stage.sink)
    before = stage.state(OPTION).record
    stage.run(150, steps_a_second=30)

    assert len(stage.sink.events) >= 2
    merged = before
    for _, _, update in stage.sink.events:
        assert update.trading_status is UNSET
        merged = merged.merged(update)
    assert merged == stage.state(OPTION).record != before
    assert merged.volatility == 14.0
    assert 0 < merged.theoretical_price < merged.theoretical_price_limit
    assert merged.margin_synthetic > 0


def test_every_field_of_the_rules_has_an_instrument_that_fills_it():
    stage = Stage("2026-11-02T12:00:00", count=None)
    states = [
        stage.state(RULES._replace(subject=listed.symbol, board=listed.board)).record
        for listed in stage.venue.instruments()
    ]

    for name in states[0].__struct_fields__:
        assert any(getattr(state, name) is not UNSET for state in states), name


def risk(stage):
    return asyncio.run(stage.venue.state(Topic(TopicKind.DERIVATIVES_RISK, "MOEX", "751"))).record


def test_derivatives_are_cleared_at_two_and_settled_when_the_day_turns():
    stage = Stage("2026-11-02T13:59:50", count=4)
    stage.run(1)
    future = next(listed for listed in stage.venue.instruments() if listed.market == "FORTS")
    buy = PlaceOrder(
        portfolio="751",
        exchange=Exchange.MOEX,
        symbol=future.symbol,
        board="",
        type=OrderType.MARKET,
        side=BUY,
        quantity_lots=3,
    )
    assert isinstance(stage.submit(buy), Done)
    stage.run(8)
    before = risk(stage)
    assert before.margin_intraday == 0
    assert before.margin_positions != 0

    stage.run(5)
    cleared = risk(stage)
    assert cleared.margin_intraday != 0
    assert cleared.money_amount == before.money_amount

    stage.clock.now_ns += 10 * 3_600 * 10**9
    stage.run(0.1)
    settled = risk(stage)
    assert settled.margin_intraday == 0
    assert settled.money_amount != before.money_amount
    assert settled.fee == 0
    rules = stage.state(RULES._replace(subject=future.symbol, board=future.board)).record
    # The collateral that the instrument's stream tells is the one that is blocked.
    assert settled.money_blocked == 3 * Decimal(str(rules.margin_buy))


def test_a_second_of_waiting_fires_a_conditional_order_without_a_trade():
    stage = Stage("2026-11-02T12:00:00")
    stage.run(2)
    last = Decimal(str(asyncio.run(stage.venue.recent_trades(TRADES, 1)).trades[0].price))
    protected = PlaceStopOrder(
        portfolio="D1",
        exchange=Exchange.MOEX,
        symbol="SBER",
        board="",
        type=StopType.STOP,
        side=BUY,
        quantity_lots=1,
        condition=Condition.LESS,
        trigger_price=last + 50,
        protecting_seconds=5,
    )
    assert isinstance(stage.submit(protected), Done)
    kept = Topic(TopicKind.STOP_ORDERS, "MOEX", "D1")

    def status():
        return asyncio.run(stage.venue.portfolio_records(kept)).records[0].status

    stage.run(4)
    assert status() is OrderStatus.WORKING
    stage.run(2)
    assert status() is OrderStatus.FILLED
