"""What lists of orders tell of a command of unknown outcome, and what they do not."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tapewire.client.order_inquiry import judge_cancelled, judge_created, judge_updated
from tapewire.client.order_terms import OrderTerms, mark_of
from tapewire.client.order_ticket import OrderTicket
from tapewire.model import Condition, Exchange, GroupedType, Side
from unit.client.rows import order_row, stop_row

MARKED = OrderTerms(
    type=GroupedType.LIMIT,
    portfolio="D1",
    symbol="TEST",
    side=Side.BUY,
    lots=2,
    price=Decimal("10.5"),
    comment=mark_of("g"),
)
MINE = msgspec.structs.replace(MARKED, comment="mine")
TICKET = OrderTicket(number="1001", type=GroupedType.LIMIT, portfolio="D1", exchange=Exchange.MOEX)


@pytest.mark.parametrize("status", ["working", "filled", "canceled", "rejected"])
def test_an_order_with_the_mark_is_the_commands_whatever_became_of_it(status: str) -> None:
    found = judge_created([order_row("5"), order_row("7", comment=mark_of("g"), status=status)], MARKED, "g")
    assert found.ticket is not None
    assert (found.ticket.number, found.ticket.terms) == ("7", MARKED)


def test_that_there_is_none_does_not_say_that_none_will_come() -> None:
    found = judge_created([order_row(comment=mark_of("other")), order_row()], MARKED, "g")
    assert (found.ticket, found.not_done, found.candidates) == (None, "", ())
    assert found.unclear == "no order fits; the command may still be under way"


def test_equal_orders_with_the_callers_comment_are_candidates_and_no_more() -> None:
    same = order_row("7", comment="mine")
    others = [
        order_row("8", comment="mine", side="sell"),
        order_row("9", comment="mine", price=10.6),
        order_row("10", comment="mine", qtyBatch=3),
        order_row("11", comment="mine", symbol="OTHER"),
        order_row("12", comment="mine", type="market"),
        order_row("13", comment="yours"),
    ]
    found = judge_created([same, *others], MINE, "g")
    assert found.ticket is None
    assert found.candidates == (same,)
    assert found.unclear == "1 orders fit, and may be another command's"


def test_a_callers_comment_that_looks_like_a_mark_is_no_mark_of_the_command() -> None:
    terms = msgspec.structs.replace(MARKED, comment=mark_of("elsewhere"))
    found = judge_created([order_row(comment=mark_of("elsewhere"))], terms, "g")
    assert found.ticket is None
    assert len(found.candidates) == 1


def test_conditional_orders_are_compared_by_their_trigger_too() -> None:
    terms = msgspec.structs.replace(
        MINE, type=GroupedType.STOP_LIMIT, condition=Condition.LESS, trigger_price=Decimal("9.9")
    )
    rows = [stop_row("1", comment="mine"), stop_row("2", comment="mine", stopPrice=9.8)]
    assert [row.id for row in judge_created(rows, terms, "g").candidates] == ["1"]


def test_a_replacement_is_done_when_an_order_has_its_mark() -> None:
    rows = [order_row("1001", status="canceled"), order_row("1002", comment=mark_of("g"))]
    found = judge_updated(rows, "1001", MARKED, "g")
    assert found.ticket is not None
    assert (found.ticket.number, found.ticket.replaced_number) == ("1002", "1001")


@pytest.mark.parametrize("status", ["filled", "rejected"])
def test_a_replacement_of_an_order_that_has_ended_otherwise_is_not_done(status: str) -> None:
    assert (
        judge_updated([order_row("1001", status=status)], "1001", MARKED, "g").not_done
        == f"order 1001 is {status}"
    )


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("working", "order 1001 is working; no order fits; the command may still be under way"),
        ("canceled", "order 1001 is canceled; no order fits; the command may still be under way"),
    ],
)
def test_a_replacement_that_cannot_be_told(status: str, text: str) -> None:
    assert judge_updated([order_row("1001", status=status)], "1001", MARKED, "g").unclear == text


def test_a_replacement_whose_old_order_is_not_listed_cannot_be_told() -> None:
    assert judge_updated([], "1001", MARKED, "g").unclear.startswith("order 1001 is not in the broker's list")


def test_a_cancellation_is_done_when_the_order_is_cancelled() -> None:
    assert judge_cancelled([order_row(status="canceled")], TICKET).ticket == TICKET


@pytest.mark.parametrize("status", ["filled", "rejected"])
def test_a_cancellation_of_an_order_that_has_ended_otherwise_is_not_done(status: str) -> None:
    assert judge_cancelled([order_row(status=status)], TICKET).not_done == f"order 1001 is {status}"


def test_a_cancellation_of_an_order_that_works_or_is_not_listed_cannot_be_told() -> None:
    assert "may still be under way" in judge_cancelled([order_row()], TICKET).unclear
    assert "not in the broker's list" in judge_cancelled([], TICKET).unclear


def test_a_number_that_the_broker_writes_as_a_number_is_the_orders_all_the_same() -> None:
    old = msgspec.structs.replace(order_row("1001", comment="mine"), id=1001)  # type: ignore[arg-type]
    found = judge_updated([old], "1001", MINE, "g")
    assert (found.unclear, found.candidates) == (
        "order 1001 is working; no order fits; the command may still be under way",
        (),
    )
