"""What of a stream is the past that was asked for: told from what happens by each message. Pure.

===================================  =======================================================================
stream                               a message is of the past
===================================  =======================================================================
trades with a depth                  when it has ``existing`` set
orders, stop orders, fills and       the same
positions of a portfolio
bars and clusters with ``since``     when it opened before the one that ran when the stream was asked for
others                               never
===================================  =======================================================================

It stands before all that happens: the first message that is not of it ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapewire.model import TopicKind, bar_opening_s
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.formats import Codec
from tapewire.protocol.requests import (
    PortfolioRequest,
    SubscribeBars,
    SubscribeClusters,
    SubscribeRequest,
    SubscribeTrades,
    interval_seconds,
    stream_of,
)

__all__ = ["past_test"]

_ROWS = frozenset(
    {
        TopicKind.ORDERS,
        TopicKind.STOP_ORDERS,
        TopicKind.LEGACY_STOP_ORDERS,
        TopicKind.FILLS,
        TopicKind.POSITIONS,
    }
)


def past_test(request: SubscribeRequest, codec: Codec[Any], now_s: int) -> Callable[[bytes], bool] | None:
    """Return what tells messages of the past from others, None where no past was asked for.

    A message that cannot be read does not end the past.
    """
    is_past: Callable[[Any], bool]
    if isinstance(request, SubscribeBars | SubscribeClusters):
        if isinstance(request, SubscribeBars) and request.skip_history:
            return None
        running_s = bar_opening_s(now_s, interval_seconds(request.timeframe) or 1)
        if request.since_s >= running_s:
            return None

        def is_past(record: Any) -> bool:
            return isinstance(record.time_s, int) and record.time_s < running_s
    elif _has_rows(request):

        def is_past(record: Any) -> bool:
            return record.existing is True
    else:
        return None

    def test(message: bytes) -> bool:
        try:
            return is_past(codec.decode_message(message))
        except MalformedMessageError:
            return True

    return test


def _has_rows(request: SubscribeRequest) -> bool:
    if isinstance(request, SubscribeTrades):
        return request.depth > 0
    is_wanted = isinstance(request, PortfolioRequest) and not getattr(request, "skip_history", False)
    return is_wanted and stream_of(request).kind in _ROWS
