"""Commands: values that are no values. What the wire looks like is in tests/conformance."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from rich.pretty import pretty_repr

from tapewire.model import Exchange, OrderType, Side, StopType
from tapewire.protocol.commands import (
    COMMANDS,
    Authorize,
    CreateLimit,
    CreateMarket,
    CreateStop,
    CreateStopLimit,
    DeleteLimit,
    InstrumentRef,
    OrderCommand,
    UpdateLimit,
    UpdateMarket,
    UpdateStop,
    UpdateStopLimit,
    UserRef,
    command_bytes,
    created,
    deleted,
    read_command,
    updated,
)
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.limits import QUANTITY_LOTS_MAX
from tapewire.protocol.reading import WireRequest, read_envelope

LIMIT = {
    "opcode": "create:limit",
    "guid": "g",
    "side": "buy",
    "quantity": 10,
    "price": 301.45,
    "instrument": {"symbol": "SBER", "exchange": "MOEX", "instrumentGroup": "TQBR"},
    "user": {"portfolio": "D70001"},
}
STOP = {
    **LIMIT,
    "opcode": "create:stopLimit",
    "condition": "less",
    "triggerPrice": 300,
    "stopEndUnixTime": 0,
}


def read(fields: dict[str, Any], **changes: Any) -> WireRequest:
    message = json.dumps({**fields, **changes}).encode()
    return read_command(read_envelope(message), message)


def refusal(fields: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(BadRequestError) as caught:
        read(fields, **changes)
    return caught.value.text


def price_of(text: str) -> Decimal:
    message = json.dumps({**LIMIT, "price": "@"}).replace('"@"', text).encode()
    command = read_command(read_envelope(message), message)
    assert isinstance(command, CreateLimit)
    return command.price


@pytest.mark.parametrize(
    "text",
    ["301.45", "0.00000000000001", "99999999999999", "12345678901234.12345678901234", "3.0145e2", "301.4500000"],
)
def test_a_price_is_read_digit_by_digit(text: str) -> None:
    assert price_of(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-0",
        "0.0",
        "-0.0",
        "-1",
        "1e308",
        "1e999999",
        "1e-999999",
        "1e9999999999999999999",
        "0.000000000000001",
        "100000000000000",
        "1." + "0" * 500 + "1",
        "9" * 5_000,
        "0." + "1" * 100_000,
        "9" * 500_000,
    ],
)
def test_a_price_that_no_order_can_have_is_refused_at_once(text: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        price_of(text)
    assert caught.value.text == "Invalid or unsupported price"


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity", "nan", "inf", "0x10", "1e999999", ""])
@pytest.mark.parametrize("key", ["price", "triggerPrice"])
def test_texts_that_decimal_knows_and_orders_do_not_are_refused(key: str, text: str) -> None:
    assert refusal(STOP, **{key: text}) == f"Invalid or unsupported {key}"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-1", "20.1", "1e999999"])
def test_a_variance_is_a_percentage_up_to_20(text: str) -> None:
    assert refusal(LIMIT, icebergVariance=text) == "Invalid or unsupported icebergVariance"


@pytest.mark.parametrize("quantity", [0, -1, 1.5, 2**31, 10**30, "1.5", "", True, None, [], "9" * 5_000])
def test_a_quantity_is_a_positive_int32(quantity: Any) -> None:
    assert refusal(LIMIT, quantity=quantity) in (
        "Invalid or unsupported quantity",
        "The field quantity is missing",
    )


@pytest.mark.parametrize("quantity", [1, "1", 1.0, QUANTITY_LOTS_MAX])
def test_quantities_in_range_are_taken(quantity: Any) -> None:
    command = read(LIMIT, quantity=quantity)
    assert isinstance(command, CreateLimit)
    assert command.quantity == int(quantity)
    assert type(command.quantity) is int


@pytest.mark.parametrize(
    ("quantity", "fixed", "good"), [(10, 9, True), (10, 1, True), (10, 10, False), (1, 1, False)]
)
@pytest.mark.parametrize("fields", [LIMIT, STOP], ids=["limit", "stop-limit"])
def test_the_visible_part_is_smaller_than_the_order(
    fields: dict[str, Any], quantity: int, fixed: int, good: bool
) -> None:
    if good:
        read(fields, quantity=quantity, icebergFixed=fixed)
    else:
        assert refusal(fields, quantity=quantity, icebergFixed=fixed) == "Invalid or unsupported icebergFixed"


@pytest.mark.parametrize("seconds", [0, 301, -1, "x", 1.5])
def test_protecting_seconds_are_1_to_300(seconds: Any) -> None:
    assert refusal(STOP, protectingSeconds=seconds) == "Invalid or unsupported protectingSeconds"


@pytest.mark.parametrize("end", [-1, 253_402_300_800, 1_767_225_600_000_000, "x", 10**30])
def test_the_end_of_a_conditional_order_is_a_date(end: Any) -> None:
    assert refusal(STOP, stopEndUnixTime=end) == "Invalid or unsupported stopEndUnixTime"


@pytest.mark.parametrize("order_id", [-1, 2**63, 10**4_000, "9" * 21, "-1", "1 ", "²", "٣", "", "0x1", True, 1.5])
@pytest.mark.parametrize(
    ("opcode", "fields"),
    [
        ("update:market", LIMIT),
        ("update:limit", LIMIT),
        ("update:stop", STOP),
        ("update:stopLimit", STOP),
        ("delete:market", {**LIMIT, "exchange": "MOEX"}),
        ("delete:stopLimit", {**LIMIT, "exchange": "MOEX"}),
    ],
)
def test_an_order_id_is_a_number_that_can_be_written(opcode: str, fields: dict[str, Any], order_id: Any) -> None:
    assert refusal(fields, opcode=opcode, orderId=order_id) == "Invalid or unsupported orderId"


@pytest.mark.parametrize("order_id", ["2006665000000000017", 2006665000000000017, "007", "0", 2**63 - 1])
def test_an_order_id_keeps_its_digits(order_id: str | int) -> None:
    command = read(LIMIT, opcode="update:limit", orderId=order_id)
    assert isinstance(command, UpdateLimit)
    assert str(command.order_id) == str(order_id)


def test_a_comment_is_counted_in_characters() -> None:
    assert refusal(LIMIT, comment="ы" * 101) == "Invalid or unsupported comment"
    read(LIMIT, comment="𝄞" * 100)


def test_the_group_of_the_instrument_wins_over_the_older_spelling() -> None:
    command = read(LIMIT, board="SMAL")
    assert isinstance(command, CreateLimit)
    assert command.board_code == "TQBR"


def test_every_command_about_orders_knows_the_type_of_its_order() -> None:
    types = {
        CreateMarket: OrderType.MARKET,
        UpdateMarket: OrderType.MARKET,
        CreateLimit: OrderType.LIMIT,
        UpdateLimit: OrderType.LIMIT,
        CreateStop: StopType.STOP,
        UpdateStop: StopType.STOP,
        CreateStopLimit: StopType.STOP_LIMIT,
        UpdateStopLimit: StopType.STOP_LIMIT,
    }
    for command, order_type in types.items():
        assert order_type == command.TYPE  # type: ignore[attr-defined]
    order_commands = [command for command in COMMANDS.values() if issubclass(command, OrderCommand)]
    assert len(order_commands) == 12


def test_a_command_is_written_with_exact_numbers() -> None:
    command = CreateLimit(
        guid="a_1",
        side=Side.BUY,
        quantity=1,
        price=Decimal("0.10"),
        instrument=InstrumentRef(symbol="SBER", exchange=Exchange.MOEX),
        user=UserRef(portfolio="D1"),
    )
    assert command_bytes(command) == (
        b'{"opcode":"create:limit","guid":"a_1","user":{"portfolio":"D1"},"checkDuplicates":true,"side":"buy",'
        b'"quantity":1,"instrument":{"symbol":"SBER","exchange":"MOEX"},"price":0.10}'
    )


def test_a_delete_names_its_order_and_exchange() -> None:
    command = DeleteLimit(guid="g", order_id="7", exchange=Exchange.MOEX, user=UserRef(portfolio="D1"))
    assert json.loads(command_bytes(command)) == {
        "opcode": "delete:limit",
        "guid": "g",
        "orderId": "7",
        "exchange": "MOEX",
        "user": {"portfolio": "D1"},
        "checkDuplicates": True,
    }


def test_replies_carry_the_number_in_text_and_field() -> None:
    for make in (created, updated, deleted):
        reply = make("g", "2030")
        assert (reply.request_guid, reply.http_code, reply.order_number) == ("g", 200, "2030")
        assert "'2030'" in reply.message


def test_no_token_is_shown() -> None:
    command = Authorize(guid="auth_0", token="top-secret")
    assert "top-secret" not in repr(command) + str(command) + pretty_repr(command) + f"{(command,)}"
    assert b"top-secret" in command_bytes(command)
