"""The limits of a gateway as its operator may set them, and a name for each, by which it is counted.

What the wire itself allows is in ``protocol.limits``; docs/operation.md has all of them in one table.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from tapewire.protocol.limits import (
    CONNECTIONS_PER_USER_MAX,
    SUBSCRIPTIONS_PER_CONNECTION_MAX,
    UNPROCESSED_MESSAGES_MAX,
)

__all__ = ["CUTS", "Limit", "Limits"]

#: A hundred users with ten connections each behind one address, and as many as one process is meant to carry.
CONNECTIONS_PER_ADDRESS_MAX = 1_000
#: All subscriptions of a connection cancelled and made anew within a second.
REQUESTS_PER_SECOND_MAX = 10_000
#: How long a connection may live without a good token. Terminals connect first and ask their user later.
AUTHORISE_WITHIN_S = 60.0
#: The broker is said to block for two hours.
MISUSE_BLOCK_S = 7_200.0


class Limit(StrEnum):
    """What can be reached; the value is the label of its counter."""

    # Of ``CUTS``.
    UNPROCESSED_MESSAGES = "unprocessed_messages"
    MESSAGE_BYTES = "message_bytes"
    REQUEST_BACKLOG = "request_backlog"
    FRAMES_PER_SECOND = "frames_per_second"
    UNAUTHORISED = "unauthorised"
    # Of all others.
    USER_CONNECTIONS = "connections_per_user"
    ADDRESS_CONNECTIONS = "connections_per_address"
    SUBSCRIPTIONS = "subscriptions_per_connection"
    STREAMS = "streams_of_the_venue"
    COMMANDS_WAITING = "commands_waiting"
    GUARDED_ORDERS = "guarded_orders"
    REQUESTS_PER_SECOND = "requests_per_second"
    HTTP_REQUESTS_PER_SECOND = "http_requests_per_second"
    HTTP_REQUESTS_AT_ONCE = "http_requests_at_once"
    UNREADABLE = "unreadable"
    MISUSE = "misuse"


#: The limits for which a session is ended. For all others a request or a handshake is refused.
CUTS = frozenset(
    (
        Limit.UNPROCESSED_MESSAGES,
        Limit.MESSAGE_BYTES,
        Limit.REQUEST_BACKLOG,
        Limit.FRAMES_PER_SECOND,
        Limit.UNAUTHORISED,
    )
)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits that are the operator's to set; None: there is none."""

    connections_per_user: int = CONNECTIONS_PER_USER_MAX
    #: WebSocket connections of one IPv4 address, or of one IPv6 network of 64 bits.
    connections_per_address: int | None = CONNECTIONS_PER_ADDRESS_MAX
    subscriptions_per_connection: int = SUBSCRIPTIONS_PER_CONNECTION_MAX
    #: Messages that wait for the socket of one session.
    unprocessed_messages: int = UNPROCESSED_MESSAGES_MAX
    #: Of one connection.
    requests_per_second: int | None = REQUESTS_PER_SECOND_MAX
    authorise_within_s: float | None = AUTHORISE_WITHIN_S
    #: Points that a login, or an address without one, may gather in an hour.
    misuse_points: int | None = None
    misuse_block_s: float = MISUSE_BLOCK_S
