"""The summary of a portfolio: what it is worth and what it can buy."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from tapewire.model.record import UNSET, Maybe, Record, Wire

__all__ = ["CurrencyPower", "Summary"]


class CurrencyPower(Record, frozen=True, kw_only=True, gc=False):
    """Buying power in one currency."""

    currency: Annotated[str | None, Wire("currency", "cr")]
    buying_power: Annotated[Decimal, Wire("buyingPower", "bp")]


class Summary(Record, frozen=True, kw_only=True, gc=False):
    """A portfolio's money in one line; every message is complete. Source: reference of subscriptions, 7.7."""

    buying_power_at_morning: Annotated[Decimal, Wire("buyingPowerAtMorning", "bpm")]
    buying_power: Annotated[Decimal, Wire("buyingPower", "bp")]
    #: Today.
    profit: Annotated[Decimal, Wire("profit", "p")]
    #: Today, per cent.
    profit_rate_percent: Annotated[Decimal, Wire("profitRate", "pr")]
    #: Liquid value.
    evaluation: Annotated[Decimal, Wire("portfolioEvaluation", "pe")]
    liquidation_value: Annotated[Decimal, Wire("portfolioLiquidationValue", "plv")]
    initial_margin: Annotated[Decimal, Wire("initialMargin", "im")]
    #: Corrected for working orders.
    corrected_margin: Annotated[Decimal, Wire("correctedMargin", "mgc")]
    risk_before_forced_closing: Annotated[Decimal, Wire("riskBeforeForcePositionClosing", "r")]
    #: Null on the derivatives market.
    commission: Annotated[Decimal | None, Wire("commission", "cms")]
    buying_power_by_currency: Annotated[
        tuple[CurrencyPower, ...], Wire("buyingPowerByCurrency", "bpv2", also=("bp2v",))
    ]
    #: Read by newer terminals; sent where the portfolio has one.
    derivatives_debt: Annotated[Maybe[Decimal | None], Wire("derivativesDebt")] = UNSET
