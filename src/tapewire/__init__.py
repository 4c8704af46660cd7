"""The ALOR Broker WebSocket API, both ends of the wire.

The client: ``async with tapewire.connect() as broker``. The trading system to test against: ``tapewire up``.
"""

from tapewire import sync
from tapewire.client.bars import Bars
from tapewire.client.broker import Broker
from tapewire.client.buffer import BufferPolicy, Conflate, DropOldest, Fail, Spill
from tapewire.client.callback import Callback
from tapewire.client.command_result import Accepted, AllCanceled, GroupAccepted, NotDone, Rejected, Unknown
from tapewire.client.endpoints import PRODUCTION, TEST, Endpoints
from tapewire.client.errors import (
    AnswerTimeoutError,
    BufferOverflowError,
    ClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    Fault,
    GapError,
    InvalidOrderError,
    LimitError,
    NotSentError,
    RefusedError,
    TapewireError,
    TokenRefusedError,
    TokenServiceError,
)
from tapewire.client.events import (
    BlockedEvent,
    CallbackEndedEvent,
    CallbackFailedEvent,
    ConnectedEvent,
    Event,
    GapClosedEvent,
    GapOpenedEvent,
    LostEvent,
    OverflowEvent,
    PressureEvent,
    RefusedEvent,
    RestoredEvent,
    SilentEvent,
    WaitingEvent,
)
from tapewire.client.gap import Gap, GapState
from tapewire.client.order_terms import OrderTerms
from tapewire.client.order_ticket import OrderTicket
from tapewire.client.orders import Orders
from tapewire.client.portfolio import Portfolio
from tapewire.client.states import SubscriptionState
from tapewire.client.stream_status import StreamStatus
from tapewire.client.subscription import Subscription
from tapewire.client.timeframe import Timeframe
from tapewire.connect import connect
from tapewire.model import (
    UNSET,
    Bar,
    Book,
    BookLevel,
    Cluster,
    ClusterLevel,
    Condition,
    DerivativesRisk,
    Exchange,
    Fill,
    GroupPolicy,
    InstrumentUpdate,
    LegacyStopOrder,
    Order,
    OrderScope,
    OrderStatus,
    Position,
    Quote,
    Risk,
    Side,
    StopOrder,
    Summary,
    TimeInForce,
    Trade,
    TradingCode,
)
from tapewire.protocol.words import Format

__version__ = "0.1.0"

__all__ = [
    "PRODUCTION",
    "TEST",
    "UNSET",
    "Accepted",
    "AllCanceled",
    "AnswerTimeoutError",
    "Bar",
    "Bars",
    "BlockedEvent",
    "Book",
    "BookLevel",
    "Broker",
    "BufferOverflowError",
    "BufferPolicy",
    "Callback",
    "CallbackEndedEvent",
    "CallbackFailedEvent",
    "ClosedError",
    "Cluster",
    "ClusterLevel",
    "Condition",
    "ConfigurationError",
    "Conflate",
    "ConnectError",
    "ConnectedEvent",
    "ConnectionLostError",
    "DerivativesRisk",
    "DropOldest",
    "Endpoints",
    "Event",
    "Exchange",
    "Fail",
    "Fault",
    "Fill",
    "Format",
    "Gap",
    "GapClosedEvent",
    "GapError",
    "GapOpenedEvent",
    "GapState",
    "GroupAccepted",
    "GroupPolicy",
    "InstrumentUpdate",
    "InvalidOrderError",
    "LegacyStopOrder",
    "LimitError",
    "LostEvent",
    "NotDone",
    "NotSentError",
    "Order",
    "OrderScope",
    "OrderStatus",
    "OrderTerms",
    "OrderTicket",
    "Orders",
    "OverflowEvent",
    "Portfolio",
    "Position",
    "PressureEvent",
    "Quote",
    "RefusedError",
    "RefusedEvent",
    "Rejected",
    "RestoredEvent",
    "Risk",
    "Side",
    "SilentEvent",
    "Spill",
    "StopOrder",
    "StreamStatus",
    "Subscription",
    "SubscriptionState",
    "Summary",
    "TapewireError",
    "TimeInForce",
    "Timeframe",
    "TokenRefusedError",
    "TokenServiceError",
    "Trade",
    "TradingCode",
    "Unknown",
    "WaitingEvent",
    "__version__",
    "connect",
    "sync",
]
