"""Events at a fixed rate, whether the last ones have been dealt with or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

__all__ = ["Work", "keep_pace"]

#: uvloop counts in milliseconds: a shorter sleep is none, and the loop would spin.
TICK_S = 0.001


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """So many events at such a rate."""

    events: int
    events_per_second: float


async def keep_pace(work: Work, emit: Callable[[int], None]) -> None:
    """Emit each event, by its number, as soon as it is due; several in a row if the loop has come late."""
    began = time.monotonic()
    number = 0
    while number < work.events:
        due = began + number / work.events_per_second
        await asyncio.sleep(max(due - time.monotonic(), TICK_S))
        now = time.monotonic()
        while number < work.events and began + number / work.events_per_second <= now:
            emit(number)
            number += 1
