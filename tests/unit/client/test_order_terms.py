"""Terms of orders: what cannot be one is refused before anything is sent; what can is the wire's command."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tapewire.client.errors import InvalidOrderError
from tapewire.client.order_terms import (
    OrderTerms,
    callers_comment,
    create_command,
    delete_command,
    mark_of,
    terms_of,
    update_command,
)
from tapewire.model import Condition, Exchange, GroupedType, Side, TimeInForce
from tapewire.protocol.commands import command_bytes
from unit.client.rows import order_row, stop_row

LIMIT = OrderTerms(
    type=GroupedType.LIMIT, portfolio="D1", symbol="TEST", side=Side.BUY, lots=2, price=Decimal("10.5")
)
STOP_LIMIT = msgspec.structs.replace(
    LIMIT, type=GroupedType.STOP_LIMIT, condition=Condition.LESS, trigger_price=Decimal(9), ends_at_s=7
)
BASE = {
    "guid": "g",
    "user": {"portfolio": "D1"},
    "checkDuplicates": True,
    "side": "buy",
    "quantity": 2,
    "instrument": {"symbol": "TEST", "exchange": "MOEX"},
}
CONDITION = {"condition": "less", "triggerPrice": 9, "stopEndUnixTime": 7}


def changed(terms: OrderTerms, **fields: Any) -> OrderTerms:
    return msgspec.structs.replace(terms, **fields)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (changed(LIMIT, type=GroupedType.MARKET, price=None), {"opcode": "create:market"}),
        (LIMIT, {"opcode": "create:limit", "price": 10.5}),
        (
            changed(
                LIMIT,
                lots=3,
                time_in_force=TimeInForce.BOOK_OR_CANCEL,
                comment="c",
                allow_margin=True,
                iceberg_lots=1,
                iceberg_variance_percent=20,
            ),
            {
                "opcode": "create:limit",
                "quantity": 3,
                "price": 10.5,
                "timeInForce": "bookorcancel",
                "comment": "c",
                "allowMargin": True,
                "icebergFixed": 1,
                "icebergVariance": 20,
            },
        ),
        (
            changed(STOP_LIMIT, type=GroupedType.STOP, price=None, protecting_seconds=5, is_active=False),
            {"opcode": "create:stop", "protectingSeconds": 5, "activate": False} | CONDITION,
        ),
        (
            changed(STOP_LIMIT, board="SMAL"),
            {
                "opcode": "create:stopLimit",
                "price": 10.5,
                "instrument": {"symbol": "TEST", "exchange": "MOEX", "instrumentGroup": "SMAL"},
            }
            | CONDITION,
        ),
    ],
)
def test_a_new_order_on_the_wire(terms: OrderTerms, expected: dict[str, Any]) -> None:
    assert json.loads(command_bytes(create_command(terms, "g"))) == BASE | expected


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (
            changed(LIMIT, type=GroupedType.MARKET, price=None, time_in_force=TimeInForce.ONE_DAY),
            {"opcode": "update:market", "timeInForce": "oneday"},
        ),
        # The old time in force stays: the wire has no field for another.
        (changed(LIMIT, time_in_force=TimeInForce.ONE_DAY), {"opcode": "update:limit", "price": 10.5}),
        (changed(STOP_LIMIT, type=GroupedType.STOP, price=None), {"opcode": "update:stop"} | CONDITION),
        (STOP_LIMIT, {"opcode": "update:stopLimit", "price": 10.5} | CONDITION),
    ],
)
def test_a_replaced_order_on_the_wire(terms: OrderTerms, expected: dict[str, Any]) -> None:
    assert json.loads(command_bytes(update_command(terms, "77", "g"))) == BASE | {"orderId": "77"} | expected


@pytest.mark.parametrize(
    ("order_type", "opcode"),
    [
        (GroupedType.MARKET, "delete:market"),
        (GroupedType.LIMIT, "delete:limit"),
        (GroupedType.STOP, "delete:stop"),
        (GroupedType.STOP_LIMIT, "delete:stopLimit"),
    ],
)
def test_a_cancellation_on_the_wire(order_type: GroupedType, opcode: str) -> None:
    command = delete_command(order_type, "2030000000000000001", "D1", Exchange.MOEX, "g")
    assert json.loads(command_bytes(command)) == {
        "opcode": opcode,
        "guid": "g",
        "user": {"portfolio": "D1"},
        "checkDuplicates": True,
        "orderId": "2030000000000000001",
        "exchange": "MOEX",
    }


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"price": 10.5},
            r"price: 10.5 is not exact: write Decimal\(\"290.1\"\), or .*price_nearest\(trade.price\)",
        ),
        ({"price": True}, "price: True is not a Decimal"),
        ({"price": "10"}, "price: '10' is not a Decimal"),
        ({"board": None}, "board: None is not the code of a board"),
        ({"comment": 5}, "comment: 5 is not a text"),
        ({"allow_margin": "no"}, "allow_margin: 'no' is not True or False"),
        ({"iceberg_lots": 1.5}, "iceberg_lots: 1.5 is not a whole number"),
        ({"price": None}, "price is missing"),
        ({"price": Decimal(0)}, "invalid or unsupported price"),
        ({"price": Decimal(-1)}, "invalid or unsupported price"),
        ({"price": Decimal("NaN")}, "invalid or unsupported price"),
        ({"price": Decimal("1e999999")}, "invalid or unsupported price"),
        ({"lots": 0}, "invalid or unsupported quantity"),
        ({"lots": 2**31}, "invalid or unsupported quantity"),
        ({"lots": 1.0}, "lots: 1.0 is not a whole number"),
        ({"lots": True}, "lots: True is not a whole number"),
        ({"side": Side("hold")}, "side: 'hold' is no such word"),
        ({"time_in_force": TimeInForce("soon")}, "time_in_force: 'soon' is no such word"),
        ({"symbol": ""}, "symbol: '' is not the ticker"),
        ({"portfolio": ""}, "portfolio: '' is not the id"),
        ({"comment": "x" * 101}, "invalid or unsupported comment"),
        ({"iceberg_lots": 2}, "invalid or unsupported icebergFixed"),
        ({"iceberg_variance_percent": 21}, "invalid or unsupported icebergVariance"),
        ({"exchange": Exchange("NYSE")}, r"invalid or unsupported instrument\.exchange"),
    ],
)
def test_what_no_order_can_be_is_refused_with_the_word_that_nothing_was_sent(
    fields: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidOrderError, match=f"{text}.*: nothing was sent$"):
        create_command(changed(LIMIT, **fields), "g")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"trigger_price": None}, "trigger_price is missing"),
        ({"condition": None}, "condition is missing"),
        ({"condition": Condition("near")}, "condition: 'near' is no such word"),
        ({"trigger_price": Decimal(0)}, "invalid or unsupported triggerPrice"),
        ({"protecting_seconds": 301}, "invalid or unsupported protectingSeconds"),
        ({"ends_at_s": -1}, "invalid or unsupported stopEndUnixTime"),
    ],
)
def test_what_no_conditional_order_can_be_is_refused(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidOrderError, match=text):
        create_command(changed(STOP_LIMIT, **fields), "g")


@pytest.mark.parametrize("number", ["", "bogus", "-1", "1" * 21, "１"])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(InvalidOrderError):
        delete_command(GroupedType.LIMIT, number, "D1", Exchange.MOEX, "g")
    with pytest.raises(InvalidOrderError):
        update_command(LIMIT, number, "g")


def test_what_is_left_of_a_direct_order() -> None:
    row = order_row(
        filledQtyBatch=1,
        comment="mine",
        timeInForce="bookorcancel",
        iceberg={"creationFixedQuantity": 1},
        qtyBatch=4,
    )
    assert terms_of(row) == changed(
        LIMIT, lots=3, board="TQBR", comment="mine", time_in_force=TimeInForce.BOOK_OR_CANCEL, iceberg_lots=1
    )


def test_what_is_left_of_a_conditional_order() -> None:
    row = stop_row(endTime="1970-01-01T00:00:07.0000000Z", type="stop", price=0)
    assert terms_of(row) == OrderTerms(
        type=GroupedType.STOP,
        portfolio="D1",
        symbol="TEST",
        side=Side.BUY,
        lots=2,
        board="TQBR",
        condition=Condition.LESS,
        trigger_price=Decimal("9.9"),
        ends_at_s=7,
        protecting_seconds=5,
        time_in_force=TimeInForce.ONE_DAY,
    )


def test_a_market_order_has_no_price_and_a_mark_is_that_of_the_old_command() -> None:
    terms = terms_of(order_row(type="market", price=0, comment=mark_of("old")))
    assert (terms.type, terms.price, callers_comment(terms)) == (GroupedType.MARKET, None, None)
    assert [callers_comment(changed(terms, comment=comment)) for comment in ("mine", None)] == ["mine", None]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"filledQtyBatch": 2}, "nothing is left of order 1001"),
        ({"qtyBatch": None}, "the broker does not tell enough of order 1001"),
        ({"symbol": None}, "symbol"),
        ({"type": "odd"}, "order 1001 is of the unknown type odd"),
    ],
)
def test_a_row_of_which_no_order_can_be_made(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidOrderError, match=text):
        terms_of(order_row(**fields))


def test_terms_read_as_people_say_them() -> None:
    assert str(LIMIT) == "buy 2 TEST at 10.5"
    assert str(changed(LIMIT, type=GroupedType.MARKET, price=None)) == "buy 2 TEST at the market"
    assert str(STOP_LIMIT) == "buy 2 TEST at 10.5 when less 9"
