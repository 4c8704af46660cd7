"""Commands as programs send them, field by field."""

from __future__ import annotations

from typing import Any

SBER = {"symbol": "SBER", "exchange": "MOEX", "instrumentGroup": "TQBR"}
MARKET: dict[str, Any] = {"side": "buy", "quantity": 3, "instrument": SBER, "user": {"portfolio": "D1"}}
LIMIT = MARKET | {"price": 301.45}
STOP = MARKET | {"condition": "lessorequal", "triggerPrice": 289.5, "stopEndUnixTime": 0}
STOP_LIMIT = STOP | {"price": 288.9}
DELETE: dict[str, Any] = {"orderId": "2030000000000000002", "exchange": "MOEX", "user": {"portfolio": "D1"}}
#: Every opcode about orders, with fields that are good.
ORDERS = {
    "create:market": MARKET,
    "create:limit": LIMIT,
    "create:stop": STOP,
    "create:stopLimit": STOP_LIMIT,
    **{
        f"update:{kind}": fields | {"orderId": "2030000000000000001"}
        for kind, fields in (("market", MARKET), ("limit", LIMIT), ("stop", STOP), ("stopLimit", STOP_LIMIT))
    },
    **{f"delete:{kind}": DELETE for kind in ("market", "limit", "stop", "stopLimit")},
}
