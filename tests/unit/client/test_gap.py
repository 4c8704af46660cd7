"""The ledger of gaps: none is lost, none is closed twice, a bound on what is kept."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tapewire.client import gap as gap_module
from tapewire.client.gap import Gap, GapLedger, GapState

SINCE = datetime(2026, 1, 5, 10, tzinfo=UTC)


def opened(ledger: GapLedger, stream: str) -> Gap:
    gap = Gap(stream=stream, since=SINCE, cause="cut")
    ledger.begin(gap)
    return gap


def closed(ledger: GapLedger, gap: Gap, state: GapState) -> bool:
    gap.state = state
    return ledger.close(gap)


def test_gaps_are_counted_by_what_became_of_them_and_equal_ones_are_two() -> None:
    ledger = GapLedger()
    first, second, third = (opened(ledger, "trades:A") for _ in range(3))
    assert closed(ledger, first, GapState.FILLED)
    assert closed(ledger, second, GapState.LEFT)
    assert (ledger.filled, ledger.left, ledger.open, len(ledger)) == (1, 1, (third,), 3)
    assert [each is expected for each, expected in zip(ledger, [first, second, third], strict=True)] == [True] * 3


def test_a_gap_is_closed_once() -> None:
    ledger = GapLedger()
    gap = opened(ledger, "trades:A")
    assert closed(ledger, gap, GapState.LEFT)
    assert not closed(ledger, gap, GapState.FILLED)
    assert (ledger.filled, ledger.left, len(ledger)) == (0, 1, 1)


def test_the_oldest_closed_ones_are_forgotten_and_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_module, "GAPS_KEPT_MAX", 2)
    ledger = GapLedger()
    for number in range(5):
        closed(ledger, opened(ledger, f"trades:{number}"), GapState.FILLED)
    assert [gap.stream for gap in ledger] == ["trades:3", "trades:4"]
    assert ledger.filled == 5


def test_a_gap_is_one_line_for_people() -> None:
    gap = Gap(stream="trades:A", since=SINCE, cause="cut")
    assert str(gap) == "trades:A: 2026-01-05 10:00:00 to now UTC, cut; open"
    gap.until, gap.state, gap.reason = SINCE.replace(minute=1), GapState.LEFT, "no answer"
    assert str(gap) == "trades:A: 2026-01-05 10:00:00 to 10:01:00 UTC, cut; left (no answer)"
