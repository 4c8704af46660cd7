import pytest

from tapewire.exchange import ConditionalOrder
from tapewire.exchange.deadlines import Deadlines
from tapewire.exchange.watch import Watch
from tapewire.model import Condition
from trading import BUY, place

SECOND = 10**9


def order(number, condition, trigger, protecting_s=None):
    return ConditionalOrder(
        id=number,
        order=place(BUY, 1, None),
        condition=condition,
        trigger_ticks=trigger,
        protecting_s=protecting_s,
        is_active=True,
        created_at_ns=0,
        updated_at_ns=0,
        expires_at_ns=None,
    )


@pytest.mark.parametrize(
    ("condition", "fires", "waits"),
    [
        (Condition.MORE, 101, 100),
        (Condition.MORE_OR_EQUAL, 100, 99),
        (Condition.LESS, 99, 100),
        (Condition.LESS_OR_EQUAL, 100, 101),
    ],
)
def test_a_condition_holds_from_its_edge_on(condition, fires, waits):
    watch = Watch(Deadlines())

    assert not watch.add(order(1, condition, 100), waits, 0)
    assert watch.printed(waits, 0) == []
    assert watch.printed(fires, 0) == [1]
    assert watch.add(order(2, condition, 100), fires, 0)


def test_of_several_the_lower_number_comes_first():
    watch = Watch(Deadlines())
    for number, trigger in ((3, 100), (1, 98), (2, 103)):
        watch.add(order(number, Condition.MORE, trigger), None, 0)
    watch.add(order(4, Condition.LESS, 110), None, 0)

    assert watch.printed(102, 0) == [1, 3, 4]


def test_a_break_starts_the_count_anew():
    ripening = Deadlines()
    watch = Watch(ripening)
    kept = order(1, Condition.MORE, 100, protecting_s=5)
    watch.add(kept, None, 0)

    watch.printed(101, 1 * SECOND)
    assert ripening.first_ns() == 6 * SECOND
    watch.printed(100, 2 * SECOND)
    assert ripening.first_ns() is None
    assert kept.holds_since_ns is None
    watch.printed(105, 3 * SECOND)
    watch.printed(104, 4 * SECOND)
    assert ripening.first_ns() == 8 * SECOND


def test_what_had_held_long_enough_fires_though_the_trade_that_shows_it_breaks_it():
    watch = Watch(Deadlines())
    watch.add(order(1, Condition.MORE, 100, protecting_s=5), 101, 0)

    assert watch.printed(99, 5 * SECOND) == [1]


def test_a_removed_order_is_not_heard_of_again():
    ripening = Deadlines()
    watch = Watch(ripening)
    waiting, held = order(1, Condition.MORE, 100), order(2, Condition.LESS, 100, protecting_s=1)
    watch.add(waiting, 99, 0)
    watch.add(held, 99, 0)
    assert len(watch) == 2

    watch.remove(waiting)
    watch.remove(held)

    assert len(watch) == 0
    assert watch.printed(101, 0) == []
    assert watch.ripe(10 * SECOND) == []
    assert ripening.first_ns() is None
