"""What a venue is asked, and how it ends."""

from __future__ import annotations

from tapewire.model import CancelOrder, Done, Exchange, OrderType, PlaceOrder, Refused, Side, TimeInForce


def test_an_order_is_for_the_day_unless_it_says_otherwise() -> None:
    order = PlaceOrder(
        portfolio="D1",
        exchange=Exchange.MOEX,
        symbol="GAZP",
        board="",
        type=OrderType.MARKET,
        side=Side.BUY,
        quantity_lots=1,
    )
    assert (order.price, order.time_in_force, order.comment) == (None, TimeInForce.ONE_DAY, None)


def test_outcomes_are_values() -> None:
    assert Done("7") == Done("7")
    assert Done("7") != Done("8")
    assert Refused(404, "x") == Refused(404, "x")
    assert CancelOrder(portfolio="D1", order_number="7") == CancelOrder(portfolio="D1", order_number="7")
