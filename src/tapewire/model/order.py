"""Own orders as the broker reports them: every message is the order's whole row, keyed by ``id``."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from tapewire.model.record import UNSET, Maybe, Record, Wire
from tapewire.model.words import (
    Condition,
    Exchange,
    OrderStatus,
    OrderType,
    Side,
    StopType,
    TimeInForce,
)

__all__ = ["Iceberg", "LegacyStopOrder", "Order", "StopOrder"]


class Iceberg(Record, frozen=True, kw_only=True, gc=False):
    """The visible part of an iceberg order."""

    creation_fixed_lots: Annotated[int, Wire("creationFixedQuantity", "cf")]
    #: Random deviation of the visible part, per cent; derivatives only.
    creation_variance_percent: Annotated[int, Wire("creationVarianceQuantity", "cv")]
    visible_units: Annotated[int, Wire("visibleQuantity", "v")]
    visible_lots: Annotated[int, Wire("visibleQuantityBatch", "vb")]
    visible_filled_units: Annotated[int, Wire("visibleFilledQuantity", "vf")]
    visible_filled_lots: Annotated[int, Wire("visibleFilledQuantityBatch", "vfb")]


class Order(Record, frozen=True, kw_only=True, gc=False):
    """One direct order. Times are ISO-8601 UTC. Source: reference of subscriptions, section 7.11."""

    id: Annotated[str, Wire("id")]
    symbol: Annotated[str, Wire("symbol", "sym")]
    board: Annotated[str, Wire("board", "bd")]
    #: ``EXCHANGE:TICKER``.
    broker_symbol: Annotated[str, Wire("brokerSymbol", "tic")]
    portfolio: Annotated[str, Wire("portfolio", "p")]
    exchange: Annotated[Exchange, Wire("exchange", "ex")]
    comment: Annotated[str | None, Wire("comment", "cmt")]
    type: Annotated[OrderType, Wire("type", "t")]
    side: Annotated[Side, Wire("side", "s")]
    status: Annotated[OrderStatus, Wire("status", "st")]
    created_at: Annotated[str, Wire("transTime", "tt")]
    updated_at: Annotated[str | None, Wire("updateTime", "ut")]
    ends_at: Annotated[str | None, Wire("endTime", "et")]
    quantity_units: Annotated[int, Wire("qtyUnits", "q")]
    quantity_lots: Annotated[int, Wire("qtyBatch", "qb")]
    #: Duplicate of ``quantity_lots``.
    quantity: Annotated[Maybe[int], Wire("qty", None, None)] = UNSET
    filled_units: Annotated[Decimal, Wire("filledQtyUnits", "fq")]
    filled_lots: Annotated[Decimal, Wire("filledQtyBatch", "fqb")]
    #: Duplicate of ``filled_lots``.
    filled: Annotated[Maybe[Decimal], Wire("filled", None, None)] = UNSET
    #: 0 for a market order.
    price: Annotated[Decimal, Wire("price", "px")]
    #: True: part of the first snapshot. False: a change.
    existing: Annotated[bool, Wire("existing", "h")]
    time_in_force: Annotated[TimeInForce, Wire("timeInForce", "tf")]
    iceberg: Annotated[Iceberg | None, Wire("iceberg", "i")]
    #: Value; null for a market order.
    volume: Annotated[Decimal | None, Wire("volume", "v")]


class StopOrder(Record, frozen=True, kw_only=True, gc=False):
    """One conditional order, kept by the broker until it fires. Source: reference of subscriptions, 7.12."""

    id: Annotated[str, Wire("id")]
    #: The direct order that it placed.
    exchange_order_id: Annotated[str | int | None, Wire("exchangeOrderId", "eid")]
    symbol: Annotated[str, Wire("symbol", "sym")]
    #: ``EXCHANGE:TICKER``.
    broker_symbol: Annotated[str, Wire("brokerSymbol", "tic")]
    portfolio: Annotated[str, Wire("portfolio", "p")]
    exchange: Annotated[Exchange, Wire("exchange", "ex")]
    comment: Annotated[str | None, Wire("comment", "cmt")]
    board: Annotated[str, Wire("board", "bd")]
    type: Annotated[StopType, Wire("type", "t")]
    side: Annotated[Side, Wire("side", "s")]
    condition: Annotated[Condition, Wire("condition", "cnd")]
    status: Annotated[OrderStatus, Wire("status", "st")]
    created_at: Annotated[str, Wire("transTime", "tt")]
    updated_at: Annotated[str | None, Wire("updateTime", "ut")]
    ends_at: Annotated[str, Wire("endTime", "et")]
    #: Why it was cancelled.
    error: Annotated[str | None, Wire("error", "err")]
    quantity_units: Annotated[Decimal, Wire("qtyUnits", "q")]
    quantity_lots: Annotated[int, Wire("qtyBatch", "qb")]
    #: Duplicate of ``quantity_lots``.
    quantity: Annotated[Maybe[int], Wire("qty", None, None)] = UNSET
    #: Deprecated by the broker: equals ``filled_units``.
    filled: Annotated[Maybe[Decimal], Wire("filled", None, None)] = UNSET
    filled_units: Annotated[Decimal, Wire("filledQtyUnits", "fq")]
    filled_lots: Annotated[Decimal, Wire("filledQtyBatch", "fqb")]
    #: Price of the order to place; 0 for a plain stop.
    price: Annotated[Decimal, Wire("price", "px")]
    average_price: Annotated[Decimal, Wire("avg_price", "pxavg", "avgPrice")]
    stop_price: Annotated[Decimal, Wire("stopPrice", "pxs")]
    #: True: part of the first snapshot. False: a change.
    existing: Annotated[bool, Wire("existing", "h")]
    time_in_force: Annotated[TimeInForce, Wire("timeInForce", "tf")]
    iceberg: Annotated[Iceberg | None, Wire("iceberg", "i")]
    volume: Annotated[Decimal | None, Wire("volume", "v")]
    #: How long the condition must hold before it fires, 1..300.
    protecting_seconds: Annotated[Maybe[int | None], Wire("protectingSeconds", "psec")] = UNSET


class LegacyStopOrder(Record, frozen=True, kw_only=True, gc=False):
    """A conditional order in the deprecated stream. Source: reference of subscriptions, section 7.13."""

    id: Annotated[str | int, Wire("id")]
    symbol: Annotated[str, Wire("symbol", "sym")]
    #: ``EXCHANGE:TICKER``.
    broker_symbol: Annotated[str, Wire("brokerSymbol", "tic")]
    exchange: Annotated[Exchange, Wire("exchange", "ex")]
    board: Annotated[str, Wire("board", "bd")]
    type: Annotated[StopType, Wire("type", "t")]
    stop_price: Annotated[Decimal, Wire("stopPrice", "pxs")]
    side: Annotated[Side, Wire("side", "s")]
    status: Annotated[OrderStatus, Wire("status", "st")]
    #: ISO-8601 UTC.
    ends_at: Annotated[str, Wire("endTime", "exp")]
    quantity_lots: Annotated[int, Wire("qty", "q")]
    filled_lots: Annotated[Decimal, Wire("filledQtyBatch", "fqb")]
    #: Price of the order to place.
    price: Annotated[Decimal, Wire("price", "px")]
    #: True: part of the first snapshot. False: a change.
    existing: Annotated[bool, Wire("existing", "e", "existing")]
