from datetime import date, timedelta
from decimal import Decimal

import pytest

from accounting import BOND_TERMS, DAY, FUTURE, SHARE, instruments
from tapewire.exchange.terms import InstrumentTerms, Segment, segment_of
from tapewire.market import catalogue
from tapewire.market.bonds import BOND_TERMS as LISTED_BONDS
from tapewire.model import ClientType, InstrumentKind
from trading import instrument


def terms(listing, bond=None):
    return InstrumentTerms(0, listing, bond, DAY)


@pytest.mark.parametrize("listing", catalogue(), ids=lambda listing: listing.symbol)
def test_everything_in_the_catalogue_has_a_whole_worth(listing):
    found = terms(listing, LISTED_BONDS.get(listing.symbol))
    price = listing.price(listing.prev_close_ticks)
    if listing.tick_value is None:
        worth = price * listing.lot_size * listing.price_multiplier
    else:
        worth = listing.tick_value * listing.prev_close_ticks
    assert found.tick_money * listing.prev_close_ticks == worth * 1_000_000
    assert found.segment == listing.market
    assert (found.accrued > 0) is (listing.kind is InstrumentKind.BOND)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"tick_size": Decimal("0.00000001")}, "the value of a price step of TEST is"),
        ({"tick_value": Decimal(0)}, "a price step of TEST is worth nothing"),
        ({"currency": "USD"}, "TEST settles in USD"),
        ({"risk_rate_up": Decimal("0.0000001")}, "a rate of risk of TEST is"),
        ({"kind": InstrumentKind.FUTURE}, "contract TEST has no collateral"),
    ],
)
def test_terms_that_are_not_whole_are_refused(changes, text):
    with pytest.raises(ValueError, match=text):
        terms(instrument(**changes))


@pytest.mark.parametrize(
    ("name", "segment"),
    [("D39004", Segment.EQUITIES), ("G12", Segment.CURRENCY), ("7500ABC", Segment.DERIVATIVES)],
)
def test_a_name_says_the_segment(name, segment):
    assert segment_of(name) is segment


@pytest.mark.parametrize("name", ["", "E1", "d1", "7400", "~maker-1"])
def test_other_names_have_none(name):
    with pytest.raises(ValueError, match="begins with none of"):
        segment_of(name)


@pytest.mark.parametrize(
    ("client", "rates"),
    [
        (ClientType.LOW_RISK, (400_000, 500_000)),
        (ClientType.STANDARD_RISK, (200_000, 250_000)),
        (ClientType.HIGH_RISK, (100_000, 125_000)),
    ],
)
def test_rates_go_by_client(client, rates):
    assert terms(instruments()[SHARE]).rates[client] == rates


def test_no_rate_is_above_the_whole():
    assert terms(instrument()).rates[ClientType.LOW_RISK] == (1_000_000, 1_000_000)


@pytest.mark.parametrize(
    ("symbol", "tomorrow"),
    [("CNYRUB_TOM", True), ("USD000UTSTOM", True), ("USDRUB_TOD", False), ("USD000000TOD", False)],
)
def test_a_currency_settles_by_its_code(symbol, tomorrow):
    assert terms(instrument(symbol, kind=InstrumentKind.CURRENCY)).settles_tomorrow is tomorrow


def test_shares_settle_tomorrow_and_contracts_today():
    assert terms(instruments()[SHARE]).settles_tomorrow
    assert not terms(instruments()[FUTURE]).settles_tomorrow


def test_coupons_are_those_after_one_day_until_another():
    bond = terms(instrument(kind=InstrumentKind.BOND, lot_size=2), BOND_TERMS)
    paid_on = BOND_TERMS.matures_on - timedelta(days=182)
    day = (paid_on - date(1970, 1, 1)).days

    assert bond.coupons(day - 1, day) == 2 * 35_400_000
    assert bond.coupons(day, day + 181) == 0
    assert bond.coupons(day - 1, day + 182) == bond.coupons(day - 1, day + 999) == 4 * 35_400_000
    assert terms(instrument()).coupons(0, 99_999) == 0
