"""What a participant sees and does: the trading floor."""

from __future__ import annotations

from typing import Protocol

from tapewire.model import Command, Instrument, Outcome

__all__ = ["Floor"]


class Floor(Protocol):
    """A place to trade. Commands take effect at once and in the order in which they come."""

    def submit(self, command: Command) -> Outcome:
        """Apply one command and say how it ended; the next read shows its effect."""

    def best(self, instrument: Instrument) -> tuple[int | None, int | None]:
        """Return the best bid and the best ask, ticks; None for an empty side."""
