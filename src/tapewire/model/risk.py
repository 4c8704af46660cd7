"""Risk of a portfolio: margins and coverage on the cash markets, money and margin on derivatives."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from tapewire.model.record import UNSET, Maybe, Record, Wire
from tapewire.model.words import ClientType, Exchange, RiskStatus

__all__ = ["DerivativesRisk", "Risk"]


class Risk(Record, frozen=True, kw_only=True, gc=False):
    """Margins of a portfolio; every message is complete. Source: reference of subscriptions, section 7.8."""

    portfolio: Annotated[str, Wire("portfolio", "p")]
    exchange: Annotated[Exchange, Wire("exchange", "ex")]
    evaluation: Annotated[Decimal, Wire("portfolioEvaluation", "pe")]
    liquidation_value: Annotated[Decimal, Wire("portfolioLiquidationValue", "plv")]
    initial_margin: Annotated[Decimal, Wire("initialMargin", "mgi")]
    minimal_margin: Annotated[Decimal, Wire("minimalMargin", "mgmn")]
    corrected_margin: Annotated[Decimal, Wire("correctedMargin", "mgc")]
    #: NPR1: value minus initial margin.
    coverage_one: Annotated[Decimal, Wire("riskCoverageRatioOne", "r1")]
    #: NPR2: value minus minimal margin.
    coverage_two: Annotated[Decimal, Wire("riskCoverageRatioTwo", "r2")]
    category_id: Annotated[int, Wire("riskCategoryId", "rid")]
    client_type: Annotated[ClientType, Wire("clientType", "ct")]
    has_forbidden_positions: Annotated[bool, Wire("hasForbiddenPositions", "fpos")]
    has_negative_quantity: Annotated[bool, Wire("hasNegativeQuantity", "nq")]
    status: Annotated[RiskStatus, Wire("riskStatus", "rst")]
    #: ISO-8601 UTC.
    calculated_at: Annotated[str, Wire("calculationTime", "t")]


class DerivativesRisk(Record, frozen=True, kw_only=True, gc=False):
    """Money and margin of a derivatives portfolio, in roubles. Source: reference of subscriptions, 7.9."""

    #: Deprecated by the broker: net transfers of the session.
    balance_money: Annotated[Maybe[Decimal], Wire("balanceMoney", None, None)] = UNSET
    portfolio: Annotated[str, Wire("portfolio", "p")]
    #: amount + intraday margin − blocked − reserve − fee.
    money_free: Annotated[Decimal, Wire("moneyFree", "f")]
    money_blocked: Annotated[Decimal, Wire("moneyBlocked", "b")]
    fee: Annotated[Decimal, Wire("fee")]
    money_at_start: Annotated[Decimal, Wire("moneyOld", "o")]
    money_amount: Annotated[Decimal, Wire("moneyAmount", "a")]
    pledge_amount: Annotated[Decimal, Wire("moneyPledgeAmount", "pa")]
    #: Variation margin settled in the intraday clearing.
    margin_intraday: Annotated[Decimal, Wire("vmInterCl", "mgc")]
    margin_positions: Annotated[Decimal, Wire("vmCurrentPositions", "mgp")]
    #: ``margin_positions`` + ``margin_intraday``.
    margin: Annotated[Maybe[Decimal], Wire("varMargin", None)] = UNSET
    margin_indicative: Annotated[Decimal, Wire("indicativeVarMargin", "ivm")]
    net_option_value: Annotated[Decimal, Wire("netOptionValue", "nov")]
    position_risk: Annotated[Decimal, Wire("posRisk", "pr")]
    is_limits_set: Annotated[bool, Wire("isLimitsSet", "lim")]
    #: Read by newer terminals; sent where the portfolio has one.
    derivatives_debt: Annotated[Maybe[Decimal | None], Wire("derivativesDebt")] = UNSET
