"""The closed word lists of the market, as the broker spells them.

Reading is tolerant: letter case does not matter, and a word that is not in the list becomes a member of its
own (``word.known`` is False) instead of costing the record that carries it.
Source: reference of subscriptions, section 7.16; of commands, section 6; of HTTP, section 6.5.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Self

__all__ = [
    "ClientType",
    "Condition",
    "Exchange",
    "GroupPolicy",
    "GroupStatus",
    "GroupedType",
    "OrderScope",
    "OrderStatus",
    "OrderType",
    "RiskStatus",
    "Side",
    "StopType",
    "TimeInForce",
    "TradingStatus",
    "Word",
]


class Word(StrEnum):
    """A word of a list; equal to its text, read without regard to letter case."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        folded = value.casefold()
        for member in cls:
            if member.value.casefold() == folded:
                return member
        stranger = str.__new__(cls, value)
        stranger._name_ = value
        stranger._value_ = value
        return stranger

    @property
    def known(self) -> bool:
        """Whether the word is in the list."""
        return type(self)._value2member_map_.get(self._value_) is self


class Exchange(Word):
    MOEX = "MOEX"
    SPBX = "SPBX"
    #: United portfolios, whose ids begin with ``E``.
    UNITED = "UNITED"


class Side(Word):
    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(Word):
    LIMIT = "limit"
    MARKET = "market"


class StopType(Word):
    STOP = "stop"
    STOP_LIMIT = "stoplimit"


class OrderStatus(Word):
    WORKING = "working"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"


class TimeInForce(Word):
    ONE_DAY = "oneday"
    IMMEDIATE_OR_CANCEL = "immediateorcancel"
    FILL_OR_KILL = "fillorkill"
    AT_THE_CLOSE = "attheclose"
    GOOD_TILL_CANCELLED = "goodtillcancelled"
    BOOK_OR_CANCEL = "bookorcancel"


class Condition(Word):
    MORE = "more"
    LESS = "less"
    MORE_OR_EQUAL = "moreorequal"
    LESS_OR_EQUAL = "lessorequal"


class OrderScope(Word):
    """Which orders of a portfolio are meant."""

    DIRECT = "direct"
    CONDITIONAL = "conditional"
    BOTH = "both"


class GroupedType(Word):
    """What an order in a group is."""

    LIMIT = "Limit"
    MARKET = "Market"
    STOP = "Stop"
    STOP_LIMIT = "StopLimit"

    @property
    def is_conditional(self) -> bool:
        """Whether its number is one of conditional orders."""
        return self in (GroupedType.STOP, GroupedType.STOP_LIMIT)


class GroupPolicy(Word):
    """What the end of one order does to the others of its group."""

    #: One is filled or cancelled: the others are cancelled.
    ON_EXECUTE_OR_CANCEL = "OnExecuteOrCancel"
    #: One is filled: the others are cancelled.
    IGNORE_CANCEL = "IgnoreCancel"
    #: The first is filled: the inactive conditional ones begin to watch the market.
    TRIGGER_BRACKET_ORDERS = "TriggerBracketOrders"


class GroupStatus(Word):
    ACTIVE = "Active"
    FILLED = "Filled"
    CANCELED = "Canceled"


class ClientType(Word):
    LOW_RISK = "LowRisk"
    STANDARD_RISK = "StandardRisk"
    HIGH_RISK = "HighRisk"
    SPECIAL = "Special"


class RiskStatus(Word):
    OK = "Ok"
    DEMAND = "Demand"
    TO_CLOSE = "ToClose"


class TradingStatus(IntEnum):
    """Phase of trading of an instrument; a number that is not in the list stays readable."""

    BREAK = 2
    NORMAL = 17
    CLOSED = 18
    CLOSING_AUCTION = 102
    CLOSING_PERIOD = 103
    LARGE_BLOCKS = 106
    DISCRETE_AUCTION = 107
    OPENING_PERIOD = 118
    OPENING_AUCTION = 119
    CLOSING_PRICE_TRADING = 120

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        stranger = int.__new__(cls, value)
        stranger._name_ = f"STATUS_{value}"
        stranger._value_ = value
        return stranger
