"""``tapewire symbols``: what an answer of the broker becomes, whatever it lacks."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib import import_module

import pytest
from rich.console import Console

from tapewire.cli.symbols import rows, show_symbols, table
from tapewire.client.errors import ConnectError, RefusedError
from tapewire.connect import fetch_securities
from tapewire.model import Security
from tapewire.simulation import SimulatedHttp, run_virtual
from unit.client.stage import REFRESH_TOKEN, SECRET, token_answer

Asked = Callable[[int, bytes], list[Security]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    def ask(status: int, body: bytes) -> list[Security]:
        async def main() -> list[Security]:
            http = SimulatedHttp()
            gateway = http.listen("gateway:80", None)  # type: ignore[arg-type]
            gateway.answer_next(200, token_answer())
            gateway.answer_next(status, body)
            monkeypatch.setattr(import_module("tapewire.connect"), "AiohttpClient", lambda **_: http)
            found = await fetch_securities("SB", limit=5, url="http://gateway", refresh_token=REFRESH_TOKEN)
            assert gateway.requests[1].url == "http://gateway/md/v2/Securities?limit=5&query=SB&format=Simple"
            return found

        return run_virtual(main)

    return ask


def test_rows_are_symbol_board_kind_and_name_also_where_fields_are_missing(asked: Asked) -> None:
    body = b'[{"symbol":"A","board":"B","cfiCode":"ESXXXX","description":"N"},{"shortname":"S","cfiCode":null},{}]'
    assert [tuple(row.values()) for row in rows(asked(200, body))] == [
        ("A", "B", "share", "N"),
        ("", "", "other", "S"),
        ("", "", "other", ""),
    ]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b"", RefusedError),
        (200, b"<html>", ConnectError),
        (200, b"{}", ConnectError),
        (200, b"[1]", ConnectError),
    ],
)
def test_anything_else_is_an_error_without_the_token(
    asked: Asked, status: int, body: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        asked(status, body)
    assert SECRET not in str(caught.value)


def test_a_refusal_says_what_the_broker_says(asked: Asked) -> None:
    with pytest.raises(RefusedError, match="400 BadLimit: at most 4 at once"):
        asked(400, b'{"code":"BadLimit","message":"at most 4 at once"}')


def test_a_table_cuts_names_only_and_no_text_commands_the_terminal() -> None:
    listed = [{"symbol": "SU26238RMFS4", "board": "TQOB", "kind": "bond", "name": "[b]long\x1b " * 9}]
    console = Console(file=io.StringIO(), width=50)
    console.print(table(listed, 50))
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert "SU26238RMFS4  TQOB   bond  [b]long" in written
    assert "\x1b" not in written
    assert max(map(len, written.splitlines())) <= 50


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("zz\x1bz", "there is no instrument whose symbol or name has 'zz z' in it\n"),
        ("", "there is no instrument\n"),
    ],
)
def test_that_there_are_none_is_said_beside_the_output(
    capsys: pytest.CaptureFixture[str], query: str, said: str
) -> None:
    run_virtual(show_symbols([], query))
    assert tuple(capsys.readouterr()) == ("", said)
