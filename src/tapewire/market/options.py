"""Theoretical prices of options on futures: Black's formula of 1976, without interest (margined options)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from math import erf, log, sqrt
from types import MappingProxyType
from typing import NamedTuple

from tapewire.model import OptionSide

__all__ = ["OPTION_TERMS", "OptionFigures", "OptionTerms"]

_DAYS_IN_YEAR = 365

#: The limit price leaves so much of the way to the price at a volatility that is half as high again.
_LIMIT_VOLATILITY = 1.5


class OptionFigures(NamedTuple):
    """What an instrument record says of an option; prices in the quoted unit."""

    theoretical_price: float
    #: Largest price by the exchange's reckoning: that of one and a half times the volatility.
    price_limit: float
    #: Per cent a year.
    volatility: float
    #: Collateral: of a buyer the price, of a seller the price and the future's margin by delta, of a covered
    #: position the part of the future's margin that delta leaves.
    margin_buy: float
    margin_sell: float
    margin_synthetic: float


class OptionTerms(NamedTuple):
    """An option on a future that is listed too."""

    side: OptionSide
    strike: float
    expires_on: date
    #: Parts of the price a year: 0.15 is 15 %.
    volatility: float
    #: Symbol of the future.
    underlying: str

    def figures(self, future_price: float, future_margin: float, on: date) -> OptionFigures:
        """Return the figures of a day for a price of the future, both above 0."""
        price, delta = self._black(future_price, self.volatility, on)
        limit, _ = self._black(future_price, self.volatility * _LIMIT_VOLATILITY, on)
        return OptionFigures(
            round(price, 2),
            round(limit, 2),
            round(self.volatility * 100, 2),
            round(price, 2),
            round(price + future_margin * abs(delta), 2),
            round(future_margin * (1 - abs(delta)), 2),
        )

    def _black(self, future_price: float, volatility: float, on: date) -> tuple[float, float]:
        """Return price and delta."""
        sign = 1 if self.side is OptionSide.CALL else -1
        years = max((self.expires_on - on).days, 0) / _DAYS_IN_YEAR
        deviation = volatility * sqrt(years)
        if not deviation:
            intrinsic = max(sign * (future_price - self.strike), 0.0)
            return intrinsic, float(sign) if intrinsic else 0.0
        upper = log(future_price / self.strike) / deviation + deviation / 2
        delta = sign * _normal(sign * upper)
        return future_price * delta - sign * self.strike * _normal(sign * (upper - deviation)), delta


def _normal(value: float) -> float:
    return (1 + erf(value / sqrt(2))) / 2


#: Terms of the options in the catalogue, by symbol.
OPTION_TERMS: Mapping[str, OptionTerms] = MappingProxyType(
    {"Si92500BC7": OptionTerms(OptionSide.CALL, 92_500.0, date(2027, 3, 18), 0.14, "SiH7")}
)
