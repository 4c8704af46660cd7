"""When market steps are made: which are due, which of them the journal has, and which went on without it.

::

    wanted ──► asked ──► granted ──────────► may be made
                 └─ refused ─┐
    unwritten (no journal) ──┴─ backlog ──► granted
"""

from __future__ import annotations

from tapewire.journal import StepRun
from tapewire.venues.step_grants import StepGrants

__all__ = ["DRIFT_NS", "GRANT_STEPS", "UNWRITTEN_RUNS_MAX", "StepPlan"]

#: Steps that are granted at once: a second of them. A crash makes up to so many more than were told.
GRANT_STEPS = 100
#: Steps that were planned for a time this far from the clock's are planned anew.
DRIFT_NS = 500_000_000
#: Runs of steps without a journal: one, and one more each time that the loop is late. Then the market waits.
UNWRITTEN_RUNS_MAX = 1_000


class StepPlan:
    """The steps of a hall on an even grid of time; knows neither clock nor journal.

    Args:
        next_step: The first one to be made.
        step_ns: From one to the next.
    """

    def __init__(self, next_step: int, step_ns: int) -> None:
        #: The step that is due next; those before it were made or wait for their turn.
        self.due = next_step
        self._step_ns = step_ns
        #: As the journal will have it when all is written.
        self._asked = StepGrants()
        #: As the journal has it.
        self._granted = StepGrants()
        #: The step behind the last one that the journal has, made or not.
        self.granted_to = next_step
        #: Made without the journal and not in it yet, oldest first.
        self.unwritten: list[StepRun] = []
        #: So many of them, from the first on, are at the disk.
        self.at_disk = 0

    @property
    def granted(self) -> list[StepRun]:
        """What the journal lets happen still."""
        return self._granted.all()

    @property
    def has_backlog(self) -> bool:
        """Whether steps have been made that are neither in the journal nor on their way to it."""
        return self.at_disk < len(self.unwritten)

    def clear(self) -> None:
        """Take back all grants: the journal says so too."""
        self._asked, self._granted = StepGrants(), StepGrants()
        self.granted_to = self.due

    # --- with the journal -------------------------------------------------------------------------------

    def wanted(self, now_ns: int) -> StepRun | None:
        """Return the grant to ask for before the next step is due; None: it can wait."""
        planned_ns = self._planned_ns(now_ns)
        if planned_ns is None:
            return StepRun(self.due, GRANT_STEPS, now_ns, self._step_ns)
        end = self._asked.end
        # In time for a disk that takes half a second.
        if end - self.due > GRANT_STEPS // 2:
            return None
        return StepRun(end, GRANT_STEPS, planned_ns + (end - self.due) * self._step_ns, self._step_ns)

    def asked_for(self, run: StepRun) -> None:
        """Note that a grant is on its way to the journal."""
        self._asked.add(run)
        # Of the steps that it plans anew the journal's word counts no more.
        self.granted_to = min(self.granted_to, run.first_step)

    def is_granted(self, run: StepRun) -> None:
        """Note that the journal has a grant."""
        self._granted.add(run)
        self.granted_to = run.first_step + run.length

    def is_refused(self, run: StepRun, made: int) -> None:
        """Note that the journal has not taken a grant, nor what was asked for later.

        Steps that wait for it are planned anew; all before ``made`` were made, some perhaps in advance of it.
        """
        ahead = min(made - run.first_step, run.length)
        if ahead > 0:
            self.unwritten.append(run._replace(length=ahead))
        self._asked.cut(run.first_step)
        self.due = min(self.due, max(run.first_step, made))

    def asked_at(self, step: int) -> int | None:
        """Return the time (UTC ns) for which a step was asked for, granted or not; None: it was not."""
        return self._asked.at_ns(step)

    # --- without it -------------------------------------------------------------------------------------

    def is_sure(self, now_ns: int) -> bool:
        """Whether the next step was granted for about this time, whatever has become of the journal."""
        planned_ns = self._planned_ns(now_ns)
        return planned_ns is not None and self._granted.at_ns(self.due) == planned_ns

    def go_on(self, now_ns: int) -> bool:
        """Plan the next step without a grant; False: the market has to wait."""
        runs = self.unwritten
        at_ns = now_ns
        if runs:
            next_ns = runs[-1].first_at_ns + runs[-1].length * self._step_ns
            at_ns = next_ns if abs(now_ns - next_ns) <= DRIFT_NS else now_ns
        # What is at the disk is written as it was.
        longer = runs[-1].extended(self.due, at_ns) if self.has_backlog else None
        if longer is not None:
            runs[-1] = longer
        elif len(runs) >= UNWRITTEN_RUNS_MAX:
            return False
        else:
            runs.append(StepRun.of(self.due, at_ns))
        self._asked.add(StepRun.of(self.due, at_ns))
        return True

    def is_written(self) -> None:
        """Note that the journal has the oldest run that was made without it."""
        self.at_disk -= 1
        run = self.unwritten.pop(0)
        self._granted.add(run)
        self.granted_to = run.first_step + run.length

    # --- making -----------------------------------------------------------------------------------------

    def may_be_made_at(self, step: int) -> int | None:
        """Return the time (UTC ns) at which a step is to be made now; None: it waits."""
        at_ns = self._asked.at_ns(step)
        if at_ns is None or self._granted.at_ns(step) == at_ns:
            return at_ns
        is_unwritten = any(0 <= step - run.first_step < run.length for run in self.unwritten)
        return at_ns if is_unwritten else None

    def made(self, step: int) -> None:
        """Forget what lies before a step, which is the next one to be made."""
        self._asked.made(step)
        self._granted.made(step)

    def _planned_ns(self, now_ns: int) -> int | None:
        planned_ns = self._asked.at_ns(self.due)
        return None if planned_ns is None or abs(now_ns - planned_ns) > DRIFT_NS else planned_ns
