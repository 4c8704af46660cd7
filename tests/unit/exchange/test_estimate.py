from decimal import Decimal

import pytest

from accounting import BOND, FUTURE, SHARE, Desk, opened
from tapewire.exchange import CommissionRates, estimate
from tapewire.model import ClientType
from trading import BUY, SELL


def sizes(found):
    return (found.buy_lots, found.sell_lots, found.buy_lots_without_margin, found.sell_lots_without_margin)


def test_sizes_are_the_most_that_would_be_taken():
    desk = Desk(opened("D1", 1000))
    assert sizes(estimate(desk.accounts, "D1", SHARE, price_ticks=1000, lots=1)) == (50, 40, 10, 0)
    desk.trade("D1", BUY, 4, 1000)
    assert sizes(estimate(desk.accounts, "D1", SHARE, price_ticks=1000, lots=1)) == (46, 44, 6, 4)


def test_a_client_of_low_risk_is_told_both_sizes():
    desk = Desk(opened("D1", 1000, client_type=ClientType.LOW_RISK))
    assert sizes(estimate(desk.accounts, "D1", SHARE, price_ticks=1000)) == (25, 20, 10, 0)


def test_working_orders_count_only_if_asked_and_are_left_alone():
    desk = Desk(opened("D1", 1000))
    desk.place("D1", BUY, 6, 1000)
    before = desk.accounts.digest()
    assert sizes(estimate(desk.accounts, "D1", SHARE, price_ticks=1000))[2] == 10
    assert sizes(estimate(desk.accounts, "D1", SHARE, price_ticks=1000, includes_orders=True))[2] == 4
    assert desk.accounts.digest() == before


def test_cost_and_commission_are_those_of_the_order():
    desk = Desk(opened("D1", 10_000, commission=CommissionRates(shares=Decimal("0.0005"))))
    found = estimate(desk.accounts, "D1", SHARE, price_ticks=1001, lots=3)
    assert (found.cost, found.commission, found.price) == (Decimal("300.3"), Decimal("0.16"), Decimal("10.01"))
    assert (found.symbol, found.portfolio, found.is_united_portfolio) == ("SHARE", "D1", False)


@pytest.mark.parametrize(("budget", "cost"), [("300.19", 200), ("300.2", 300), ("0", 0), (None, 0)])
def test_a_budget_buys_what_it_pays_with_commission(budget, cost):
    desk = Desk(opened("D1", 10_000, commission=CommissionRates(shares=Decimal("0.00065"))))
    budget = None if budget is None else Decimal(budget)
    assert estimate(desk.accounts, "D1", SHARE, price_ticks=1000, budget=budget).cost == cost


def test_contracts_cost_their_collateral():
    desk = Desk(opened("751", 1000, commission=CommissionRates(contract=Decimal(2))))
    found = estimate(desk.accounts, "751", FUTURE, price_ticks=1000, lots=2)
    assert (found.cost, found.commission) == (400, 4)
    assert sizes(found) == (4, 3, 4, 3)


def test_what_may_not_be_traded_has_no_size():
    desk = Desk(opened("D1", 1000))
    assert sizes(estimate(desk.accounts, "D1", FUTURE, price_ticks=1000)) == (0, 0, 0, 0)
    assert sizes(estimate(desk.accounts, "D1", BOND, price_ticks=10_000))[1] == 0


def test_a_sale_is_never_larger_than_an_order_may_be():
    desk = Desk(opened("D1", 1000))
    desk.trade("D1", SELL, 1, 1000)
    assert estimate(desk.accounts, "D1", SHARE, price_ticks=1, budget=Decimal(10**15)).cost == Decimal(10**8)


@pytest.mark.parametrize("wrong", [{"lots": -1}, {"lots": 1_000_000_001}, {"price_ticks": 0}])
def test_an_impossible_order_is_refused(wrong):
    desk = Desk(opened("D1", 1000))
    with pytest.raises(ValueError, match="cannot be estimated"):
        estimate(desk.accounts, "D1", SHARE, **{"price_ticks": 1000} | wrong)
