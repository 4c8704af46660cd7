"""``tapewire sessions``: tables that say what the system says, and errors that say what to do."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Coroutine
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tapewire.cli.sessions import tables
from tapewire.client.admin import Admin, Sessions, UnknownSessionError
from tapewire.client.errors import ConfigurationError, ConnectError, RefusedError
from tapewire.configuration import find_admin
from tapewire.protocol.tokens import Secret
from tapewire.simulation import SimulatedHttp, run_virtual
from unit.gateway.world import ADMIN_TOKEN, TRADES, World
from unit.gateway.world import run as run_world

TODAY = date(2026, 7, 2)


def shown(sessions: Sessions, width: int = 240) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(tables(sessions, width, today=TODAY))
    return console.export_text()


def test_tables_show_open_sessions_and_why_others_ended() -> None:
    async def scenario(world: World) -> None:
        admin = Admin("http://gateway", ADMIN_TOKEN, world.http)
        peer, stranger = await world.connect(), await world.connect("/cws")
        assert await peer.asked(TRADES, "t") == 200
        text = shown(await admin.sessions())
        assert "2 open" in text
        assert "ended" not in text
        await admin.end("2")
        assert (await stranger.closed())[0] == 1008
        await asyncio.sleep(1)
        text = shown(await admin.sessions())
        assert "1 open" in text
        assert "P1" in text
        assert "ended by the operator" in text
        for unknown in ("2", "abc", "2/../x"):
            with pytest.raises(UnknownSessionError, match=f"there is no open session '{unknown}'"):
                await admin.end(unknown)

    run_world(scenario)


def test_what_a_system_says_is_no_markup() -> None:
    text = shown(Sessions([{"id": "[bold]1[/bold]", "oldest_s": 2.04, "bytes_per_second": 1234.5}], []))
    assert "[bold]1[/bold]" in text
    assert "2.0 s" in text
    assert "1,234" in text


COMMON = {"path": "/ws", "login": "P070001", "messages": 1_234_567, "bytes": 9_999_999_999, "requests": 5_000}
OPEN = COMMON | {
    "id": "1041",
    "peer": "192.168.100.200:54321",
    "opened_at": "2026-07-02T10:20:30.123456Z",
    "subscriptions": 120,
    "queued": 4_999,
    "oldest_s": 12.34,
    "messages_per_second": 20_000.0,
    "bytes_per_second": 9_999_999.0,
    "requests_per_second": 10.0,
}
ENDED = COMMON | {
    "id": "1040",
    "peer": "10.0.0.1:50000",
    "ended_at": "2026-07-01T23:59:59Z",
    "code": 1013,
    "reason": "too many unprocessed messages",
}


def test_80_columns_have_peers_times_and_reasons_whole_and_the_open_ones_last() -> None:
    lines = shown(Sessions([OPEN], [ENDED]), 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 7  # a line each: two titles, two headings, two sessions, a blank
    ended, opened = lines[2], lines[-1]
    for part in ("1040", "10.0.0.1:50000", "2026-07-01 23:59:59", "1013", "too many unprocessed messages"):
        assert part in ended
    for part in ("1041", "192.168.100.200:54321", " 10:20:30 ", "4,999", "12.3 s", "20,000"):
        assert part in opened
    assert "2026" not in opened
    assert "/ws" not in ended + opened
    wide = shown(Sessions([OPEN], [ENDED]))
    assert wide.count("/ws") == 2
    assert "9,999,999" in wide


def test_a_reason_is_cut_after_whole_columns_have_gone() -> None:
    long = ENDED | {"reason": "no " * 40}
    lines = shown(Sessions([], [long]), 60).splitlines()
    assert max(map(len, lines)) <= 60
    assert len([line for line in lines if "no no no" in line]) == 1
    assert "10.0.0.1:50000" in lines[2]
    assert "…" in lines[2]


Scenario = Callable[[SimulatedHttp, Admin], Coroutine[Any, Any, None]]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"", ConfigurationError),
        (404, b"", RefusedError),
        (503, b"", RefusedError),
        (200, b"<html>", ConnectError),
        (200, b'{"sessions":1}', ConnectError),
    ],
)
def test_other_answers_are_errors_without_the_token(status: int, body: bytes, error: type[Exception]) -> None:
    async def main() -> None:
        http = SimulatedHttp()
        http.listen("gateway:80", None).answer_next(status, body)  # type: ignore[arg-type]
        with pytest.raises(error) as caught:
            await Admin("http://gateway", Secret("s3cr3t"), http).sessions()
        assert "s3cr3t" not in repr(caught.value)

    run_virtual(main)


def test_where_to_ask_comes_from_arguments_environment_or_the_running_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("TAPEWIRE_URL", "TAPEWIRE_ADMIN_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="no broker"):
        find_admin()
    with pytest.raises(ConfigurationError, match="no admin token for http://x:1: pass --admin-token"):
        find_admin("http://x:1")
    with pytest.raises(ConfigurationError, match="not like http"):
        find_admin("ws://x")
    assert find_admin("http://x:1/", admin_token="t") == ("http://x:1", Secret("t"))
    monkeypatch.setenv("TAPEWIRE_URL", "http://y:2")
    monkeypatch.setenv("TAPEWIRE_ADMIN_TOKEN", "u")
    assert find_admin() == ("http://y:2", Secret("u"))
    assert json.dumps(str(find_admin())) == json.dumps("('http://y:2', ***)")
