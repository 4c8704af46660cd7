"""Portfolios of the embedded venue: what their streams tell, what is asked of them, and that both agree."""

import asyncio
from decimal import Decimal

import pytest

from tapewire.exchange import AccountTerms
from tapewire.market import Market, catalogue
from tapewire.model import (
    CancelAllOrders,
    CancelOrder,
    CancelStopOrder,
    ChangeGroup,
    CommandKey,
    Condition,
    DeleteGroup,
    Done,
    Exchange,
    GroupedOrder,
    GroupedType,
    GroupPolicy,
    GroupStatus,
    MakeGroup,
    OrderStatus,
    OrderType,
    PlaceOrder,
    PlaceStopOrder,
    Refused,
    Repeated,
    ReplaceOrder,
    ReplaceStopOrder,
    StopType,
    TimeInForce,
    Topic,
    TopicKind,
    row_key,
)
from tapewire.ports.query import EstimateOrder, FillsFilter
from tapewire.ports.venue import UnknownPortfolioError, UnknownTopicError
from tapewire.venues import EmbeddedVenue
from tapewire.venues.portfolios import MARKS_EVERY_NS
from trading import BUY, SELL, FakeClock, RecordingSink

ROWS = (TopicKind.FILLS, TopicKind.ORDERS, TopicKind.STOP_ORDERS, TopicKind.POSITIONS)
DAY_NS = 86_400 * 10**9
TERMS = (
    AccountTerms(name="D1", cash=Decimal(1_000_000)),
    AccountTerms(name="D2", cash=Decimal(1_000_000)),
    AccountTerms(name="751", cash=Decimal(1_000_000)),
)


class Stage:
    """A venue whose market stands still; SBER trades among users alone."""

    def __init__(self):
        self.clock = FakeClock()
        market = Market(catalogue(6), seed=1, events_per_second=100)
        self.venue = EmbeddedVenue(market, clock=self.clock, accounts=TERMS)
        self.sink = RecordingSink()

    def listen(self, *kinds, portfolio="D1"):
        for kind in kinds:
            self.venue.open(Topic(kind, "MOEX", portfolio), self.sink)

    def submit(self, command, key=None):
        return asyncio.run(self.venue.submit(command, key))

    def done(self, command):
        outcome = self.submit(command)
        assert isinstance(outcome, Done), outcome
        return outcome.order_number

    def told(self, kind, portfolio="D1"):
        return [record for topic, _, record in self.sink.events if topic == Topic(kind, "MOEX", portfolio)]

    def page(self, kind, portfolio="D1"):
        return asyncio.run(self.venue.portfolio_records(Topic(kind, "MOEX", portfolio)))

    def state(self, kind, portfolio="D1"):
        return asyncio.run(self.venue.state(Topic(kind, "MOEX", portfolio))).record

    def pass_time(self, ns):
        self.clock.now_ns += ns
        self.venue.step()


@pytest.fixture
def stage():
    return Stage()


def order(side=BUY, lots=2, price="300.00", portfolio="D1", **changes):
    return PlaceOrder(
        **{
            "portfolio": portfolio,
            "exchange": Exchange.MOEX,
            "symbol": "SBER",
            "board": "",
            "type": OrderType.MARKET if price is None else OrderType.LIMIT,
            "side": side,
            "quantity_lots": lots,
            "price": None if price is None else Decimal(price),
        }
        | changes
    )


def stop(trigger, condition=Condition.MORE_OR_EQUAL, price=None, **changes):
    direct = order(**changes)
    return PlaceStopOrder(
        portfolio=direct.portfolio,
        exchange=direct.exchange,
        symbol=direct.symbol,
        board="",
        type=StopType.STOP if price is None else StopType.STOP_LIMIT,
        side=direct.side,
        quantity_lots=direct.quantity_lots,
        condition=condition,
        trigger_price=Decimal(trigger),
        price=None if price is None else Decimal(price),
    )


def trade(stage, lots=2, price="300.00"):
    """Let D1 buy of D2, which sells short."""
    stage.done(order(SELL, lots, price, portfolio="D2"))
    return stage.done(order(BUY, lots, price))


def test_an_order_is_told_as_it_comes_fills_and_goes(stage):
    stage.listen(TopicKind.ORDERS)
    number = stage.done(order(lots=3, comment="mine"))
    stage.done(order(SELL, 1, portfolio="D2"))
    stage.done(CancelOrder(portfolio="D1", order_number=number))

    rows = stage.told(TopicKind.ORDERS)
    assert [(row.id, row.status, row.filled_lots) for row in rows] == [
        (number, OrderStatus.WORKING, 0),
        (number, OrderStatus.WORKING, 1),
        (number, OrderStatus.CANCELED, 1),
    ]
    first = rows[0]
    assert (first.quantity_units, first.price, first.comment, first.volume) == (30, 300, "mine", 9000)
    assert first.ends_at == "2026-11-02T20:59:59.9990000Z"
    assert not first.existing
    assert [position.sequence for _, position, _ in stage.sink.events] == [1, 2, 3]


def test_pages_hold_the_newest_row_of_each_and_reach_what_was_told(stage):
    stage.listen(*ROWS)
    trade(stage)
    stage.done(order(price="299.00"))
    number = stage.done(stop("310.00"))
    stage.done(CancelStopOrder(portfolio="D1", order_number=number))

    for kind in ROWS:
        page = stage.page(kind)
        last = {row_key(row): row for row in stage.told(kind)}
        # Equal but for the mark of the past.
        assert [str(row).replace("existing=True", "existing=False") for row in page.records] == [
            str(last[row_key(row)]) for row in page.records
        ]
        assert len(page.records) == len(last)
        positions = [position for topic, position, _ in stage.sink.events if topic.kind is kind]
        assert page.position == positions[-1]


def test_a_fill_is_told_with_what_it_cost(stage):
    stage.listen(TopicKind.FILLS, TopicKind.POSITIONS)
    number = trade(stage, lots=2)

    (fill,) = stage.told(TopicKind.FILLS)
    assert (fill.order_number, fill.quantity_lots, fill.quantity_units, fill.price) == (number, 2, 20, 300)
    assert (fill.volume, fill.commission, fill.accrued_interest) == (6000, 3, 0)
    assert fill.settles_at == "2026-11-03T23:59:59.0000000Z"
    held, cash = stage.told(TopicKind.POSITIONS)
    assert (held.symbol, held.quantity_lots, held.average_price) == ("SBER", 2, 300)
    assert (cash.symbol, cash.volume) == ("RUB", 1_000_000 - 6003)
    assert stage.state(TopicKind.SUMMARY).commission == 3


def test_a_contract_is_told_without_commission(stage):
    stage.listen(TopicKind.FILLS, portfolio="751")
    stage.venue.step()  # fills the books
    future = next(listed for listed in stage.venue.instruments() if listed.market == "FORTS")
    stage.done(order(lots=1, price=None, portfolio="751", symbol=future.symbol))

    (fill,) = stage.told(TopicKind.FILLS, "751")
    assert fill.commission is None
    risk = stage.state(TopicKind.DERIVATIVES_RISK, "751")
    assert risk.fee == Decimal("1.5")
    assert risk.money_blocked > 0


def test_a_conditional_order_shows_what_its_order_has_filled(stage):
    stage.listen(TopicKind.STOP_ORDERS, TopicKind.ORDERS)
    stop_price = "301.00"
    number = stage.done(stop(stop_price, price=stop_price, lots=2))
    trade(stage, 1, stop_price)
    fired = stage.told(TopicKind.STOP_ORDERS)[-1]
    assert (fired.id, fired.status, fired.type) == (number, OrderStatus.FILLED, StopType.STOP_LIMIT)
    assert (fired.filled_lots, fired.average_price) == (0, 0)
    assert fired.ends_at == "2050-12-31T23:59:59.0000000Z"

    stage.done(order(SELL, 1, stop_price, portfolio="D2"))
    filled = stage.told(TopicKind.STOP_ORDERS)[-1]
    assert (filled.filled_lots, filled.filled_units, filled.average_price) == (1, 10, 301)
    placed = stage.told(TopicKind.ORDERS)[-1]
    assert (placed.id, placed.status, placed.filled_lots) == (fired.exchange_order_id, OrderStatus.WORKING, 1)


def test_orders_are_replaced_under_new_numbers(stage):
    number = stage.done(order(price="299.00"))
    moved = stage.done(ReplaceOrder(order_number=number, order=order(lots=5, price="298.00")))
    kept = stage.done(stop("310.00"))
    changed = stage.done(ReplaceStopOrder(order_number=kept, order=stop("311.00")))

    rows = {row.id: row for row in stage.page(TopicKind.ORDERS).records}
    assert {number: row.status for number, row in rows.items()} == {
        number: OrderStatus.CANCELED,
        moved: OrderStatus.WORKING,
    }
    assert rows[moved].quantity_lots == 5
    stops = {row.id: row.stop_price for row in stage.page(TopicKind.STOP_ORDERS).records}
    assert stops == {kept: 310, changed: 311}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (order(lots=1_000_000), 401),
        (order(price="300.001"), 409),
        (order(portfolio="D9"), 407),
        (order(portfolio="751"), 406),
        (order(portfolio="~maker-1"), 300),
        (order(time_in_force=TimeInForce.GOOD_TILL_CANCELLED), 300),
        (stop("300.001"), 503),
        (stop("300.00", price="300.001"), 503),
        (CancelOrder(portfolio="D1", order_number="12"), 404),
        (CancelOrder(portfolio="D1", order_number="no number"), 404),
        (CancelStopOrder(portfolio="D1", order_number="12"), 404),
        (CancelAllOrders(portfolio="D1", exchange=Exchange.MOEX), 404),
        (CancelAllOrders(portfolio="~maker-1", exchange=Exchange.MOEX), 300),
        (ReplaceOrder(order_number="12", order=order()), 403),
        (ReplaceStopOrder(order_number="12", order=stop("310.00")), 403),
        (DeleteGroup(login="P1", id="12"), 300),
        (MakeGroup(login="P1", orders=(), policy=GroupPolicy.IGNORE_CANCEL), 300),
    ],
)
def test_what_is_refused_changes_nothing_and_is_told_to_nobody(stage, command, code):
    stage.listen(*ROWS)
    outcome = stage.submit(command)

    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert stage.sink.events == []
    assert stage.page(TopicKind.ORDERS).records == []


def test_an_order_on_another_exchange_is_not_the_one_that_is_meant(stage):
    number = stage.done(order())

    outcome = stage.submit(CancelOrder(portfolio="D1", order_number=number, exchange=Exchange.SPBX))

    assert isinstance(outcome, Refused)
    assert stage.page(TopicKind.ORDERS).records[0].status is OrderStatus.WORKING


def test_a_command_that_comes_again_is_answered_and_not_carried_out(stage):
    key = CommandKey("P1", "guid")
    first = stage.submit(order(), key)

    assert stage.submit(order(), key) == Repeated(first)
    assert stage.submit(order(), CommandKey("P2", "guid")) != Repeated(first)
    assert len(stage.page(TopicKind.ORDERS).records) == 2


def test_all_orders_of_a_portfolio_are_cancelled_at_once(stage):
    stage.done(order())
    stage.done(stop("310.00"))
    stage.done(order(portfolio="D2"))

    assert stage.submit(CancelAllOrders(portfolio="D1", exchange=Exchange.MOEX)) == Done("")
    rows = [*stage.page(TopicKind.ORDERS).records, *stage.page(TopicKind.STOP_ORDERS).records]
    assert {row.status for row in rows} == {OrderStatus.CANCELED}
    assert stage.page(TopicKind.ORDERS, "D2").records[0].status is OrderStatus.WORKING


def test_a_group_is_made_changed_and_deleted_by_its_login(stage):
    def member(number, kind):
        return GroupedOrder(portfolio="D1", exchange=Exchange.MOEX, order_number=number, type=kind)

    direct, kept = stage.done(order()), stage.done(stop("310.00"))
    members = (member(direct, GroupedType.LIMIT), member(kept, GroupedType.STOP))
    group = stage.done(MakeGroup(login="P1", orders=members, policy=GroupPolicy.IGNORE_CANCEL))
    change = ChangeGroup(login="P1", id=group, orders=members, policy=GroupPolicy.ON_EXECUTE_OR_CANCEL)
    assert stage.done(change) == group

    (shown,) = asyncio.run(stage.venue.groups("P1"))
    assert [entry.order_number for entry in shown.orders] == [direct, kept]
    assert (shown.policy, shown.status, shown.closed_at) == (
        GroupPolicy.ON_EXECUTE_OR_CANCEL,
        GroupStatus.ACTIVE,
        None,
    )
    assert asyncio.run(stage.venue.group("P2", group)) is None
    assert asyncio.run(stage.venue.group_portfolios("P1", group)) == {members[0].portfolio}
    assert asyncio.run(stage.venue.group_portfolios("P2", group)) == frozenset()
    assert isinstance(stage.submit(DeleteGroup(login="P2", id=group)), Refused)
    assert stage.done(DeleteGroup(login="P1", id=group)) == group
    assert asyncio.run(stage.venue.group("P1", group)).status is GroupStatus.CANCELED
    assert stage.page(TopicKind.STOP_ORDERS).records[0].status is OrderStatus.CANCELED


def test_figures_are_told_with_what_happens_and_with_prices_but_not_more_often_than_they_may(stage):
    topic = Topic(TopicKind.SUMMARY, "MOEX", "D1")
    stage.venue.step()
    stage.listen(TopicKind.SUMMARY)
    stage.done(order(lots=1, price=None))
    assert stage.sink.changes == [topic]
    before = stage.venue.current(topic)
    assert stage.venue.current(topic) is before

    told = 0
    for _ in range(500):
        stage.sink.changes.clear()
        stage.pass_time(MARKS_EVERY_NS // 10)
        if stage.sink.changes:
            told += 1
            after = stage.venue.current(topic)
            assert after.position > before.position
            assert after.record != before.record
            before = after
    assert 0 < told <= 50


def test_a_market_that_stands_still_tells_nothing(stage):
    trade(stage)
    stage.listen(TopicKind.SUMMARY, TopicKind.RISK)
    for _ in range(20):
        stage.clock.now_ns += MARKS_EVERY_NS
        stage.venue._hall.portfolios.mark(stage.clock.now_ns)
        stage.venue._streams.flush()

    assert stage.sink.changes == []


def test_the_day_turns_orders_lapse_fills_become_past_and_positions_are_settled(stage):
    number = trade(stage)
    resting = stage.done(order(price="299.00"))
    stage.listen(*ROWS)
    stage.pass_time(DAY_NS)

    assert [(row.id, row.status) for row in stage.told(TopicKind.ORDERS)] == [(resting, OrderStatus.CANCELED)]
    held = stage.told(TopicKind.POSITIONS)[0]
    assert (held.quantity_lots, held.open_lots, held.quantity_t0_lots) == (2, 2, 2)
    assert stage.page(TopicKind.FILLS).records == []
    assert stage.page(TopicKind.ORDERS).records == []

    def past(**wanted):
        found = asyncio.run(stage.venue.past_fills("MOEX", "D1", FillsFilter(**wanted)))
        return [fill.order_number for fill in found]

    assert past() == past(symbol="SBER", side=BUY, board="TQBR") == [number]
    assert past(side=SELL) == past(symbol="GAZP") == past(since_s=2**40) == past(from_id=2**60) == []
    assert past(limit=0) == []


def test_an_order_is_weighed(stage):
    asked = EstimateOrder(
        portfolio="D1",
        exchange=Exchange.MOEX,
        symbol="SBER",
        board="",
        price=Decimal("300.00"),
        quantity_lots=3,
    )
    found = asyncio.run(stage.venue.estimate(asked))

    assert (found.cost, found.commission, found.price) == (9000, Decimal("4.5"), 300)
    assert found.buy_lots_without_margin == 333

    def refused(**changes):
        return asyncio.run(
            stage.venue.estimate(
                EstimateOrder(
                    **{name: changes.get(name, getattr(asked, name)) for name in asked.__struct_fields__}
                )
            )
        )

    assert refused(price=Decimal("300.001")).code == 409
    assert refused(price=Decimal("400.00")).code == refused(price=Decimal("200.00")).code == 301
    assert refused(price=None).price > 0
    with pytest.raises(UnknownPortfolioError):
        refused(portfolio="D9")
    with pytest.raises(UnknownTopicError):
        refused(symbol="NONE")


def test_money_is_told_as_the_old_call_has_it(stage):
    stage.done(order(lots=2, price="300.00"))

    money = asyncio.run(stage.venue.legacy_money("MOEX", "D1"))
    assert (money.cash, money.used, money.free) == (1_000_000, 6003, 1_000_000 - 6003)
