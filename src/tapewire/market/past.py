"""What happened before the venue's first moment: made up from the seed when somebody looks, always the same.

::

    years ── split ──> days ── split ──> hours ── split ──> minutes ── split ──> trades

Each level is taken apart from the one above (``market.split``), so a day's bar is the sum of its minutes
without anybody having to add them up, and no stretch of time depends on what was looked at before. The years
are walked backwards from the previous close; the part of the first day that lies before the venue's start ends
with that price, from which the live market goes on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import date
from random import Random

from tapewire.market.activity import WINDOW_S, pace_of
from tapewire.market.split import Part, PastTrade, split, trades_of
from tapewire.market.tick_bar import TickBar
from tapewire.market.trading_hours import AROUND_THE_CLOCK, TradingHours
from tapewire.model import DAY_S, MOSCOW_OFFSET_S, Instrument, InstrumentKind, trading_day

__all__ = ["CACHED_BARS_MAX", "HOUR_S", "MINUTE_S", "Past"]

MINUTE_S = 60
HOUR_S = 3_600

#: Bars kept after somebody has looked, for all instruments; about 200 bytes each.
CACHED_BARS_MAX = 60_000

#: First years of history. A contract lives for some two years; the bonds were issued in 2021.
_FIRST_YEARS = {
    InstrumentKind.SHARE: 2010,
    InstrumentKind.CURRENCY: 2010,
    InstrumentKind.BOND: 2021,
}
_DERIVATIVE_YEARS = 1

#: How far a price travels in a year, as a part of it.
_YEARLY_REACH = {
    InstrumentKind.SHARE: 0.35,
    InstrumentKind.FUTURE: 0.15,
    InstrumentKind.CURRENCY: 0.15,
    InstrumentKind.BOND: 0.08,
    InstrumentKind.OPTION: 0.5,
}

#: The span of the unfinished first day, as a part of the way to the edge of the price band.
_TODAY_PART = 0.08

#: No price falls below so many ticks, however far back one looks.
_TICKS_MIN = 200

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class Past:
    """The seeded past of a list of instruments, up to one moment. Bounded memory, all calls return at once.

    Args:
        instruments: Named by their positions in this list.
        seed: Another seed is another past.
        until_s: The venue's first moment ever, Unix s; the past ends with the last whole minute before it.
        hours: Nothing was ever traded outside of them.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        *,
        seed: int,
        until_s: int,
        hours: TradingHours = AROUND_THE_CLOCK,
    ) -> None:
        #: The past's end: a whole minute, Unix s.
        self.until_s = until_s // MINUTE_S * MINUTE_S
        self._instruments = tuple(instruments)
        self._seed = seed
        self._hours = hours
        self._today = trading_day(self.until_s)
        self._random = Random()
        self._cache: OrderedDict[tuple[int, int, int], list[TickBar]] = OrderedDict()
        self._cached_bars = 0

    def today(self, position: int) -> TickBar | None:
        """Return the bar of the part of the first day that is past; None if there was no trading in it."""
        minutes = self._minutes_open(position, self._today, 0, 1_440)
        if not minutes:
            return None
        instrument = self._instruments[position]
        self._begin(position, "today", self._today)
        close = instrument.prev_close_ticks
        low, high = instrument.price_band_ticks
        reach = max(int(min(high - close, close - low) * _TODAY_PART), 1)
        opens = close + int((self._random.random() - 0.5) * reach)
        return TickBar(
            self._today * DAY_S,
            opens,
            max(opens, close) + int(self._random.random() * reach),
            min(opens, close) - int(self._random.random() * reach),
            close,
            self._lots(position, minutes),
        )

    def bars_before(self, position: int, base_s: int, until_s: int) -> Iterator[list[TickBar]]:
        """Yield all bars of a base interval that open before ``until_s``, in pieces, newest piece first.

        Pieces are made when they are asked for, in about a millisecond each, and hold their bars oldest
        first. A piece may be empty; the last one is that of the first day of history.

        Args:
            position: The instrument.
            base_s: A day, ``HOUR_S`` or ``MINUTE_S``.
            until_s: Unix s.
        """
        for year in range(self._year_of(self._today), self._first_year(position) - 1, -1):
            if _day_of(year) * DAY_S >= until_s:
                continue
            days = self._days(position, year)
            if base_s == DAY_S:
                yield [bar for bar in days if bar.time_s < until_s]
                continue
            for day in reversed(days):
                if day.time_s - MOSCOW_OFFSET_S >= until_s:
                    continue
                hours = self._hours_of(position, day)
                if base_s == HOUR_S:
                    yield [bar for bar in hours if bar.time_s < until_s]
                    continue
                for hour in reversed(hours):
                    if hour.time_s < until_s:
                        yield [bar for bar in self._minutes_of(position, hour) if bar.time_s < until_s]

    def trades_before(self, position: int, until_s: int) -> Iterator[list[PastTrade]]:
        """Yield all trades before ``until_s``, a minute at a time: newest minute first, oldest trade first."""
        pace = pace_of(self._instruments[position].symbol)
        for minutes in self.bars_before(position, MINUTE_S, until_s):
            for minute in reversed(minutes):
                self._begin(position, "trades", minute.time_s)
                yield trades_of(minute, pace.lots_per_trade, self._random)

    def _years(self, position: int) -> list[TickBar]:
        """Return the bars of all years, oldest first; the last one ends with the day before the first day."""
        cached = self._cached(position, 0, 0)
        if cached is not None:
            return cached
        instrument = self._instruments[position]
        reach = _YEARLY_REACH[instrument.kind]
        years = []
        close = instrument.prev_close_ticks
        for year in range(self._year_of(self._today), self._first_year(position) - 1, -1):
            minutes = sum(part.weight for part in self._day_parts(position, year))
            if not minutes:
                continue
            self._begin(position, "year", year)
            opens = max(int(close * (1 + (self._random.random() * 1.8 - 1) * reach)), _TICKS_MIN)
            high = int(max(opens, close) * (1 + (0.1 + self._random.random()) * reach / 2))
            low = int(min(opens, close) * (1 - (0.1 + self._random.random()) * reach / 2))
            years.append(TickBar(_day_of(year) * DAY_S, opens, high, low, close, self._lots(position, minutes)))
            close = opens
        years.reverse()
        return self._keep(position, 0, 0, years)

    def _days(self, position: int, year: int) -> list[TickBar]:
        opening_s = _day_of(year) * DAY_S
        cached = self._cached(position, DAY_S, opening_s)
        if cached is not None:
            return cached
        days: list[TickBar] = []
        whole = next((bar for bar in self._years(position) if bar.time_s == opening_s), None)
        if whole is not None:
            parts = self._day_parts(position, year)
            self._begin(position, "days", year)
            days = split(whole, parts, self._random)
        if year == self._year_of(self._today):
            today = self.today(position)
            if today is not None:
                days.append(today)
        return self._keep(position, DAY_S, opening_s, days)

    def _hours_of(self, position: int, day: TickBar) -> list[TickBar]:
        cached = self._cached(position, HOUR_S, day.time_s)
        if cached is not None:
            return cached
        number = day.time_s // DAY_S
        midnight_s = day.time_s - MOSCOW_OFFSET_S
        parts = [
            Part(midnight_s + hour * HOUR_S, minutes)
            for hour in range(24)
            if (minutes := self._minutes_open(position, number, hour * 60, hour * 60 + 60))
        ]
        self._begin(position, "hours", number)
        return self._keep(position, HOUR_S, day.time_s, split(day, parts, self._random))

    def _minutes_of(self, position: int, hour: TickBar) -> list[TickBar]:
        cached = self._cached(position, MINUTE_S, hour.time_s)
        if cached is not None:
            return cached
        day = trading_day(hour.time_s)
        midnight_s = day * DAY_S - MOSCOW_OFFSET_S
        first = (hour.time_s - midnight_s) // 60
        parts = [
            Part(midnight_s + minute * 60, 1) for minute in self._open_minutes(position, day, first, first + 60)
        ]
        self._begin(position, "minutes", hour.time_s)
        return self._keep(position, MINUTE_S, hour.time_s, split(hour, parts, self._random))

    def _day_parts(self, position: int, year: int) -> list[Part]:
        last = min(_day_of(year + 1), self._today)
        return [
            Part(day * DAY_S, minutes)
            for day in range(_day_of(year), last)
            if (minutes := self._minutes_open(position, day, 0, 1_440))
        ]

    def _open_minutes(self, position: int, day: int, since: int, until: int) -> Sequence[int]:
        market = self._instruments[position].market
        return self._hours.open_minutes(market, day, since, self._bound(day, since, until))

    def _minutes_open(self, position: int, day: int, since: int, until: int) -> int:
        market = self._instruments[position].market
        return self._hours.minutes_open(market, day, since, self._bound(day, since, until))

    def _bound(self, day: int, since: int, until: int) -> int:
        """Return where a stretch of minutes of a day ends: on the first day not behind the venue's start."""
        if day != self._today:
            return until
        minute = (self.until_s - (day * DAY_S - MOSCOW_OFFSET_S)) // 60
        return max(min(until, minute), since)

    def _lots(self, position: int, minutes: int) -> int:
        pace = pace_of(self._instruments[position].symbol)
        usual = pace.trades_per_window * pace.lots_per_trade * 60 / WINDOW_S * minutes
        return max(int(usual * (0.7 + 0.6 * self._random.random())), 4)

    def _first_year(self, position: int) -> int:
        this_year = self._year_of(self._today)
        kind = self._instruments[position].kind
        return min(_FIRST_YEARS.get(kind, this_year - _DERIVATIVE_YEARS), this_year - _DERIVATIVE_YEARS)

    def _year_of(self, day: int) -> int:
        return date.fromordinal(_EPOCH_ORDINAL + day).year

    def _begin(self, position: int, level: str, key: int) -> None:
        # Every piece begins anew, so it is the same whatever was looked at before.
        exchange, symbol, board = self._instruments[position].key
        self._random.seed(f"{self._seed}/past/{exchange}/{symbol}/{board}/{level}/{key}")

    def _cached(self, position: int, level_s: int, opening_s: int) -> list[TickBar] | None:
        bars = self._cache.get((position, level_s, opening_s))
        if bars is not None:
            self._cache.move_to_end((position, level_s, opening_s))
        return bars

    def _keep(self, position: int, level_s: int, opening_s: int, bars: list[TickBar]) -> list[TickBar]:
        self._cache[position, level_s, opening_s] = bars
        self._cached_bars += len(bars)
        while self._cached_bars > CACHED_BARS_MAX and len(self._cache) > 1:
            self._cached_bars -= len(self._cache.popitem(last=False)[1])
        return bars


def _day_of(year: int) -> int:
    return date(year, 1, 1).toordinal() - _EPOCH_ORDINAL
