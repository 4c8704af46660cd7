"""Bars against a slow oracle; a coarse bar is the sum of its fine ones; nothing final is ever lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tapewire.market import Past, SessionName, TickBar, TradingHours, catalogue, fold, split, trades_of
from tapewire.market.split import Part
from tapewire.model import DAY_S, MONTH_S, WEEK_S, YEAR_S, Side, bar_begins_s, bar_ends_s, bar_opening_s
from tapewire.venues.charts import Charts
from tapewire.venues.tape import Print, Tape

START_S = 1_793_602_800
INTERVALS = st.one_of(
    st.integers(1, 200),
    st.sampled_from([60, 90, 300, 900, 1_000, 3_600, 14_400, DAY_S, WEEK_S, MONTH_S, YEAR_S, 3 * DAY_S]),
)
#: Seconds since the trade before, price, lots.
TRADES = st.lists(
    st.tuples(st.one_of(st.integers(0, 90), st.integers(0, 200_000)), st.integers(1, 50), st.integers(1, 9)),
    max_size=60,
)


def timed(trades):
    at_s = START_S
    for gap_s, ticks, lots in trades:
        at_s += gap_s
        yield at_s, ticks, lots


def oracle(trades, interval_s):
    """All trades of each bar, collected before anything is computed."""
    bars = {}
    for at_s, ticks, lots in trades:
        bars.setdefault(bar_opening_s(at_s, interval_s), []).append((ticks, lots))
    return [
        TickBar(
            opening_s,
            inside[0][0],
            max(ticks for ticks, _ in inside),
            min(ticks for ticks, _ in inside),
            inside[-1][0],
            sum(lots for _, lots in inside),
        )
        for opening_s, inside in bars.items()
    ]


class Board:
    """Charts with their tape."""

    def __init__(self):
        self.tape = Tape()
        self.charts = Charts(self.tape, START_S)
        self.finished = []

    def trade(self, at_s, ticks, lots):
        printed = Print(self.tape.sequence, ticks, lots, Side.BUY, at_s * 10**9, 0)
        self.tape._prints.append(printed)
        self.tape.sequence += 1
        self.finished += self.charts.trade(printed)

    def of(self, interval_s):
        return [final.bar.copy() for final in self.finished if final.interval_s == interval_s]


@given(TRADES, INTERVALS, st.lists(st.booleans(), min_size=60, max_size=60))
def test_final_bars_and_the_running_one_are_those_of_the_oracle_and_none_is_lost(trades, interval_s, ticking):
    board = Board()
    board.charts.open(interval_s, START_S)
    seen = []
    for (at_s, ticks, lots), tick in zip(timed(trades), ticking, strict=False):
        if tick:
            board.finished += board.charts.expire(at_s)
        board.trade(at_s, ticks, lots)
        seen.append((at_s, ticks, lots))

    expected = oracle(seen, interval_s)
    final = board.of(interval_s)
    newest = board.charts.newest(interval_s)
    assert final + ([newest] if newest else []) == expected
    assert [bar.sequence for bar in board.finished if bar.interval_s == interval_s] == [
        sum(bar_opening_s(at_s, interval_s) <= bar.time_s for at_s, _, _ in seen) for bar in final
    ]


@given(TRADES, INTERVALS, st.integers(0, 59))
def test_a_chart_that_is_opened_late_has_the_whole_running_bar(trades, interval_s, late):
    board = Board()
    trades = list(timed(trades))
    for number, trade in enumerate(trades):
        if number == late:
            board.charts.open(interval_s, trade[0])
        board.trade(*trade)

    expected = oracle(trades, interval_s)
    newest = board.charts.newest(interval_s)
    assert newest == (expected[-1] if expected else None)


@given(TRADES, st.sampled_from([(60, 300), (60, 14_400), (300, DAY_S), (DAY_S, WEEK_S), (DAY_S, YEAR_S), (1, 90)]))
def test_a_coarse_bar_is_the_sum_of_its_fine_ones(trades, intervals):
    fine_s, coarse_s = intervals
    trades = list(timed(trades))

    assert fold(oracle(trades, fine_s), coarse_s) == oracle(trades, coarse_s)


@st.composite
def whole_bars(draw):
    low = draw(st.integers(1, 10_000))
    high = low + draw(st.integers(0, 500))
    inside = st.integers(low, high)
    return TickBar(START_S, draw(inside), high, low, draw(inside), draw(st.integers(4, 5_000)))


@given(whole_bars(), st.lists(st.integers(1, 60), min_size=1, max_size=70), st.randoms(use_true_random=False))
def test_a_bar_taken_apart_adds_up_to_itself(whole, weights, random):
    parts = [Part(START_S + 60 * place, weight) for place, weight in enumerate(weights)]

    bars = split(whole, parts, random)

    for bar in bars:
        assert bar.lots >= 4
        assert bar.low_ticks <= min(bar.open_ticks, bar.close_ticks)
        assert bar.high_ticks >= max(bar.open_ticks, bar.close_ticks)
    assert [bar.time_s for bar in bars] == sorted({bar.time_s for bar in bars})
    total = bars[0].copy()
    for bar in bars[1:]:
        total.extend(bar)
    total.time_s = whole.time_s
    assert total == whole


@given(whole_bars(), st.floats(1, 50), st.randoms(use_true_random=False))
def test_a_minute_is_the_bar_of_its_trades(minute, lots_per_trade, random):
    trades = trades_of(minute, lots_per_trade, random)

    times = [trade.at_ns for trade in trades]
    assert times == sorted(set(times))
    assert all(0 <= at_ns - START_S * 10**9 < 60 * 10**9 for at_ns in times)
    assert all(trade.lots >= 1 for trade in trades)
    [bar] = oracle([(START_S, trade.price_ticks, trade.lots) for trade in trades], 60)
    bar.time_s = minute.time_s
    assert bar == minute


def past_bars(past, position, base_s, until_s, pieces):
    taken = []
    for number, piece in enumerate(past.bars_before(position, base_s, until_s)):
        if number == pieces:
            break
        taken[:0] = piece
    return taken


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1_700_000_000, 1_900_000_000),
    st.integers(0, 9),
    st.sampled_from([(), (SessionName.MAIN,), tuple(SessionName)]),
)
def test_the_past_agrees_with_itself_on_every_timeframe(seed, until_s, position, sessions):
    hours = TradingHours(sessions)
    instruments = catalogue(10)
    past = Past(instruments, seed=seed, until_s=until_s, hours=hours)

    # Just after midnight in Moscow the name of the day, midnight UTC, is still to come.
    days = past_bars(past, position, DAY_S, until_s + DAY_S, 1)
    minutes = past_bars(past, position, 60, until_s, 30)
    hour_bars = past_bars(past, position, 3_600, until_s, 3)
    assert days
    for fine, coarse_s, coarse in ((minutes, 3_600, hour_bars), (hour_bars, DAY_S, days)):
        folded = fold(fine, coarse_s)[1:]
        count = min(len(folded), len(coarse))
        assert count > 0
        assert folded[-count:] == coarse[-count:]
    # The last price of all is the one from which the live market goes on.
    assert minutes[-1].close_ticks == days[-1].close_ticks == instruments[position].prev_close_ticks
    market = instruments[position].market
    assert all(hours.is_open(market, bar.time_s) for bar in minutes)
    assert bar_ends_s(minutes[-1].time_s, 60) <= until_s
    newest = next(iter(past.trades_before(position, until_s)))
    assert newest[-1].price_ticks == minutes[-1].close_ticks


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100), st.lists(st.integers(0, 3), max_size=4))
def test_the_past_is_the_same_whatever_was_looked_at_before(seed, looks):
    one, other = (Past(catalogue(4), seed=seed, until_s=START_S) for _ in range(2))
    for position in looks:
        past_bars(one, position, 60, START_S, 5)
        next(iter(one.trades_before(position, START_S - 7_200)))

    assert past_bars(one, 1, 60, START_S - 3_600, 3) == past_bars(other, 1, 60, START_S - 3_600, 3)
    assert past_bars(one, 1, DAY_S, START_S, 2) == past_bars(other, 1, DAY_S, START_S, 2)


def test_the_past_reaches_back_to_2010_and_yields_its_pieces_one_by_one():
    past = Past(catalogue(1), seed=1, until_s=START_S)
    days = past_bars(past, 0, DAY_S, START_S, 99)

    assert days[0].time_s == bar_begins_s(1_262_304_000, YEAR_S) + 3 * 3_600
    assert len(days) > 6_000
