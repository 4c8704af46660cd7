"""The misuse score: points that fall, a block that ends, a bounded memory."""

from __future__ import annotations

import pytest

from tapewire.gateway.misuse import CHARGED_MAX, Misuse, Offence


class Time:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_the_points_are_those_that_the_broker_is_said_to_charge() -> None:
    time = Time()
    misuse = Misuse(100_000, 60, time)
    for offence, points in (
        (Offence.CONNECTION, 1),
        (Offence.SUBSCRIPTION, 1),
        (Offence.UNKNOWN_ORDER, 100),
        (Offence.UNREADABLE, 5_000),
    ):
        before = misuse.points("login P1")
        misuse.charge("login P1", offence)
        assert misuse.points("login P1") - before == points


def test_a_score_falls_by_the_whole_bound_in_an_hour() -> None:
    time = Time()
    misuse = Misuse(10_000, 60, time)
    misuse.charge("a", Offence.UNREADABLE)
    time.now += 900
    assert misuse.points("a") == pytest.approx(2_500)
    misuse.charge("a", Offence.UNREADABLE)
    assert misuse.points("a") == pytest.approx(7_500)
    time.now += 3_600
    assert misuse.points("a") == 0


def test_the_bound_itself_blocks_nobody_and_one_more_does_for_the_stated_time() -> None:
    time = Time()
    misuse = Misuse(2, 60, time)
    misuse.charge("a", Offence.SUBSCRIPTION)
    misuse.charge("a", Offence.SUBSCRIPTION)
    assert (misuse.blocked_for_s("a"), misuse.blocked) == (0, 0)
    misuse.charge("a", Offence.SUBSCRIPTION)
    assert (misuse.blocked_for_s("a"), misuse.blocked_for_s("b"), misuse.blocked) == (60, 0, 1)
    time.now += 59
    misuse.charge("a", Offence.UNREADABLE)
    assert misuse.blocked_for_s("a") == 1
    time.now += 1
    assert (misuse.blocked_for_s("a"), misuse.points("a"), misuse.blocked) == (0, 0, 0)


def test_names_are_remembered_up_to_a_bound() -> None:
    misuse = Misuse(10, 60, Time())
    for number in range(CHARGED_MAX + 5):
        misuse.charge(f"address {number}", Offence.CONNECTION)
    assert len(misuse._scores) == CHARGED_MAX
    assert misuse.points("address 0") == 0
    assert misuse.points(f"address {CHARGED_MAX + 4}") == 1
