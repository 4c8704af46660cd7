"""Timeframes as people write them: ``1m``, ``5m``, ``1h``, ``D``; and as the wire has them. Pure."""

from __future__ import annotations

import re

import msgspec

from tapewire.client.arguments import refuse
from tapewire.model import DAY_S, MONTH_S, WEEK_S, YEAR_S, is_interval

__all__ = ["Timeframe", "timeframe_of"]

_COUNTED = re.compile(r"([1-9][0-9]{0,7})(s|m|h|d|D)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": DAY_S, "D": DAY_S}
#: ``M`` is a month and ``m`` a minute, so a minute is never written without its number.
_LETTERS = {"D": DAY_S, "d": DAY_S, "W": WEEK_S, "w": WEEK_S, "M": MONTH_S, "Y": YEAR_S, "y": YEAR_S}
_ON_WIRE = {DAY_S: "D", WEEK_S: "W", MONTH_S: "M", YEAR_S: "Y"}
_HINT = "a number of s, m, h or D like 5m; D, W, M, Y; or seconds; at most a year, whole days from a day up"


class Timeframe(msgspec.Struct, frozen=True):
    """How long a bar is. Months and years are those of the calendar, though they are numbered in seconds."""

    interval_s: int

    @property
    def wire(self) -> str:
        """The broker's spelling: D, W, M, Y, or seconds."""
        return _ON_WIRE.get(self.interval_s) or str(self.interval_s)

    def __str__(self) -> str:
        if self.interval_s in _ON_WIRE:
            return _ON_WIRE[self.interval_s]
        for letter in ("D", "h", "m"):
            if self.interval_s % _SECONDS[letter] == 0:
                return f"{self.interval_s // _SECONDS[letter]}{letter}"
        return f"{self.interval_s}s"


def timeframe_of(name: str | int | Timeframe) -> Timeframe:
    """Read a timeframe: ``"5m"``, ``"1h"``, ``"D"``, ``"2D"``, ``"1W"``, ``"M"``, the wire's ``"300"``, or 300.

    Raises:
        ArgumentError: It is none, or the broker has no bars of it.
    """
    if isinstance(name, Timeframe):
        return name
    seconds = name if isinstance(name, int) else _seconds(name.strip()) if isinstance(name, str) else 0
    if isinstance(name, bool) or not is_interval(seconds):
        raise refuse("timeframe", name, _HINT)
    return Timeframe(seconds)


def _seconds(name: str) -> int:
    """Return the seconds of a written timeframe, 0 if it is none."""
    if name.isascii() and name.isdigit() and len(name) < 12:
        return int(name)
    counted = _COUNTED.fullmatch(name)
    if counted:
        return int(counted[1]) * _SECONDS[counted[2]]
    return _LETTERS.get(name.removeprefix("1"), 0)
