"""The ALOR Broker WebSocket API, both ends of the wire.

The client: ``async with tapewire.connect() as broker``. The trading system to test against: ``tapewire up``.
"""

from tapewire.client.broker import Broker
from tapewire.client.buffer import BufferPolicy, Conflate, DropOldest, Fail
from tapewire.client.endpoints import PRODUCTION, TEST, Endpoints
from tapewire.client.errors import (
    AnswerTimeoutError,
    BufferOverflowError,
    ClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    Fault,
    LimitError,
    RefusedError,
    TapewireError,
    TokenRefusedError,
    TokenServiceError,
)
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription
from tapewire.connect import connect
from tapewire.model import UNSET, Book, BookLevel, Exchange, Quote, Side, Trade
from tapewire.protocol.words import Format

__version__ = "0.1.0"

__all__ = [
    "PRODUCTION",
    "TEST",
    "UNSET",
    "AnswerTimeoutError",
    "Book",
    "BookLevel",
    "Broker",
    "BufferOverflowError",
    "BufferPolicy",
    "ClosedError",
    "ConfigurationError",
    "Conflate",
    "ConnectError",
    "ConnectionLostError",
    "DropOldest",
    "Endpoints",
    "Exchange",
    "Fail",
    "Fault",
    "Format",
    "LimitError",
    "Quote",
    "RefusedError",
    "Side",
    "Subscription",
    "SubscriptionState",
    "TapewireError",
    "TokenRefusedError",
    "TokenServiceError",
    "Trade",
    "__version__",
    "connect",
]
