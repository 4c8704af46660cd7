"""``tapewire sessions``: who is connected to a system, tables on a terminal, one JSON object a line in a pipe."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tapewire.cli.output import Output
from tapewire.client.admin import Admin, Sessions

__all__ = ["show_sessions", "tables"]

REFRESH_S = 1.0
#: Ended sessions that a terminal shows.
ENDED_ROWS = 10

Fields = dict[str, Any]
_Column = tuple[str, Callable[[Fields], str]]


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
        console.print(tables(await admin.sessions()))
        return
    with Live(tables(await admin.sessions()), console=console, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(REFRESH_S)
            live.update(tables(await admin.sessions()), refresh=True)


def _lines(sessions: Sessions) -> list[bytes]:
    marked = [{"state": "open"} | session for session in sessions.sessions]
    marked += [{"state": "ended"} | session for session in sessions.ended]
    return [json.dumps(fields, ensure_ascii=False).encode() + b"\n" for fields in marked]


def tables(sessions: Sessions) -> RenderableType:
    """Return the open sessions and the last ended ones as tables."""
    open_table = _table(f"{len(sessions.sessions)} open", _COMMON[:4] + _OPEN, sessions.sessions)
    if not sessions.ended:
        return open_table
    return Group(open_table, _table("ended last", _COMMON + _ENDED, sessions.ended[:ENDED_ROWS]))


def _table(title: str, columns: Sequence[_Column], rows: Sequence[Fields]) -> Table:
    table = Table(title=title, title_justify="left")
    for name, _ in columns:
        table.add_column(name, justify="left" if name in _TEXTS else "right")
    for fields in rows:
        # As text: what stands in brackets would be markup.
        table.add_row(*(Text(show(fields)) for _, show in columns))
    return table


def _field(name: str) -> Callable[[Fields], str]:
    return lambda fields: "–" if fields.get(name) is None else str(fields[name])


def _number(name: str) -> Callable[[Fields], str]:
    return lambda fields: f"{fields.get(name) or 0:,.0f}"


def _age(fields: Fields) -> str:
    return "–" if fields.get("oldest_s") is None else f"{fields['oldest_s']:.1f} s"


def _time(name: str) -> Callable[[Fields], str]:
    return lambda fields: str(fields.get(name, ""))[:19].replace("T", " ")


_TEXTS = {"id", "path", "peer", "login", "since", "until", "reason"}
_COMMON: tuple[_Column, ...] = (
    ("id", _field("id")),
    ("path", _field("path")),
    ("peer", _field("peer")),
    ("login", _field("login")),
    ("requests", _number("requests")),
    ("messages", _number("messages")),
)
_OPEN: tuple[_Column, ...] = (
    ("since", _time("opened_at")),
    ("subscriptions", _number("subscriptions")),
    ("queued", _number("queued")),
    ("oldest", _age),
    ("messages/s", _number("messages_per_second")),
    ("bytes/s", _number("bytes_per_second")),
    ("requests/s", _number("requests_per_second")),
)
_ENDED: tuple[_Column, ...] = (
    ("until", _time("ended_at")),
    ("code", _field("code")),
    ("reason", _field("reason")),
)
