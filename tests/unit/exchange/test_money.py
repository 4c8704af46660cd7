from decimal import Decimal

import pytest

from tapewire.exchange import MONEY_UNITS
from tapewire.exchange.commission import CommissionRates, commission_of
from tapewire.exchange.money import money_of, price_of, rated, roubles
from tapewire.model import InstrumentKind


def test_money_goes_there_and_back_without_zeros_or_exponents():
    for text in ("0", "0.000001", "-12.5", "200", "1000000", "3011.5"):
        assert str(roubles(money_of(Decimal(text), "it"))) == text
    assert str(rated(1)) == "1E-12"
    assert str(rated(2 * MONEY_UNITS * 500_000)) == "1"


@pytest.mark.parametrize("text", ["0.0000001", "NaN", "Infinity"])
def test_what_is_no_whole_number_of_units_is_refused_by_name(text):
    with pytest.raises(ValueError, match="the cash is"):
        money_of(Decimal(text), "the cash")


@pytest.mark.parametrize(
    ("cost", "lots", "price"),
    [(0, 0, "0"), (30_120_000, 1, "301.2"), (-30_120_000, -1, "301.2"), (100_000_000, 3, "333.333333")],
)
def test_an_average_price_has_four_digits_more_than_a_price(cost, lots, price):
    assert str(price_of(cost, lots, 1_000, Decimal("0.01"))) == price


@pytest.mark.parametrize(
    ("base", "rate", "roubles_owed"),
    [
        ("100", 500, "0.05"),
        ("100.01", 500, "0.06"),
        ("0.01", 500, "0.01"),
        ("0", 500, "0"),
        ("7", 1_500_000, "10.5"),
    ],
)
def test_a_commission_is_rounded_up_to_the_kopeck(base, rate, roubles_owed):
    assert roubles(commission_of(money_of(Decimal(base), "it"), rate)) == Decimal(roubles_owed)


def test_rates_go_by_kind():
    rates = CommissionRates(shares=Decimal("0.1"), bonds=Decimal("0.2"), currencies=Decimal("0.3"))
    assert rates.of(InstrumentKind.SHARE) == 100_000
    assert rates.of(InstrumentKind.BOND) == 200_000
    assert rates.of(InstrumentKind.CURRENCY) == 300_000
    assert rates.of(InstrumentKind.FUTURE) == rates.of(InstrumentKind.OPTION) == 1_500_000


@pytest.mark.parametrize("wrong", [{"shares": Decimal(1)}, {"bonds": Decimal(-1)}, {"contract": Decimal("-0.1")}])
def test_a_commission_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="a commission of"):
        CommissionRates(**wrong)
