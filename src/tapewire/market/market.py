"""The market: seeded participants of all instruments, moved forward step by step."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random

from tapewire.market.activity import WINDOW_S, Pace, pace_of
from tapewire.market.fair_price import FairPrice
from tapewire.market.floor import Floor
from tapewire.market.maker import Maker
from tapewire.market.phase import Phase
from tapewire.market.state import CrowdState, MarketState
from tapewire.market.taker import Taker
from tapewire.model import Instrument

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

#: Measured on this market, with any instrument: trades that an event leads to, and the size of a trade as a
#: part of the largest order.
_TRADES_PER_EVENT = 0.157
_TRADE_PART = 0.130

_ORDER_LOTS_MIN = 8


class Market:
    """Keeps a list of instruments alive through a ``Floor``.

    An *event* is one command of a participant that the floor accepted. Which events come is decided by the
    seed, the number of the step and what the floor shows; the clock has no say. Events are spread over the
    instruments as trades are on the real exchange, see ``market.activity``. A step in which nobody else
    trades is therefore the same in every run with the same seed, on every machine.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        *,
        seed: int,
        events_per_second: int | None = None,
        speed: float = 1.0,
    ) -> None:
        """Prepare the participants; nothing is traded yet.

        Args:
            instruments: At least one.
            seed: Any whole number; another seed is another market.
            events_per_second: Events of all instruments together per second of market time, 1 to
                ``EVENTS_PER_SECOND_MAX``. None: the calibrated rate times ``speed``; at speed 1 each
                instrument trades at its usual pace.
            speed: Above 0. It says nothing beside an explicit rate.

        Raises:
            ValueError: There are no instruments, or a rate or speed is outside its range.
        """
        if not instruments:
            raise ValueError("a market needs at least one instrument")
        self.instruments = tuple(instruments)
        paces = [pace_of(instrument.symbol) for instrument in self.instruments]
        self.events_per_second = _rate(paces, events_per_second, speed)
        self.seed = seed
        self._crowds = [
            _Crowd(instrument, max(round(pace.lots_per_trade / _TRADE_PART), _ORDER_LOTS_MIN))
            for instrument, pace in zip(self.instruments, paces, strict=True)
        ]
        self._reach = list(accumulate(pace.trades_per_window for pace in paces))
        self._random = Random()
        self._next_step = 0
        #: Crowds that have still to fill their book: all, or those whose trading begins later.
        self._to_open = list(self._crowds)

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
        due = self._events_until(step) - self._events_until(step - 1) if step else 0
        if not due and not any(crowd.may_trade for crowd in self._to_open):
            return 0
        # A fresh start for each step: where a step begins does not depend on how many numbers were drawn
        # before, so a step can be repeated by its number alone.
        self._random.seed(f"{self.seed}/{step}")
        events = 0
        for crowd in [crowd for crowd in self._to_open if crowd.may_trade]:
            self._to_open.remove(crowd)
            events += crowd.open(floor, self._random)
        for _ in range(due):
            events += self._pick_crowd().act(floor, self._random)
        return events

    def anchor(
        self, position: int, close_ticks: int, band_ticks: tuple[int, int], last_ticks: int | None = None
    ) -> None:
        """Tell the participants of an instrument the last close and the price limits of a new day.

        Args:
            position: The instrument's place in the list.
            close_ticks: Their prices are drawn to it.
            band_ticks: The lowest and the highest price that an order may carry.
            last_ticks: What they think it worth now; None: what they thought before.
        """
        self._crowds[position].anchor(close_ticks, band_ticks, last_ticks)

    def enter(self, position: int, phase: Phase) -> None:
        """Tell the participants of an instrument what they may do from now on."""
        self._crowds[position].phase = phase

    def state(self) -> MarketState:
        """Return a copy of all that the participants know; seed and rate are the market's settings."""
        return MarketState(
            next_step=self._next_step,
            crowds=tuple(crowd.state(is_to_open=crowd in self._to_open) for crowd in self._crowds),
        )

    def restore(self, state: MarketState) -> None:
        """Go on where a market of the same instruments stood, whatever its settings were.

        Raises:
            ValueError: It had another number of instruments; nothing has changed.
        """
        if len(state.crowds) != len(self._crowds):
            raise ValueError(f"the state has {len(state.crowds)} instruments, the market {len(self._crowds)}")
        self._next_step = state.next_step
        for crowd, before in zip(self._crowds, state.crowds, strict=True):
            crowd.restore(before)
        self._to_open = [
            crowd for crowd, before in zip(self._crowds, state.crowds, strict=True) if before.is_to_open
        ]

    def _events_until(self, step: int) -> int:
        return self.events_per_second * step * _STEP_NS // 1_000_000_000

    def _pick_crowd(self) -> _Crowd:
        # The last sum stays out of the search, so that rounding can never point behind the list.
        return self._crowds[bisect(self._reach, self._random.random() * self._reach[-1], 0, len(self._reach) - 1)]


class _Crowd:
    """The participants of one instrument, who agree on its fair price."""

    def __init__(self, instrument: Instrument, lots_max: int) -> None:
        self._fair = FairPrice(instrument)
        self._maker = Maker(instrument, _MAKERS, lots_max=lots_max)
        self._taker = Taker(instrument, _TAKERS, lots_max=lots_max)
        self.phase = Phase.CONTINUOUS

    @property
    def may_trade(self) -> bool:
        return self.phase is Phase.CONTINUOUS

    def anchor(self, close_ticks: int, band_ticks: tuple[int, int], last_ticks: int | None) -> None:
        if last_ticks is not None:
            self._fair.ticks = float(last_ticks)
        self._fair.anchor(close_ticks, band_ticks)
        self._maker.band_ticks = band_ticks

    def state(self, *, is_to_open: bool) -> CrowdState:
        return CrowdState(
            phase=self.phase,
            is_to_open=is_to_open,
            fair_ticks=self._fair.ticks,
            close_ticks=self._fair.close_ticks,
            band_ticks=self._maker.band_ticks,
            own=self._maker.own,
        )

    def restore(self, state: CrowdState) -> None:
        self.phase = state.phase
        self._fair.anchor(state.close_ticks, state.band_ticks)
        self._fair.ticks = state.fair_ticks
        self._maker.band_ticks = state.band_ticks
        self._maker.own = state.own

    def open(self, floor: Floor, random: Random) -> int:
        return self._maker.open(floor, random, self._fair.ticks)

    def act(self, floor: Floor, random: Random) -> bool:
        if self.phase is Phase.CLOSED:
            return False
        fair_ticks = self._fair.move(random)
        if self.phase is Phase.GATHERING:
            return any(self._maker.gather(floor, random, fair_ticks) for _ in range(_ATTEMPTS_MAX))
        for _ in range(_ATTEMPTS_MAX):
            participant = self._taker if random.random() < _TAKER_PART else self._maker
            if participant.act(floor, random, fair_ticks):
                return True
        return False


def _rate(paces: Sequence[Pace], asked: int | None, speed: float) -> int:
    if not speed > 0:
        raise ValueError(f"speed is {speed}, not above 0")
    usual = sum(pace.trades_per_window for pace in paces) / WINDOW_S / _TRADES_PER_EVENT
    # Even the quietest market at the lowest speed has an event a second: less would look like a fault.
    rate = max(round(usual * speed), 1) if asked is None else asked
    if not 1 <= rate <= EVENTS_PER_SECOND_MAX:
        raise ValueError(f"events_per_second is {rate}, not between 1 and {EVENTS_PER_SECOND_MAX}")
    return rate
