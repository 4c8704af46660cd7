"""Why the exchange says no: the checks that an order must pass."""

from __future__ import annotations

from typing import NamedTuple

from tapewire.exchange.command import Place
from tapewire.exchange.iceberg import ICEBERG_PARTS_MAX, ICEBERG_VARIANCE_PERCENT_MAX
from tapewire.exchange.participant import is_participant
from tapewire.model import Exchange, Instrument, InstrumentKind, Side, TimeInForce, TradingCode

__all__ = [
    "DERIVATIVES",
    "GOOD_TILL_DAYS_MAX",
    "GOOD_TILL_NS",
    "LOTS_MAX",
    "Refusal",
    "auction_refusal",
    "order_refusal",
    "waits_for_the_close",
]

#: A trade carries its size as a 32-bit integer on the wire, so no order may be larger than that holds.
LOTS_MAX = 1_000_000_000

#: An order that is good till cancelled is cancelled after so many days all the same, as on MOEX.
GOOD_TILL_DAYS_MAX = 365
GOOD_TILL_NS = GOOD_TILL_DAYS_MAX * 86_400_000_000_000

DERIVATIVES = frozenset({InstrumentKind.FUTURE, InstrumentKind.OPTION})

_SIDES = frozenset({Side.BUY, Side.SELL})

#: What any order on any instrument may have.
_ALWAYS_SERVED = frozenset({TimeInForce.ONE_DAY, TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.FILL_OR_KILL})

#: Icebergs and orders with an end of their own must be able to wait.
_WAITS = frozenset({TimeInForce.ONE_DAY, TimeInForce.BOOK_OR_CANCEL, TimeInForce.GOOD_TILL_CANCELLED})

_GATHERS = frozenset({TimeInForce.ONE_DAY, TimeInForce.GOOD_TILL_CANCELLED})


class Refusal(NamedTuple):
    """Why a command was not taken."""

    code: TradingCode
    reason: str


def order_refusal(
    place: Place, instrument: Instrument, at_ns: int, band_ticks: tuple[int, int] | None
) -> Refusal | None:
    """Return what is wrong with an order by the rules of its instrument, or None if it may be taken.

    ``band_ticks`` are the price limits of the moment; None: it is not to trade now, so they do not matter yet.
    """
    # A word that is in no list is a member of its own, so that the type alone does not exclude it.
    if place.side not in _SIDES:
        return Refusal(TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, f"side {place.side} is neither buy nor sell")
    if not 1 <= place.lots <= LOTS_MAX:
        return Refusal(
            TradingCode.EXCHANGE_INCORRECT_QUANTITY, f"quantity {place.lots} is not between 1 and {LOTS_MAX} lots"
        )
    refusal = None
    if place.time_in_force not in _ALWAYS_SERVED:
        refusal = _time_refusal(place, instrument)
    if refusal is None and (place.visible_lots is not None or place.visible_variance_percent):
        refusal = _iceberg_refusal(place, instrument)
    if refusal is None and place.expires_at_ns is not None:
        refusal = _end_refusal(place, place.expires_at_ns, at_ns)
    price_ticks = place.price_ticks
    if refusal is not None or price_ticks is None or band_ticks is None:
        return refusal
    low, high = band_ticks
    if not (low <= price_ticks <= high and price_ticks >= 1):
        return Refusal(
            TradingCode.EXCHANGE_LIMIT_EXCEEDED,
            f"price {instrument.price(price_ticks)} is outside the limits of the day, "
            f"{instrument.price(low)} to {instrument.price(high)}",
        )
    return None


def auction_refusal(place: Place, instrument: Instrument) -> Refusal | None:
    """Return why an order cannot gather in an auction, or None if it can."""
    if place.time_in_force in _GATHERS or waits_for_the_close(place, instrument):
        return None
    return Refusal(
        TradingCode.FORBIDDEN_ORDER_TYPE, f"an auction gathers orders: {place.time_in_force} is not possible now"
    )


def waits_for_the_close(place: Place, instrument: Instrument) -> bool:
    """Return whether an order is for the closing auction; on MOEX ``attheclose`` is a fill-or-kill."""
    return place.time_in_force is TimeInForce.AT_THE_CLOSE and instrument.exchange is Exchange.SPBX


def _time_refusal(place: Place, instrument: Instrument) -> Refusal | None:
    match place.time_in_force:
        case TimeInForce.BOOK_OR_CANCEL:
            if place.price_ticks is None:
                return Refusal(
                    TradingCode.FORBIDDEN_ORDER_TYPE,
                    "a market order cannot be passive: bookorcancel needs a price",
                )
        case TimeInForce.GOOD_TILL_CANCELLED:
            if instrument.kind not in DERIVATIVES:
                return Refusal(
                    TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, "goodtillcancelled is for derivatives only"
                )
            if place.price_ticks is None:
                return Refusal(
                    TradingCode.FORBIDDEN_ORDER_TYPE,
                    "a market order never rests: goodtillcancelled needs a price",
                )
        case TimeInForce.AT_THE_CLOSE:
            if instrument.exchange is Exchange.SPBX and place.price_ticks is not None:
                return Refusal(TradingCode.FORBIDDEN_ORDER_TYPE, "attheclose is for market orders only")
        case _:
            return Refusal(
                TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED,
                f"time in force {place.time_in_force} is not served here",
            )
    return None


def _iceberg_refusal(place: Place, instrument: Instrument) -> Refusal | None:
    visible_lots, variance = place.visible_lots, place.visible_variance_percent
    if visible_lots is None:
        return Refusal(TradingCode.EXCHANGE_INCORRECT_QUANTITY, "a variance without a visible part")
    if place.price_ticks is None or place.time_in_force not in _WAITS:
        return Refusal(TradingCode.FORBIDDEN_ORDER_TYPE, "an iceberg must have a price and be able to rest")
    if not 1 <= visible_lots < place.lots:
        return Refusal(
            TradingCode.EXCHANGE_INCORRECT_QUANTITY,
            f"visible part {visible_lots} is not between 1 and less than {place.lots} lots",
        )
    if visible_lots * ICEBERG_PARTS_MAX < place.lots:
        return Refusal(
            TradingCode.EXCHANGE_INCORRECT_QUANTITY,
            f"visible part {visible_lots} is less than a {ICEBERG_PARTS_MAX}th of {place.lots} lots",
        )
    if not 0 <= variance <= ICEBERG_VARIANCE_PERCENT_MAX:
        return Refusal(
            TradingCode.EXCHANGE_INCORRECT_QUANTITY,
            f"variance {variance} is not between 0 and {ICEBERG_VARIANCE_PERCENT_MAX} per cent",
        )
    if variance and instrument.kind not in DERIVATIVES:
        return Refusal(
            TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, "a variance of the visible part is for derivatives only"
        )
    return None


def _end_refusal(place: Place, expires_at_ns: int, at_ns: int) -> Refusal | None:
    if is_participant(place.account):
        return Refusal(TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, "nobody watches the ends of participants")
    if place.price_ticks is None or place.time_in_force not in _WAITS:
        return Refusal(TradingCode.FORBIDDEN_ORDER_TYPE, "an order that does not rest has no end of its own")
    if expires_at_ns <= at_ns:
        return Refusal(TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, "the end of the order has passed already")
    if expires_at_ns > at_ns + GOOD_TILL_NS:
        return Refusal(
            TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED,
            f"the end of the order is more than {GOOD_TILL_DAYS_MAX} days away",
        )
    return None
