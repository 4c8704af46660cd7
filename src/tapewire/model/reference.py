"""Reference data of HTTP beside the instruments: currency pairs, rates of risk, status of a market."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from tapewire.model.record import Record, Wire
from tapewire.model.words import Exchange

__all__ = ["CurrencyPair", "MarketStatus", "RiskRate", "RiskRates"]


class CurrencyPair(Record, frozen=True, kw_only=True, gc=False):
    """Two currencies and what their exchange is traded as. Source: reference of HTTP, section 3.6."""

    first_code: Annotated[str, Wire("firstCode")]
    second_code: Annotated[str, Wire("secondCode")]
    #: Symbol that settles tomorrow.
    symbol: Annotated[str, Wire("symbolTom")]


class RiskRate(Record, frozen=True, kw_only=True, gc=False):
    """What the broker asks for a position in one instrument, for clients of one category.

    Rates are parts of the value: 0.25 is a quarter. Source: reference of HTTP, section 3.8.
    """

    id: Annotated[int, Wire("id")]
    symbol: Annotated[str, Wire("instrument")]
    exchange: Annotated[Exchange, Wire("exchange")]
    risk_category_id: Annotated[int, Wire("riskCategoryId")]
    security_risk_category_id: Annotated[Decimal | None, Wire("securityRiskCategoryId")]
    asset_type: Annotated[str, Wire("assetType")]
    underlying_asset: Annotated[str | None, Wire("underlyingAsset")]
    set_name: Annotated[str | None, Wire("setName")]
    isin: Annotated[str | None, Wire("isin")]
    currency: Annotated[str | None, Wire("currencyCode")]
    #: For a short position.
    rate_up: Annotated[Decimal, Wire("rateUp")]
    #: For a long position.
    rate_down: Annotated[Decimal, Wire("rateDown")]
    rate_symmetric: Annotated[Decimal, Wire("rateSymmetric")]
    is_short_sell_possible: Annotated[bool, Wire("isShortSellPossible")]
    is_marginal: Annotated[bool, Wire("isMarginal")]
    #: Of the set that the instrument is in; 0: it is in none.
    set_rate: Annotated[Decimal, Wire("setRate")]
    sign: Annotated[int | None, Wire("sgnR")]


class RiskRates(Record, frozen=True, kw_only=True):
    """A page of rates; ``total`` counts what matches, not what the page holds."""

    rates: Annotated[tuple[RiskRate, ...], Wire("list")]
    total: Annotated[int, Wire("total")]


class MarketStatus(Record, frozen=True, kw_only=True, gc=False):
    """Whether a market trades. Source: reference of HTTP, section 3.9."""

    market: Annotated[str, Wire("code")]
    #: ``open`` or ``closed``.
    status: Annotated[str, Wire("status")]
