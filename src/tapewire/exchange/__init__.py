"""Matching and accounts: commands in, events out. Deterministic, without clock, I/O or randomness. Pure."""

from tapewire.exchange.account import CASH_MAX, Account, AccountState, AccountTerms, WorkingOrder
from tapewire.exchange.accounts import Accounts, AccountsState
from tapewire.exchange.book import OrderBook
from tapewire.exchange.clearing import PARTICIPANT_MARK, BondInterest, Clearing, Marks
from tapewire.exchange.command import Cancel, Command, Place, SetRules
from tapewire.exchange.commission import CommissionRates
from tapewire.exchange.estimate import estimate
from tapewire.exchange.evaluation import RISK_CATEGORIES, Evaluation
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
from tapewire.exchange.holding import Holding
from tapewire.exchange.money import MONEY_UNITS
from tapewire.exchange.order import RestingOrder
from tapewire.exchange.refusal import LOTS_MAX, Refusal
from tapewire.exchange.terms import Segment, segment_of

__all__ = [
    "CASH_MAX",
    "FIRST_ORDER_ID",
    "FIRST_TRADE_ID",
    "LOTS_MAX",
    "MONEY_UNITS",
    "PARTICIPANT_MARK",
    "RESTING_ORDERS_MAX",
    "RISK_CATEGORIES",
    "Account",
    "AccountState",
    "AccountTerms",
    "Accounts",
    "AccountsState",
    "BondInterest",
    "Cancel",
    "CancelCause",
    "CancelRejected",
    "Cleared",
    "Clearing",
    "Command",
    "CommissionRates",
    "DayTurned",
    "Evaluation",
    "Event",
    "Exchange",
    "Holding",
    "Marks",
    "OrderAccepted",
    "OrderBook",
    "OrderCancelled",
    "OrderRejected",
    "Place",
    "Refusal",
    "RestingOrder",
    "RulesSet",
    "Segment",
    "SetRules",
    "Traded",
    "WorkingOrder",
    "estimate",
    "segment_of",
]
