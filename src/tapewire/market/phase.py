"""What the participants of an instrument may do."""

from __future__ import annotations

from enum import Enum

__all__ = ["Phase"]


class Phase(Enum):
    """What the participants of an instrument may do."""

    #: Nothing: their orders rest.
    CLOSED = "closed"
    #: Place orders for an auction.
    GATHERING = "gathering"
    CONTINUOUS = "continuous"
