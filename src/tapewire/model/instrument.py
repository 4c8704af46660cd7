"""The tradable thing with its rules, and the record that reports changes of those rules."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated

import msgspec

from tapewire.model.record import UNSET, Maybe, Record, Wire
from tapewire.model.words import Exchange, TradingStatus

__all__ = ["NEVER", "Instrument", "InstrumentKind", "InstrumentUpdate", "OptionSide"]

#: The broker's date for what does not end.
NEVER = date(9999, 12, 31)


class InstrumentKind(StrEnum):
    SHARE = "share"
    FUTURE = "future"
    CURRENCY = "currency"
    BOND = "bond"
    OPTION = "option"


class OptionSide(StrEnum):
    CALL = "Call"
    PUT = "Put"


_MARKETS = {
    InstrumentKind.SHARE: "FOND",
    InstrumentKind.BOND: "FOND",
    InstrumentKind.CURRENCY: "CURR",
    InstrumentKind.FUTURE: "FORTS",
    InstrumentKind.OPTION: "FORTS",
}


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A tradable instrument. Inside the exchange its prices are whole ticks and its quantities whole lots.

    These are the terms of its listing, which do not change. What a trading day changes – status, price limits,
    margins, theoretical price – is in the records of its ``TopicKind.INSTRUMENT`` stream; ``price_band_ticks``
    and the margins here are those of the first day. Units and meaning of the static facts: reference of HTTP,
    section 3.3.
    """

    symbol: str
    exchange: Exchange
    board: str
    kind: InstrumentKind
    short_name: str
    description: str
    #: Kind in the broker's code: ``CS``, ``PS``, ``CORP``, … or a text.
    type_code: str
    currency: str
    lot_size: int
    #: Smallest step of the price, in the quoted unit.
    tick_size: Decimal
    face_value: Decimal
    prev_close_ticks: int
    price_band_ticks: tuple[int, int]
    #: Collateral for a contract; derivatives only.
    margin_buy: Decimal | None = None
    margin_sell: Decimal | None = None
    #: International number, ISO 6166; None: it has none.
    isin: str | None = None
    #: Classification, ISO 10962; six letters.
    cfi_code: str = ""
    #: Last day of its life; ``NEVER`` without one.
    cancels_on: date = NEVER
    #: Money value of one price step for one contract, roubles; None: the step itself.
    tick_value: Decimal | None = None
    #: Rank by traded value, roubles of an ordinary day.
    rating: int = 0
    #: What the price is multiplied by to give money: 1, or the part of the face value for bonds.
    price_multiplier: Decimal = Decimal(1)
    #: Currency units that the quoted price is for.
    price_shown_units: Decimal = Decimal(1)
    #: Number of the investor test that is needed to trade it; empty: none.
    complex_product_category: str = ""
    #: Rates of risk for a short and a long position, parts of the value (0.25 is a quarter).
    risk_rate_up: Decimal = Decimal(1)
    risk_rate_down: Decimal = Decimal(1)
    is_short_sell_possible: bool = False
    is_marginal: bool = False
    #: Base code of a future (``Si``), symbol of the future under an option; else empty.
    underlying: str = ""
    #: Options only.
    strike: Decimal | None = None
    option_side: OptionSide | None = None

    @property
    def market(self) -> str:
        """The broker's market: ``FOND``, ``FORTS``, ``CURR``, or ``SPBX`` for all of that exchange."""
        return "SPBX" if self.exchange is Exchange.SPBX else _MARKETS[self.kind]

    @property
    def price_digits(self) -> int:
        """Digits behind the point of a price."""
        exponent = self.tick_size.normalize().as_tuple().exponent
        return max(-exponent, 0) if isinstance(exponent, int) else 0

    @property
    def key(self) -> tuple[str, str, str]:
        """Exchange, symbol and board: what tells this instrument from all others."""
        return self.exchange.value, self.symbol, self.board

    def price(self, ticks: int) -> Decimal:
        """Return the quoted price of so many ticks, exactly."""
        return self.tick_size * ticks

    def price_float(self, ticks: int) -> float:
        """Return the double nearest to the quoted price of so many ticks; ``repr`` gives its digits back."""
        return float(self.tick_size * ticks)

    def ticks(self, price: Decimal) -> int:
        """Return the whole ticks of a quoted price.

        Raises:
            ValueError: The price is no finite number or not a multiple of ``tick_size``.
        """
        if not price.is_finite():
            raise ValueError(f"price {price} is not finite")
        try:
            ticks, rest = divmod(price, self.tick_size)
        except InvalidOperation:  # more digits than the decimal context holds
            raise ValueError(f"price {price} has too many digits") from None
        if rest:
            raise ValueError(f"price {price} is not a multiple of the step {self.tick_size}")
        return int(ticks)


class InstrumentUpdate(Record, frozen=True, kw_only=True, gc=False):
    """Rules of one instrument: full in the first message, later ``symbol`` and what has changed.

    A missing field means "unchanged". Source: reference of subscriptions, section 7.4.
    """

    symbol: Annotated[str, Wire("symbol", "sym")]
    exchange: Annotated[Maybe[Exchange], Wire("exchange", "ex")] = UNSET
    board: Annotated[Maybe[str], Wire("board", "bd")] = UNSET
    trading_status: Annotated[Maybe[TradingStatus], Wire("tradingStatus", "st")] = UNSET
    #: Text of the status, Russian.
    trading_status_info: Annotated[Maybe[str | None], Wire("tradingStatusInfo", "sti")] = UNSET
    price_min: Annotated[Maybe[float], Wire("priceMin", "pxmn")] = UNSET
    price_max: Annotated[Maybe[float], Wire("priceMax", "pxmx")] = UNSET
    #: Collateral of a long position; derivatives only.
    margin_buy: Annotated[Maybe[float], Wire("marginBuy", "mgb")] = UNSET
    margin_sell: Annotated[Maybe[float], Wire("marginSell", "mgs")] = UNSET
    #: Base collateral of a covered position; options only. The wire spells it so.
    margin_synthetic: Annotated[Maybe[float], Wire("marginSyntetic", "mgsnt")] = UNSET
    theoretical_price: Annotated[Maybe[float], Wire("theorPrice", "pxt")] = UNSET
    theoretical_price_limit: Annotated[Maybe[float], Wire("theorPriceLimit", "pxtl")] = UNSET
    volatility: Annotated[Maybe[float], Wire("volatility", "vl")] = UNSET

    def merged(self, later: InstrumentUpdate) -> InstrumentUpdate:
        """Return this state with what ``later`` says laid over it; keys that ``later`` lacks stay."""
        said = {name: value for name in later.__struct_fields__ if (value := getattr(later, name)) is not UNSET}
        return msgspec.structs.replace(self, **said)
