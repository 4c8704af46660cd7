from datetime import date, timedelta
from decimal import Decimal

import pytest

from tapewire.market import BOND_TERMS, BondTerms

OFZ_26238 = BOND_TERMS["SU26238RMFS4"]
#: One payment of 110 a year from now.
ONE_YEAR = BondTerms(face_value=Decimal(100), coupon=Decimal(10), period_days=365, matures_on=date(2027, 1, 1))


def test_interest_grows_from_coupon_to_coupon():
    paid_on = OFZ_26238.matures_on - timedelta(days=10 * 182)

    assert OFZ_26238.accrued_interest(paid_on) == 0
    assert OFZ_26238.accrued_interest(paid_on + timedelta(days=91)) == Decimal("17.70")
    assert OFZ_26238.accrued_interest(paid_on + timedelta(days=181)) == Decimal("35.21")


def test_a_bond_that_has_matured_accrues_and_yields_nothing():
    assert OFZ_26238.accrued_interest(OFZ_26238.matures_on) == 0
    assert OFZ_26238.yield_percent(60.0, OFZ_26238.matures_on) is None


@pytest.mark.parametrize(("price", "percent"), [(100.0, 10.0), (110.0, 0.0), (55.0, 100.0), (146.667, -25.0)])
def test_the_yield_of_one_payment_is_its_plain_return(price, percent):
    assert ONE_YEAR.yield_percent(price, date(2026, 1, 1)) == pytest.approx(percent, abs=0.01)


def test_the_yield_discounts_all_payments_to_price_and_interest():
    on = date(2026, 11, 2)
    rate = OFZ_26238.yield_percent(58.95, on) / 100

    worth, paid_on = 1000 / (1 + rate) ** ((OFZ_26238.matures_on - on).days / 365), OFZ_26238.matures_on
    while paid_on > on:
        worth += 35.40 / (1 + rate) ** ((paid_on - on).days / 365)
        paid_on -= timedelta(days=182)

    assert worth == pytest.approx(589.5 + float(OFZ_26238.accrued_interest(on)), abs=0.5)


def test_a_higher_price_yields_less():
    yields = [OFZ_26238.yield_percent(float(price), date(2026, 11, 2)) for price in range(40, 120, 5)]

    assert yields == sorted(yields, reverse=True)


@pytest.mark.parametrize("price", [0.0, -1.0])
def test_a_price_of_nothing_has_no_yield(price):
    assert OFZ_26238.yield_percent(price, date(2026, 11, 2)) is None
