"""Matching and accounts: commands in, events out. Deterministic, without clock, I/O or randomness. Pure."""

from tapewire.exchange.account import CASH_MAX, Account, AccountState, AccountTerms, WorkingOrder
from tapewire.exchange.accounts import Accounts, AccountsState
from tapewire.exchange.auction import Uncrossing
from tapewire.exchange.book import OrderBook
from tapewire.exchange.clearing import BondInterest, Clearing, Marks, NoClearing
from tapewire.exchange.command import (
    Auction,
    Cancel,
    CancelAll,
    CancelConditional,
    CancelGroup,
    ChangeGroup,
    ClearDerivatives,
    Command,
    EndOfDay,
    MakeGroup,
    OrderRef,
    PassTime,
    Place,
    PlaceConditional,
    Replace,
    ReplaceConditional,
    SetRules,
)
from tapewire.exchange.commission import CommissionRates
from tapewire.exchange.conditional import PROTECTING_SECONDS_MAX, ConditionalOrder
from tapewire.exchange.conditionals import CONDITIONAL_ORDERS_MAX
from tapewire.exchange.entry import RESTING_ORDERS_MAX
from tapewire.exchange.estimate import estimate
from tapewire.exchange.evaluation import RISK_CATEGORIES, Evaluation
from tapewire.exchange.event import (
    CancelCause,
    CancelRejected,
    Cleared,
    ConditionalAccepted,
    ConditionalActivated,
    ConditionalCancelled,
    ConditionalFired,
    DayTurned,
    Event,
    GroupChanged,
    GroupEnded,
    GroupMade,
    GroupRejected,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    RulesSet,
    Traded,
)
from tapewire.exchange.exchange import FIRST_CONDITIONAL_ID, FIRST_ORDER_ID, FIRST_TRADE_ID, Exchange
from tapewire.exchange.fills import FILLS_MAX, FillRow, Fills
from tapewire.exchange.groups import GROUP_ORDERS_MAX, GROUPS_ACTIVE_MAX, GROUPS_ENDED_MAX, OrderGroup
from tapewire.exchange.holding import Holding
from tapewire.exchange.iceberg import ICEBERG_PARTS_MAX, ICEBERG_VARIANCE_PERCENT_MAX
from tapewire.exchange.money import MONEY_UNITS
from tapewire.exchange.order import Iceberg, RestingOrder
from tapewire.exchange.participant import PARTICIPANT_MARK, is_participant
from tapewire.exchange.refusal import GOOD_TILL_DAYS_MAX, LOTS_MAX, Refusal
from tapewire.exchange.register import ENDED_ORDERS_MAX, OrderRow, Register
from tapewire.exchange.state import ExchangeState, TradingState
from tapewire.exchange.terms import Segment, segment_of

__all__ = [
    "CASH_MAX",
    "CONDITIONAL_ORDERS_MAX",
    "ENDED_ORDERS_MAX",
    "FILLS_MAX",
    "FIRST_CONDITIONAL_ID",
    "FIRST_ORDER_ID",
    "FIRST_TRADE_ID",
    "GOOD_TILL_DAYS_MAX",
    "GROUPS_ACTIVE_MAX",
    "GROUPS_ENDED_MAX",
    "GROUP_ORDERS_MAX",
    "ICEBERG_PARTS_MAX",
    "ICEBERG_VARIANCE_PERCENT_MAX",
    "LOTS_MAX",
    "MONEY_UNITS",
    "PARTICIPANT_MARK",
    "PROTECTING_SECONDS_MAX",
    "RESTING_ORDERS_MAX",
    "RISK_CATEGORIES",
    "Account",
    "AccountState",
    "AccountTerms",
    "Accounts",
    "AccountsState",
    "Auction",
    "BondInterest",
    "Cancel",
    "CancelAll",
    "CancelCause",
    "CancelConditional",
    "CancelGroup",
    "CancelRejected",
    "ChangeGroup",
    "ClearDerivatives",
    "Cleared",
    "Clearing",
    "Command",
    "CommissionRates",
    "ConditionalAccepted",
    "ConditionalActivated",
    "ConditionalCancelled",
    "ConditionalFired",
    "ConditionalOrder",
    "DayTurned",
    "EndOfDay",
    "Evaluation",
    "Event",
    "Exchange",
    "ExchangeState",
    "FillRow",
    "Fills",
    "GroupChanged",
    "GroupEnded",
    "GroupMade",
    "GroupRejected",
    "Holding",
    "Iceberg",
    "MakeGroup",
    "Marks",
    "NoClearing",
    "OrderAccepted",
    "OrderBook",
    "OrderCancelled",
    "OrderGroup",
    "OrderRef",
    "OrderRejected",
    "OrderRow",
    "PassTime",
    "Place",
    "PlaceConditional",
    "Refusal",
    "Register",
    "Replace",
    "ReplaceConditional",
    "RestingOrder",
    "RulesSet",
    "Segment",
    "SetRules",
    "Traded",
    "TradingState",
    "Uncrossing",
    "WorkingOrder",
    "estimate",
    "is_participant",
    "segment_of",
]
