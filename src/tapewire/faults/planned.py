"""A rule of a run: its place in time, and whom it is about. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fnmatch import translate

from tapewire.faults.calendar import next_moment
from tapewire.faults.kinds import Trigger
from tapewire.faults.rule import SUBSCRIPTION_KEYS, FaultRule
from tapewire.faults.subject import Subject

__all__ = ["PlannedRule"]

_Matcher = Callable[[str], object]


class PlannedRule:
    """A rule, its name, its windows and moments, its patterns ready.

    Times are seconds since the beginning from which the rule counts.
    """

    def __init__(self, rule: FaultRule, name: str, wall_s: float) -> None:
        self.rule = rule
        self.name = name
        self.every_s: float | None = rule.every_s
        self.first_s = rule.after_s or 0.0
        if rule.at is not None:
            self.first_s, self.every_s = next_moment(rule.at, wall_s, rule.for_s or 0.0)
        elif rule.trigger is Trigger.TIME and rule.life_s is None and rule.after_s is None:
            self.first_s = rule.every_s or 0.0
        self.path = _matcher(rule.path)
        self.login = _matcher(rule.login)
        self.subject: list[tuple[int, _Matcher]] = [
            (Subject._fields.index(key), matcher)
            for key in SUBSCRIPTION_KEYS
            if (matcher := _matcher(getattr(rule, key))) is not None
        ]
        #: Connections to the path so far.
        self.connections = 0

    def window(self, elapsed_s: float) -> int | None:
        """Return the number of the window that is open so long after the beginning, None between windows."""
        since_s = elapsed_s - self.first_s
        if since_s < 0:
            return None
        number = 0.0
        if self.every_s is not None:
            number, since_s = divmod(since_s, self.every_s)
        return int(number) if self.rule.for_s is None or since_s < self.rule.for_s else None

    def first_moment(self, elapsed_s: float) -> int:
        """Return the number of the first moment that is not before ``elapsed_s``; there may be none with it."""
        if elapsed_s <= self.first_s:
            return 0
        return math.ceil((elapsed_s - self.first_s) / self.every_s) if self.every_s is not None else 1

    def moment_s(self, number: int) -> float:
        """Return when a moment is, ``inf`` for one that never is."""
        if number == 0:
            return self.first_s
        return self.first_s + number * self.every_s if self.every_s is not None else math.inf

    def is_about(self, subject: Subject) -> bool:
        """Whether a subject has what the rule asks for."""
        return all(matches(subject[index]) for index, matches in self.subject)

    def takes(self, path: str, login: str) -> bool:
        """Whether path and login are those of the rule."""
        return bool((self.path is None or self.path(path)) and (self.login is None or self.login(login)))


def _matcher(pattern: str | None) -> _Matcher | None:
    return None if pattern is None else re.compile(translate(pattern), re.IGNORECASE).match
