"""The ALOR Broker WebSocket API, both ends of the wire.

The client: ``async with tapewire.connect() as broker``. The trading system to test against: ``tapewire up``.
"""

from tapewire.client.broker import Broker
from tapewire.client.buffer import BufferPolicy, Conflate, DropOldest, Fail
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
    InvalidOrderError,
    LimitError,
    NotSentError,
    RefusedError,
    TapewireError,
    TokenRefusedError,
    TokenServiceError,
)
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
    "Book",
    "BookLevel",
    "Broker",
    "BufferOverflowError",
    "BufferPolicy",
    "ClosedError",
    "Condition",
    "ConfigurationError",
    "Conflate",
    "ConnectError",
    "ConnectionLostError",
    "DropOldest",
    "Endpoints",
    "Exchange",
    "Fail",
    "Fault",
    "Fill",
    "Format",
    "GroupAccepted",
    "GroupPolicy",
    "InvalidOrderError",
    "LimitError",
    "NotDone",
    "NotSentError",
    "Order",
    "OrderScope",
    "OrderStatus",
    "OrderTerms",
    "OrderTicket",
    "Orders",
    "Portfolio",
    "Position",
    "Quote",
    "RefusedError",
    "Rejected",
    "Risk",
    "Side",
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
    "__version__",
    "connect",
]
