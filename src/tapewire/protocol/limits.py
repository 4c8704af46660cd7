"""Every limit of the wire, once; for both ends: a server keeps them, a client keeps them first.

Source: reference of subscriptions, sections 6 and 8. What is not in the reference is our own bound and says
so.
"""

from __future__ import annotations

from tapewire.protocol.words import Format

__all__ = [
    "ANONYMOUS_DELAY_SECONDS",
    "BARS_HISTORY_MAX",
    "BOOK_DEPTH_DEFAULT",
    "BOOK_DEPTH_MAX",
    "CLOSE_REASON_BYTES_MAX",
    "COMMENT_CHARACTERS_MAX",
    "CONNECTIONS_PER_USER_MAX",
    "FREQUENCY_DEFAULT_MS",
    "FREQUENCY_FLOOR_MS",
    "FREQUENCY_MAX_MS",
    "GROUP_ORDERS_MAX",
    "GUID_CHARACTERS_MAX",
    "HTTP_BARS_MAX",
    "HTTP_BODY_BYTES_MAX",
    "HTTP_ESTIMATES_MAX",
    "HTTP_PAST_FILLS_MAX",
    "HTTP_REQUESTS_PER_SECOND_MAX",
    "HTTP_SEARCH_ROWS_DEFAULT",
    "HTTP_SYMBOLS_MAX",
    "HTTP_TRADES_MAX",
    "ICEBERG_VARIANCE_PERCENT_MAX",
    "INTERVAL_SECONDS_MAX",
    "MESSAGE_BYTES_MAX",
    "PRICE_DIGITS_MAX",
    "PROTECTING_SECONDS_MAX",
    "QUANTITY_LOTS_MAX",
    "REQUEST_BACKLOG_BYTES_MAX",
    "STRICT_GUID_CHARACTERS_MAX",
    "SUBSCRIPTIONS_PER_CONNECTION_MAX",
    "TOKEN_LIFE_SECONDS",
    "TRADES_HISTORY_MAX",
    "UNIX_SECONDS_MAX",
    "UNPROCESSED_MESSAGES_MAX",
    "effective_frequency_ms",
]

#: Above it the documentation says nothing; the server answers the first authorised request with 429.
CONNECTIONS_PER_USER_MAX = 10
#: The next one is answered with 429, the others live on.
SUBSCRIPTIONS_PER_CONNECTION_MAX = 5_000
#: Messages that wait for the socket. Above it the session is ended with 1013.
UNPROCESSED_MESSAGES_MAX = 5_000
HTTP_REQUESTS_PER_SECOND_MAX = 100
HTTP_SEARCH_ROWS_DEFAULT = 25
#: Rows of one answer; the reference has this bound for past trades, for trades of the session it is ours.
HTTP_TRADES_MAX = 50_000
#: Ours: a longer range is answered with its newest bars, and ``prev`` leads on.
HTTP_BARS_MAX = 50_000
#: Ours: no body of a request is near this large.
HTTP_BODY_BYTES_MAX = 64 * 1024
#: Own trades of past sessions in one answer.
HTTP_PAST_FILLS_MAX = 1_000
#: Ours: orders that are weighed in one request.
HTTP_ESTIMATES_MAX = 100
#: Ours: instruments of one request for quotes.
HTTP_SYMBOLS_MAX = 100
#: Data without a token are at least so old.
ANONYMOUS_DELAY_SECONDS = 900

BOOK_DEPTH_DEFAULT = 20
BOOK_DEPTH_MAX = 50
TRADES_HISTORY_MAX = 5_000
#: Ours: a subscription to bars begins with so many at most, the newest ones; longer history is for HTTP.
BARS_HISTORY_MAX = 10_000

FREQUENCY_DEFAULT_MS = 175
#: A value below is taken as the floor, 0 included.
FREQUENCY_FLOOR_MS = {Format.SIMPLE: 25, Format.SLIM: 10, Format.HEAVY: 500}
#: Ours: an hour. Longer windows are taken as this one.
FREQUENCY_MAX_MS = 3_600_000
#: Ours: the longest bar is a leap year.
INTERVAL_SECONDS_MAX = 31_622_400
#: Ours: the end of the year 9999, the last that a date can show. Milliseconds sent by mistake lie beyond.
UNIX_SECONDS_MAX = 253_402_300_799

#: Real clients send guids of 55 characters, so the documented 50 is not kept unless a reader asks for it.
GUID_CHARACTERS_MAX = 256
STRICT_GUID_CHARACTERS_MAX = 50
COMMENT_CHARACTERS_MAX = 100
QUANTITY_LOTS_MAX = 2**31 - 1
#: Ours: digits of a price before the point, and as many behind it; decimal arithmetic is exact within.
PRICE_DIGITS_MAX = 14
PROTECTING_SECONDS_MAX = 300
#: Ours: orders of one group.
GROUP_ORDERS_MAX = 100
ICEBERG_VARIANCE_PERCENT_MAX = 20

#: One message in either direction: clients in the field refuse more than 1 MiB.
MESSAGE_BYTES_MAX = 1 << 20
#: RFC 6455: a control frame carries at most 125 bytes, two of which are the code.
CLOSE_REASON_BYTES_MAX = 123
#: Ours: requests of one connection that wait until its outbox has room.
REQUEST_BACKLOG_BYTES_MAX = 8 << 20

TOKEN_LIFE_SECONDS = 1_800


def effective_frequency_ms(asked: int, message_format: Format) -> int:
    """Return the width of the window that a request for ``asked`` milliseconds gets."""
    return min(max(asked, FREQUENCY_FLOOR_MS[message_format]), FREQUENCY_MAX_MS)
