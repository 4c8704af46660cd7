"""Rows of orders as the broker reports them."""

from __future__ import annotations

import json
from typing import Any

from tapewire.model import Order, StopOrder
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format

_BOTH: dict[str, Any] = {
    "symbol": "TEST",
    "brokerSymbol": "MOEX:TEST",
    "portfolio": "D1",
    "exchange": "MOEX",
    "comment": None,
    "board": "TQBR",
    "side": "buy",
    "status": "working",
    "transTime": "2026-01-12T07:00:00.0000000Z",
    "updateTime": None,
    "endTime": "2026-01-12T20:59:59.9990000Z",
    "qtyUnits": 20,
    "qtyBatch": 2,
    "qty": 2,
    "filledQtyUnits": 0,
    "filledQtyBatch": 0,
    "filled": 0,
    "price": 10.5,
    "existing": True,
    "timeInForce": "oneday",
    "iceberg": None,
    "volume": 210,
}


def order_fields(number: str = "1001", **fields: Any) -> dict[str, Any]:
    """One direct order in the Simple spelling."""
    return {"id": number, "type": "limit"} | _BOTH | fields


def stop_fields(number: str = "51", **fields: Any) -> dict[str, Any]:
    """One conditional order in the Simple spelling."""
    own = {
        "exchangeOrderId": None,
        "type": "stoplimit",
        "condition": "less",
        "error": None,
        "avg_price": 0,
        "stopPrice": 9.9,
        "protectingSeconds": 5,
    }
    return {"id": number} | _BOTH | own | fields


def order_row(number: str = "1001", **fields: Any) -> Order:
    """One direct order."""
    return codec(Order, Format.SIMPLE).decode(json.dumps(order_fields(number, **fields)).encode())


def stop_row(number: str = "51", **fields: Any) -> StopOrder:
    """One conditional order."""
    return codec(StopOrder, Format.SIMPLE).decode(json.dumps(stop_fields(number, **fields)).encode())
