"""The flow of orders of ``matching``: seeded, so that every engine is given the same.

It is made against a book of its own, and so that no difference between the engines' rules can show: a market order
never wants more than there is (one engine lets the rest of it wait at the price 0), only what still rests is
cancelled, and no order meets another one of its account (only tapewire looks at that).
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tapewire.exchange.book import OrderBook
from tapewire.exchange.order import RestingOrder
from tapewire.model import Side

__all__ = ["ACCOUNTS", "DISTANCES", "PREV_CLOSE_TICKS", "Operation", "flow", "name_of", "warm_up"]

ACCOUNTS = 100
PREV_CLOSE_TICKS = 30_000
#: Orders that rest, about, and how far from the middle a limit is then, ticks: mean and deviation. What comes out
#: negative meets the other side.
DISTANCES = {500: 10, 5_000: 100, 20_000: 300}

LOTS_MAX = 20
MARKET_SHARE = 0.1
#: Of the operations, while as many rest as should.
CANCEL_SHARE = 0.35


class Operation(NamedTuple):
    """One order, or one cancellation."""

    #: The order to cancel, by its place among all orders, from 0; None: this places one.
    cancels: int | None
    #: Who places or has placed it, from 0.
    account: int
    buys: bool
    lots: int
    #: None: a market order.
    ticks: int | None


def name_of(account: int) -> str:
    """Return the portfolio of an account."""
    return f"D{70_000 + account}"


def warm_up(resting: int) -> int:
    """Return how many operations fill the book; they are not timed."""
    return 4 * resting


def flow(count: int, resting_orders: int, seed: int = 1) -> list[Operation]:
    """Return so many operations, with those that fill the book before them."""
    distance = DISTANCES[resting_orders]
    random = Random(seed)
    book = OrderBook()
    resting: list[RestingOrder] = []
    operations: list[Operation] = []
    middle = PREV_CLOSE_TICKS
    placed = 0
    while len(operations) < count + warm_up(resting_orders):
        drawn = random.random()
        if resting and drawn < CANCEL_SHARE * len(resting) / resting_orders:
            order = _pick(random, resting)
            if order.lots:
                book.withdraw(order)
                operations.append(
                    Operation(order.id, int(order.account), order.side is Side.BUY, order.lots, None)
                )
            continue
        middle += random.choice((-1, 0, 0, 0, 1))
        side = random.choice((Side.BUY, Side.SELL))
        lots = random.randint(1, LOTS_MAX)
        away = round(random.gauss(distance, distance))
        ticks = middle - away if side is Side.BUY else middle + away
        is_market = random.random() < MARKET_SHARE
        if is_market:
            ticks = PREV_CLOSE_TICKS * 2 if side is Side.BUY else 1
            if book.total_lots(side.opposite) < lots:
                continue
        account = random.randrange(ACCOUNTS)
        while book.reach(side, ticks, lots, str(account))[1]:
            account = random.randrange(ACCOUNTS)
        operations.append(Operation(None, account, side is Side.BUY, lots, None if is_market else ticks))
        remaining_lots = lots - sum(fill.lots for fill in book.match(side, ticks, lots))
        if remaining_lots:
            order = RestingOrder(placed, str(account), 0, side, ticks, remaining_lots)
            book.rest(order)
            resting.append(order)
        placed += 1
    return operations


def _pick(random: Random, orders: list[RestingOrder]) -> RestingOrder:
    """Take any order out of the list; it may have been filled since it came."""
    position = random.randrange(len(orders))
    orders[position], orders[-1] = orders[-1], orders[position]
    return orders.pop()
