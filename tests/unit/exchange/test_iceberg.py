from tapewire.exchange import RestingOrder
from tapewire.exchange.iceberg import dive, part_lots, surface
from trading import SELL, place


def test_parts_come_up_until_nothing_is_left():
    order = RestingOrder(1, "A", 0, SELL, 1000, 10)
    dive(order, place(SELL, 12, 1000, visible_lots=4))

    shown = [order.lots]
    while surface(order):
        shown.append(order.lots)

    assert shown == [4, 4, 2]
    assert (order.iceberg.hidden_lots, order.iceberg.parts, order.iceberg.part_lots) == (0, 3, 2)


def test_an_order_without_a_hidden_part_has_nothing_to_show():
    assert surface(RestingOrder(1, "A", 0, SELL, 1000, 10)) == 0


def test_a_variance_stays_in_its_reach_uses_all_of_it_and_is_the_same_every_time():
    sizes = [part_lots(order_id, part, 50, 20) for order_id in range(40) for part in range(40)]

    assert min(sizes) == 40
    assert max(sizes) == 60
    assert len(set(sizes)) == 21
    assert abs(sum(sizes) / len(sizes) - 50) < 1
    assert sizes == [part_lots(order_id, part, 50, 20) for order_id in range(40) for part in range(40)]


def test_a_variance_of_less_than_a_lot_is_none():
    assert {part_lots(order_id, 0, 4, 20) for order_id in range(99)} == {4}
