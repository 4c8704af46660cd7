"""The market: seeded participants of all instruments, moved forward step by step."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random

from tapewire.market.fair_price import FairPrice
from tapewire.market.floor import Floor
from tapewire.market.maker import Maker
from tapewire.market.taker import Taker
from tapewire.model import Instrument, InstrumentKind

__all__ = ["EVENTS_PER_SECOND_MAX", "PARTICIPANT_MARK", "Market"]

EVENTS_PER_SECOND_MAX = 5_000

#: Market time of one step. Ten milliseconds keep a busy market smooth and a step short.
_STEP_NS = 10_000_000

#: The portfolios of participants begin with it. A venue takes no user's command under such a name.
PARTICIPANT_MARK = "~"

_MAKERS = tuple(f"{PARTICIPANT_MARK}maker-{number}" for number in range(1, 9))
_TAKERS = tuple(f"{PARTICIPANT_MARK}taker-{number}" for number in range(1, 9))

#: Part of the events that are a taker's. The rest builds and clears the book, as on a real exchange, where
#: an order in ten leads to a trade.
_TAKER_PART = 0.1

#: An event whose participants were refused is tried again so often, then left out.
_ATTEMPTS_MAX = 4

#: Value that a participant's largest order has by intent; its lots are bounded as well.
_ORDER_VALUE = 500_000
_ORDER_LOTS_RANGE = (8, 400)


class Market:
    """Keeps a list of instruments alive through a ``Floor``.

    An *event* is one command of a participant that the floor accepted. Which events come is decided by the
    seed, the number of the step and what the floor shows; the clock has no say. Events are spread over the
    instruments by their place in the list, the first being the most active. A step in which nobody else
    trades is therefore the same in every run with the same seed, on every machine.
    """

    def __init__(self, instruments: Sequence[Instrument], *, seed: int, events_per_second: int) -> None:
        """Prepare the participants; nothing is traded yet.

        Args:
            instruments: At least one, the most active first.
            seed: Any whole number; another seed is another market.
            events_per_second: Events of all instruments together per second of market time, 1 to
                ``EVENTS_PER_SECOND_MAX``.

        Raises:
            ValueError: There are no instruments, or the rate is outside its range.
        """
        if not instruments:
            raise ValueError("a market needs at least one instrument")
        if not 1 <= events_per_second <= EVENTS_PER_SECOND_MAX:
            raise ValueError(
                f"events_per_second is {events_per_second}, not between 1 and {EVENTS_PER_SECOND_MAX}"
            )
        self.instruments = tuple(instruments)
        self.events_per_second = events_per_second
        self._seed = seed
        self._crowds = [_Crowd(instrument) for instrument in self.instruments]
        # Activity falls with the place about as traded value does on the real board: of 26 instruments the
        # first has a seventh of all events, the last an eightieth of them.
        self._reach = list(accumulate(1 / (place + 3) for place in range(len(self._crowds))))
        self._random = Random()
        self._next_step = 0

    @property
    def next_step(self) -> int:
        """The number of the step that comes next; step 0 is the opening."""
        return self._next_step

    @property
    def step_s(self) -> float:
        """Market time of one step, seconds."""
        return _STEP_NS / 1e9

    def step(self, floor: Floor) -> int:
        """Let the participants act for one step of market time and return the number of events.

        Step 0 is the opening: it fills all books and takes no time. After it, n steps have brought
        ``events_per_second`` times n times ``step_s`` events, rounded down, unless somebody else has left
        the participants no price to quote.
        """
        step = self._next_step
        self._next_step += 1
        # A fresh start for each step: where a step begins does not depend on how many numbers were drawn
        # before, so a step can be repeated by its number alone.
        self._random.seed(f"{self._seed}/{step}")
        if step == 0:
            return sum(crowd.open(floor, self._random) for crowd in self._crowds)
        events = 0
        for _ in range(self._events_until(step) - self._events_until(step - 1)):
            events += self._pick_crowd().act(floor, self._random)
        return events

    def _events_until(self, step: int) -> int:
        return self.events_per_second * step * _STEP_NS // 1_000_000_000

    def _pick_crowd(self) -> _Crowd:
        # The last sum stays out of the search, so that rounding can never point behind the list.
        return self._crowds[bisect(self._reach, self._random.random() * self._reach[-1], 0, len(self._reach) - 1)]


class _Crowd:
    """The participants of one instrument, who agree on its fair price."""

    def __init__(self, instrument: Instrument) -> None:
        lots_max = _largest_order_lots(instrument)
        self._fair = FairPrice(instrument)
        self._maker = Maker(instrument, _MAKERS, lots_max=lots_max)
        self._taker = Taker(instrument, _TAKERS, lots_max=lots_max)

    def open(self, floor: Floor, random: Random) -> int:
        return self._maker.open(floor, random, self._fair.ticks)

    def act(self, floor: Floor, random: Random) -> bool:
        fair_ticks = self._fair.move(random)
        for _ in range(_ATTEMPTS_MAX):
            participant = self._taker if random.random() < _TAKER_PART else self._maker
            if participant.act(floor, random, fair_ticks):
                return True
        return False


def _largest_order_lots(instrument: Instrument) -> int:
    price = instrument.price(instrument.prev_close_ticks)
    if instrument.kind is InstrumentKind.BOND:
        price = price * instrument.face_value / 100
    low, high = _ORDER_LOTS_RANGE
    return min(max(int(_ORDER_VALUE / (price * instrument.lot_size)), low), high)
