"""Codes of the wire, once for both ends: results of requests, close codes, words of HTTP statuses.

Source: reference of subscriptions 3.2, reference of commands 3 and 7, RFC 6455 section 7.4. The texts beyond
the two documented ones are ours; clients branch on the code, never on the text.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["STATUS_WORDS", "CloseCode", "ResultCode"]

HANDLED = "Handled successfully"
INVALID_TOKEN = "Invalid JWT token!"  # noqa: S105  (the broker's text, not a secret)
CONNECTION_INITIALIZED = "The connection has been initialized."
#: Reason of the close frame that cuts a session which has fallen too far behind.
TOO_MANY_UNPROCESSED = "too many unprocessed messages"

#: ``code`` in the JSON body that goes with a status of HTTP, at an endpoint or a refused handshake.
STATUS_WORDS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    413: "RequestTooLarge",
    426: "UpgradeRequired",
    429: "TooManyRequests",
    431: "RequestHeaderFieldsTooLarge",
    500: "InternalError",
    501: "NotServed",
    503: "Unavailable",
    504: "TimedOut",
}


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
