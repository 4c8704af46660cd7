"""When an instrument that trades is sure to trade: only then is silence judged. Pure.

This is no calendar. Times just after an opening and just before a close, clearings, auctions and weekends are left
out, for in them many instruments are quiet and nothing is wrong. A holiday is not known: what follows is bounded,
see ``liveness``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta, timezone
from typing import NamedTuple

__all__ = ["AROUND_THE_CLOCK", "MOSCOW", "TradingHours"]

_MOSCOW_TIME = timezone(timedelta(hours=3))


class TradingHours(NamedTuple):
    """Times of a weekday, from and to, at Moscow; none: around the clock, every day."""

    spans: Sequence[tuple[time, time]]

    def are_at(self, moment: datetime) -> bool:
        """Return whether trading is sure at a moment (aware)."""
        if not self.spans:
            return True
        there = moment.astimezone(_MOSCOW_TIME)
        return there.weekday() < 5 and any(start <= there.time() < end for start, end in self.spans)


#: A system of one's own.
AROUND_THE_CLOCK = TradingHours(())
#: Main session around the clearing of derivatives at 14:00, and evening session.
MOSCOW = TradingHours(((time(10, 5), time(13, 55)), (time(14, 10), time(18, 35)), (time(19, 10), time(23, 45))))
