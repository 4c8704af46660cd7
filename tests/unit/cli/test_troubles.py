"""Connections that are away, as a live view tells them."""

from __future__ import annotations

import io

from rich.console import Console

from tapewire.cli.screen import Screen
from tapewire.cli.streams import StreamName
from tapewire.cli.troubles import Troubles
from tapewire.client.events import BlockedEvent, ConnectedEvent, Events, LostEvent, RefusedEvent, WaitingEvent
from tapewire.simulation import run_virtual

LOST = LostEvent(link=1, lane="market", code=1006, reason="", streams=3)
WAITING = WaitingEvent(link=1, lane="market", seconds=7.0, tries=4, reason="Connect call\x1b failed")
BACK = ConnectedEvent(link=1, lane="market", is_again=True)


class Now:
    """A stopwatch that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def told(troubles: Troubles) -> list[str]:
    return [line.plain for line in troubles.lines()]


def test_a_lost_connection_counts_down_to_its_next_try_until_it_is_back() -> None:
    now = Now()
    troubles = Troubles(now)
    troubles.note(LOST)
    assert told(troubles) == ["connection 1 (market) lost (1006)"]
    troubles.note(WAITING)
    assert told(troubles) == ["connection 1 (market) lost, try 5 in 7 s (Connect call  failed)"]
    now.seconds += 4.5
    assert told(troubles) == ["connection 1 (market) lost, try 5 in 3 s (Connect call  failed)"]
    now.seconds += 10
    assert told(troubles) == ["connection 1 (market) lost, try 5 now (Connect call  failed)"]
    troubles.note(BACK)
    assert told(troubles) == []


def test_each_connection_has_its_line_and_other_events_none() -> None:
    troubles = Troubles(Now())
    troubles.note(BlockedEvent(link=2, lane="critical", reason="429"))
    troubles.note(RefusedEvent(stream="book:SBER", code=404, text="no"))
    troubles.note(LOST)
    assert told(troubles) == ["connection 1 (market) lost (1006)", "connection 2 (critical) blocked: 429"]


def test_it_follows_the_events_of_a_broker_to_their_end() -> None:
    async def main() -> list[str]:
        events, troubles = Events(), Troubles(Now())
        listening = aiter(events)
        events.tell(LOST)
        events.close()
        await troubles.follow(listening)
        return told(troubles)

    assert run_virtual(main) == ["connection 1 (market) lost (1006)"]


def test_a_screen_shows_them_below_its_head() -> None:
    console = Console(file=io.StringIO(), record=True, width=80, force_terminal=True)
    screen = Screen([StreamName("quotes", "SBER")], "http://host:1", console)
    screen.troubles.note(WAITING)
    console.print(screen.render())
    head, below, *_ = console.export_text().splitlines()
    assert "messages/s" in head
    assert below.startswith("connection 1 (market) lost, try 5 in 7 s")
