"""When a connection is asked for a sign of life, and when it is given up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tapewire.client.heartbeat import PING_EVERY_S, PING_TIMEOUT_S, Heartbeat, Pulse


def test_a_ping_in_time_and_death_when_nothing_follows() -> None:
    heartbeat = Heartbeat(100)
    assert heartbeat.due_at_s == 100 + PING_EVERY_S
    assert heartbeat.look(0, 100) is Pulse.FINE
    assert heartbeat.look(0, 100 + PING_EVERY_S) is Pulse.PING
    assert heartbeat.due_at_s == 100 + PING_EVERY_S + PING_TIMEOUT_S
    assert heartbeat.look(0, heartbeat.due_at_s - 0.1) is Pulse.FINE
    assert heartbeat.look(0, heartbeat.due_at_s) is Pulse.DEAD


def test_any_message_is_a_sign_of_life_also_one_that_is_seen_late() -> None:
    heartbeat = Heartbeat(0)
    assert heartbeat.look(5, PING_EVERY_S) is Pulse.PING
    assert heartbeat.look(6, PING_EVERY_S + PING_TIMEOUT_S) is Pulse.FINE


def test_who_doubts_has_a_ping_sent_at_once_and_none_while_one_is_waited_for() -> None:
    heartbeat = Heartbeat(0)
    heartbeat.hurry(1, 3)
    assert heartbeat.look(1, 3) is Pulse.PING
    heartbeat.hurry(1, 4)
    assert heartbeat.look(1, 4) is Pulse.FINE
    # Something has come since: that doubt is over, this one is new.
    heartbeat.hurry(2, 5)
    assert heartbeat.look(2, 5) is Pulse.PING
    assert heartbeat.look(2, 5 + PING_TIMEOUT_S) is Pulse.DEAD


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 1)), max_size=60))
def test_death_only_after_a_ping_and_a_time_without_any_message(steps: list[tuple[float, int]]) -> None:
    heartbeat, now_s, received = Heartbeat(0), 0.0, 0
    pinged_at_s: float | None = None
    for seconds, came in steps:
        now_s += seconds
        received += came
        if came:
            pinged_at_s = None
        pulse = heartbeat.look(received, now_s)
        if pulse is Pulse.DEAD:
            assert pinged_at_s is not None
            assert now_s - pinged_at_s >= PING_TIMEOUT_S
            return
        if pulse is Pulse.PING and pinged_at_s is None:
            pinged_at_s = now_s
