"""What accounts know of an instrument: its worth in whole money, its segment and the terms of its day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from tapewire.exchange.clearing import BondInterest
from tapewire.exchange.money import RATE_UNITS, money_of, rate_of
from tapewire.model import ClientType, Instrument, InstrumentKind

__all__ = ["InstrumentTerms", "Segment", "segment_of"]

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

#: Rates of risk of the listing are those of standard risk; other clients pay so many halves of them.
_RATE_HALVES: Mapping[ClientType, int] = MappingProxyType(
    {ClientType.LOW_RISK: 4, ClientType.STANDARD_RISK: 2, ClientType.HIGH_RISK: 1}
)


class Segment(StrEnum):
    """Part of the market that a portfolio trades in; the value is the broker's word."""

    EQUITIES = "FOND"
    CURRENCY = "CURR"
    DERIVATIVES = "FORTS"


def segment_of(account: str) -> Segment:
    """Return what a portfolio trades, by the beginning of its name.

    Raises:
        ValueError: The name begins with none of ``D``, ``G`` and ``75``.
    """
    if account.startswith("D"):
        return Segment.EQUITIES
    if account.startswith("G"):
        return Segment.CURRENCY
    if account.startswith("75"):
        return Segment.DERIVATIVES
    raise ValueError(f"portfolio {account!r} begins with none of D, G and 75")


class InstrumentTerms:
    """The terms of one instrument, in units of money and of rates, for one lot.

    Those of the day change when it turns; they are part of the accounts' state.
    """

    __slots__ = (
        "_bond",
        "accrued",
        "currency",
        "instrument",
        "is_derivative",
        "is_marginal",
        "lot_size",
        "margin_buy",
        "margin_sell",
        "position",
        "rates",
        "segment",
        "settlement_ticks",
        "settles_tomorrow",
        "tick_money",
    )

    def __init__(self, position: int, instrument: Instrument, bond: BondInterest | None, day: int) -> None:
        """Take the terms of a listing.

        Raises:
            ValueError: A value of the listing is no whole number of units of money or of rates, it settles in
                something else than roubles, or a contract has no collateral.
        """
        symbol = instrument.symbol
        if instrument.currency != "RUB":
            raise ValueError(f"{symbol} settles in {instrument.currency}, not in RUB")
        self.position = position
        self.instrument = instrument
        #: Raises for a market that no portfolio trades in.
        self.segment = Segment(instrument.market)
        self.is_derivative = self.segment is Segment.DERIVATIVES
        self.is_marginal = instrument.is_marginal
        self.lot_size = instrument.lot_size
        #: What one tick of one lot is worth.
        self.tick_money = money_of(_tick_roubles(instrument), f"the value of a price step of {symbol}")
        if self.tick_money <= 0:
            raise ValueError(f"a price step of {symbol} is worth nothing")
        #: Whether what is bought today is had tomorrow.
        self.settles_tomorrow = _settles_tomorrow(instrument)
        #: What a currency pair is named after; empty elsewhere.
        self.currency = symbol[:3] if instrument.kind is InstrumentKind.CURRENCY else ""
        #: (long, short) by client type.
        self.rates = {client: _rates(instrument, halves) for client, halves in _RATE_HALVES.items()}
        #: Price of the last clearing.
        self.settlement_ticks = instrument.prev_close_ticks
        self.margin_buy = self.margin_sell = 0
        if self.is_derivative:
            if instrument.margin_buy is None or instrument.margin_sell is None:
                raise ValueError(f"contract {symbol} has no collateral")
            self.set_margins(instrument.margin_buy, instrument.margin_sell)
        self._bond = bond
        #: Interest that has accrued on a lot.
        self.accrued = 0
        self.begin_day(day)

    def set_margins(self, margin_buy: Decimal, margin_sell: Decimal) -> None:
        """Take the collateral for a contract, roubles."""
        symbol = self.instrument.symbol
        self.margin_buy = money_of(margin_buy, f"the collateral to buy {symbol}")
        self.margin_sell = money_of(margin_sell, f"the collateral to sell {symbol}")

    def begin_day(self, day: int) -> None:
        """Let interest accrue up to a trading day."""
        if self._bond is not None:
            interest = self._bond.accrued_interest(_date(day))
            self.accrued = money_of(interest, f"the interest of {self.instrument.symbol}") * self.lot_size

    def coupons(self, after: int, until: int) -> int:
        """Return what a lot is paid in coupons after one trading day, up to and including another."""
        bond = self._bond
        if bond is None:
            return 0
        due_on, first, last = bond.matures_on, _date(after), _date(until)
        count = 0
        while due_on > first:
            count += due_on <= last
            due_on -= timedelta(days=bond.period_days)
        return money_of(bond.coupon * count, f"the coupon of {self.instrument.symbol}") * self.lot_size


def _date(day: int) -> date:
    return date.fromordinal(_EPOCH_ORDINAL + day)


def _tick_roubles(instrument: Instrument) -> Decimal:
    if instrument.tick_value is not None:
        return instrument.tick_value * instrument.lot_size
    price = instrument.tick_size * instrument.price_multiplier / instrument.price_shown_units
    return price * instrument.lot_size


def _settles_tomorrow(instrument: Instrument) -> bool:
    if instrument.kind is InstrumentKind.CURRENCY:
        # The exchange's own code: …_TOM and …TOM settle tomorrow, …_TOD and …TOD today.
        return not instrument.symbol.endswith("TOD")
    return instrument.market == "FOND"


def _rates(instrument: Instrument, halves: int) -> tuple[int, int]:
    what = f"a rate of risk of {instrument.symbol}"
    long, short = (
        rate_of(min(rate * halves / 2, Decimal(1)), what)
        for rate in (instrument.risk_rate_down, instrument.risk_rate_up)
    )
    assert 0 <= long <= RATE_UNITS
    assert 0 <= short <= RATE_UNITS
    return long, short
