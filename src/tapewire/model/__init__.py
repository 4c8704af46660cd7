"""The market in the field's words: immutable values with their units. Pure."""

from tapewire.model.bar import Bar
from tapewire.model.book import Book, BookLevel
from tapewire.model.cluster import Cluster, ClusterLevel
from tapewire.model.command import (
    CancelAllOrders,
    CancelOrder,
    CancelStopOrder,
    ChangeGroup,
    Command,
    CommandKey,
    DeleteGroup,
    MakeGroup,
    PlaceOrder,
    PlaceStopOrder,
    ReplaceOrder,
    ReplaceStopOrder,
)
from tapewire.model.estimate import OrderEstimate
from tapewire.model.fill import Fill, RepoDetails
from tapewire.model.group import GroupedOrder, GroupMember, OrderGroup
from tapewire.model.history import BarsHistory, TradesHistory
from tapewire.model.instrument import NEVER, Instrument, InstrumentKind, InstrumentUpdate, OptionSide
from tapewire.model.interval import (
    DAY_S,
    MONTH_S,
    MOSCOW_OFFSET_S,
    WEEK_S,
    YEAR_S,
    bar_begins_s,
    bar_ends_s,
    bar_opening_s,
    is_interval,
    trading_day,
)
from tapewire.model.legacy_money import LegacyMoney
from tapewire.model.order import Iceberg, LegacyStopOrder, Order, StopOrder
from tapewire.model.outcome import Done, Outcome, Refused, Repeated, Unavailable
from tapewire.model.position import Position
from tapewire.model.quote import Quote
from tapewire.model.record import UNSET, Maybe, Record, UnsetType, Wire, from_iso, to_iso
from tapewire.model.reference import CurrencyPair, MarketStatus, RiskRate, RiskRates
from tapewire.model.risk import DerivativesRisk, Risk
from tapewire.model.row import row_key
from tapewire.model.security import Security
from tapewire.model.summary import CurrencyPower, Summary
from tapewire.model.topic import StreamPosition, Topic, TopicKind
from tapewire.model.trade import Trade
from tapewire.model.trading_code import TradingCode
from tapewire.model.words import (
    ClientType,
    Condition,
    Exchange,
    GroupedType,
    GroupPolicy,
    GroupStatus,
    OrderScope,
    OrderStatus,
    OrderType,
    RiskStatus,
    Side,
    StopType,
    TimeInForce,
    TradingStatus,
    Word,
)

__all__ = [
    "DAY_S",
    "MONTH_S",
    "MOSCOW_OFFSET_S",
    "NEVER",
    "UNSET",
    "WEEK_S",
    "YEAR_S",
    "Bar",
    "BarsHistory",
    "Book",
    "BookLevel",
    "CancelAllOrders",
    "CancelOrder",
    "CancelStopOrder",
    "ChangeGroup",
    "ClientType",
    "Cluster",
    "ClusterLevel",
    "Command",
    "CommandKey",
    "Condition",
    "CurrencyPair",
    "CurrencyPower",
    "DeleteGroup",
    "DerivativesRisk",
    "Done",
    "Exchange",
    "Fill",
    "GroupMember",
    "GroupPolicy",
    "GroupStatus",
    "GroupedOrder",
    "GroupedType",
    "Iceberg",
    "Instrument",
    "InstrumentKind",
    "InstrumentUpdate",
    "LegacyMoney",
    "LegacyStopOrder",
    "MakeGroup",
    "MarketStatus",
    "Maybe",
    "OptionSide",
    "Order",
    "OrderEstimate",
    "OrderGroup",
    "OrderScope",
    "OrderStatus",
    "OrderType",
    "Outcome",
    "PlaceOrder",
    "PlaceStopOrder",
    "Position",
    "Quote",
    "Record",
    "Refused",
    "Repeated",
    "ReplaceOrder",
    "ReplaceStopOrder",
    "RepoDetails",
    "Risk",
    "RiskRate",
    "RiskRates",
    "RiskStatus",
    "Security",
    "Side",
    "StopOrder",
    "StopType",
    "StreamPosition",
    "Summary",
    "TimeInForce",
    "Topic",
    "TopicKind",
    "Trade",
    "TradesHistory",
    "TradingCode",
    "TradingStatus",
    "Unavailable",
    "UnsetType",
    "Wire",
    "Word",
    "bar_begins_s",
    "bar_ends_s",
    "bar_opening_s",
    "from_iso",
    "is_interval",
    "row_key",
    "to_iso",
    "trading_day",
]
