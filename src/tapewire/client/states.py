"""The life of a subscription as a table: what may follow what.

::

    new ──► pending ──► active ──► restoring ──► active ──► … ──► closed
               │          │            │
               └──────────┴► refused ◄─┘

=========  ====================================
state      may become
=========  ====================================
new        pending, closed
pending    active, restoring, refused, closed
active     restoring, refused, closed
restoring  active, refused, closed
refused    nothing: final
closed     nothing: final
=========  ====================================
"""

from __future__ import annotations

from enum import Enum

__all__ = ["SubscriptionState", "may_follow"]


class SubscriptionState(Enum):
    """Where a subscription is in its life."""

    #: Not asked for yet.
    NEW = "new"
    #: Asked for, not answered yet.
    PENDING = "pending"
    #: The broker has taken it: data flow.
    ACTIVE = "active"
    #: The connection was lost; it is asked for again.
    RESTORING = "restoring"
    #: The broker has refused it, at once or after it had been taken. Final.
    REFUSED = "refused"
    #: Nobody wants it any more, or its connection is gone for good. Final.
    CLOSED = "closed"


_FOLLOWS = {
    SubscriptionState.NEW: {SubscriptionState.PENDING, SubscriptionState.CLOSED},
    SubscriptionState.PENDING: {
        SubscriptionState.ACTIVE,
        SubscriptionState.RESTORING,
        SubscriptionState.REFUSED,
        SubscriptionState.CLOSED,
    },
    SubscriptionState.ACTIVE: {
        SubscriptionState.RESTORING,
        SubscriptionState.REFUSED,
        SubscriptionState.CLOSED,
    },
    SubscriptionState.RESTORING: {
        SubscriptionState.ACTIVE,
        SubscriptionState.REFUSED,
        SubscriptionState.CLOSED,
    },
    SubscriptionState.REFUSED: set(),
    SubscriptionState.CLOSED: set(),
}


def may_follow(old: SubscriptionState, new: SubscriptionState) -> bool:
    """Whether a subscription may go from one state to another."""
    return new in _FOLLOWS[old]
