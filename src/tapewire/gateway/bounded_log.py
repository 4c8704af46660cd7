"""A log that peers cause and cannot fill: so many lines at once, then so many a second, the rest is counted."""

from __future__ import annotations

import logging
from collections.abc import Callable

__all__ = ["LINES_AT_ONCE_MAX", "LINES_PER_SECOND", "BoundedLog"]

LINES_AT_ONCE_MAX = 200
LINES_PER_SECOND = 10.0


class _Room:
    """What one level may still write."""

    def __init__(self) -> None:
        self.lines = float(LINES_AT_ONCE_MAX)
        self.at_s = 0.0
        self.left_out = 0


class BoundedLog:
    """Writes lines with fields; each level has its own bound, so that gossip never hides a warning.

    Fields are the gateway's own words and numbers, never what a client has sent.
    """

    def __init__(self, log: logging.Logger, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._rooms: dict[int, _Room] = {}

    def write(self, level: int, event: str, **fields: object) -> None:
        """Write one line if there is room; the first line after a full time says how many were left out."""
        if not self._log.isEnabledFor(level):
            return
        room = self._rooms.setdefault(level, _Room())
        now = self._now()
        room.lines = min(room.lines + (now - room.at_s) * LINES_PER_SECOND, float(LINES_AT_ONCE_MAX))
        room.at_s = now
        if room.lines < 1:
            room.left_out += 1
            return
        room.lines -= 1
        if room.left_out:
            fields["left_out"] = room.left_out
            room.left_out = 0
        self._log.log(level, event, extra={"fields": fields})
