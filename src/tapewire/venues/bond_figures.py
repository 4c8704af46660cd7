"""Interest and yields of one bond as a quote shows them."""

from __future__ import annotations

from datetime import date

from tapewire.market import BondTerms
from tapewire.model import Instrument
from tapewire.venues.figures import trading_day

__all__ = ["BondFigures"]

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class BondFigures:
    """Computes a day's figures once: a yield takes some eighty microseconds, a book shows a hundred.

    Keeps one number for each price that was seen today, so at most as many as the price band has ticks.
    """

    def __init__(self, instrument: Instrument, terms: BondTerms) -> None:
        self._instrument = instrument
        self._terms = terms
        self._day: int | None = None
        self._on = date.min
        self._accrued_interest = 0.0
        self._yields: dict[int, float | None] = {}

    def accrued_interest(self, at_ns: int) -> float:
        """Return the interest accrued on the trading day of a wall time, per bond, in its currency."""
        self._turn_to(at_ns)
        return self._accrued_interest

    def yield_percent(self, price_ticks: int, at_ns: int) -> float | None:
        """Return the effective yield to maturity at a price on that trading day; see ``BondTerms``."""
        self._turn_to(at_ns)
        if price_ticks not in self._yields:
            price_percent = self._instrument.price_float(price_ticks)
            self._yields[price_ticks] = self._terms.yield_percent(price_percent, self._on)
        return self._yields[price_ticks]

    def _turn_to(self, at_ns: int) -> None:
        day = trading_day(at_ns)
        if day == self._day:
            return
        self._day = day
        self._on = date.fromordinal(_EPOCH_ORDINAL + day)
        self._accrued_interest = float(self._terms.accrued_interest(self._on))
        self._yields.clear()
