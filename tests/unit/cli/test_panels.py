"""Panels of the live view: rows by key with the newest on top, fields of a state, levels of a cluster, gaps."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from tapewire.cli.panels import FIELDS_MAX, ROWS_MAX, panel_of
from tapewire.cli.screen import Screen
from tapewire.cli.streams import KINDS, StreamName
from tapewire.client.gap import Gap, GapState
from tapewire.model import (
    Bar,
    Cluster,
    DerivativesRisk,
    Fill,
    InstrumentUpdate,
    LegacyStopOrder,
    Order,
    Position,
    Record,
    Risk,
    StopOrder,
    Summary,
    Trade,
)
from unit.cli.test_screen import drawn, read

RECORDS: dict[str, tuple[type[Record], dict[str, object], list[str]]] = {
    "bars": (
        Bar,
        {"time": 1_718_006_400, "open": 1.5, "high": 2.5, "low": 1.25, "close": 2.0, "volume": 12_345},
        ["06-10 08:00", "1.5", "2.5", "1.25", "2.0", "12,345"],
    ),
    "clusters": (
        Cluster,
        {"timestamp": 1_718_006_400, "tradeClusters": [{"price": 1.25, "buyQty": 7, "sellQty": 1_900}]},
        ["06-10", "08:00", "1.25", "7", "1,900"],
    ),
    "instrument": (
        InstrumentUpdate,
        {"symbol": "SBER", "priceMax": 331.26, "tradingStatusInfo": "нормальный период"},
        ["price max", "331.26", "нормальный период"],
    ),
    "orders": (
        Order,
        {"id": "77", "symbol": "SBER", "side": "buy", "qtyBatch": 4, "price": 301.5, "status": "working"},
        ["77", "SBER", "buy", "4", "301.5", "working"],
    ),
    "stop-orders": (
        StopOrder,
        {"id": "78", "symbol": "SBER", "side": "sell", "qtyBatch": 5, "stopPrice": 290.5, "status": "working"},
        ["78", "sell", "5", "290.5"],
    ),
    "legacy-stop-orders": (
        LegacyStopOrder,
        {"id": 79, "symbol": "SBER", "side": "sell", "qty": 5, "stopPrice": 291.5, "status": "working"},
        ["79", "sell", "5", "291.5"],
    ),
    "fills": (
        Fill,
        {
            "id": "9",
            "orderno": "77",
            "date": "2026-01-12T07:08:09.0000000Z",
            "symbol": "SBER",
            "qtyBatch": 3,
            "price": 301.25,
        },
        ["07:08:09", "SBER", "3", "301.25", "77"],
    ),
    "positions": (
        Position,
        {"symbol": "SBER", "qtyTFutureBatch": 6, "avgPrice": 300.5, "unrealisedPl": -12.5},
        ["SBER", "6", "300.5", "-12.5"],
    ),
    "summary": (Summary, {"buyingPower": 999_999.5}, ["buying power", "999,999.5"]),
    "risk": (Risk, {"initialMargin": 602.25, "hasNegativeQuantity": False}, ["initial margin", "602.25", "no"]),
    "derivatives-risk": (DerivativesRisk, {"moneyFree": 1_000_000}, ["money free", "1,000,000"]),
}


def name_of(kind: str) -> StreamName:
    return StreamName(kind, "D1" if KINDS[kind].of_portfolio else "SBER")


def gap(second: int = 0) -> Gap:
    return Gap(
        stream="x",
        since=datetime(2026, 1, 12, 7, 0, second, tzinfo=UTC),
        until=datetime(2026, 1, 12, 7, 1, second, tzinfo=UTC),
        cause="lost",
        state=GapState.LEFT,
    )


def test_every_kind_without_a_place_of_its_own_has_a_panel() -> None:
    assert set(RECORDS) | {"book", "quotes", "trades"} == set(KINDS)
    assert all((panel_of(name_of(kind)) is not None) == (kind in RECORDS) for kind in KINDS)


@pytest.mark.parametrize("kind", RECORDS)
def test_a_panel_shows_what_was_said(kind: str) -> None:
    record_type, fields, shown = RECORDS[kind]
    text = drawn((name_of(kind), [read(record_type, **fields)]))
    for part in (str(name_of(kind)), *shown):
        assert part in text, text


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("width", [1, 20, 80])
def test_records_without_any_field_and_narrow_terminals_are_drawn(kind: str, width: int) -> None:
    drawn((name_of(kind), [read(RECORDS[kind][0])]), width=width)
    drawn(names=[name_of(kind)], width=width)


@pytest.mark.parametrize("kind", ["orders", "instrument"])
def test_a_text_of_the_other_end_cannot_command_the_terminal(kind: str) -> None:
    record_type, _, _ = RECORDS[kind]
    text = drawn((name_of(kind), [read(record_type, symbol="S\x1b[2J[bold]B\nER")]))
    assert "\x1b[2J" not in text
    assert "S [2J[bold]B ER" in text


def test_a_row_that_has_changed_comes_to_the_top_once_and_rows_are_bounded() -> None:
    panel = panel_of(name_of("orders"))
    assert panel is not None
    panel.took([read(Order, id=f"number-{number}") for number in range(ROWS_MAX + 3)])
    panel.took([read(Order, id="number-5", status="filled")])
    lines = printed(panel)
    rows = [line for line in lines if "number-" in line]
    assert len(rows) == ROWS_MAX
    assert "number-5 " in rows[0]
    assert "filled" in rows[0]
    assert sum("number-5 " in row for row in rows) == 1
    assert f"number-{ROWS_MAX + 2} " in rows[1]


def test_fields_of_a_state_are_bounded() -> None:
    panel = panel_of(name_of("summary"))
    assert panel is not None
    panel.took([read(Summary, buyingPower=1, profit=2), read(Summary, profit=3)])
    text = "\n".join(printed(panel))
    assert "buying" not in text, "the newest says all"
    assert len(printed(panel)) <= FIELDS_MAX + 3


@pytest.mark.parametrize(("kind", "record_type"), [("trades", Trade), ("fills", Fill)])
def test_what_is_missing_stands_in_its_place(kind: str, record_type: type[Record]) -> None:
    name = name_of(kind)
    screen = Screen([name], "http://host:1", console := recorded())
    newest, oldest = (2, 1) if record_type is Trade else ("2", "1")
    screen.took(name, [read(record_type, id=oldest, price=111)])
    screen.missed(name, gap())
    screen.took(name, [read(record_type, id=newest, price=222)])
    console.print(screen.render())
    lines = console.export_text().splitlines()
    newer, missing, older = (
        next(n for n, line in enumerate(lines) if all(part in line for part in parts))
        for parts in (("222",), ("07:00:00", "missed", "to 07:01:00"), ("111",))
    )
    assert newer < missing < older


def test_a_state_that_was_missed_is_replaced_by_the_next() -> None:
    for kind in ("book", "summary", "clusters"):
        screen = Screen([name_of(kind)], "http://host:1", console := recorded())
        screen.missed(name_of(kind), gap())
        console.print(screen.render())
        assert "missed" not in console.export_text()


def recorded() -> Console:
    return Console(file=io.StringIO(), record=True, width=160, force_terminal=True)


def printed(panel: Any) -> list[str]:
    console = recorded()
    console.print(panel.table(120))
    return console.export_text().splitlines()
