"""Grants and the plan of steps: which step may be made when, with a journal and without one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tapewire.journal import StepRun
from tapewire.venues.step_grants import StepGrants
from tapewire.venues.step_plan import DRIFT_NS, GRANT_STEPS, UNWRITTEN_RUNS_MAX, StepPlan

STEP_NS = 10_000_000
RUNS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 20), st.integers(0, 1_000), st.integers(1, 9)), max_size=12
)


@given(RUNS, st.integers(0, 60))
def test_a_later_grant_takes_the_place_of_earlier_ones(runs: list[tuple[int, int, int, int]], made: int) -> None:
    grants = StepGrants()
    expected: dict[int, int] = {}
    for run in (StepRun(*numbers) for numbers in runs):
        grants.add(run)
        expected = {step: at_ns for step, at_ns in expected.items() if step < run.first_step} | dict(run.steps())
    assert {step: at for step in range(60) if (at := grants.at_ns(step)) is not None} == expected
    assert grants.end == max(expected, default=-1) + 1
    assert StepGrants(grants.all()).all() == grants.all()
    grants.made(made)
    for step in range(made, 60):
        assert grants.at_ns(step) == expected.get(step)


def _granted(plan: StepPlan, now_ns: int) -> StepRun:
    run = plan.wanted(now_ns)
    assert run is not None
    plan.asked_for(run)
    plan.is_granted(run)
    return run


def test_a_second_of_steps_is_asked_for_half_a_second_ahead() -> None:
    plan = StepPlan(7, STEP_NS)
    assert _granted(plan, 1_000) == StepRun(7, GRANT_STEPS, 1_000, STEP_NS)
    for number in range(GRANT_STEPS // 2):
        assert plan.wanted(1_000 + number * STEP_NS) is None
        plan.due += 1
    assert plan.wanted(1_000 + 50 * STEP_NS) == StepRun(107, GRANT_STEPS, 1_000 + GRANT_STEPS * STEP_NS, STEP_NS)


def test_a_step_waits_until_its_grant_is_in_the_journal() -> None:
    plan = StepPlan(0, STEP_NS)
    run = plan.wanted(5)
    assert run is not None
    plan.asked_for(run)
    assert plan.may_be_made_at(0) is None
    plan.is_granted(run)
    assert plan.may_be_made_at(0) == 5
    assert plan.may_be_made_at(3) == 5 + 3 * STEP_NS
    assert plan.may_be_made_at(GRANT_STEPS) is None


def test_a_loop_that_was_late_plans_anew() -> None:
    plan = StepPlan(0, STEP_NS)
    _granted(plan, 0)
    plan.due = 3
    late_ns = 3 * STEP_NS + DRIFT_NS + 1
    anew = plan.wanted(late_ns)
    assert anew == StepRun(3, GRANT_STEPS, late_ns, STEP_NS)
    plan.asked_for(anew)
    # The old grant of this step is in the journal, but the new one may be there as well.
    assert plan.may_be_made_at(3) is None
    assert plan.may_be_made_at(2) == 2 * STEP_NS
    plan.is_granted(anew)
    assert plan.may_be_made_at(3) == late_ns


def test_what_waits_for_a_refused_grant_is_planned_anew() -> None:
    plan = StepPlan(0, STEP_NS)
    run = plan.wanted(0)
    assert run is not None
    plan.asked_for(run)
    plan.due = 4
    plan.is_refused(run, made=0)
    assert plan.due == 0
    assert plan.may_be_made_at(0) is None
    assert plan.go_on(100)
    assert plan.may_be_made_at(0) == 100


def test_steps_without_a_journal_are_one_run_while_the_loop_is_in_time() -> None:
    plan = StepPlan(0, STEP_NS)
    for number in range(200):
        assert plan.go_on(number * STEP_NS + number % 7)
        plan.due += 1
    assert plan.unwritten == [StepRun(0, 200, 0, STEP_NS)]
    plan.at_disk = 1
    assert not plan.has_backlog
    assert plan.go_on(200 * STEP_NS)
    assert plan.has_backlog
    assert plan.unwritten[1] == StepRun(200, 1, 200 * STEP_NS, 0)
    plan.is_written()
    assert plan.may_be_made_at(5) == 5 * STEP_NS


def test_the_market_waits_when_too_many_runs_are_not_written() -> None:
    plan = StepPlan(0, STEP_NS)
    # Two steps are on a grid of their own; the third one of each pair is late.
    for number in range(2 * UNWRITTEN_RUNS_MAX):
        assert plan.go_on(number * number * 2 * DRIFT_NS)
        plan.due += 1
    assert not plan.go_on(4 * UNWRITTEN_RUNS_MAX * UNWRITTEN_RUNS_MAX * 2 * DRIFT_NS)


def test_a_granted_step_is_sure_whatever_becomes_of_the_journal() -> None:
    plan = StepPlan(0, STEP_NS)
    assert not plan.is_sure(0)
    _granted(plan, 0)
    assert plan.is_sure(0)
    assert not plan.is_sure(DRIFT_NS + 1), "it would be made for another time"
