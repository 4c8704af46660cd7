"""The clock of the machine."""

from __future__ import annotations

import time

__all__ = ["SystemClock"]


class SystemClock:
    """A ``ports.Clock`` that reads the machine's time of day. It may jump when the machine is corrected."""

    def wall_ns(self) -> int:
        """Return the time since the Unix epoch, UTC, in nanoseconds."""
        return time.time_ns()

    def stopwatch_s(self) -> float:
        """Return seconds since no particular moment, as finely as the machine has them."""
        return time.perf_counter()

    def processor_s(self) -> float:
        """Return seconds of a processor that the calling thread has taken, the kernel's work for it included."""
        return time.thread_time()
