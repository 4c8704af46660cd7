from decimal import Decimal

import pytest

from accounting import BOND, DAY, FUTURE, OPTION, PAIR, PRIVATE, SHARE, Desk, opened
from tapewire.exchange import Accounts, CommissionRates, Evaluation
from tapewire.model import ClientType, CurrencyPower, RiskStatus, to_iso
from trading import BUY, SELL


def row(desk, name, symbol):
    (found,) = (row for row in desk.evaluation(name).positions(existing=True) if row.symbol == symbol)
    return found


def test_a_portfolio_that_never_had_anything_has_no_rows():
    assert Desk(opened("D1", 0)).evaluation("D1").positions(existing=True) == ()


def test_an_order_alone_makes_no_row():
    desk = Desk(opened("D1"))
    desk.place("D1", BUY, 1, 1000)
    assert [row.symbol for row in desk.evaluation("D1").positions(existing=False)] == ["RUB"]
    assert desk.evaluation("D1").position(SHARE, existing=False) is None


def test_rows_say_whether_they_are_of_a_snapshot_and_come_in_the_exchanges_order():
    desk = Desk(opened("D1"))
    desk.trade("D1", BUY, 1, 10_000, instrument=BOND)
    desk.trade("D1", BUY, 1, 1000)
    rows = desk.evaluation("D1").positions(existing=True)
    assert [(row.symbol, row.is_currency, row.existing) for row in rows] == [
        ("RUB", True, True),
        ("SHARE", False, True),
        ("BOND", False, True),
    ]
    found = desk.evaluation("D1").position(BOND, existing=False)
    assert found is not None
    assert not found.existing


def test_a_closed_position_stays_as_a_row_of_zeros():
    desk = Desk(opened("D1"))
    desk.trade("D1", BUY, 1, 1000)
    desk.trade("D1", SELL, 1, 1010)
    found = row(desk, "D1", "SHARE")
    assert (found.quantity_future_units, found.average_price, found.volume, found.unrealised_result) == (
        0,
        0,
        0,
        0,
    )


def test_a_short_position_is_below_zero_and_wins_when_prices_fall():
    desk = Desk(opened("D1"))
    desk.trade("D1", SELL, 3, 1000)
    desk.prices[SHARE] = 950
    found = row(desk, "D1", "SHARE")
    assert (found.quantity_units, found.volume, found.current_volume) == (-30, -300, -285)
    assert (found.average_price, found.unrealised_result) == (10, 15)
    risk = desk.evaluation("D1").risk(0)
    assert risk.has_negative_quantity
    assert not risk.has_forbidden_positions
    assert risk.initial_margin == Decimal(285) / 4


def test_what_has_no_price_counts_at_the_settlement_price():
    desk = Desk(opened("D1"))
    desk.trade("D1", BUY, 1, 1010)
    desk.prices[SHARE] = None
    assert row(desk, "D1", "SHARE").current_volume == 100


def test_a_coupon_and_the_interest_of_a_day_are_the_profit_of_that_day():
    desk = Desk(opened("D1"), day=DAY - 1)
    before = desk.accounts.instruments[BOND].accrued
    desk.trade("D1", BUY, 2, 10_000, instrument=BOND)
    assert desk.evaluation("D1").summary().profit == 0
    desk.turn()
    found = row(desk, "D1", "BOND")
    gained = 2 * (Decimal("35.40") - Decimal(before) / 1_000_000)
    assert desk.evaluation("D1").summary().profit == found.daily_unrealised_result == gained
    assert found.unrealised_result == gained - 2 * Decimal("35.40")  # the coupon has left the position


def test_the_status_turns_exactly_at_zero():
    desk = Desk(opened("D1", 1000))
    desk.trade("D1", BUY, 50, 1000)
    statuses = {}
    for price in (1000, 999, 889, 888):
        desk.prices[SHARE] = price
        risk = desk.evaluation("D1").risk(0)
        statuses[price] = (risk.status, risk.coverage_one >= 0, risk.coverage_two >= 0)
    assert statuses == {
        1000: (RiskStatus.OK, True, True),
        999: (RiskStatus.DEMAND, False, True),
        889: (RiskStatus.DEMAND, False, True),
        888: (RiskStatus.TO_CLOSE, False, False),
    }


def test_what_is_not_marginal_is_worth_something_and_backs_nothing():
    desk = Desk(opened("D1", 1000))
    desk.trade("D1", BUY, 4, 1000, instrument=PRIVATE)
    summary = desk.evaluation("D1").summary()
    assert (summary.liquidation_value, summary.evaluation, summary.initial_margin) == (1000, 600, 0)


@pytest.mark.parametrize(
    ("client", "category"), [(ClientType.LOW_RISK, 0), (ClientType.STANDARD_RISK, 1), (ClientType.HIGH_RISK, 2)]
)
def test_a_risk_names_client_category_and_time(client, category):
    risk = Desk(opened("D1", client_type=client)).evaluation("D1").risk(1_793_602_800_000_000_000)
    assert (risk.client_type, risk.category_id) == (client, category)
    assert risk.calculated_at == to_iso(1_793_602_800_000_000_000)


def test_positions_that_could_not_be_opened_now_are_forbidden():
    desk = Desk(opened("751"))
    desk.trade("751", BUY, 1, 1000, instrument=FUTURE)
    stricter = Accounts(desk.listed, [opened("751", tests_passed=frozenset())], desk, day=DAY)
    stricter.restore(desk.accounts.snapshot())
    assert not desk.evaluation("751").risk(0).has_forbidden_positions
    assert Evaluation(stricter, "751").risk(0).has_forbidden_positions


def test_a_currency_that_is_held_can_be_spent_unless_it_is_offered():
    desk = Desk(opened("G1", "100000.5"))
    assert desk.evaluation("G1").summary().buying_power_by_currency == (
        CurrencyPower(currency="RUB", buying_power=Decimal("100000.5")),
    )
    desk.trade("G1", BUY, 3, 1000, instrument=PAIR)
    desk.place("G1", SELL, 1, 1010, instrument=PAIR)
    assert desk.evaluation("G1").summary().buying_power_by_currency == (
        CurrencyPower(currency="RUB", buying_power=Decimal("70000.5")),
        CurrencyPower(currency="CNY", buying_power=Decimal(2000)),
    )


def test_options_are_margined_and_their_value_is_told():
    desk = Desk(opened("751", 10_000, commission=CommissionRates(contract=Decimal(1))))
    desk.trade("751", BUY, 3, 1000, instrument=OPTION)
    desk.trade("751", SELL, 1, 1000, instrument=FUTURE)
    desk.prices[OPTION] = 980
    risk = desk.evaluation("751").derivatives_risk()
    assert risk.net_option_value == 3 * 980 * Decimal("1.5")
    assert risk.margin_positions == -90
    assert risk.money_blocked == 3 * 200 + 300
    assert risk.money_free == 10_000 - 900 - 90 - 4
    assert risk.position_risk == 600 * Decimal("0.98") + 300
    assert risk.money_amount == risk.money_at_start == 10_000
    assert desk.evaluation("751").summary().commission is None


def test_contracts_opened_and_closed_keep_what_they_won_until_the_clearing():
    desk = Desk(opened("751", 10_000))
    desk.trade("751", BUY, 2, 1000, instrument=FUTURE)
    desk.trade("751", SELL, 2, 1010, instrument=FUTURE)
    risk = desk.evaluation("751").derivatives_risk()
    assert (risk.margin_positions, risk.money_free, risk.money_blocked) == (30, 10_000, 0)
    assert desk.evaluation("751").summary().profit == 30
    desk.clear()
    risk = desk.evaluation("751").derivatives_risk()
    assert (risk.margin_positions, risk.margin_intraday, risk.margin, risk.money_free) == (0, 30, 30, 10_030)
    desk.turn()
    assert desk.evaluation("751").derivatives_risk().money_amount == 10_030


def test_other_portfolios_have_no_derivatives_risk():
    with pytest.raises(ValueError, match="portfolio D1 is not on derivatives"):
        Desk(opened("D1")).evaluation("D1").derivatives_risk()


def test_a_portfolio_without_value_has_no_rate_of_profit():
    assert Desk(opened("D1", 0)).evaluation("D1").summary().profit_rate_percent == 0


def test_the_old_money_record_says_the_same_as_the_summary():
    desk = Desk(opened("D1", 1000, commission=CommissionRates(shares=Decimal("0.001"))))
    desk.trade("D1", BUY, 2, 1000)
    desk.place("D1", BUY, 1, 990)
    money, summary = desk.evaluation("D1").legacy_money(), desk.evaluation("D1").summary()
    assert (money.cash, money.used, money.free) == (Decimal("799.8"), Decimal("99.1"), Decimal("700.7"))
    assert (money.cash_at_start, money.change) == (1000, Decimal("-200.2"))
    assert (money.free, money.profit, money.commission) == (
        summary.buying_power,
        summary.profit,
        summary.commission,
    )
