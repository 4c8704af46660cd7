"""The market at speed 1 against five-minute windows of the real exchange."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from tapewire.market import MEASURED, WINDOW_S, Market, Percentiles, catalogue, pace_of
from trading import ExchangeFloor

DATA = Path(__file__).parents[4] / "shared/data/moex/m5"
WINDOWS = 4
STEPS_A_SECOND = 100


class Window:
    """What one instrument did in one window."""

    def __init__(self, instrument, trades, spreads_bp):
        self.symbol = instrument.symbol
        self.trades = len(trades)
        self.lots_per_trade = sum(trade.lots for trade in trades) / max(len(trades), 1)
        self.spread_bp = sum(spreads_bp) / len(spreads_bp)


def windows(instruments, seed):
    market, floor = Market(instruments, seed=seed), ExchangeFloor(instruments)
    market.step(floor)
    for _ in range(WINDOWS):
        floor.trades.clear()
        spreads_bp = defaultdict(list)
        for step in range(WINDOW_S * STEPS_A_SECOND):
            market.step(floor)
            if step % STEPS_A_SECOND == 0:
                for instrument in instruments:
                    bid, ask = floor.best(instrument)
                    spreads_bp[instrument.symbol].append((ask - bid) / (ask + bid) * 20_000)
        for position, instrument in enumerate(instruments):
            trades = [trade for trade in floor.trades if trade.instrument == position]
            yield Window(instrument, trades, spreads_bp[instrument.symbol])


def within(value, percentiles):
    return percentiles.low <= value <= percentiles.high


@pytest.mark.parametrize("seed", [1, 2])
def test_at_speed_1_trades_sizes_and_spreads_are_those_of_the_real_windows(seed):
    for window in windows(catalogue(2), seed):
        real = MEASURED[window.symbol]
        assert within(window.trades, real.trades), window.symbol
        assert within(window.lots_per_trade, real.lots_per_trade), window.symbol
        assert within(window.spread_bp, real.spread_bp), window.symbol


def test_every_listed_instrument_has_a_pace_of_its_own():
    paces = [pace_of(instrument.symbol) for instrument in catalogue()]

    assert all(pace.trades_per_window > 0 and pace.lots_per_trade >= 1 for pace in paces)
    assert pace_of("SBER").trades_per_window == MEASURED["SBER"].trades.median
    assert pace_of("YDEX") == (MEASURED["YNDX"].trades.median, MEASURED["YNDX"].lots_per_trade.median)


def percentile(values, part):
    place = (len(values) - 1) * part
    below = int(place)
    return values[below] + (values[min(below + 1, len(values) - 1)] - values[below]) * (place - below)


@pytest.mark.skipif(not DATA.is_dir(), reason="the real windows are not at hand")
def test_the_carried_figures_are_those_of_the_data():
    columns = defaultdict(lambda: defaultdict(list))
    with (DATA / "tradestats.csv").open() as file:
        for row in csv.DictReader(file):
            trades = int(row["trades"])
            columns[row["secid"]]["trades"].append(trades)
            columns[row["secid"]]["lots_per_trade"].append(float(row["vol"]) / trades)
    with (DATA / "obstats.csv").open() as file:
        for row in csv.DictReader(file):
            if row["spread_bbo"]:
                columns[row["secid"]]["spread_bp"].append(float(row["spread_bbo"]))

    assert columns.keys() == MEASURED.keys()
    for symbol, figures in MEASURED.items():
        for name, values in columns[symbol].items():
            values.sort()
            computed = Percentiles(*(percentile(values, part) for part in (0.1, 0.5, 0.9)))
            assert computed == pytest.approx(getattr(figures, name), abs=0.01), (symbol, name)
