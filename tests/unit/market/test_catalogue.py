from datetime import date

import pytest

from tapewire.market import BOND_TERMS, CATALOGUE_SIZE, catalogue
from tapewire.model import InstrumentKind


def test_the_order_begins_with_the_three_best_known():
    assert [instrument.symbol for instrument in catalogue(3)] == ["SBER", "GAZP", "LKOH"]
    assert catalogue()[:7] == catalogue(7)


@pytest.mark.parametrize("count", [6, 26, CATALOGUE_SIZE])
def test_six_and_more_include_every_kind(count):
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
    }.get(instrument.kind)
    has_margin = instrument.kind is InstrumentKind.FUTURE
    assert (instrument.margin_buy is not None) == (instrument.margin_sell is not None) == has_margin


def test_every_bond_has_terms_that_outlive_the_catalogue():
    bonds = [instrument for instrument in catalogue() if instrument.kind is InstrumentKind.BOND]

    assert {bond.symbol for bond in bonds} == set(BOND_TERMS)
    for bond in bonds:
        assert BOND_TERMS[bond.symbol].face_value == bond.face_value
        assert BOND_TERMS[bond.symbol].matures_on > date(2035, 1, 1)
