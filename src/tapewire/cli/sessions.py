"""``tapewire sessions``: who is connected to a system, tables on a terminal, one JSON object a line in a pipe."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Literal, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from tapewire.cli.columns import Column, fitting_table
from tapewire.cli.output import Output
from tapewire.cli.plain_text import printable
from tapewire.client.admin import Admin, Sessions

__all__ = ["show_sessions", "tables"]

REFRESH_S = 1.0
#: Ended sessions that a terminal shows.
ENDED_ROWS = 10
#: Titles and headings of both tables, and what lies between and below them.
_FRAME_ROWS = 6
#: A reason is not cut to less: whole columns go before.
_REASON_CELLS = 30

Fields = dict[str, Any]


async def show_sessions(admin: Admin, *, is_watching: bool = False) -> None:
    """Write the sessions once, or once a second until cancelled."""
    if sys.stdout.isatty():
        await _show_tables(admin, is_watching)
        return
    output = Output()
    while True:
        await output.write(b"".join(_lines(await admin.sessions())))
        if not is_watching:
            return
        await asyncio.sleep(REFRESH_S)


async def _show_tables(admin: Admin, is_watching: bool) -> None:
    console = Console()
    if not is_watching:
        console.print(tables(await admin.sessions(), console.width))
        return
    with Live(_view(await admin.sessions(), console), console=console, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(REFRESH_S)
            live.update(_view(await admin.sessions(), console), refresh=True)


def _view(sessions: Sessions, console: Console) -> RenderableType:
    """Return the tables with so many ended sessions that the open ones are not pushed off the screen."""
    room = console.height - len(sessions.sessions) - _FRAME_ROWS
    return tables(sessions, console.width, ended_rows=max(0, min(ENDED_ROWS, room)))


def _lines(sessions: Sessions) -> list[bytes]:
    marked = [{"state": "open"} | session for session in sessions.sessions]
    marked += [{"state": "ended"} | session for session in sessions.ended]
    return [json.dumps(fields, ensure_ascii=False).encode() + b"\n" for fields in marked]


def tables(
    sessions: Sessions, width: int, *, ended_rows: int = ENDED_ROWS, today: date | None = None
) -> RenderableType:
    """Return the last ended sessions and, below them, the open ones, as tables of what has room in ``width``.

    ``today`` (UTC) is the day whose times are shown without their date.
    """
    shown = partial(_column, today=(today or datetime.now(UTC).date()).isoformat())
    open_table = fitting_table(
        [shown(column, sessions.sessions) for column in _OPEN], width, f"{len(sessions.sessions)} open"
    )
    ended = sessions.ended[:ended_rows]
    if not ended:
        return open_table
    return Group(fitting_table([shown(column, ended) for column in _ENDED], width, "ended last"), "", open_table)


class _Shown(NamedTuple):
    """What a column shows of each session."""

    heading: str
    #: Of a session's fields, and today's date.
    show: Callable[[Fields, str], str]
    #: Where there is no room the largest goes first; 0 never does.
    rank: int = 0
    justify: Literal["left", "right"] = "left"
    width_min: int | None = None


def _column(shown: _Shown, rows: Sequence[Fields], *, today: str) -> Column:
    # As text: what stands in brackets would be markup.
    cells = [Text(printable(shown.show(fields, today))) for fields in rows]
    return Column(shown.heading, cells, shown.justify, shown.rank, shown.width_min)


def _text(heading: str, name: str, rank: int = 0, width_min: int | None = None) -> _Shown:
    def show(fields: Fields, today: str) -> str:
        return "–" if fields.get(name) is None else str(fields[name])

    return _Shown(heading, show, rank, width_min=width_min)


def _number(heading: str, name: str, rank: int = 0) -> _Shown:
    return _Shown(heading, lambda fields, today: f"{fields.get(name) or 0:,.0f}", rank, "right")


def _age(heading: str, name: str, rank: int = 0) -> _Shown:
    def show(fields: Fields, today: str) -> str:
        return "–" if fields.get(name) is None else f"{fields[name]:.1f} s"

    return _Shown(heading, show, rank, "right")


def _time(heading: str, name: str, rank: int = 0) -> _Shown:
    def show(fields: Fields, today: str) -> str:
        day, _, time = str(fields.get(name) or "")[:19].partition("T")
        return time if day == today else f"{day} {time}"

    return _Shown(heading, show, rank)


_OPEN = (
    _text("id", "id"),
    _text("path", "path", 9),
    _text("peer", "peer"),
    _text("login", "login", 1),
    _time("since UTC", "opened_at", 2),
    _number("requests", "requests", 6),
    _number("messages", "messages", 4),
    _number("subs", "subscriptions", 3),
    _number("queued", "queued"),
    _age("oldest", "oldest_s"),
    _number("msg/s", "messages_per_second"),
    _number("bytes/s", "bytes_per_second", 8),
    _number("req/s", "requests_per_second", 5),
)
_ENDED = (
    _text("id", "id"),
    _text("path", "path", 9),
    _text("peer", "peer"),
    _text("login", "login", 3),
    _number("requests", "requests", 6),
    _number("messages", "messages", 4),
    _time("until UTC", "ended_at", 2),
    _text("code", "code"),
    _text("reason", "reason", width_min=_REASON_CELLS),
)
