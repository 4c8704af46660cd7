"""Why the exchange says no: the checks that an order must pass."""

from __future__ import annotations

from typing import NamedTuple

from tapewire.exchange.command import Place
from tapewire.model import Instrument, Side, TimeInForce, TradingCode

__all__ = ["LOTS_MAX", "Refusal", "order_refusal"]

#: A trade carries its size as a 32-bit integer on the wire, so no order may be larger than that holds.
LOTS_MAX = 1_000_000_000

_SIDES = frozenset({Side.BUY, Side.SELL})

_SERVED = frozenset(
    {
        TimeInForce.ONE_DAY,
        TimeInForce.IMMEDIATE_OR_CANCEL,
        TimeInForce.FILL_OR_KILL,
        TimeInForce.BOOK_OR_CANCEL,
    }
)


class Refusal(NamedTuple):
    """Why a command was not taken."""

    code: TradingCode
    reason: str


def order_refusal(place: Place, instrument: Instrument) -> Refusal | None:
    """Return what is wrong with an order by the rules of its instrument, or None if it may be taken."""
    # A word that is in no list is a member of its own, so that the type alone does not exclude it.
    if place.side not in _SIDES:
        return Refusal(TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, f"side {place.side} is neither buy nor sell")
    if not 1 <= place.lots <= LOTS_MAX:
        return Refusal(
            TradingCode.EXCHANGE_INCORRECT_QUANTITY, f"quantity {place.lots} is not between 1 and {LOTS_MAX} lots"
        )
    if place.time_in_force not in _SERVED:
        return Refusal(
            TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, f"time in force {place.time_in_force} is not served here"
        )
    price_ticks = place.price_ticks
    if price_ticks is None:
        if place.time_in_force is TimeInForce.BOOK_OR_CANCEL:
            return Refusal(
                TradingCode.FORBIDDEN_ORDER_TYPE, "a market order cannot be passive: bookorcancel needs a price"
            )
        return None
    low, high = instrument.price_band_ticks
    if not (low <= price_ticks <= high and price_ticks >= 1):
        return Refusal(
            TradingCode.EXCHANGE_LIMIT_EXCEEDED,
            f"price {instrument.price(price_ticks)} is outside the limits of the day, "
            f"{instrument.price(low)} to {instrument.price(high)}",
        )
    return None
