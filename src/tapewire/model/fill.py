"""Fills: executions of one's own orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from tapewire.model.record import UNSET, Maybe, Record, Wire
from tapewire.model.words import Exchange, Side

__all__ = ["Fill", "RepoDetails"]


class RepoDetails(Record, frozen=True, kw_only=True, gc=False):
    """What a REPO trade has beyond an ordinary one."""

    #: Per cent a year.
    rate_percent: Annotated[Decimal, Wire("repoRate", "r")]
    reference: Annotated[str, Wire("extRef", "exr")]
    term_days: Annotated[int, Wire("repoTerm", "tm")]
    account: Annotated[str, Wire("account", "a")]
    type_text: Annotated[str, Wire("tradeTypeInfo", "t")]
    value: Annotated[Decimal, Wire("value", "v")]
    yield_percent: Annotated[Decimal, Wire("yield", "y")]


class Fill(Record, frozen=True, kw_only=True, gc=False):
    """One execution of an own order, keyed by ``id``. Source: reference of subscriptions, section 7.10."""

    #: A text here, a number on the trade tape.
    id: Annotated[str, Wire("id")]
    order_number: Annotated[str, Wire("orderno", "eid", "orderNo", also=("orderno",))]
    #: The order's comment.
    comment: Annotated[str | None, Wire("comment", "cmt")]
    symbol: Annotated[str, Wire("symbol", "sym")]
    short_name: Annotated[Maybe[str | None], Wire(None, None, "shortName")] = UNSET
    #: ``EXCHANGE:TICKER``.
    broker_symbol: Annotated[str, Wire("brokerSymbol", "tic")]
    exchange: Annotated[Exchange, Wire("exchange", "ex")]
    #: ISO-8601 UTC.
    time: Annotated[str, Wire("date", "d")]
    board: Annotated[str, Wire("board", "b")]
    quantity_units: Annotated[int, Wire("qtyUnits", "q")]
    quantity_lots: Annotated[int, Wire("qtyBatch", "qb")]
    #: Duplicate of ``quantity_lots``.
    quantity: Annotated[Maybe[int], Wire("qty", None)] = UNSET
    price: Annotated[Decimal, Wire("price", "px")]
    accrued_interest: Annotated[Decimal, Wire("accruedInt", "ai")]
    side: Annotated[Side, Wire("side", "s")]
    #: True: part of the first history. False: live.
    existing: Annotated[bool, Wire("existing", "h")]
    #: Null on the derivatives market.
    commission: Annotated[Decimal | None, Wire("commission", "cms")]
    repo: Annotated[RepoDetails | None, Wire("repoSpecificFields", "r")]
    #: Value in the settlement currency.
    volume: Annotated[Decimal, Wire("volume", "v")]
    #: Of the settlement.
    currency: Annotated[Maybe[str | None], Wire(None, None, "currency")] = UNSET
    #: ISO-8601 UTC.
    settles_at: Annotated[Maybe[str], Wire(None, None, "settleDate")] = UNSET
