import pytest

from tapewire.exchange import Cancel, EndOfDay, Exchange, PlaceConditional, Register, register
from tapewire.model import Condition, OrderStatus, TimeInForce
from trading import BUY, SELL, instrument, place


@pytest.fixture
def exchange():
    return Exchange([instrument()], first_order_id=1, first_conditional_id=1)


def test_a_row_tells_the_whole_life_of_an_order(exchange):
    exchange.apply(place(BUY, 5, 1000, comment="mine", allow_margin=True), at_ns=10)
    exchange.apply(place(SELL, 2, 1000, account="B"), at_ns=20)
    exchange.apply(place(SELL, 1, 1000, account="~maker"), at_ns=30)

    row = exchange.orders.get(1)
    assert (row.account, row.comment, row.allow_margin) == ("A", "mine", True)
    assert (row.created_at_ns, row.updated_at_ns, row.expires_at_ns) == (10, 30, None)
    assert (row.status, row.filled_lots, row.filled_lot_ticks) == (OrderStatus.WORKING, 3, 3000)

    exchange.apply(Cancel(account="A", order_id=1), at_ns=40)

    assert (row.status, row.cause, row.updated_at_ns) == (OrderStatus.CANCELED, "asked", 40)
    assert [row.id for row in exchange.orders.of("A")] == [1]
    assert [row.status for row in exchange.orders.of("B")] == [OrderStatus.FILLED]


def test_participants_are_not_registered(exchange):
    exchange.apply(place(BUY, 5, 1000, account="~maker"), at_ns=10)

    assert list(exchange.orders.all()) == []


def test_a_row_of_an_iceberg_tells_what_shows(exchange):
    exchange.apply(place(SELL, 10, 1000, visible_lots=4), at_ns=0)
    row = exchange.orders.get(1)
    assert (row.part_lots, row.shown_lots) == (4, 4)

    exchange.apply(place(BUY, 5, 1000, account="B"), at_ns=0)
    assert (row.part_lots, row.shown_lots) == (4, 3)

    exchange.apply(place(BUY, 5, 1000, account="B"), at_ns=0)
    assert (row.status, row.shown_lots) == (OrderStatus.FILLED, 0)


def test_an_order_that_is_good_till_cancelled_ends_after_a_year():
    exchange = Exchange([instrument(kind="future")], first_order_id=1)
    exchange.apply(place(SELL, 1, 1000, time_in_force=TimeInForce.GOOD_TILL_CANCELLED), at_ns=5)

    assert exchange.orders.get(1).expires_at_ns == 5 + 365 * 86_400 * 10**9 == exchange.due_at_ns


def test_a_refused_direct_order_of_a_conditional_one_is_rejected(exchange):
    stop = PlaceConditional(order=place(BUY, 1, 1200), condition=Condition.MORE_OR_EQUAL, trigger_ticks=1000)
    exchange.apply(stop, at_ns=0)
    exchange.apply(place(SELL, 1, 1000, account="B"), at_ns=1)
    exchange.apply(place(BUY, 1, 1000, account="C"), at_ns=2)

    kept = exchange.conditionals.get(1)
    row = exchange.orders.get(kept.placed_id)
    assert (row.status, row.conditional_id) == (OrderStatus.REJECTED, 1)
    assert "outside the limits" in row.error
    assert kept.status is OrderStatus.CANCELED
    assert kept.error == f"ExchangeLimitExceeded (301): {row.error}"


def test_ended_orders_are_remembered_for_this_session_and_the_last(exchange):
    for day in range(3):
        exchange.apply(place(BUY, 1, 1000), at_ns=day)
        exchange.apply(EndOfDay(day=day), at_ns=day)

    assert [row.id for row in exchange.orders.of("A")] == [3]
    exchange.apply(EndOfDay(day=4), at_ns=9)
    assert list(exchange.orders.of("A")) == []
    assert exchange.orders.get(3) is None


def test_no_more_ended_orders_are_remembered_than_the_bound(exchange, monkeypatch):
    monkeypatch.setattr(register, "ENDED_ORDERS_MAX", 3)
    exchange.apply(place(BUY, 1, 900), at_ns=0)
    for _ in range(5):
        exchange.apply(place(BUY, 1, None), at_ns=0)

    assert [row.id for row in exchange.orders.of("A")] == [1, 4, 5, 6]


def test_an_empty_register_knows_nobody():
    assert list(Register().of("A")) == []
    assert Register().get(1) is None
