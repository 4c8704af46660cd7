"""The market in the field's words: immutable values with their units. Pure."""

from tapewire.model.bar import Bar
from tapewire.model.book import Book, BookLevel
from tapewire.model.cluster import Cluster, ClusterLevel
from tapewire.model.command import CancelOrder, Command, Done, Outcome, PlaceOrder, Refused
from tapewire.model.fill import Fill, RepoDetails
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
from tapewire.model.order import Iceberg, LegacyStopOrder, Order, StopOrder
from tapewire.model.position import Position
from tapewire.model.quote import Quote
from tapewire.model.record import UNSET, Maybe, Record, UnsetType, Wire, from_iso, to_iso
from tapewire.model.reference import CurrencyPair, MarketStatus, RiskRate, RiskRates
from tapewire.model.risk import DerivativesRisk, Risk
from tapewire.model.security import Security
from tapewire.model.summary import CurrencyPower, Summary
from tapewire.model.topic import StreamPosition, Topic, TopicKind
from tapewire.model.trade import Trade
from tapewire.model.trading_code import TradingCode
from tapewire.model.words import (
    ClientType,
    Condition,
    Exchange,
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
    "CancelOrder",
    "ClientType",
    "Cluster",
    "ClusterLevel",
    "Command",
    "Condition",
    "CurrencyPair",
    "CurrencyPower",
    "DerivativesRisk",
    "Done",
    "Exchange",
    "Fill",
    "Iceberg",
    "Instrument",
    "InstrumentKind",
    "InstrumentUpdate",
    "LegacyStopOrder",
    "MarketStatus",
    "Maybe",
    "OptionSide",
    "Order",
    "OrderStatus",
    "OrderType",
    "Outcome",
    "PlaceOrder",
    "Position",
    "Quote",
    "Record",
    "Refused",
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
    "UnsetType",
    "Wire",
    "Word",
    "bar_begins_s",
    "bar_ends_s",
    "bar_opening_s",
    "from_iso",
    "is_interval",
    "to_iso",
    "trading_day",
]
