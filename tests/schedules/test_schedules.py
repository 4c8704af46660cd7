"""A part of the drawn schedules, and all that ever failed. ``make schedules`` plays a thousand and more."""

from __future__ import annotations

import pytest

from schedules.play import failure_of
from schedules.schedule import Edition, draw

SEEDS = 150
SEEDS_A_TEST = 15

#: Seeds that failed once, and what they found: those of the first edition.
FOUND_FIRST = {
    22: "bars came again when a request was made again that had been answered with data only",
    46: "a connection that was closing was looked at without a pause",
    47: "what was sent to a dead connection lay before its gap",
    65: "what was underway when a connection was cut lay before its gap",
    80: "bars were missed in silence when none had come before the cut",
    129: "a stream was not cancelled because the token had ended",
    207: "a trade that HTTP told first came again over the stream",
    279: "a deadline a rounding error away was waited for without a pause",
    293: "a subscriber that overflowed took a trade from the next one",
    306: "streams were not cancelled because the token had ended",
    402: "a trade was neither in a past that was read late nor told live",
    1023: "the same, of another length",
    1279: "the same, with more trades than the past had room for",
    1641: "a stream was not cancelled because two tokens in a row had ended",
}


#: The same of the second edition.
FOUND = {
    184: "the same as of 300",
    2302: "a stream was not cancelled because its token had ended while its answer was still under way",
    300: "what came before an answer that never did stayed in the file of its buffer",
}


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_A_TEST))
def test_nothing_breaks_whatever_goes_wrong(first: int) -> None:
    for seed in range(first, first + SEEDS_A_TEST):
        _play(seed)


@pytest.mark.parametrize("seed", FOUND_FIRST)
def test_what_was_found_stays_mended(seed: int) -> None:
    _play(seed, Edition.FIRST)


@pytest.mark.parametrize("seed", [seed for seed in FOUND if seed >= SEEDS])
def test_what_was_found_since_stays_mended(seed: int) -> None:
    _play(seed)


def test_a_seed_is_one_schedule() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)
    assert draw(7) != draw(7, Edition.FIRST)


def _play(seed: int, edition: Edition = Edition.SECOND) -> None:
    failure = failure_of(seed, edition)
    assert failure is None, f"seed {seed}: {failure}\nrepeat: make schedules ARGS='{seed} --edition {edition}'"
