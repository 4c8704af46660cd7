import pytest

from tapewire.exchange import RestingOrder
from tapewire.exchange.side import BookSide
from trading import BUY, SELL


def side_of(side, *orders):
    built = BookSide(side)
    for number, (price_ticks, lots) in enumerate(orders, start=1):
        built.add(RestingOrder(number, "A", 0, side, price_ticks, lots))
    return built


def test_an_empty_side_has_no_best_price_and_reaches_nothing():
    bids = BookSide(BUY)

    assert bids.best_ticks is None
    assert bids.best_lots() == 0
    assert not bids.reaches(1)
    assert not bids.holds(1, 1)
    assert bids.take(1, 5) == []


@pytest.mark.parametrize(
    ("side", "best", "levels"),
    [(BUY, 102, [(102, 3), (101, 7), (100, 1)]), (SELL, 100, [(100, 1), (101, 7), (102, 3)])],
)
def test_levels_run_from_the_best_price_and_sum_their_orders(side, best, levels):
    built = side_of(side, (101, 2), (102, 3), (100, 1), (101, 5))

    assert built.best_ticks == best
    assert built.best_lots() == levels[0][1]
    assert built.levels(50) == levels
    assert built.levels(2) == levels[:2]
    assert built.levels(0) == []
    assert built.lots == 11


@pytest.mark.parametrize(("side", "good", "bad"), [(BUY, 102, 103), (SELL, 100, 99)])
def test_reaches_says_whether_the_best_price_meets_a_limit(side, good, bad):
    built = side_of(side, (101, 2), (102, 3), (100, 1))

    assert built.reaches(good)
    assert not built.reaches(bad)


def test_holds_counts_only_what_the_limit_allows():
    asks = side_of(SELL, (100, 2), (101, 3), (102, 4))

    assert asks.holds(101, 5)
    assert not asks.holds(101, 6)
    assert asks.holds(200, 9)
    assert not asks.holds(200, 10)


def test_take_goes_by_price_then_by_time_and_leaves_the_rest():
    asks = side_of(SELL, (101, 2), (100, 3), (101, 5), (101, 1))

    fills = asks.take(101, 6)

    assert [(fill.order.id, fill.lots) for fill in fills] == [(2, 3), (1, 2), (3, 1)]
    assert [(order.id, order.lots) for order in asks.orders()] == [(3, 4), (4, 1)]
    assert asks.levels(9) == [(101, 5)]
    assert asks.lots == 5


def test_take_that_ends_exactly_between_two_orders_leaves_the_next_whole():
    asks = side_of(SELL, (100, 3), (100, 4))

    fills = asks.take(100, 3)

    assert [(fill.order.id, fill.lots) for fill in fills] == [(1, 3)]
    assert [(order.id, order.lots) for order in asks.orders()] == [(2, 4)]


def test_take_stops_at_the_limit():
    bids = side_of(BUY, (100, 3), (99, 4))

    assert sum(fill.lots for fill in bids.take(100, 50)) == 3
    assert bids.levels(9) == [(99, 4)]


def test_a_removed_order_takes_its_empty_level_along():
    bids = side_of(BUY, (100, 3), (99, 4), (99, 1))
    first, second, third = bids.orders()

    bids.remove(second)
    assert bids.levels(9) == [(100, 3), (99, 1)]
    bids.remove(first)
    bids.remove(third)
    assert bids.levels(9) == []
    assert bids.lots == 0
