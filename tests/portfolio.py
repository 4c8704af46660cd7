"""Rows of a portfolio as tests publish them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tapewire.model import (
    ClientType,
    Condition,
    CurrencyPower,
    DerivativesRisk,
    Exchange,
    Fill,
    LegacyMoney,
    Order,
    OrderEstimate,
    OrderStatus,
    OrderType,
    Position,
    Record,
    Risk,
    RiskStatus,
    Side,
    StopOrder,
    StopType,
    Summary,
    TimeInForce,
    TopicKind,
)

_ZERO = Decimal(0)
_TIME = "2026-01-12T07:00:00.0000000Z"
_LISTED: dict[str, Any] = {
    "symbol": "SBER",
    "board": "TQBR",
    "broker_symbol": "MOEX:SBER",
    "portfolio": "D1",
    "exchange": Exchange.MOEX,
}
_ORDER: dict[str, Any] = _LISTED | {
    "comment": None,
    "side": Side.BUY,
    "status": OrderStatus.WORKING,
    "created_at": _TIME,
    "updated_at": _TIME,
    "ends_at": _TIME,
    "quantity_lots": 1,
    "quantity": 1,
    "filled_units": _ZERO,
    "filled_lots": _ZERO,
    "filled": _ZERO,
    "price": Decimal("301.45"),
    "existing": False,
    "time_in_force": TimeInForce.ONE_DAY,
    "iceberg": None,
    "volume": None,
}


def order(number: str = "1", **changes: Any) -> Order:
    return Order(**(_ORDER | {"id": number, "type": OrderType.LIMIT, "quantity_units": 10} | changes))


def stop_order(number: str = "1", **changes: Any) -> StopOrder:
    fields = {
        "id": number,
        "exchange_order_id": None,
        "type": StopType.STOP_LIMIT,
        "condition": Condition.LESS,
        "error": None,
        "quantity_units": Decimal(10),
        "average_price": _ZERO,
        "stop_price": Decimal("289.5"),
        "protecting_seconds": None,
    }
    return StopOrder(**(_ORDER | fields | changes))


def fill(number: str = "1", **changes: Any) -> Fill:
    fields = {name: value for name, value in _LISTED.items() if name != "portfolio"} | {
        "id": number,
        "order_number": "1",
        "comment": None,
        "time": _TIME,
        "quantity_units": 10,
        "quantity_lots": 1,
        "quantity": 1,
        "price": Decimal("301.45"),
        "accrued_interest": _ZERO,
        "side": Side.BUY,
        "existing": False,
        "commission": None,
        "repo": None,
        "volume": Decimal("3014.5"),
        "settles_at": _TIME,
    }
    return Fill(**(fields | changes))


def position(symbol: str = "SBER", **changes: Any) -> Position:
    numbers = {
        name: _ZERO
        for name in Position.__struct_fields__
        if name
        not in ("symbol", "broker_symbol", "portfolio", "exchange", "short_name", "is_currency", "existing")
    }
    fields = {
        "symbol": symbol,
        "broker_symbol": f"MOEX:{symbol}",
        "portfolio": "D1",
        "exchange": Exchange.MOEX,
        "short_name": symbol,
        "is_currency": False,
        "existing": False,
    }
    return Position(**(numbers | fields | changes))  # type: ignore[arg-type]


def summary(power: str = "1000") -> Summary:
    numbers = dict.fromkeys(Summary.__struct_fields__, _ZERO)
    powers = (CurrencyPower(currency="RUB", buying_power=Decimal(power)),)
    return Summary(**(numbers | {"buying_power": Decimal(power), "buying_power_by_currency": powers}))  # type: ignore[arg-type]


def risk(margin: str = "10") -> Risk:
    fields: dict[str, Any] = dict.fromkeys(Risk.__struct_fields__, _ZERO) | {
        "portfolio": "D1",
        "exchange": Exchange.MOEX,
        "initial_margin": Decimal(margin),
        "category_id": 1,
        "client_type": ClientType.STANDARD_RISK,
        "has_forbidden_positions": False,
        "has_negative_quantity": False,
        "status": RiskStatus.OK,
        "calculated_at": _TIME,
    }
    return Risk(**fields)


def derivatives_risk(free: str = "10") -> DerivativesRisk:
    fields: dict[str, Any] = dict.fromkeys(DerivativesRisk.__struct_fields__, _ZERO) | {
        "portfolio": "D1",
        "money_free": Decimal(free),
        "is_limits_set": False,
    }
    return DerivativesRisk(**fields)


def money(portfolio: str = "D1") -> LegacyMoney:
    return LegacyMoney(**(dict.fromkeys(LegacyMoney.__struct_fields__, _ZERO) | {"portfolio": portfolio}))  # type: ignore[arg-type]


def estimate() -> OrderEstimate:
    fields: dict[str, Any] = dict.fromkeys(OrderEstimate.__struct_fields__, Decimal(1)) | {
        "portfolio": "D1",
        "symbol": "SBER",
        "exchange": Exchange.MOEX,
        "is_united_portfolio": False,
    }
    return OrderEstimate(**fields)


#: Of each kind two records that differ.
RECORDS: dict[TopicKind, tuple[Record, Record]] = {
    TopicKind.ORDERS: (order("1"), order("2")),
    TopicKind.STOP_ORDERS: (stop_order("1"), stop_order("2")),
    TopicKind.LEGACY_STOP_ORDERS: (stop_order("1"), stop_order("2")),
    TopicKind.FILLS: (fill("1"), fill("2")),
    TopicKind.POSITIONS: (position("SBER"), position("GAZP")),
    TopicKind.SUMMARY: (summary("1"), summary("2")),
    TopicKind.RISK: (risk("1"), risk("2")),
    TopicKind.DERIVATIVES_RISK: (derivatives_risk("1"), derivatives_risk("2")),
}
