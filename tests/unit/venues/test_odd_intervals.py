"""Intervals that are no whole minutes: their past is made of single trades, and bounded."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tapewire.model import DAY_S, Topic, TopicKind, trading_day
from tapewire.simulation import START_NS, SimulatedSystem, run_virtual
from tapewire.venues.past_bars import SECONDS_DAYS_MAX

START_S = START_NS // 1_000_000_000


@pytest.mark.parametrize("interval_s", [90, 45, 7])
def test_the_past_reaches_whole_days_back_and_no_further(interval_s: int) -> None:
    async def main() -> list[int]:
        async with SimulatedSystem(symbols=1) as system:
            topic = Topic(TopicKind.BAR, "MOEX", "SBER", "TQBR", interval_s)
            page = await system.venue.bars(topic, 0, START_S + DAY_S, 100_000)
            return [bar.time_s for bar in page.bars]

    openings = run_virtual(main)
    assert all(older < newer for older, newer in pairwise(openings))
    first_day = trading_day(START_S) - SECONDS_DAYS_MAX
    assert trading_day(openings[0]) == first_day
    # The first bar opens with the day's trading, not in the middle of it.
    assert openings[0] < (first_day * DAY_S) + DAY_S // 2
