from datetime import date

from tapewire.market import BOND_TERMS, catalogue
from tapewire.venues.bond_figures import BondFigures

OFZ = next(instrument for instrument in catalogue() if instrument.symbol == "SU26238RMFS4")
TERMS = BOND_TERMS[OFZ.symbol]
MONDAY_NS = 1_793_602_800_000_000_000
DAY_NS = 86_400_000_000_000


def test_figures_are_those_of_the_terms_on_the_trading_day():
    figures = BondFigures(OFZ, TERMS)

    assert figures.accrued_interest(MONDAY_NS) == float(TERMS.accrued_interest(date(2026, 11, 2)))
    assert figures.yield_percent(58_950, MONDAY_NS) == TERMS.yield_percent(58.95, date(2026, 11, 2))


def test_a_new_day_has_new_figures():
    figures = BondFigures(OFZ, TERMS)
    figures.yield_percent(58_950, MONDAY_NS)

    later_ns = MONDAY_NS + 30 * DAY_NS
    assert figures.yield_percent(58_950, later_ns) == TERMS.yield_percent(58.95, date(2026, 12, 2))
    assert figures.accrued_interest(later_ns) != figures.accrued_interest(MONDAY_NS)
