from datetime import date
from math import isclose

import pytest

from tapewire.market import OPTION_TERMS, OptionTerms
from tapewire.model import OptionSide

EXPIRY = date(2027, 3, 18)
YEAR_BEFORE = date(2026, 3, 18)


def terms(side=OptionSide.CALL, strike=100.0, volatility=0.2):
    return OptionTerms(side, strike, EXPIRY, volatility, "TESTH7")


def test_a_year_at_the_money_is_the_known_value():
    # Black 1976 with F = K = 100, 20 %, one year, no interest: 100 (2 N(0.1) - 1) = 7.9656.
    assert terms().figures(100.0, 15.0, YEAR_BEFORE).theoretical_price == 7.97


@pytest.mark.parametrize("future", [60.0, 99.0, 100.0, 140.0])
def test_a_call_less_a_put_is_the_way_to_the_strike(future):
    call = terms().figures(future, 15.0, YEAR_BEFORE)
    put = terms(OptionSide.PUT).figures(future, 15.0, YEAR_BEFORE)

    assert isclose(call.theoretical_price - put.theoretical_price, future - 100, abs_tol=0.011)


@pytest.mark.parametrize(("future", "worth"), [(90.0, 0.0), (100.0, 0.0), (112.5, 12.5)])
def test_at_expiry_it_is_worth_what_exercise_gives(future, worth):
    figures = terms().figures(future, 15.0, EXPIRY)

    assert figures.theoretical_price == figures.price_limit == worth


def test_collateral_grows_with_delta_and_covers_the_price():
    far, deep = (terms().figures(future, 15.0, YEAR_BEFORE) for future in (70.0, 140.0))

    assert far.margin_sell - far.theoretical_price < deep.margin_sell - deep.theoretical_price < 15.01
    assert far.margin_synthetic > deep.margin_synthetic >= 0
    assert far.margin_buy == far.theoretical_price < far.price_limit
    assert far.volatility == 20.0


def test_the_listed_option_is_worth_about_its_close():
    [option] = OPTION_TERMS.values()

    assert 2_500 < option.figures(92_450.0, 14_050.0, date(2026, 11, 2)).theoretical_price < 3_700
