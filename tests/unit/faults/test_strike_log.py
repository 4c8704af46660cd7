"""What the log says of strikes, and how much of it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tapewire.faults import FaultKind, FaultRule
from tapewire.faults.strike_log import LINES_AT_ONCE_MAX, LINES_PER_SECOND, PATH_CHARACTERS_MAX, StrikeLog
from tapewire.faults.tally import Strike


def strike(kind: FaultKind = FaultKind.GARBAGE, name: str = "g", *, is_first: bool = True) -> Strike:
    by_s = 1.0 if kind is FaultKind.DELAY else None
    return Strike(FaultRule(kind=kind, by_s=by_s), name, lambda subject: True, is_first=is_first)


def written(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.__dict__["fields"] for record in log.records]


def test_a_strike_is_an_event_with_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tapewire.faults")
    log = StrikeLog(lambda: 0.0)
    log.struck(strike(FaultKind.CUT, "cut-1"), "/ws", "127.0.0.1:5", 17)
    log.struck(strike(), "/" + "x" * 9_000, "")
    log.cut("/ws", "127.0.0.1:5", 17)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "fault struck"),
        ("INFO", "fault struck"),
        ("WARNING", "answers of faults not taken"),
    ]
    first, second, third = written(caplog)
    assert first == {"fault": "cut-1", "kind": "cut", "session": 17, "path": "/ws", "peer": "127.0.0.1:5"}
    assert "session" not in second
    assert len(second["path"]) == PATH_CHARACTERS_MAX
    assert third == {"session": 17, "path": "/ws", "peer": "127.0.0.1:5"}


@pytest.mark.parametrize("kind", [FaultKind.DELAY, FaultKind.DUPLICATE])
def test_what_may_strike_each_message_is_told_once_a_session(
    kind: FaultKind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tapewire.faults")
    log = StrikeLog(lambda: 0.0)
    for number in range(3):
        log.struck(strike(kind, is_first=not number), "/ws", "")
    assert [record.levelname for record in caplog.records] == ["INFO", "DEBUG", "DEBUG"]


def test_a_flood_is_bounded_counted_and_hides_no_other_fault(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tapewire.faults")
    now = 0.0
    log = StrikeLog(lambda: now)
    for _ in range(10_000):
        log.struck(strike(name="often"), "/ws", "")
    log.struck(strike(name="rare"), "/ws", "")
    assert [fields["fault"] for fields in written(caplog)] == ["often"] * LINES_AT_ONCE_MAX + ["rare"]
    caplog.clear()
    now = 1.0
    for _ in range(100):
        log.struck(strike(name="often"), "/ws", "")
    first, *others = written(caplog)
    assert first["left_out"] == 10_000 - LINES_AT_ONCE_MAX
    assert len(others) == LINES_PER_SECOND - 1
    assert all("left_out" not in fields for fields in others)
