"""What is wrong with connections now, a line each, above what a live view shows: old data look like new ones."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Callable
from math import ceil

from rich.text import Text

from tapewire.cli.plain_text import printable
from tapewire.client.events import BlockedEvent, ConnectedEvent, Event, LostEvent, WaitingEvent

__all__ = ["Troubles"]


class Troubles:
    """Follows the events of a broker; a connection that is open again is no trouble any more."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        #: By the number of the connection: what was told last of it, and when.
        self._told: dict[int, tuple[float, LostEvent | WaitingEvent | BlockedEvent]] = {}

    async def follow(self, events: AsyncIterable[Event]) -> None:
        """Take note of events until there are no more."""
        async for event in events:
            self.note(event)

    def note(self, event: Event) -> None:
        """Take note of one event."""
        if isinstance(event, ConnectedEvent):
            self._told.pop(event.link, None)
        elif isinstance(event, LostEvent | WaitingEvent | BlockedEvent):
            self._told[event.link] = (self._now_s(), event)

    def lines(self) -> list[Text]:
        """Return what is wrong at this moment, the oldest connection first."""
        return [
            Text(_line(event, self._now_s() - told_s), "bold red", no_wrap=True, overflow="ellipsis")
            for _, (told_s, event) in sorted(self._told.items())
        ]


def _line(event: LostEvent | WaitingEvent | BlockedEvent, ago_s: float) -> str:
    match event:
        case WaitingEvent():
            left_s = ceil(event.seconds - ago_s)
            when = f"in {left_s} s" if left_s > 0 else "now"
            what = f"lost, try {event.tries + 1} {when} ({event.reason})"
        case BlockedEvent():
            what = f"blocked: {event.reason}"
        case LostEvent():
            what = f"lost ({event.code}{': ' + event.reason if event.reason else ''})"
    return printable(f"{event.connection} {what}")
