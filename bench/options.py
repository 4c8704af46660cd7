"""What the person at the keyboard may choose."""

from __future__ import annotations

import msgspec

__all__ = ["RUNS", "Options"]

RUNS = 5


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How long a bench measures."""

    #: Rounds; a figure is the median of them.
    runs: int = RUNS
    #: Messages a measurement, in place of the bench's own choice; few for a smoke run.
    messages: int | None = None
