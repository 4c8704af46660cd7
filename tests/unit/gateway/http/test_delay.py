"""What is made of bars for those who may not see the newest ones."""

from __future__ import annotations

import msgspec

from tapewire.gateway.http.delay import delayed_bars, delayed_quote, fold
from tapewire.model import UNSET, Bar, TopicKind
from tapewire.simulation import run_virtual
from unit.gateway.http.hall import BOND, DAY_S, HOUR_S, MIDNIGHT_S, NEAR, SBER, START_S, Hall, bar


def test_bars_fold_into_one() -> None:
    parts = [
        Bar(time_s=0, open=5.0, close=6.0, high=7.0, low=4.0, volume=1),
        Bar(time_s=60, open=6.0, close=3.0, high=6.5, low=2.0, volume=10),
    ]
    assert fold(parts, 7) == Bar(time_s=7, open=5.0, close=3.0, high=7.0, low=2.0, volume=11)
    assert fold([], 7) is None


def test_bars_that_had_ended_are_left_as_they_are() -> None:
    async def main() -> None:
        hall = Hall()
        topic = hall.bars_of(SBER, HOUR_S)
        bars = [bar(START_S - 2 * HOUR_S), bar(START_S - HOUR_S)]
        assert await delayed_bars(hall.venue, topic, bars, START_S) is bars
        # Nothing is known of the minutes of the last one: it is left out.
        assert await delayed_bars(hall.venue, topic, bars, START_S - 60) == bars[:1]
        assert await delayed_bars(hall.venue, topic, [], START_S) == []

    run_virtual(main)


def test_at_the_start_of_a_day_the_figures_are_those_of_the_day_before() -> None:
    async def main() -> None:
        hall = Hall()
        now = hall.venue.set_quote(SBER, 12.0)
        evening = MIDNIGHT_S - 3 * HOUR_S
        bars = [bar(MIDNIGHT_S - DAY_S, 9.0, 1), bar(evening, 10.0, 2), bar(MIDNIGHT_S, 11.0, 4)]
        hall.venue.set_past_bars(hall.minutes(SBER), bars)
        seen = await delayed_quote(hall.venue, SBER, now, MIDNIGHT_S - 600)
        assert (seen.last_price, seen.open_price, seen.volume) == (10.0, 9.0, 3)
        # The close before that day is not kept, so nothing is said that needs it.
        assert (seen.prev_close_price, seen.change, seen.change_percent) == (UNSET, UNSET, UNSET)

    run_virtual(main)


def test_changes_are_those_of_the_delayed_price() -> None:
    async def main() -> None:
        hall = Hall()
        now = hall.venue.set_quote(BOND, 12.0)
        now = msgspec.structs.replace(now, prev_close_price=10.0, change=2.0, yield_percent=14.0)
        hall.venue.set_past_bars(hall.minutes(BOND), [bar(START_S - 1_800, 10.5)])
        seen = await delayed_quote(hall.venue, BOND, now, START_S - 900)
        assert (seen.change, seen.change_percent, seen.yield_percent) == (0.5, 5.0, None)

    run_virtual(main)


def test_open_interest_is_told_where_there_is_any() -> None:
    async def main() -> None:
        hall = Hall()
        hall.venue.set_past_bars(hall.minutes(NEAR), [bar(START_S, 10.0)])
        hall.venue.publish(
            hall.venue.topic(TopicKind.TRADES, NEAR),
            msgspec.structs.replace(hall.venue.publish_trade(NEAR, 10.0), open_interest=77),
        )
        now = hall.venue.set_quote(NEAR, 12.0)
        for known, told in ((500, 77), (None, None)):
            quote = msgspec.structs.replace(now, open_interest=known, prev_close_price=10.0)
            seen = await delayed_quote(hall.venue, NEAR, quote, START_S + 60)
            assert (seen.open_interest, str(seen.change_percent)) == (told, "0.0")

    run_virtual(main)
