"""``tapewire order`` and ``portfolio``: how ends are reported, and tables of rows that lack fields."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console, RenderableType

from tapewire.cli.order import report
from tapewire.cli.order_table import order_table
from tapewire.cli.portfolio_table import portfolio_table
from tapewire.client.command_result import NotDone, Rejected, Resolution, Unknown
from tapewire.model import Order, Position, Summary
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format
from unit.client.rows import order_row, stop_row


@pytest.mark.parametrize(
    ("ends", "status", "line"),
    [
        ([Rejected(400, "no", "g")], 3, "tapewire: rejected (400): no"),
        ([Unknown("g", "a cut"), NotDone("order 7 is filled", "g")], 3, "tapewire: not done: order 7 is filled"),
        (
            [Unknown("g", "a cut"), Unknown("g", "a cut;\x1b nothing")],
            4,
            "tapewire: the outcome is unknown: a cut; nothing; see `tapewire order list --all`",
        ),
        ([], 4, "tapewire: stopped before the outcome was known; see `tapewire order list --all`"),
    ],
)
def test_each_end_has_its_line_and_status(
    capsys: pytest.CaptureFixture[str], ends: list[Resolution], status: int, line: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        report(ends)
    assert ended.value.code == status
    assert capsys.readouterr() == ("", line + "\n")


def written(table: RenderableType, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in text
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    return lines


def test_a_table_of_orders_leaves_columns_out_where_there_is_no_room() -> None:
    rows = [
        order_row("2030000000000000001", comment="mine\x1b"),
        stop_row(),
        codec(Order, Format.SIMPLE).decode(b"{}"),
    ]
    wide, narrow = written(order_table(rows, 140), 140), written(order_table(rows, 70), 70)
    assert "comment" in wide[0]
    assert "comment" not in narrow[0]
    for line in (wide[1], narrow[1]):
        assert "2030000000000000001" in line
        assert "10.5" in line
    assert "9.9" in wide[2]


def test_a_table_of_a_portfolio_shows_what_is_held_and_then_money() -> None:
    position, summary = codec(Position, Format.SIMPLE).decode, codec(Summary, Format.SIMPLE).decode
    rows = [
        position(json.dumps(fields).encode())
        for fields in (
            {"symbol": "RUB", "isCurrency": True, "qtyTFuture": 5, "qtyTFutureBatch": 5, "currentVolume": 12345.5},
            {"symbol": "GONE", "qtyTFuture": 0, "qtyTFutureBatch": 0},
            {"symbol": "SBER", "qtyTFuture": 10, "qtyTFutureBatch": 1, "avgPrice": 301.1},
            {},
        )
    ]
    lines = written(portfolio_table("D1", summary(b'{"buyingPower":1234567.8}'), rows, 100), 100)
    assert "1,234,567.8" in lines[0]
    assert [line.split()[0] for line in lines[2:4]] == ["SBER", "RUB"]
    assert "301.1" in lines[2]
    assert "12,345.5" in lines[3]
