"""The clock of the machine."""

from __future__ import annotations

import time

from tapewire.adapters.clock import SystemClock


def test_the_clock_is_the_machines() -> None:
    before = time.time_ns()
    now = SystemClock().wall_ns()
    assert before <= now <= time.time_ns()
