"""The log of what has struck: one line a strike, with fields; of each fault no more than a log can bear."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tapewire.faults.kinds import FaultKind
from tapewire.faults.tally import Strike

__all__ = ["LINES_AT_ONCE_MAX", "LINES_PER_SECOND", "StrikeLog"]

log = logging.getLogger("tapewire.faults")

#: Of one fault; there are at most ``RULES_MAX`` of them.
LINES_AT_ONCE_MAX = 50
LINES_PER_SECOND = 5.0
#: A path may be as long as a request's head.
PATH_CHARACTERS_MAX = 200
#: Kinds that may strike each message: the first of a session is told, the others are for those who debug.
_QUIET = frozenset({FaultKind.DELAY, FaultKind.DUPLICATE})


class _Room:
    """What one fault may still write."""

    def __init__(self) -> None:
        self.lines = float(LINES_AT_ONCE_MAX)
        self.at_s = 0.0
        self.left_out = 0


class StrikeLog:
    """Writes the strikes of one server. Each fault has its own bound: a frequent one never hides a rare one.

    Args:
        now: Seconds of the loop.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._rooms: dict[tuple[int, str], _Room] = {}

    def struck(self, strike: Strike, path: str, peer: str, session: int | None = None) -> None:
        """Write that a fault has struck; ``session`` is the number of the connection, as the gateway counts."""
        level = logging.INFO if strike.is_first or strike.rule.kind not in _QUIET else logging.DEBUG
        fields: dict[str, object] = {"fault": strike.name, "kind": strike.rule.kind.value}
        if session is not None:
            fields["session"] = session
        self._write(level, "fault struck", strike.name, fields | {"path": path, "peer": peer})

    def cut(self, path: str, peer: str, session: int) -> None:
        """Write that a peer was cut because it does not take what faults answer."""
        fields: dict[str, object] = {"session": session, "path": path, "peer": peer}
        self._write(logging.WARNING, "answers of faults not taken", "", fields)

    def _write(self, level: int, event: str, fault: str, fields: dict[str, object]) -> None:
        """Write a line if there is room; the first one after a full time says how many were left out."""
        if not log.isEnabledFor(level):
            return
        room = self._rooms.setdefault((level, fault), _Room())
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
        fields["path"] = str(fields["path"])[:PATH_CHARACTERS_MAX]
        log.log(level, event, extra={"fields": fields})
