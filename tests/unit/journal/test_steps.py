"""Runs of market steps: what joins, what does not, and how small they are."""

from __future__ import annotations

import pytest

from tapewire.journal.record import DamagedRecordError, Entry, EntryKind
from tapewire.journal.steps import STEPS_MAX, StepRun

AT_NS = 1_700_000_000_000_000_000
TICK_NS = 10_000_000


def entry(run: StepRun, body: bytes | None = None) -> Entry:
    return Entry(EntryKind.MARKET_STEPS, 0, run.first_at_ns, run.encode() if body is None else body)


def test_a_second_of_steps_is_a_run_of_a_few_bytes() -> None:
    run = StepRun.of(8_000_000, AT_NS)
    for number in range(1, 100):
        extended = run.extended(8_000_000 + number, AT_NS + number * TICK_NS)
        assert extended is not None
        run = extended
    assert len(run.encode()) <= 10
    assert StepRun.decode(entry(run)) == run
    assert list(run.steps()) == [(8_000_000 + n, AT_NS + n * TICK_NS) for n in range(100)]


@pytest.mark.parametrize(
    ("step", "at_ns"),
    [(12, AT_NS + 2 * TICK_NS), (13, AT_NS + 3 * TICK_NS), (12, AT_NS + 2 * TICK_NS + 1), (11, AT_NS + TICK_NS)],
)
def test_a_run_takes_only_the_next_step_on_its_grid(step: int, at_ns: int) -> None:
    run = StepRun(10, 2, AT_NS, TICK_NS)
    is_next = (step, at_ns) == (12, AT_NS + 2 * TICK_NS)
    assert run.extended(step, at_ns) == (StepRun(10, 3, AT_NS, TICK_NS) if is_next else None)


def test_time_that_goes_back_begins_a_new_run_and_a_run_has_a_bound() -> None:
    assert StepRun.of(10, AT_NS).extended(11, AT_NS - 1) is None
    assert StepRun(0, STEPS_MAX, AT_NS, 0).extended(STEPS_MAX, AT_NS) is None


@pytest.mark.parametrize("body", [b"", b"\x01", b"\x01\x01", b"\x01\x00\x01", b"\xff" * 20, b"\x01\x01\x01\x01"])
def test_what_is_no_run_is_damaged(body: bytes) -> None:
    with pytest.raises(DamagedRecordError):
        StepRun.decode(entry(StepRun.of(0, 0), body))
