"""The clock of the machine."""

from __future__ import annotations

import threading
import time

from tapewire.adapters.clock import SystemClock


def test_the_clock_is_the_machines() -> None:
    before = time.time_ns()
    now = SystemClock().wall_ns()
    assert before <= now <= time.time_ns()


def test_waiting_takes_time_and_no_processor() -> None:
    clock = SystemClock()
    began_s, taken_s = clock.stopwatch_s(), clock.processor_s()
    threading.Event().wait(0.05)
    waited_s = clock.stopwatch_s() - began_s
    assert 0 <= clock.processor_s() - taken_s < waited_s / 2
