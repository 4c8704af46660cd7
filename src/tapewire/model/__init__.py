"""The market in the field's words: immutable values with their units. Pure."""

from tapewire.model.bar import Bar
from tapewire.model.book import Book, BookLevel
from tapewire.model.cluster import Cluster, ClusterLevel
from tapewire.model.command import CancelOrder, Command, Done, Outcome, PlaceOrder, Refused
from tapewire.model.fill import Fill, RepoDetails
from tapewire.model.instrument import Instrument, InstrumentKind, InstrumentUpdate
from tapewire.model.order import Iceberg, LegacyStopOrder, Order, StopOrder
from tapewire.model.position import Position
from tapewire.model.quote import Quote
from tapewire.model.record import UNSET, Maybe, Record, UnsetType, Wire, from_iso, to_iso
from tapewire.model.risk import DerivativesRisk, Risk
from tapewire.model.summary import CurrencyPower, Summary
from tapewire.model.topic import StreamPosition, Topic, TopicKind
from tapewire.model.trade import Trade
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
    "UNSET",
    "Bar",
    "Book",
    "BookLevel",
    "CancelOrder",
    "ClientType",
    "Cluster",
    "ClusterLevel",
    "Command",
    "Condition",
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
    "Maybe",
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
    "RiskStatus",
    "Side",
    "StopOrder",
    "StopType",
    "StreamPosition",
    "Summary",
    "TimeInForce",
    "Topic",
    "TopicKind",
    "Trade",
    "TradingStatus",
    "UnsetType",
    "Wire",
    "Word",
    "from_iso",
    "to_iso",
]
