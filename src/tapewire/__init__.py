"""The ALOR Broker WebSocket API, both ends of the wire.

The client: ``async with tapewire.connect() as broker``. The trading system to test against: ``tapewire up``.
"""

from tapewire import sync
from tapewire.client.broker import Broker
from tapewire.client.buffer import BufferPolicy, Conflate, DropOldest, Fail, Spill
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
    CallbackFailedEvent,
    ConnectedEvent,
    Event,
    GapClosedEvent,
    GapOpenedEvent,
    LostEvent,
    OverflowEvent,
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
from tapewire.client.subscription import Subscription
from tapewire.connect import connect
from tapewire.model import (
    UNSET,
    Book,
    BookLevel,
    Condition,
    Exchange,
    Fill,
    GroupPolicy,
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
    "BlockedEvent",
    "Book",
    "BookLevel",
    "Broker",
    "BufferOverflowError",
    "BufferPolicy",
    "CallbackFailedEvent",
    "ClosedError",
    "Condition",
    "ConfigurationError",
    "Conflate",
    "ConnectError",
    "ConnectedEvent",
    "ConnectionLostError",
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
    "InvalidOrderError",
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
    "Subscription",
    "SubscriptionState",
    "Summary",
    "TapewireError",
    "TimeInForce",
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
