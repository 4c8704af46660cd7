"""Token buckets: so many at once, then so many a second, each caller for itself."""

from __future__ import annotations

import pytest

from tapewire.gateway.http.throttle import CALLERS_MAX, Throttle


def test_a_burst_is_let_through_and_what_is_more_is_refused_and_counted() -> None:
    throttle = Throttle(100)
    assert [throttle.admit("a", 5.0) for _ in range(103)] == [True] * 100 + [False] * 3
    assert throttle.refused == 3


def test_room_comes_back_with_time_and_is_never_more_than_the_bound() -> None:
    throttle = Throttle(100)
    for _ in range(100):
        assert throttle.admit("a", 0.0)
    assert not throttle.admit("a", 0.009)
    assert throttle.admit("a", 0.021)
    assert sum(throttle.admit("a", 1_000.0) for _ in range(500)) == 100


def test_over_any_second_at_most_twice_the_bound_is_let_through() -> None:
    throttle = Throttle(10)
    admitted = [ms for ms in range(5_000) if throttle.admit("a", ms / 1_000)]
    assert all(sum(start <= ms < start + 1_000 for ms in admitted) <= 20 for start in range(0, 4_000, 50))
    assert len(admitted) == pytest.approx(60, abs=1)


def test_callers_do_not_share() -> None:
    throttle = Throttle(1)
    assert throttle.admit("a", 0.0)
    assert throttle.admit("b", 0.0)
    assert not throttle.admit("a", 0.0)


def test_the_callers_remembered_are_bounded_and_the_one_of_longest_ago_goes() -> None:
    throttle = Throttle(1)
    for number in range(CALLERS_MAX + 5):
        assert throttle.admit(f"caller {number}", 0.0)
    assert throttle.callers == CALLERS_MAX
    assert throttle.admit("caller 0", 0.0)
    assert not throttle.admit(f"caller {CALLERS_MAX}", 0.0)


def test_without_a_bound_everything_is_let_through_and_nothing_remembered() -> None:
    throttle = Throttle(None)
    assert all(throttle.admit("a", 0.0) for _ in range(10_000))
    assert throttle.callers == 0


def test_a_bound_that_refuses_everybody_is_refused() -> None:
    with pytest.raises(ValueError, match="refuse everybody"):
        Throttle(0)
