"""Codes of the wire, once for both ends: results of requests, close codes, codes of the trading system.

Source: reference of subscriptions 3.2, reference of commands 3 and 7, RFC 6455 section 7.4. The texts beyond
the two documented ones are ours; clients branch on the code, never on the text.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["CloseCode", "ResultCode", "TradingCode"]

HANDLED = "Handled successfully"
INVALID_TOKEN = "Invalid JWT token!"  # noqa: S105  (the broker's text, not a secret)
CONNECTION_INITIALIZED = "The connection has been initialized."


class ResultCode(IntEnum):
    """``httpCode`` of a system message."""

    OK = 200
    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    TOO_MANY = 429
    NOT_SERVED = 501
    UNAVAILABLE = 503
    TIMED_OUT = 504


class CloseCode(IntEnum):
    """Close codes that tapewire sends or tells apart."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_TEXT = 1007
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    #: The session was too slow for what it had asked for, or the server has no room.
    TRY_AGAIN_LATER = 1013


class TradingCode(IntEnum):
    """Refusals of the trading system. They are no HTTP statuses."""

    EXCHANGE_ORDER_NOT_FOUND = 253
    EXCHANGE_OPERATION_NOT_SUPPORTED = 300
    EXCHANGE_LIMIT_EXCEEDED = 301
    EXCHANGE_INCORRECT_QUANTITY = 304
    EXCHANGE_TRADING_IS_STOPPED = 306
    INSUFFICIENT_CLIENT_FUNDS = 309
    ORDER_CREATES_UNCOVERED_RISK = 400
    NOT_ENOUGH_CASH = 401
    REVERT_NOT_GENERATED = 402
    ORDER_TO_MODIFY_NOT_FOUND = 403
    ORDER_TO_CANCEL_NOT_FOUND = 404
    INSTRUMENT_CANT_BE_SHORT_SELLED = 405
    INSTRUMENT_IN_BOARD_FORBIDDEN_FOR_CLIENT = 406
    CLIENT_BLOCKED = 407
    UNKNOWN_ERROR = 408
    INTERNAL_ERROR_WITH_PRICES = 409
    INVALID_COMPLEX_PRODUCT_CATEGORY = 410
    NO_ORDER_PRICE_FOUND = 411
    FORBIDDEN_ORDER_TYPE = 412
    LOW_RISK_MARGINAL_FORBIDDEN = 413
    CANT_WRITE_STOP_ORDER_TO_STORAGE = 501
    UNSUPPORTED_STOP_ORDER_TYPE = 502
    PRICE_IN_STOP_ORDER_NOT_MULTIPLE_OF_MIN_INCREMENT = 503
    COMMAND_RESPONSE_TIMEOUT = 900

    @property
    def wire_name(self) -> str:
        """The broker's name of the code: ``OrderToCancelNotFound``."""
        return "".join(part.capitalize() for part in self.name.split("_"))
