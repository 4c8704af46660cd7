"""Takes a bar apart into finer bars, or into trades, that add up to it exactly.

That is how the seeded past agrees with itself on all timeframes: a coarse bar comes first, and whoever looks
closer gets parts of it. Additions, multiplications and square roots only, which are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from random import Random
from typing import NamedTuple

from tapewire.market.tick_bar import TickBar
from tapewire.model import Side

__all__ = ["LOTS_MIN", "Part", "PastTrade", "split", "trades_of"]

#: A bar of so many lots can show four different prices, a trade each: open, high, low, close. Every part has
#: at least as many, so that it can be taken apart again.
LOTS_MIN = 4

#: A random walk of n steps with deviation d spans about 1.6 d √n from its lowest to its highest point.
_SPAN = 1.6

#: What a part reaches beyond its open and close on either side, in deviations of a step.
#: Never nothing: a quiet hour of a lively day is not dead, and neither are its minutes.
_WICK_MIN, _WICK_MAX = 0.1, 0.5

#: A minute holds 6,000 of these slots; a trade has one for itself.
_SLOT_NS = 10_000_000
_SLOTS = 6_000
_TRADES_MAX = 1_500


class Part(NamedTuple):
    """A place for a finer bar: its opening, and how much of the trading it would have by itself."""

    time_s: int
    weight: int


class PastTrade(NamedTuple):
    """A trade of the seeded past."""

    at_ns: int
    price_ticks: int
    lots: int
    aggressor: Side


def split(whole: TickBar, parts: Sequence[Part], random: Random) -> list[TickBar]:
    """Return bars in some or all of the places, oldest first, whose sum is ``whole``.

    Args:
        whole: At least ``LOTS_MIN`` lots, or it goes into one place as it is.
        parts: At least one, in order of time.
        random: Decides; it is advanced.
    """
    count = max(1, min(len(parts), whole.lots // (2 * LOTS_MIN)))
    chosen = [parts[place] for place in _spread(len(parts), count, random)]
    if count == 1:
        only = whole.copy()
        only.time_s = chosen[0].time_s
        return [only]
    lots = _shares(whole.lots, [part.weight * (0.3 + random.random()) for part in chosen], LOTS_MIN)
    deviation = (whole.high_ticks - whole.low_ticks) / (_SPAN * sqrt(count))
    points = _walk(whole, count, deviation, random)
    bars = []
    for place, part in enumerate(chosen):
        opens, closes = points[place], points[place + 1]
        high = max(opens, closes) + _wick(deviation, random)
        low = min(opens, closes) - _wick(deviation, random)
        bars.append(
            TickBar(
                part.time_s,
                opens,
                min(high, whole.high_ticks),
                max(low, whole.low_ticks),
                closes,
                lots[place],
            )
        )
    # The first of those that come nearest becomes the extreme.
    max(bars, key=lambda bar: bar.high_ticks).high_ticks = whole.high_ticks
    min(bars, key=lambda bar: bar.low_ticks).low_ticks = whole.low_ticks
    return bars


def trades_of(minute: TickBar, lots_per_trade: float, random: Random) -> list[PastTrade]:
    """Return trades, oldest first, of which ``minute`` is the bar.

    Their times are multiples of 10 ms within the minute and all different.

    Args:
        minute: At least ``LOTS_MIN`` lots, or open, high, low and close need fewer trades than it has lots.
        lots_per_trade: The size that trades have on average, as far as the bar's prices allow.
        random: Decides; it is advanced.
    """
    turns = _turns(minute, random)
    count = max(len(turns), min(round(minute.lots / lots_per_trade), minute.lots, _TRADES_MAX))
    prices = _prices(turns, count, minute, random)
    lots = _shares(minute.lots, [random.random() * random.random() + 0.01 for _ in prices], 1)
    trades = []
    before = minute.open_ticks
    side = Side.BUY if random.random() < 0.5 else Side.SELL
    for slot, price, size in zip(_spread(_SLOTS, count, random), prices, lots, strict=True):
        # A trade at the same price hits the same side of the book as the one before.
        if price != before:
            side = Side.BUY if price > before else Side.SELL
        trades.append(PastTrade(minute.time_s * 1_000_000_000 + slot * _SLOT_NS, price, size, side))
        before = price
    return trades


def _spread(places: int, count: int, random: Random) -> list[int]:
    """Return ``count`` different places of so many, ascending: one of each of ``count`` equal stretches."""
    edges = [number * places // count for number in range(count + 1)]
    return [low + int(random.random() * (high - low)) for low, high in pairwise(edges)]


def _shares(lots: int, weights: Sequence[float], least: int) -> list[int]:
    """Divide lots by weight, ``least`` to each at least; the shares sum to ``lots``."""
    rest = lots - least * len(weights)
    scale = rest / sum(weights)
    shares = []
    given, reached = 0, 0.0
    for weight in weights:
        reached += weight
        until = min(int(reached * scale), rest)
        shares.append(least + until - given)
        given = until
    shares[-1] += rest - given
    return shares


def _walk(whole: TickBar, steps: int, deviation: float, random: Random) -> list[int]:
    """Return the ``steps + 1`` prices of a walk from open to close that stays between low and high."""
    reach = deviation * sqrt(3.0)  # a uniform step of this half-width has the deviation
    walk = [0.0]
    for _ in range(steps):
        walk.append(walk[-1] + (2 * random.random() - 1) * reach)
    drift = (whole.close_ticks - whole.open_ticks - walk[-1]) / steps
    low, high = whole.low_ticks, whole.high_ticks
    points = [
        _reflected(round(whole.open_ticks + gone + drift * step), low, high) for step, gone in enumerate(walk)
    ]
    points[0], points[-1] = whole.open_ticks, whole.close_ticks
    return points


def _reflected(ticks: int, low: int, high: int) -> int:
    """Return a price that has left its bounds as it comes back from them: stopped there, it would stand still."""
    if low == high:
        return low
    period = 2 * (high - low)
    gone = (ticks - low) % period
    return low + min(gone, period - gone)


def _wick(deviation: float, random: Random) -> int:
    """Return how far a bar reaches beyond its open and close, ticks; of less than one, now and then one."""
    reach = (_WICK_MIN + (_WICK_MAX - _WICK_MIN) * random.random()) * deviation
    return int(reach + random.random())


def _turns(bar: TickBar, random: Random) -> list[int]:
    """Return the prices that must be traded, in order: open, the two extremes, close, repetitions left out."""
    extremes = [bar.high_ticks, bar.low_ticks]
    if random.random() < 0.5:
        extremes.reverse()
    turns = [bar.open_ticks]
    for ticks in (*extremes, bar.close_ticks):
        if ticks != turns[-1]:
            turns.append(ticks)
    return turns


def _prices(turns: Sequence[int], count: int, bar: TickBar, random: Random) -> list[int]:
    """Return ``count`` prices that pass through the turns, beginning with the first, ending with the last."""
    if len(turns) == 1:
        return [turns[0]] * count
    legs = len(turns) - 1
    prices = [turns[0]]
    done = 0
    for leg, (begins, ends) in enumerate(pairwise(turns), 1):
        until = leg * (count - 1) // legs
        steps = until - done
        for step in range(1, steps):
            ticks = begins + (ends - begins) * step // steps + int(3 * random.random()) - 1
            prices.append(min(max(ticks, bar.low_ticks), bar.high_ticks))
        prices.append(ends)
        done = until
    return prices
