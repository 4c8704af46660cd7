from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.model import (
    DAY_S,
    MONTH_S,
    WEEK_S,
    YEAR_S,
    bar_begins_s,
    bar_ends_s,
    bar_opening_s,
    is_interval,
    trading_day,
)

MOMENTS = st.integers(min_value=0, max_value=4_000_000_000)
INTERVALS = st.one_of(
    st.integers(1, DAY_S), st.integers(1, 365).map(lambda days: days * DAY_S), st.sampled_from([MONTH_S, YEAR_S])
)


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("moment", "interval_s", "opening"),
    [
        ("2026-03-01T12:34:56", 1, "2026-03-01T12:34:56"),
        ("2026-03-01T12:34:56", 60, "2026-03-01T12:34:00"),
        ("2026-03-01T12:34:56", 3_600, "2026-03-01T12:00:00"),
        ("2026-03-01T12:34:56", 14_400, "2026-03-01T09:00:00"),
        ("2026-02-28T22:30:00", DAY_S, "2026-03-01T00:00:00"),
        ("2026-02-28T20:59:59", DAY_S, "2026-02-28T00:00:00"),
        ("2026-03-01T12:00:00", WEEK_S, "2026-02-23T00:00:00"),
        ("2026-03-01T21:00:00", WEEK_S, "2026-03-02T00:00:00"),
        ("2026-02-28T21:00:00", MONTH_S, "2026-03-01T00:00:00"),
        ("2026-02-28T20:59:59", MONTH_S, "2026-02-01T00:00:00"),
        ("2025-12-31T21:00:00", YEAR_S, "2026-01-01T00:00:00"),
    ],
)
def test_a_bar_is_named_by_its_opening(moment, interval_s, opening):
    assert bar_opening_s(at(moment), interval_s) == at(opening)


def test_a_month_ends_with_the_calendar():
    assert bar_ends_s(at("2026-02-01T00:00:00"), MONTH_S) == at("2026-02-28T21:00:00")
    assert bar_ends_s(at("2024-02-01T00:00:00"), MONTH_S) == at("2024-02-29T21:00:00")
    assert bar_ends_s(at("2024-01-01T00:00:00"), YEAR_S) == at("2024-12-31T21:00:00")


@pytest.mark.parametrize("interval_s", [0, -60, DAY_S + 1, YEAR_S + DAY_S])
def test_some_numbers_are_no_intervals(interval_s):
    assert not is_interval(interval_s)


@given(MOMENTS, INTERVALS)
def test_every_moment_lies_in_the_bar_it_is_given(moment, interval_s):
    assert is_interval(interval_s)
    opening_s = bar_opening_s(moment, interval_s)

    assert bar_begins_s(opening_s, interval_s) <= moment < bar_ends_s(opening_s, interval_s)


@given(MOMENTS, INTERVALS)
def test_bars_follow_each_other_without_a_hole(moment, interval_s):
    opening_s = bar_opening_s(moment, interval_s)
    next_s = bar_opening_s(bar_ends_s(opening_s, interval_s), interval_s)

    assert next_s > opening_s
    assert bar_begins_s(next_s, interval_s) == bar_ends_s(opening_s, interval_s)


@given(MOMENTS, st.integers(1, DAY_S))
def test_no_bar_within_a_day_spans_two_days(moment, interval_s):
    opening_s = bar_opening_s(moment, interval_s)

    assert trading_day(bar_begins_s(opening_s, interval_s)) == trading_day(bar_ends_s(opening_s, interval_s) - 1)


@given(MOMENTS, INTERVALS)
def test_an_opening_names_its_own_bar(moment, interval_s):
    opening_s = bar_opening_s(moment, interval_s)

    assert bar_opening_s(opening_s, interval_s) == opening_s
