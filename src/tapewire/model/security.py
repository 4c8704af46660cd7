"""An instrument as reference data of HTTP: terms of its listing and rules of its day in one row."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated

from tapewire.model.instrument import OptionSide
from tapewire.model.record import UNSET, Maybe, Record, Wire
from tapewire.model.words import Exchange, TradingStatus

__all__ = ["Security"]


class Security(Record, frozen=True, kw_only=True, gc=False):
    """One instrument on one board. Prices are in the quoted unit; ``tick_size`` is the step that all of them keep.

    Fields that belong to derivatives are 0 elsewhere; those of options are missing elsewhere. Source: reference
    of HTTP, section 3.3.
    """

    symbol: Annotated[str, Wire("symbol", "sym")]
    short_name: Annotated[str, Wire("shortname", "n", "shortName")]
    description: Annotated[str, Wire("description", "desc")]
    exchange: Annotated[Exchange, Wire("exchange", "ex")]
    #: FORTS, FOND, CURR or SPBX.
    market: Annotated[Maybe[str], Wire("market", None)] = UNSET
    #: Kind of instrument: ``CS``, ``PS``, ``CORP``, … or a descriptive text.
    type: Annotated[str | None, Wire("type", "t")]
    #: Units in a lot.
    lot_size: Annotated[Decimal, Wire("lotsize", "lot", "lotSize")]
    #: Nominal of a security, size of a contract, amount a currency is quoted for.
    face_value: Annotated[Decimal, Wire("facevalue", "fv", "faceValue")]
    #: ISO 10962.
    cfi_code: Annotated[str, Wire("cfiCode", "cfi")]
    #: End of its life, ISO-8601 UTC; the end of the year 9999 for what does not end.
    cancels_at: Annotated[str, Wire("cancellation", "cncl")]
    tick_size: Annotated[Decimal, Wire("minstep", "stp", "minStep")]
    #: Rank by traded value of the day before.
    rating: Annotated[Decimal, Wire("rating", "rt")]
    #: Collateral to buy and to sell a contract, and its ratio.
    margin_buy: Annotated[Decimal, Wire("marginbuy", "mgb", "marginBuy")]
    margin_sell: Annotated[Decimal, Wire("marginsell", "mgs", "marginSell")]
    margin_rate: Annotated[Maybe[Decimal], Wire("marginrate", "mgrt", "marginRate")] = UNSET
    #: Money value of one price step, roubles.
    tick_value: Annotated[Decimal, Wire("pricestep", "stppx", "priceStep")]
    price_max: Annotated[Maybe[float], Wire("priceMax", "pxmx")] = UNSET
    price_min: Annotated[Maybe[float], Wire("priceMin", "pxmn")] = UNSET
    theoretical_price: Annotated[float, Wire("theorPrice", "pxt")]
    theoretical_price_limit: Annotated[float, Wire("theorPriceLimit", "pxtl")]
    volatility: Annotated[float, Wire("volatility", "vl")]
    #: Of settlement.
    currency: Annotated[str | None, Wire("currency", "cur")]
    #: ISO 6166.
    isin: Annotated[str | None, Wire("ISIN", "isin")]
    #: Per cent a year; bonds only.
    yield_percent: Annotated[float | None, Wire("yield", "yld")]
    board: Annotated[str, Wire("board", "bd")]
    primary_board: Annotated[str, Wire("primary_board", "pbd", "primaryBoard")]
    trading_status: Annotated[TradingStatus, Wire("tradingStatus", "st")]
    #: Text of the status, Russian.
    trading_status_info: Annotated[str | None, Wire("tradingStatusInfo", "sti")]
    #: Number of the investor test that is needed to trade it; empty: none.
    complex_product_category: Annotated[str | None, Wire("complexProductCategory", "cpct")]
    #: What the price is multiplied by to give money.
    price_multiplier: Annotated[Decimal, Wire("priceMultiplier", "pxmu")]
    #: Currency units that the quoted price is for.
    price_shown_units: Annotated[Decimal, Wire("priceShownUnits", "pxu")]
    strike_price: Annotated[Maybe[Decimal], Wire("strikePrice", "pxs")] = UNSET
    #: ISO-8601 UTC.
    expires_at: Annotated[Maybe[str], Wire("endExpiration", "exp")] = UNSET
    #: Declared and forecast cash flows of the underlying, discounted.
    fixed_spot_discount: Annotated[Maybe[Decimal], Wire("fixedSpotDiscount", "fdis")] = UNSET
    projected_spot_discount: Annotated[Maybe[Decimal], Wire("projectedSpotDiscount", "pdis")] = UNSET
    underlying_symbol: Annotated[Maybe[str], Wire("underlyingSymbol", "usym")] = UNSET
    option_side: Annotated[Maybe[OptionSide], Wire("optionSide", "osd")] = UNSET
    #: Digits behind the point of a price.
    price_digits: Annotated[Maybe[int], Wire(None, None, "roundTo")] = UNSET
    initial_margin_low_risk_long: Annotated[Maybe[Decimal], Wire(None, None, "initialMarginLowRiskLong")] = UNSET
    initial_margin_low_risk_short: Annotated[Maybe[Decimal], Wire(None, None, "initialMarginLowRiskShort")] = UNSET
    initial_margin_standard_risk_long: Annotated[
        Maybe[Decimal], Wire(None, None, "initialMarginStandardRiskLong")
    ] = UNSET
    initial_margin_standard_risk_short: Annotated[
        Maybe[Decimal], Wire(None, None, "initialMarginStandardRiskShort")
    ] = UNSET
    initial_margin_high_risk_long: Annotated[Maybe[Decimal], Wire(None, None, "initialMarginHighRiskLong")] = UNSET
    initial_margin_high_risk_short: Annotated[Maybe[Decimal], Wire(None, None, "initialMarginHighRiskShort")] = (
        UNSET
    )
    initial_margin_special_risk_long: Annotated[
        Maybe[Decimal], Wire(None, None, "initialMarginSpecialRiskLong")
    ] = UNSET
    initial_margin_special_risk_short: Annotated[
        Maybe[Decimal], Wire(None, None, "initialMarginSpecialRiskShort")
    ] = UNSET

    def price_down(self, price: Decimal | int | float) -> Decimal:
        """Return the highest price on the step that is not above ``price``, exact.

        A float is taken for what it shows (``repr``), as it stands in records of the market: 290.1 is 290.1.

        Raises:
            ValueError: ``price`` is no finite number, or the instrument has no step.
        """
        whole, rest = self._steps(price)
        return (whole - (rest < 0)) * self.tick_size

    def price_up(self, price: Decimal | int | float) -> Decimal:
        """Return the lowest price on the step that is not below ``price``; the rest as of :meth:`price_down`."""
        whole, rest = self._steps(price)
        return (whole + (rest > 0)) * self.tick_size

    def price_nearest(self, price: Decimal | int | float) -> Decimal:
        """Return the nearest price on the step, of two the upper; the rest as of :meth:`price_down`."""
        low, high = self.price_down(price), self.price_up(price)
        return low if _exact(price) - low < high - _exact(price) else high

    def _steps(self, price: Decimal | int | float) -> tuple[Decimal, Decimal]:
        """Return the whole steps of a price towards 0, and the rest, which has its sign."""
        if not isinstance(self.tick_size, Decimal) or self.tick_size <= 0:
            raise ValueError(f"{self.symbol}: the broker tells no price step")
        exact = _exact(price)
        error = ValueError(f"price {price} is no finite number that has steps of {self.tick_size}")
        if not exact.is_finite():
            raise error
        try:
            return divmod(exact, self.tick_size)
        except InvalidOperation:  # more steps than digits are reckoned with
            raise error from None


def _exact(price: Decimal | int | float) -> Decimal:
    if isinstance(price, bool) or not isinstance(price, Decimal | int | float):
        raise ValueError(f"price {price!r} is no number")
    return Decimal(repr(price)) if isinstance(price, float) else Decimal(price)
