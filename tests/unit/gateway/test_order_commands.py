"""Commands of the wire against what the venue is asked, field by field."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tapewire.gateway.order_commands import command_of
from tapewire.market.catalogue import catalogue
from tapewire.model import (
    CancelOrder,
    CancelStopOrder,
    Command,
    Condition,
    Exchange,
    OrderType,
    PlaceOrder,
    PlaceStopOrder,
    ReplaceOrder,
    ReplaceStopOrder,
    Side,
    StopType,
    TimeInForce,
)
from tapewire.protocol.commands import OrderCommand, read_command
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.reading import read_envelope
from tapewire.simulation import ScriptedVenue
from unit.gateway.commands import ORDERS, SBER

VENUE = ScriptedVenue(catalogue(3))


def translated(opcode: str, **changes: Any) -> Command:
    message = json.dumps({"opcode": opcode, "guid": "g"} | ORDERS[opcode] | changes).encode()
    asked = read_command(read_envelope(message), message)
    assert isinstance(asked, OrderCommand)
    return command_of(asked, VENUE)


PLACED = PlaceOrder(
    portfolio="D1",
    exchange=Exchange.MOEX,
    symbol="SBER",
    board="TQBR",
    type=OrderType.LIMIT,
    side=Side.BUY,
    quantity_lots=3,
    price=Decimal("301.45"),
)


def test_a_limit_order_is_handed_over_whole() -> None:
    assert translated("create:limit") == PLACED
    assert translated(
        "create:limit",
        side="Sell",
        timeInForce="BookOrCancel",
        comment="t-18",
        allowMargin=True,
        icebergFixed=2,
        icebergVariance=5.0,
    ) == PlaceOrder(
        portfolio="D1",
        exchange=Exchange.MOEX,
        symbol="SBER",
        board="TQBR",
        type=OrderType.LIMIT,
        side=Side.SELL,
        quantity_lots=3,
        price=Decimal("301.45"),
        time_in_force=TimeInForce.BOOK_OR_CANCEL,
        comment="t-18",
        allow_margin=True,
        iceberg_lots=2,
        iceberg_variance_percent=5,
    )


def test_a_market_order_has_no_price() -> None:
    command = translated("create:market", timeInForce="fillorkill", price=1)
    assert isinstance(command, PlaceOrder)
    assert (command.type, command.price, command.time_in_force) == (
        OrderType.MARKET,
        None,
        TimeInForce.FILL_OR_KILL,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"instrument": {"symbol": "SBER", "exchange": "MOEX"}},
        {"instrument": {"symbol": "SBER", "exchange": "moex", "instrumentGroup": None}, "board": ""},
        {"instrument": {"symbol": "SBER", "exchange": "MOEX"}, "board": "TQBR"},
        {"instrument": SBER, "board": "SMAL"},
    ],
)
def test_the_board_is_the_one_that_was_asked_for_or_the_primary_one(changes: dict[str, Any]) -> None:
    assert translated("create:limit", **changes) == PLACED


def test_conditional_orders_are_handed_over_whole() -> None:
    plain = PlaceStopOrder(
        portfolio="D1",
        exchange=Exchange.MOEX,
        symbol="SBER",
        board="TQBR",
        type=StopType.STOP,
        side=Side.BUY,
        quantity_lots=3,
        condition=Condition.LESS_OR_EQUAL,
        trigger_price=Decimal("289.5"),
    )
    assert translated("create:stop") == plain
    assert translated(
        "create:stopLimit",
        condition="More",
        stopEndUnixTime=1767225600,
        protectingSeconds=5,
        activate=False,
        timeInForce="immediateorcancel",
        comment="x",
        allowMargin=True,
        icebergFixed=1,
        icebergVariance=20,
    ) == PlaceStopOrder(
        portfolio="D1",
        exchange=Exchange.MOEX,
        symbol="SBER",
        board="TQBR",
        type=StopType.STOP_LIMIT,
        side=Side.BUY,
        quantity_lots=3,
        condition=Condition.MORE,
        trigger_price=Decimal("289.5"),
        price=Decimal("288.9"),
        ends_at_s=1767225600,
        protecting_seconds=5,
        is_active=False,
        time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
        comment="x",
        allow_margin=True,
        iceberg_lots=1,
        iceberg_variance_percent=20,
    )


def test_an_update_names_the_old_order_and_tells_the_whole_new_one() -> None:
    number = "2030000000000000001"
    assert translated("update:limit") == ReplaceOrder(order_number=number, order=PLACED)
    # Older clients send it; the old one stays all the same.
    assert translated("update:limit", timeInForce="fillorkill") == ReplaceOrder(order_number=number, order=PLACED)
    kept = translated("update:market", orderId=2030000000000000001)
    changed = translated("update:market", timeInForce="fillorkill")
    assert isinstance(kept, ReplaceOrder)
    assert isinstance(changed, ReplaceOrder)
    assert (kept.order_number, kept.keeps_time_in_force) == (number, True)
    assert (changed.order.time_in_force, changed.keeps_time_in_force) == (TimeInForce.FILL_OR_KILL, False)
    for kind in ("stop", "stopLimit"):
        command = translated(f"update:{kind}")
        assert isinstance(command, ReplaceStopOrder)
        assert command == ReplaceStopOrder(order_number=number, order=translated(f"create:{kind}"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("opcode", "kind"),
    [
        ("delete:market", CancelOrder),
        ("delete:limit", CancelOrder),
        ("delete:stop", CancelStopOrder),
        ("delete:stopLimit", CancelStopOrder),
    ],
)
def test_the_suffix_of_a_deletion_says_whose_numbers_are_meant(opcode: str, kind: Any) -> None:
    number = "2030000000000000002"
    assert translated(opcode) == kind(portfolio="D1", exchange=Exchange.MOEX, order_number=number)


def test_an_unknown_board_is_named() -> None:
    with pytest.raises(BadRequestError) as caught:
        translated("create:stop", instrument=SBER | {"instrumentGroup": "XXXX"})
    refusal = caught.value
    assert (refusal.guid, refusal.code, refusal.text) == ("g", 404, "Unknown instrument MOEX:SBER on XXXX")
