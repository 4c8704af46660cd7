"""A portfolio's money as an old call of HTTP tells it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from tapewire.model.record import Record, Wire

__all__ = ["LegacyMoney"]


class LegacyMoney(Record, frozen=True, kw_only=True, gc=False):
    """Deprecated by the broker. Source: reference of HTTP, section 5.9, which names the fields and no more."""

    portfolio: Annotated[str, Wire("portfolio")]
    cash: Annotated[Decimal, Wire("cash")]
    #: Blocked for working orders and as collateral.
    used: Annotated[Decimal, Wire("used")]
    #: What orders may still use.
    free: Annotated[Decimal, Wire("free")]
    #: Cash when the trading day began.
    cash_at_start: Annotated[Decimal, Wire("open")]
    #: Cash since then.
    change: Annotated[Decimal, Wire("changes")]
    #: Today.
    profit: Annotated[Decimal, Wire("profit")]
    #: Today, per cent.
    profit_rate_percent: Annotated[Decimal, Wire("profitRate")]
    #: Today. The wire spells it so.
    commission: Annotated[Decimal, Wire("comission")]
