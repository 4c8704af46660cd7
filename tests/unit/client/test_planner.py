"""Which connection carries which stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tapewire.client.planner import DATA_LINKS_MAX, Lane, Load, NoRoom, Use, place
from tapewire.protocol.limits import CONNECTIONS_PER_USER_MAX, SUBSCRIPTIONS_PER_CONNECTION_MAX

CRITICAL, MARKET = Lane.CRITICAL, Lane.MARKET


def test_one_connection_is_left_for_orders_and_one_in_reserve() -> None:
    assert DATA_LINKS_MAX == CONNECTIONS_PER_USER_MAX - 2


def test_a_link_is_filled_before_another_is_opened() -> None:
    assert place(MARKET, []) == Use(None)
    assert place(MARKET, [Load(MARKET, 3), Load(MARKET, 7)]) == Use(1)
    full = SUBSCRIPTIONS_PER_CONNECTION_MAX
    assert place(MARKET, [Load(MARKET, full - 1)]) == Use(0)
    assert place(MARKET, [Load(MARKET, full)]) == Use(None)


def test_lanes_do_not_mix() -> None:
    assert place(CRITICAL, [Load(MARKET, 3)]) == Use(None)
    assert place(MARKET, [Load(CRITICAL, 3)]) == Use(None)


def test_one_that_is_open_is_taken_before_a_fuller_one_that_is_not() -> None:
    assert place(MARKET, [Load(MARKET, 7, is_open=False), Load(MARKET, 3)]) == Use(1)
    assert place(MARKET, [Load(MARKET, 7, is_open=False)]) == Use(0)


def test_the_critical_lane_is_one_connection_and_says_when_it_is_full() -> None:
    assert place(CRITICAL, [Load(CRITICAL, 5)], streams_max=5) == NoRoom(5, 5)


def test_market_data_leave_one_connection_for_what_is_critical() -> None:
    full = [Load(MARKET, 5)] * 3
    assert place(MARKET, full, links_max=4, streams_max=5) == NoRoom(15, 15)
    assert place(CRITICAL, full, links_max=4, streams_max=5) == Use(None)
    assert place(MARKET, [*full, Load(CRITICAL, 1)], links_max=4, streams_max=5) == NoRoom(15, 15)


@given(st.lists(st.sampled_from(Lane), max_size=120), st.integers(2, 5), st.integers(1, 6))
def test_any_run_stays_within_all_limits_and_fills_what_there_is(
    lanes: list[Lane], links_max: int, streams_max: int
) -> None:
    loads: list[Load] = []
    for lane in lanes:
        found = place(lane, loads, links_max=links_max, streams_max=streams_max)
        if isinstance(found, NoRoom):
            assert found.streams == found.streams_max, "refused only when full, and the numbers say so"
        elif found.link is None:
            loads.append(Load(lane, 1))
        else:
            old = loads[found.link]
            assert old.lane is lane
            loads[found.link] = old._replace(streams=old.streams + 1)
        assert len(loads) <= links_max
        assert all(load.streams <= streams_max for load in loads)
        assert sum(load.lane is CRITICAL for load in loads) <= 1
        if all(load.lane is MARKET for load in loads):
            assert len(loads) < links_max, "what is critical finds its connection"
