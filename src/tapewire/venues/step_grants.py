"""Which market steps may be made, and when: runs of them that are in the journal before they happen.

A journal that kept every step by itself, a hundred a second, would sync a hundred times a second. Instead the
steps of the next second are written at once, before the first of them: a *grant*. What is granted will have
happened, whatever becomes of the program, so it may be told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from tapewire.journal import StepRun

__all__ = ["StepGrants"]


class StepGrants:
    """Runs of steps in order, each step in one run at most. A later grant takes the place of earlier ones."""

    def __init__(self, runs: Iterable[StepRun] = ()) -> None:
        """Begin with the runs of ``all``."""
        self._runs: deque[StepRun] = deque(runs)

    def all(self) -> list[StepRun]:
        """Return the runs, the next step's first."""
        return list(self._runs)

    @property
    def end(self) -> int:
        """The step behind the last one that is granted; 0: none is."""
        return self._runs[-1].first_step + self._runs[-1].length if self._runs else 0

    def at_ns(self, step: int) -> int | None:
        """Return when a step is to be made, UTC ns; None: it is not granted."""
        for run in self._runs:
            number = step - run.first_step
            if 0 <= number < run.length:
                return run.first_at_ns + number * run.interval_ns
        return None

    def add(self, run: StepRun) -> None:
        """Grant a run; earlier grants end before its first step."""
        self.cut(run.first_step)
        self._runs.append(run)

    def cut(self, step: int) -> None:
        """Take back what is granted from a step on."""
        while self._runs and self._runs[-1].first_step >= step:
            self._runs.pop()
        if self._runs:
            last = self._runs[-1]
            self._runs[-1] = last._replace(length=min(last.length, step - last.first_step))

    def made(self, step: int) -> None:
        """Forget the runs that end before a step, which is the next one to be made."""
        while self._runs and self._runs[0].first_step + self._runs[0].length <= step:
            self._runs.popleft()
