"""What a rule has counted, and the strike that comes of it. Pure: draws are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tapewire.faults.kinds import FaultKind
from tapewire.faults.planned import PlannedRule
from tapewire.faults.rule import FaultRule
from tapewire.faults.subject import Subject

__all__ = ["Draw", "Strike", "Tally"]

#: Gives numbers from 0 to below 1.
Draw = Callable[[], float]


class Strike(NamedTuple):
    """A fault that is due now. ``by_s``: how late it makes things, its jitter drawn."""

    rule: FaultRule
    name: str
    #: Whether a subject is one that the rule chooses.
    is_about: Callable[[Subject], bool]
    by_s: float = 0.0
    #: Whether it is the first of its rule in this session, or over HTTP.
    is_first: bool = True


class Tally:
    """How often what a rule counts has been: in one session, or in the whole run."""

    def __init__(self, planned: PlannedRule, base_s: float, draw: Draw) -> None:
        self.planned = planned
        self.base_s = base_s
        self.draw = draw
        self.seen = 0
        self.struck = 0
        #: Of the next moment, for rules that go by time.
        self.moment = 0

    def strikes(self, now_s: float) -> bool:
        """Count one event and say whether it is struck."""
        rule = self.planned.rule
        if self._is_outside(now_s):
            return False
        self.seen += 1
        if rule.nth is not None and self.seen != rule.nth:
            return False
        if rule.each is not None and self.seen % rule.each:
            return False
        return self.is_drawn()

    def is_drawn(self) -> bool:
        """Say whether chance will have it."""
        probability = self.planned.rule.probability
        return probability is None or self.draw() < probability

    def strike(self) -> Strike:
        """Return the strike, its jitter drawn."""
        rule = self.planned.rule
        by_s = rule.by_s or 0.0
        if rule.jitter_s is not None:
            by_s += rule.jitter_s * self.draw()
        self.struck += 1
        return Strike(rule, self.planned.name, self.planned.is_about, by_s, self.struck == 1)

    def _is_outside(self, now_s: float) -> bool:
        # What a moment begins has no window: its ``for`` is how long it lasts.
        lasts = self.planned.rule.kind is FaultKind.MUTE
        elapsed_s = now_s - self.base_s
        return elapsed_s < self.planned.first_s if lasts else self.planned.window(elapsed_s) is None
