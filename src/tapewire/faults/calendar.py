"""Times of the day and of the week in Moscow. Pure: the time of day is given, Unix s UTC."""

from __future__ import annotations

__all__ = ["next_moment"]

DAY_S = 86_400
#: Moscow has no summer time.
MOSCOW_OFFSET_S = 10_800
#: The first of January 1970 was a Thursday.
_DAYS = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")


def next_moment(at: str, wall_s: float, lasts_s: float) -> tuple[float, float]:
    """Return in how many seconds the moment comes, and how often. One that still lasts is in the past."""
    *day, clock = at.split()
    hours, minutes = clock.split(":")
    moscow_s = wall_s + MOSCOW_OFFSET_S
    in_s = int(hours) * 3_600 + int(minutes) * 60 - moscow_s % DAY_S
    period_s = float(DAY_S)
    if day:
        period_s = 7 * DAY_S
        in_s += (_DAYS.index(day[0]) - int(moscow_s // DAY_S)) % 7 * DAY_S
    # The last one before, then forward to the first that is not over.
    in_s -= period_s
    while in_s + lasts_s <= 0:
        in_s += period_s
    return in_s, period_s
