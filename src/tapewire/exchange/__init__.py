"""The matching core: commands in, events out. Deterministic, without clock, I/O or randomness. Pure."""

from tapewire.exchange.book import OrderBook
from tapewire.exchange.command import Cancel, Command, Place, SetRules
from tapewire.exchange.event import (
    CancelCause,
    CancelRejected,
    Cleared,
    DayTurned,
    Event,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    RulesSet,
    Traded,
)
from tapewire.exchange.exchange import FIRST_ORDER_ID, FIRST_TRADE_ID, RESTING_ORDERS_MAX, Exchange
from tapewire.exchange.order import RestingOrder
from tapewire.exchange.refusal import LOTS_MAX, Refusal

__all__ = [
    "FIRST_ORDER_ID",
    "FIRST_TRADE_ID",
    "LOTS_MAX",
    "RESTING_ORDERS_MAX",
    "Cancel",
    "CancelCause",
    "CancelRejected",
    "Cleared",
    "Command",
    "DayTurned",
    "Event",
    "Exchange",
    "OrderAccepted",
    "OrderBook",
    "OrderCancelled",
    "OrderRejected",
    "Place",
    "Refusal",
    "RestingOrder",
    "RulesSet",
    "SetRules",
    "Traded",
]
