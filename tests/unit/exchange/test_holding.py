import pytest

from tapewire.exchange import Holding


def traded(*trades):
    holding = Holding()
    for lots, lot_money in trades:
        holding.trade(lots, lot_money, 0)
    return holding


@pytest.mark.parametrize(
    ("trades", "lots", "cost", "realised"),
    [
        ([(10, 100), (10, 110)], 20, 2100, 0),
        ([(10, 100), (10, 110), (-5, 120)], 15, 1575, 75),
        ([(10, 100), (-10, 90)], 0, 0, -100),
        ([(10, 100), (-15, 120)], -5, -600, 200),
        ([(-10, 100), (4, 90)], -6, -600, 40),
        ([(-10, 100), (15, 90)], 5, 450, 100),
    ],
)
def test_closing_takes_its_part_of_the_cost_and_the_average_stays(trades, lots, cost, realised):
    holding = traded(*trades)
    assert (holding.lots, holding.cost, holding.realised) == (lots, cost, realised)
    assert (holding.day_cost, holding.day_realised) == (cost, realised)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_part_that_does_not_come_out_even_is_cut_and_the_rest_stays(sign):
    holding = traded((3 * sign, 10), (-1 * sign, 10), (1 * sign, 11))  # 31 units for 3 lots
    holding.trade(-1 * sign, 10, 0)
    assert (holding.cost, holding.realised) == (sign * 21, 0)
    holding.trade(-2 * sign, 10, 0)
    assert (holding.cost, holding.realised) == (0, -sign)


def test_interest_is_a_part_of_the_cost_and_leaves_with_its_lots():
    holding = Holding()
    holding.trade(4, 1010, 10)
    holding.trade(-1, 1020, 12)
    assert (holding.cost, holding.interest, holding.realised) == (3030, 30, 10)


def test_a_new_day_counts_from_the_settlement_and_forgets_no_result():
    holding = traded((10, 100), (-5, 110))
    holding.begin_day(120)
    assert (holding.open_lots, holding.settled_lots, holding.day_cost, holding.day_realised) == (5, 5, 600, 0)
    holding.trade(-5, 125, 0)
    assert (holding.day_realised, holding.realised) == (25, 50 + 125)


def test_a_coupon_is_a_result_and_lowers_what_the_day_began_with():
    holding = traded((10, 100))
    holding.begin_day(105)
    holding.pay_coupon(5)
    assert (holding.realised, holding.day_cost, holding.cost) == (50, 1000, 1000)
