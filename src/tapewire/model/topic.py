"""Topics: the streams a venue publishes, and where in a stream one stands."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["StreamPosition", "Topic", "TopicKind"]


class TopicKind(StrEnum):
    """What a stream carries. State kinds replace (only the newest counts); event kinds append."""

    BOOK = "book"
    QUOTE = "quote"
    BAR = "bar"
    INSTRUMENT = "instrument"
    TRADES = "trades"
    CLUSTER = "cluster"
    POSITIONS = "positions"
    SUMMARY = "summary"
    RISK = "risk"
    DERIVATIVES_RISK = "derivatives_risk"
    FILLS = "fills"
    ORDERS = "orders"
    STOP_ORDERS = "stop_orders"
    LEGACY_STOP_ORDERS = "legacy_stop_orders"

    # Topics are looked up for every record; the hash of an enum is Python, that of its text is not.
    __hash__ = str.__hash__

    @property
    def is_state(self) -> bool:
        """Whether a newer record makes the older ones worthless."""
        return self in _STATE_KINDS

    @property
    def of_portfolio(self) -> bool:
        """Whether the stream belongs to a portfolio rather than to an instrument."""
        return self in _PORTFOLIO_KINDS


_STATE_KINDS = frozenset(
    {
        TopicKind.BOOK,
        TopicKind.QUOTE,
        TopicKind.BAR,
        TopicKind.CLUSTER,
        TopicKind.SUMMARY,
        TopicKind.RISK,
        TopicKind.DERIVATIVES_RISK,
    }
)
_PORTFOLIO_KINDS = frozenset(
    {
        TopicKind.POSITIONS,
        TopicKind.SUMMARY,
        TopicKind.RISK,
        TopicKind.DERIVATIVES_RISK,
        TopicKind.FILLS,
        TopicKind.ORDERS,
        TopicKind.STOP_ORDERS,
        TopicKind.LEGACY_STOP_ORDERS,
    }
)


class Topic(NamedTuple):
    """One stream of a venue. ``subject`` is a symbol, or a portfolio for the kinds that belong to one.

    ``board`` is empty for portfolio streams; ``interval_s`` is the timeframe of bars and clusters, else 0.
    """

    kind: TopicKind
    exchange: str
    subject: str
    board: str = ""
    interval_s: int = 0


class StreamPosition(NamedTuple):
    """Where a stream stands: equal positions, equal content; later ones are larger.

    Events are numbered one by one; of states some numbers may never be seen. A new ``epoch`` starts the numbers
    again, and as a text it is larger than those before it: so a page that was read across a restart tells what
    came before it.
    """

    epoch: str
    sequence: int
