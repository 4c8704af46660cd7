"""The time of day."""

from __future__ import annotations

from typing import Protocol

__all__ = [
    "Clock",
]


class Clock(Protocol):
    """The time of day. Timers come from the running loop instead, which is too coarse to time code with."""

    def wall_ns(self) -> int:
        """Return the time since the Unix epoch, UTC, in nanoseconds."""

    def stopwatch_s(self) -> float:
        """Return seconds since no particular moment, never less than before: for how long code has run."""

    def processor_s(self) -> float:
        """Return seconds of a processor that this thread has taken: what code costs, whoever interrupts it."""
