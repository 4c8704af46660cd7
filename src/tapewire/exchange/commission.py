"""What the broker takes for trades, and the one rounding of the exchange.

The commission of an *order* is its rate times the value traded so far, rounded **up to the kopeck**. A trade pays
what its order owes then, less what the order has paid before. So an order costs less than a kopeck more than its
rate says, in however many trades it is filled, and what was blocked for it is always enough.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tapewire.exchange.money import MONEY_UNITS, RATE_UNITS, rate_of
from tapewire.model import InstrumentKind

__all__ = ["CommissionRates", "commission_of"]

_KOPECK = MONEY_UNITS // 100


class CommissionRates(msgspec.Struct, frozen=True, kw_only=True):
    """Commission by what is traded. A rate of 0.0005 is 5 kopecks of 100 roubles."""

    #: Parts of the value of a trade, interest left out.
    shares: Decimal = Decimal("0.0005")
    bonds: Decimal = Decimal("0.0003")
    currencies: Decimal = Decimal("0.0004")
    #: Roubles for one contract.
    contract: Decimal = Decimal("1.5")

    def __post_init__(self) -> None:
        for rate in (self.shares, self.bonds, self.currencies):
            if not (rate.is_finite() and 0 <= rate < 1):
                raise ValueError(f"a commission of {rate} is not a part of a value")
        if not (self.contract.is_finite() and self.contract >= 0):
            raise ValueError(f"a commission of {self.contract} for a contract is not 0 or more")

    def of(self, kind: InstrumentKind) -> int:
        """Return the rate of a kind of instrument, units of a rate.

        Raises:
            ValueError: It is finer than a millionth.
        """
        rates = {
            InstrumentKind.SHARE: self.shares,
            InstrumentKind.BOND: self.bonds,
            InstrumentKind.CURRENCY: self.currencies,
        }
        return rate_of(rates.get(kind, self.contract), f"the commission of a {kind}")


def commission_of(base: int, rate: int) -> int:
    """Return what an order owes that has traded so much, units of money, whole kopecks.

    Args:
        base: Value of its trades; of contracts, their number in roubles.
        rate: Units of a rate.
    """
    return -(-base * rate // (RATE_UNITS * _KOPECK)) * _KOPECK
