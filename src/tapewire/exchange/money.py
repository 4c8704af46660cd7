"""Money inside the exchange: a whole number of millionths of the currency unit.

A millionth is fine enough for the value of a price step of every instrument here, which is checked when
accounts are made. So prices times quantities, interest and variation margin are exact; only a commission is
rounded (``exchange.commission``). Rates of risk are whole millionths too, and what is money times a rate is kept
in *millionths of millionths*, exact again.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

__all__ = ["MONEY_UNITS", "RATE_UNITS", "money_of", "plain", "price_of", "rate_of", "rated", "roubles"]

#: Units of money in one rouble.
MONEY_UNITS = 1_000_000

#: Units of a rate in the whole: 250,000 is a quarter.
RATE_UNITS = 1_000_000

#: An average price is the one figure that no number of digits need hold: it is told with so many more than a
#: price of the instrument has.
_AVERAGE_DIGITS_MORE = 4


def money_of(amount: Decimal, what: str) -> int:
    """Return an amount of roubles in units of money, exactly.

    Raises:
        ValueError: It is not finite or finer than the unit; ``what`` names it in the message.
    """
    return _whole(amount, MONEY_UNITS, what)


def rate_of(rate: Decimal, what: str) -> int:
    """Return a part of a whole in units of a rate, exactly; errors as in ``money_of``."""
    return _whole(rate, RATE_UNITS, what)


def roubles(money: int) -> Decimal:
    """Return units of money as roubles, exactly, without zeros at the end."""
    return _scaled(money, 6)


def rated(money: int) -> Decimal:
    """Return money times a rate as roubles, exactly, without zeros at the end."""
    return _scaled(money, 12)


def price_of(cost: int, lots: int, tick_money: int, tick_size: Decimal) -> Decimal:
    """Return the average price of lots that have cost so much, in the quoted unit; 0 of no lots."""
    if not lots:
        return Decimal(0)
    exponent = tick_size.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    digits = Decimal(1).scaleb(min(exponent, 0) - _AVERAGE_DIGITS_MORE)
    price = (Decimal(cost) * tick_size / (lots * tick_money)).quantize(digits, ROUND_HALF_EVEN)
    return plain(price)


def plain(number: Decimal) -> Decimal:
    """Return a number without zeros at the end and without an exponent above it."""
    whole = number.to_integral_value()
    # ``normalize`` would write 200 as 2E+2, which not every reader of JSON takes.
    return whole if whole == number else number.normalize()


def _whole(amount: Decimal, units: int, what: str) -> int:
    if not amount.is_finite():
        raise ValueError(f"{what} is {amount}, not a finite number")
    scaled = amount * units
    whole = int(scaled)
    if whole != scaled:
        raise ValueError(f"{what} is {amount}, finer than a millionth")
    return whole


def _scaled(number: int, digits: int) -> Decimal:
    return plain(Decimal(number).scaleb(-digits))
