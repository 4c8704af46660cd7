"""Coupons: what a bond pays, and the two figures a quote shows of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType

import msgspec

__all__ = ["BOND_TERMS", "BondTerms"]

_CENT = Decimal("0.01")
_DAYS_IN_YEAR = 365

#: Newton's method gains digits fast on this smooth curve; it needs some twenty rounds.
_ROUNDS_MAX = 50


class BondTerms(msgspec.Struct, frozen=True, kw_only=True):
    """A bond with a fixed coupon that repays its face value at the end.

    Coupons fall every ``period_days`` before ``matures_on``; before the first of them the bond did not exist.
    """

    face_value: Decimal
    #: Paid at the end of each period, for one bond.
    coupon: Decimal
    period_days: int
    matures_on: date

    def accrued_interest(self, on: date) -> Decimal:
        """Return the interest that a buyer owes the seller, per bond, rounded to the hundredth.

        The coupon times the part of the current period that has passed; 0 from maturity on.
        """
        days_left = (self.matures_on - on).days
        if days_left <= 0:
            return Decimal(0)
        days_passed = -days_left % self.period_days
        return (self.coupon * days_passed / self.period_days).quantize(_CENT, ROUND_HALF_UP)

    def yield_percent(self, price_percent: float, on: date) -> float | None:
        """Return the effective yield to maturity, per cent a year, rounded to the hundredth.

        The rate at which all payments to come, discounted over days / 365, are worth the price and the
        accrued interest. None from maturity on, and for a price that is not above zero.

        Args:
            price_percent: Clean price, per cent of the face value.
            on: The day of the deal.
        """
        if price_percent <= 0 or on >= self.matures_on:
            return None
        paid = float(self.face_value) * price_percent / 100 + float(self.accrued_interest(on))
        payments = self._payments_after(on)
        # The function below is convex and falls with the rate: from a rate that is too low, Newton's method
        # climbs to the root and cannot overshoot. Nothing yields less than -50 % inside a price band.
        rate = -0.5
        for _ in range(_ROUNDS_MAX):
            worth = slope = 0.0
            for years, amount in payments:
                value = amount * (1 + rate) ** -years
                worth += value
                slope -= years * value / (1 + rate)
            step = (worth - paid) / slope
            rate -= step
            if abs(step) < 1e-9:
                break
        return round(rate * 100, 2)

    def _payments_after(self, on: date) -> list[tuple[float, float]]:
        payments = [((self.matures_on - on).days / _DAYS_IN_YEAR, float(self.face_value + self.coupon))]
        paid_on = self.matures_on - timedelta(days=self.period_days)
        while paid_on > on:
            payments.append(((paid_on - on).days / _DAYS_IN_YEAR, float(self.coupon)))
            paid_on -= timedelta(days=self.period_days)
        return payments


def _ofz(coupon: str, matures_on: date) -> BondTerms:
    return BondTerms(face_value=Decimal(1000), coupon=Decimal(coupon), period_days=182, matures_on=matures_on)


#: Terms of the bonds in the catalogue, by symbol.
BOND_TERMS: Mapping[str, BondTerms] = MappingProxyType(
    {
        "SU26238RMFS4": _ofz("35.40", date(2041, 5, 15)),
        "SU26243RMFS4": _ofz("48.87", date(2038, 5, 19)),
    }
)
