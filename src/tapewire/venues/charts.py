"""All bars of one instrument that somebody wants, and the base bars from which others are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from tapewire.market import MINUTE_S, TickBar, fold
from tapewire.model import DAY_S, bar_ends_s, bar_opening_s
from tapewire.venues.chart import Chart, FinishedBar
from tapewire.venues.intervals import check_room
from tapewire.venues.past_bars import PastBars
from tapewire.venues.tape import Print, Tape

__all__ = ["BASE_INTERVALS_S", "DAYS_MAX", "MINUTES_MAX", "Charts"]

#: Bars that are always made, whoever wants them: all others are sums of these, or of trades.
BASE_INTERVALS_S = (MINUTE_S, DAY_S)

#: Final base bars kept in memory: minutes of a day, days of a year. Older ones are in the archive.
MINUTES_MAX = 1_440
DAYS_MAX = 366


class Charts:
    """The base charts of an instrument and those that are opened; each trade updates them all.

    A chart that is opened late begins with the whole of its running bar, from memory and the seeded past. One
    exception: a bar of an interval that is no number of minutes, whose beginning is older than the tape, is
    made of whole minutes as far as the tape does not reach.
    """

    def __init__(
        self,
        tape: Tape,
        now_s: int,
        past: PastBars | None = None,
        *,
        minutes: Sequence[TickBar] = (),
        days: Sequence[TickBar] = (),
    ) -> None:
        """Begin with the bars of earlier starts.

        Args:
            tape: The trades of this instrument; they are on it before they come here.
            now_s: Decides which of the newest bars still run, Unix s.
            past: What lies before the first of all starts; None: nothing.
            minutes: Own minutes, oldest first; the last one may still run. Taken over.
            days: Own days, oldest first; the last one may still run. Taken over.
        """
        self._tape = tape
        self._past = past
        self._finals: dict[int, deque[TickBar]] = {}
        self._charts: dict[int, Chart] = {}
        for interval_s, bars, kept in ((MINUTE_S, minutes, MINUTES_MAX), (DAY_S, days, DAYS_MAX)):
            newest = bars[-1] if bars else None
            chart = self._charts[interval_s] = Chart(interval_s, newest, 0, now_s)
            self._finals[interval_s] = deque(bars[:-1] if chart.running else bars, maxlen=kept)

    @property
    def intervals(self) -> Iterable[int]:
        """The intervals of which bars are kept."""
        return self._charts

    def open(self, interval_s: int, now_s: int) -> None:
        """Begin to keep bars of an interval; opening it again does nothing.

        Raises:
            TooManyStreamsError: ``INTERVALS_MAX`` are open.
        """
        if interval_s not in self._charts:
            check_room(len(self._charts))
            self._charts[interval_s] = Chart(interval_s, self.newest(interval_s), self._tape.sequence, now_s)

    def close(self, interval_s: int) -> None:
        """Stop keeping bars of an interval; base bars go on."""
        if interval_s not in BASE_INTERVALS_S:
            self._charts.pop(interval_s, None)

    def trade(self, printed: Print) -> list[FinishedBar]:
        """Add one trade, which is on the tape already; return the bars that it finished."""
        finished = []
        at_s = printed.at_ns // 1_000_000_000
        for chart in self._charts.values():
            final = chart.trade(at_s, printed.price_ticks, printed.lots, self._tape.sequence)
            if final is not None:
                finished.append(final)
        self._keep(finished)
        return finished

    def expire(self, now_s: int) -> list[FinishedBar]:
        """Return the bars whose time has passed, each once."""
        finished = [final for chart in self._charts.values() if (final := chart.expire(now_s)) is not None]
        self._keep(finished)
        return finished

    def newest(self, interval_s: int) -> TickBar | None:
        """Return a copy of the newest bar that has trades, running or final; None: there never was a trade."""
        chart = self._charts.get(interval_s)
        if chart is not None and chart.newest is not None:
            return chart.newest.copy()
        own = self.own(interval_s)
        if not own:
            parts = [] if self._past is None else self._past.newest(interval_s)
        else:
            opening_s = bar_opening_s(own[-1].time_s, interval_s)
            parts = [bar for bar in own if bar.time_s >= opening_s]
            if self._past is not None and opening_s < self._past.until_s:
                parts = [*self._past.since(interval_s, opening_s), *parts]
        folded = fold(parts, interval_s)
        return folded[-1] if folded else None

    def own(self, interval_s: int) -> list[TickBar]:
        """Return the venue's own bars, as far as memory reaches, that can be folded to ``interval_s``.

        Oldest first, the running one last; they are not copies.
        """
        if interval_s >= DAY_S:
            return self._base(DAY_S)
        if interval_s % MINUTE_S == 0:
            return self._base(MINUTE_S)
        prints = self._tape.last(len(self._tape))
        # The oldest trade that a full tape holds may have had others before it in its minute.
        edge_s = bar_ends_s(prints[0].at_ns // 1_000_000_000 // 60 * 60, MINUTE_S) if self._tape.is_full else 0
        older = [bar for bar in self._base(MINUTE_S) if bar.time_s < edge_s]
        newer = [
            TickBar.of_trade(at_s, printed.price_ticks, printed.lots)
            for printed in prints
            if (at_s := printed.at_ns // 1_000_000_000) >= edge_s
        ]
        return [*older, *newer]

    def _base(self, base_s: int) -> list[TickBar]:
        bars = list(self._finals[base_s])
        chart = self._charts[base_s]
        if chart.running and chart.newest is not None:
            bars.append(chart.newest)
        return bars

    def _keep(self, finished: Sequence[FinishedBar]) -> None:
        for final in finished:
            kept = self._finals.get(final.interval_s)
            if kept is not None:
                kept.append(final.bar)
