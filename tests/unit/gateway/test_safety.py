"""What is guarded and what is doomed, without a loop."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tapewire.gateway.safety import GUARDED_ORDERS_MAX, GuardedOrder, PortfolioRows, Safety, Ticket
from tapewire.model import (
    CancelOrder,
    CancelStopOrder,
    Command,
    Condition,
    Done,
    Exchange,
    OrderType,
    PlaceOrder,
    PlaceStopOrder,
    Refused,
    Repeated,
    ReplaceOrder,
    Side,
    StopType,
)

PLACE = PlaceOrder(
    portfolio="D1",
    exchange=Exchange.MOEX,
    symbol="SBER",
    board="TQBR",
    type=OrderType.MARKET,
    side=Side.BUY,
    quantity_lots=1,
)
STOP = PlaceStopOrder(
    portfolio="D1",
    exchange=Exchange.MOEX,
    symbol="SBER",
    board="TQBR",
    type=StopType.STOP,
    side=Side.BUY,
    quantity_lots=1,
    condition=Condition.MORE,
    trigger_price=Decimal(300),
)


def direct(number: str) -> GuardedOrder:
    return GuardedOrder("D1", Exchange.MOEX, number, is_conditional=False)


def conditional(number: str) -> GuardedOrder:
    return GuardedOrder("D1", Exchange.MOEX, number, is_conditional=True)


def given(safety: Safety, command: Command) -> Ticket:
    ticket = safety.arrived(command)
    assert safety.give(ticket)
    return ticket


def done(safety: Safety, command: Command, number: str) -> None:
    safety.ended(given(safety, command), Done(number))


def guarded(*numbers: str) -> Safety:
    safety = Safety()
    safety.ask(cancels_on_disconnect=True, after_s=None, now_s=0)
    for number in numbers:
        done(safety, PLACE, number)
    return safety


def test_orders_of_both_kinds_are_guarded_until_they_are_cancelled() -> None:
    safety = guarded("1")
    done(safety, STOP, "1")
    assert safety.guarded == (direct("1"), conditional("1"))
    done(safety, CancelOrder(portfolio="D1", order_number="1"), "1")
    assert safety.guarded == (conditional("1"),)
    done(safety, CancelStopOrder(portfolio="D1", order_number="1"), "1")
    assert safety.guarded == ()


def test_a_replacement_takes_the_place_of_the_order_and_of_a_strangers_order() -> None:
    safety = guarded("1")
    done(safety, ReplaceOrder(order_number="1", order=PLACE), "2")
    done(safety, ReplaceOrder(order_number="77", order=PLACE), "78")
    assert safety.guarded == (direct("2"), direct("78"))


@pytest.mark.parametrize("outcome", [Refused(401, "no money"), Repeated(Done("9")), None])
def test_what_made_nothing_guards_nothing(outcome: Refused | Repeated | None) -> None:
    safety = guarded()
    safety.ended(given(safety, PLACE), outcome)
    assert safety.guarded == ()
    assert safety.is_idle


def test_a_lost_connection_dooms_what_is_there_and_what_is_under_way() -> None:
    safety = guarded("1")
    under_way, waiting = given(safety, PLACE), safety.arrived(PLACE)
    assert safety.leave(is_clean=False)
    assert safety.doomed == (direct("1"),)
    assert not safety.is_idle
    safety.settled(direct("1"))
    assert not safety.is_idle, "the venue has a command"
    safety.ended(under_way, Done("2"))
    assert safety.doomed == (direct("2"),)
    safety.settled(direct("2"))
    assert safety.is_idle
    safety.ended(waiting, Done("3"))
    assert safety.doomed == (), "it was never given to the venue"


def test_a_clean_end_dooms_nothing_and_disarms() -> None:
    safety = guarded("1")
    safety.ask(cancels_on_disconnect=None, after_s=5, now_s=0)
    under_way = given(safety, PLACE)
    assert not safety.leave(is_clean=True)
    safety.ended(under_way, Done("2"))
    assert (safety.doomed, safety.guarded, safety.deadline_s) == ((), (), None)
    assert safety.is_idle
    assert not safety.shut_down()


def test_a_lost_connection_that_asked_for_the_timer_alone_leaves_it_running() -> None:
    safety = Safety()
    safety.ask(cancels_on_disconnect=None, after_s=5, now_s=10)
    done(safety, PLACE, "1")
    assert not safety.leave(is_clean=False)
    assert not safety.is_idle
    assert not safety.expire(14.9)
    assert safety.expire(15)
    assert safety.doomed == (direct("1"),)


def test_the_timer_is_renewed_kept_and_disarmed() -> None:
    safety = guarded("1")
    safety.ask(cancels_on_disconnect=None, after_s=5, now_s=0)
    safety.ask(cancels_on_disconnect=False, after_s=None, now_s=4)
    assert safety.deadline_s == 5, "what is not named is not renewed"
    safety.ask(cancels_on_disconnect=None, after_s=7, now_s=4)
    assert not safety.expire(10.9)
    safety.ask(cancels_on_disconnect=None, after_s=0, now_s=10.9)
    assert not safety.expire(1_000)
    assert safety.guarded == (direct("1"),)


def test_the_timer_dooms_waiting_orders_but_not_waiting_cancellations_and_nothing_later() -> None:
    safety = guarded("1")
    safety.ask(cancels_on_disconnect=None, after_s=5, now_s=0)
    order = safety.arrived(PLACE)
    cancel = safety.arrived(CancelOrder(portfolio="D1", order_number="1"))
    under_way = given(safety, ReplaceOrder(order_number="1", order=PLACE))
    assert safety.expire(5)
    assert not safety.give(order)
    assert safety.give(cancel)
    safety.ended(under_way, Done("2"))
    assert safety.doomed == (direct("2"),), "the order that it replaced is gone"
    done(safety, PLACE, "3")
    assert safety.guarded == (direct("3"),)
    assert (safety.after_s, safety.fired) == (0, 1)


def test_the_end_of_the_server_dooms_for_a_timer_as_well() -> None:
    safety = Safety()
    done(safety, PLACE, "1")
    assert not safety.shut_down()
    safety.ask(cancels_on_disconnect=None, after_s=5, now_s=0)
    assert safety.shut_down()
    assert safety.doomed == (direct("1"),)
    assert not safety.shut_down(), "once is enough"


def rows(working: str = "", conditionals: str = "", placed: dict[str, str] | None = None) -> PortfolioRows:
    return PortfolioRows(
        "D1", Exchange.MOEX, frozenset(working.split()), frozenset(conditionals.split()), placed or {}
    )


def test_a_look_forgets_what_is_over_and_follows_what_has_fired() -> None:
    safety = guarded("1", "2")
    for number in ("1", "5", "6", "7"):
        done(safety, STOP, number)
    known = safety.guarded
    done(safety, PLACE, "3")
    safety.look(rows("2 90", "1", {"5": "90", "6": "91"}), known)
    assert set(safety.guarded) == {direct("2"), conditional("1"), direct("90"), direct("3")}
    # Rows of another portfolio say nothing.
    safety.look(rows()._replace(portfolio="G1"), safety.guarded)
    assert len(safety.guarded) == 4


def test_a_look_follows_what_has_fired_of_doomed_orders() -> None:
    safety = guarded()
    done(safety, STOP, "5")
    safety.leave(is_clean=False)
    safety.look(rows("90", "", {"5": "90"}), safety.doomed)
    assert safety.doomed == (direct("90"),)


def test_looks_are_wanted_at_twice_what_was_left_and_orders_are_bounded() -> None:
    safety = guarded(*(str(number) for number in range(500)))
    assert safety.wants_look
    safety.look(rows(" ".join(str(number) for number in range(400))), safety.guarded)
    assert not safety.wants_look
    for number in range(400, 799):
        done(safety, PLACE, str(number))
    assert not safety.wants_look
    done(safety, PLACE, "799")
    assert safety.wants_look
    for number in range(800, GUARDED_ORDERS_MAX):
        assert not safety.is_full
        done(safety, PLACE, str(number))
    assert safety.is_full
