"""``tapewire symbols``: what an answer of the broker becomes, whatever it lacks."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tapewire.cli.symbols import rows, show_symbols, table
from tapewire.client.errors import ConnectError, RefusedError
from tapewire.client.securities import search_securities
from tapewire.model import Security
from tapewire.simulation import SimulatedHttp, run_virtual


def asked(status: int, body: bytes) -> list[Security]:
    async def main() -> list[Security]:
        http = SimulatedHttp()
        http.listen("gateway:80", None).answer_next(status, body)  # type: ignore[arg-type]
        return await search_securities("http://gateway", "t0ken", http, "SB", limit=5)

    return run_virtual(main)


def test_rows_are_symbol_board_kind_and_name_also_where_fields_are_missing() -> None:
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
def test_anything_else_is_an_error_without_the_token(status: int, body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        asked(status, body)
    assert "t0ken" not in str(caught.value)


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
