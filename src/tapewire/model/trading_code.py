"""Codes of the trading system, for refusals of orders. They are no HTTP statuses.

Source: reference of commands, section 7.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["TradingCode"]


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
