from datetime import date

import pytest

from tapewire.market import BOND_TERMS, CATALOGUE_SIZE, OPTION_TERMS, catalogue
from tapewire.model import NEVER, InstrumentKind


def test_the_order_begins_with_the_three_best_known():
    assert [instrument.symbol for instrument in catalogue(3)] == ["SBER", "GAZP", "LKOH"]
    assert catalogue()[:7] == catalogue(7)


def test_all_of_it_includes_an_option_and_the_future_under_it():
    [option] = [instrument for instrument in catalogue() if instrument.kind is InstrumentKind.OPTION]

    assert OPTION_TERMS[option.symbol].underlying == option.underlying == "SiH7"
    assert option.strike == 92_500
    assert any(instrument.symbol == option.underlying for instrument in catalogue())


def test_static_facts_are_there_for_those_that_have_them():
    for instrument in catalogue():
        is_security = instrument.kind in (InstrumentKind.SHARE, InstrumentKind.BOND)
        assert (instrument.isin is not None) == is_security
        assert len(instrument.cfi_code) == 6
        assert instrument.rating > 0
        derivative = instrument.market == "FORTS"
        assert (instrument.cancels_on != NEVER) == (derivative or instrument.kind is InstrumentKind.BOND)
        assert (instrument.tick_value is not None) == derivative
        assert bool(instrument.underlying) == derivative


@pytest.mark.parametrize("count", [6, 26, CATALOGUE_SIZE - 1])
def test_six_and_more_include_every_kind_of_instrument_but_the_option(count):
    kinds = {instrument.kind for instrument in catalogue(count)}

    assert kinds == {
        InstrumentKind.SHARE,
        InstrumentKind.FUTURE,
        InstrumentKind.CURRENCY,
        InstrumentKind.BOND,
    }


@pytest.mark.parametrize("count", [0, -1, CATALOGUE_SIZE + 1])
def test_a_count_outside_the_catalogue_is_an_error_that_names_the_range(count):
    with pytest.raises(ValueError, match=f"1 to {CATALOGUE_SIZE}"):
        catalogue(count)


def test_there_is_enough_of_each_kind():
    kinds = [instrument.kind for instrument in catalogue()]

    assert CATALOGUE_SIZE >= 26
    assert kinds.count(InstrumentKind.SHARE) >= 18
    assert kinds.count(InstrumentKind.FUTURE) >= 4


def test_no_instrument_is_listed_twice():
    assert len({instrument.key for instrument in catalogue()}) == CATALOGUE_SIZE


@pytest.mark.parametrize("instrument", catalogue(), ids=lambda instrument: instrument.symbol)
def test_rules_are_usable(instrument):
    low, high = instrument.price_band_ticks
    assert 1 <= low < instrument.prev_close_ticks < high
    # A maker's ladder on both sides of the walk's own limits, half of the way, stays inside.
    assert high - instrument.prev_close_ticks > 4 * 40
    assert instrument.ticks(instrument.price(low)) == low
    assert instrument.board == {
        InstrumentKind.SHARE: "TQBR",
        InstrumentKind.FUTURE: "RFUD",
        InstrumentKind.CURRENCY: "CETS",
        InstrumentKind.BOND: "TQOB",
        InstrumentKind.OPTION: "ROPD",
    }.get(instrument.kind)
    has_margin = instrument.market == "FORTS"
    assert (instrument.margin_buy is not None) == (instrument.margin_sell is not None) == has_margin


def test_every_bond_has_terms_that_outlive_the_catalogue():
    bonds = [instrument for instrument in catalogue() if instrument.kind is InstrumentKind.BOND]

    assert {bond.symbol for bond in bonds} == set(BOND_TERMS)
    for bond in bonds:
        assert BOND_TERMS[bond.symbol].face_value == bond.face_value
        assert BOND_TERMS[bond.symbol].matures_on > date(2035, 1, 1)
