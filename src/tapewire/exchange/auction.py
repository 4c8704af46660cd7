"""Auctions: orders gather, then all that can trade trades at one price."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

__all__ = ["Uncrossing", "uncrossing"]


class Uncrossing(NamedTuple):
    """What an auction comes to."""

    price_ticks: int
    lots: int


def uncrossing(
    bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]], reference_ticks: int
) -> Uncrossing | None:
    """Return the one price of an auction and how much trades at it; None if bids and asks do not meet.

    The price is the one at which most lots trade; among those the one that leaves the least surplus; among
    those the one nearest to ``reference_ticks``; of two equally near the lower.

    Args:
        bids: Limits and lots of all that is bid, in any order; market orders at the worst price they may have.
        asks: The same of all that is asked.
        reference_ticks: The last price.
    """
    bids, asks = sorted(bids), sorted(asks)
    if not bids or not asks or bids[-1][0] < asks[0][0]:
        return None
    bid_prices, ask_prices = [price for price, _ in bids], [price for price, _ in asks]
    bid_lots = [0, *accumulate(lots for _, lots in bids)]
    ask_lots = [0, *accumulate(lots for _, lots in asks)]

    def terms(price: int) -> tuple[int, int, int, int]:
        demand = bid_lots[-1] - bid_lots[bisect_left(bid_prices, price)]
        supply = ask_lots[bisect_right(ask_prices, price)]
        return -min(demand, supply), abs(demand - supply), abs(price - reference_ticks), price

    # What trades changes only at the prices of orders. So in each stretch without one the best price is the
    # reference or an end of the stretch, which is next to an order's price.
    low, high = ask_prices[0], bid_prices[-1]
    candidates = {min(max(reference_ticks, low), high)}
    for price in {*bid_prices, *ask_prices}:
        candidates.update(near for near in (price - 1, price, price + 1) if low <= near <= high)
    best = min(map(terms, candidates))
    return Uncrossing(best[3], -best[0])
