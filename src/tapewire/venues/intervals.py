"""How many timeframes of one instrument are made at a time."""

from __future__ import annotations

from tapewire.ports.venue import TooManyStreamsError

__all__ = ["INTERVALS_MAX", "check_room"]

#: Each trade goes into a bar of every open interval, so this bounds what a trade costs. Terminals offer a dozen.
INTERVALS_MAX = 128


def check_room(open_intervals: int) -> None:
    """Look whether one more interval may be opened.

    Raises:
        TooManyStreamsError: It may not.
    """
    if open_intervals >= INTERVALS_MAX:
        raise TooManyStreamsError(f"{INTERVALS_MAX} timeframes of this instrument are open, no more are made")
