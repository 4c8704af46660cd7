"""Intervals of bars: which bar a moment belongs to, and where that bar ends.

The exchange's day begins at midnight in Moscow (UTC+3, without summer time).

====================  ==========================================================================
interval              bars
====================  ==========================================================================
less than a day       counted from the exchange's midnight, so that none spans two days; the last
                      one of a day is shorter if the interval does not divide the day
whole days            counted from 1970-01-01
``WEEK_S``            from Monday
``MONTH_S``,          calendar months and years, though the numbers are 30 and 365 days
``YEAR_S``
====================  ==========================================================================

A bar is named by its opening: the Unix time of its first moment or, from a day up, midnight *UTC* of its
first trading date. See docs/decisions/0010.
"""

from __future__ import annotations

from datetime import date

__all__ = [
    "DAY_S",
    "MONTH_S",
    "MOSCOW_OFFSET_S",
    "WEEK_S",
    "YEAR_S",
    "bar_begins_s",
    "bar_ends_s",
    "bar_opening_s",
    "is_interval",
    "trading_day",
]

DAY_S = 86_400
WEEK_S = 604_800
#: The broker's numbers stand for calendar months and years.
MONTH_S = 2_592_000
YEAR_S = 31_536_000

MOSCOW_OFFSET_S = 3 * 3_600

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
#: 1970-01-05 was a Monday.
_FIRST_MONDAY = 4


def is_interval(interval_s: int) -> bool:
    """Return whether bars of this interval exist: any seconds up to a day, whole days up to a year."""
    return 1 <= interval_s < DAY_S or (DAY_S <= interval_s <= YEAR_S and interval_s % DAY_S == 0)


def trading_day(at_s: int) -> int:
    """Return the exchange's date of a moment (Unix s), as days since 1970-01-01."""
    return (at_s + MOSCOW_OFFSET_S) // DAY_S


def bar_opening_s(at_s: int, interval_s: int) -> int:
    """Return the name (Unix s) of the bar that a moment (Unix s) falls in; ``is_interval`` must hold."""
    day = trading_day(at_s)
    if interval_s < DAY_S:
        midnight_s = day * DAY_S - MOSCOW_OFFSET_S
        return midnight_s + (at_s - midnight_s) // interval_s * interval_s
    return _first_day(day, interval_s) * DAY_S


def bar_begins_s(opening_s: int, interval_s: int) -> int:
    """Return the first moment (Unix s) of the bar with this name."""
    return opening_s if interval_s < DAY_S else opening_s - MOSCOW_OFFSET_S


def bar_ends_s(opening_s: int, interval_s: int) -> int:
    """Return the first moment (Unix s) after the bar with this name."""
    if interval_s < DAY_S:
        next_midnight_s = (trading_day(opening_s) + 1) * DAY_S - MOSCOW_OFFSET_S
        return min(opening_s + interval_s, next_midnight_s)
    return _next_first_day(opening_s // DAY_S, interval_s) * DAY_S - MOSCOW_OFFSET_S


def _first_day(day: int, interval_s: int) -> int:
    if interval_s == WEEK_S:
        return (day - _FIRST_MONDAY) // 7 * 7 + _FIRST_MONDAY
    if interval_s in (MONTH_S, YEAR_S):
        on = date.fromordinal(_EPOCH_ORDINAL + day)
        first = on.replace(day=1) if interval_s == MONTH_S else on.replace(month=1, day=1)
        return first.toordinal() - _EPOCH_ORDINAL
    days = interval_s // DAY_S
    return day // days * days


def _next_first_day(first_day: int, interval_s: int) -> int:
    if interval_s in (MONTH_S, YEAR_S):
        # Any day of the next month or year will do: it is led back to the first one.
        return _first_day(first_day + (31 if interval_s == MONTH_S else 366), interval_s)
    return first_day + interval_s // DAY_S
