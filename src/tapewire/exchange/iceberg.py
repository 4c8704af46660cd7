"""Icebergs: how much of an order shows, and when the next part comes up."""

from __future__ import annotations

from tapewire.exchange.command import Place
from tapewire.exchange.order import Iceberg, RestingOrder

__all__ = ["ICEBERG_PARTS_MAX", "ICEBERG_VARIANCE_PERCENT_MAX", "dive", "part_lots", "surface"]

#: An order shows at least this part of its size at a time: an order of another account that eats a whole
#: iceberg makes no more trades than this, give or take the variance.
ICEBERG_PARTS_MAX = 100

ICEBERG_VARIANCE_PERCENT_MAX = 20

_WORD = (1 << 64) - 1


def dive(order: RestingOrder, place: Place) -> None:
    """Let a new resting order show only the first part of what is left of it."""
    assert place.visible_lots is not None, "the caller knows an iceberg when it sees one"
    order.iceberg = Iceberg(place.visible_lots, place.visible_variance_percent, order.lots)
    order.lots = 0
    surface(order)


def surface(order: RestingOrder) -> int:
    """Bring up the next part of an order whose shown part is used up; return its lots, 0 if nothing is left."""
    iceberg = order.iceberg
    if iceberg is None or not iceberg.hidden_lots:
        return 0
    wanted = part_lots(order.id, iceberg.parts, iceberg.visible_lots, iceberg.variance_percent)
    shown = min(wanted, iceberg.hidden_lots)
    iceberg.hidden_lots -= shown
    iceberg.part_lots = shown
    iceberg.parts += 1
    order.lots = shown
    return shown


def part_lots(order_id: int, part: int, visible_lots: int, variance_percent: int) -> int:
    """Return the size of a visible part, counted from 0: the ordered size, give or take the variance.

    The order's number decides the deviation, so that it looks random and is the same in every run.
    """
    reach = visible_lots * variance_percent // 100
    if not reach:
        return visible_lots
    return visible_lots - reach + _mixed(order_id * 2_654_435_761 + part) % (2 * reach + 1)


def _mixed(number: int) -> int:
    # The finalizer of splitmix64: neighbouring numbers come out unlike each other.
    number = (number + 0x9E3779B97F4A7C15) & _WORD
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _WORD
    return number ^ (number >> 31)
