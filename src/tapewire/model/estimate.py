"""What an order would cost, and how large it may be."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from tapewire.model.record import Record, Wire
from tapewire.model.words import Exchange

__all__ = ["OrderEstimate"]


class OrderEstimate(Record, frozen=True, kw_only=True, gc=False):
    """An order weighed against a portfolio; nothing is placed. Source: reference of HTTP, section 6.4."""

    portfolio: Annotated[str, Wire("portfolio")]
    symbol: Annotated[str, Wire("ticker")]
    exchange: Annotated[Exchange, Wire("exchange")]
    #: Lots that the portfolio can sell and buy at the price, with margin and without.
    sell_lots: Annotated[Decimal, Wire("quantityToSell")]
    buy_lots: Annotated[Decimal, Wire("quantityToBuy")]
    sell_lots_without_margin: Annotated[Decimal, Wire("notMarginQuantityToSell")]
    buy_lots_without_margin: Annotated[Decimal, Wire("notMarginQuantityToBuy")]
    #: Cost of the order, commission left out.
    cost: Annotated[Decimal, Wire("orderEvaluation")]
    commission: Annotated[Decimal, Wire("commission")]
    #: The price that all is reckoned at.
    price: Annotated[Decimal, Wire("buyPrice")]
    is_united_portfolio: Annotated[bool, Wire("isUnitedPortfolio")]
