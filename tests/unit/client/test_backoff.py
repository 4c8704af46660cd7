"""Pauses between tries: growth, spread, reset by a connection that held, and the block."""

from __future__ import annotations

import random

import pytest

from tapewire.client.backoff import ASKED_MAX_S, BLOCKED_AFTER, BLOCKED_S, FIRST_S, HELD_S, LAST_S, Backoff


def after(tries: int, seed: int = 0, *, was_refused: bool = False) -> Backoff:
    backoff = Backoff(random.Random(seed))
    for _ in range(tries):
        backoff.failed(was_refused=was_refused)
    return backoff


@pytest.mark.parametrize("tries", [0, 1, 2, 3, 5, 6, 100, 100_000])
def test_pauses_are_drawn_from_zero_to_a_bound_that_doubles_and_stays(tries: int) -> None:
    bound = min(FIRST_S * 2 ** min(max(tries - 1, 0), 20), LAST_S)
    backoff = after(tries)
    pauses = [backoff.pause_s() for _ in range(2_000)]
    assert 0 <= min(pauses) < 0.05 * bound
    assert 0.95 * bound < max(pauses) <= bound


def test_a_thousand_programs_that_have_tried_for_hours_still_come_back_spread() -> None:
    pauses = sorted(after(500, seed).pause_s() for seed in range(1_000))
    # In no second come more than twice as many as if they were spread evenly.
    for second in range(int(LAST_S)):
        assert sum(second <= pause < second + 1 for pause in pauses) < 2 * len(pauses) / LAST_S


def test_what_the_broker_asks_for_is_kept_and_spread_beyond() -> None:
    backoff = after(6)
    pauses = [backoff.pause_s(60) for _ in range(1_000)]
    assert 60 <= min(pauses) < 62
    assert 88 < max(pauses) <= 60 + LAST_S


@pytest.mark.parametrize("asked_s", [1e12, float("inf")])
def test_a_broker_that_asks_for_ages_is_asked_again_within_bounds(asked_s: float) -> None:
    assert after(1).pause_s(asked_s) <= ASKED_MAX_S + LAST_S
    assert after(1).pause_s(-5) >= 0


def test_only_a_connection_that_held_resets_the_pauses() -> None:
    backoff = after(5)
    backoff.lost(HELD_S - 0.1)
    assert backoff.tries == 6
    backoff.lost(HELD_S)
    assert backoff.tries == 1
    assert max(backoff.pause_s() for _ in range(100)) <= FIRST_S


def test_refusals_in_a_row_are_a_block_with_pauses_of_minutes_until_a_connection_held() -> None:
    assert not after(BLOCKED_AFTER - 1, was_refused=True).is_blocked
    backoff = after(BLOCKED_AFTER, was_refused=True)
    assert backoff.is_blocked
    pauses = [backoff.pause_s() for _ in range(500)]
    assert BLOCKED_S <= min(pauses) < max(pauses) <= 2 * BLOCKED_S
    # Longer than all of our own, and still not all at once.
    pauses = [backoff.pause_s(3 * BLOCKED_S) for _ in range(500)]
    assert min(pauses) >= 3 * BLOCKED_S
    assert max(pauses) - min(pauses) > 0.9 * BLOCKED_S
    backoff.lost(HELD_S)
    assert not backoff.is_blocked


def test_a_failure_that_is_no_refusal_breaks_the_row() -> None:
    backoff = after(BLOCKED_AFTER - 1, was_refused=True)
    backoff.failed(was_refused=False)
    backoff.failed(was_refused=True)
    assert not backoff.is_blocked
