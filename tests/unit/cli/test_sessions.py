"""``tapewire sessions``: tables that say what the system says, and errors that say what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tapewire.cli.sessions import tables
from tapewire.client.admin import Admin, Sessions
from tapewire.client.errors import ConfigurationError, ConnectError, RefusedError
from tapewire.connect import find_admin
from tapewire.protocol.tokens import Secret
from tapewire.simulation import SimulatedHttp, run_virtual
from unit.gateway.world import ADMIN_TOKEN, TRADES, World
from unit.gateway.world import run as run_world


def shown(sessions: Sessions) -> str:
    console = Console(width=240, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(tables(sessions))
    console.file.close()
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
        with pytest.raises(RefusedError) as caught:
            await admin.end("2/../x")
        assert caught.value.code == 404

    run_world(scenario)


def test_what_a_system_says_is_no_markup() -> None:
    text = shown(Sessions([{"id": "[bold]1[/bold]", "oldest_s": 2.04, "bytes_per_second": 1234.5}], []))
    assert "[bold]1[/bold]" in text
    assert "2.0 s" in text
    assert "1,234" in text


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
