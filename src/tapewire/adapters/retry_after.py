"""When a server that refuses wants to be asked again: the header ``Retry-After``, in both of its spellings."""

from __future__ import annotations

import math
from datetime import UTC, datetime

__all__ = ["retry_after_s"]


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds from ``now`` on (aware), 0 or more; None if none can be read.

    Source: RFC 9110, 10.2.3.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value)
        return seconds if math.isfinite(seconds) else None
    # With the first date: the import of the client is quick, and servers seldom send one.
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(value)
        # A date of HTTP is of Greenwich, also where it says that it does not know its zone.
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return max((moment - now).total_seconds(), 0.0)
    except (ValueError, IndexError, TypeError, OverflowError):  # of years, hours and zones that none can have
        return None
