"""The outbox in single cases; any sequence of calls is in ``property/test_outbox.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tapewire.gateway.outbox import Outbox, OutboxMode, Outlet
from tapewire.protocol.limits import UNPROCESSED_MESSAGES_MAX

ALL = 1 << 30


class Alarm:
    def __init__(self) -> None:
        self.rung = 0

    def __call__(self) -> None:
        self.rung += 1


def outbox(mode: OutboxMode = OutboxMode.CONFLATE) -> tuple[Outbox, Alarm]:
    alarm = Alarm()
    return Outbox(alarm, mode=mode), alarm


def test_a_message_is_the_shared_bytes_and_the_tail() -> None:
    box, _ = outbox()
    one, other = Outlet(b"|one"), Outlet(b"|other")
    box.put_answer(b"answer")
    box.put_event(one, b"event")
    box.put_state(other, b"state")
    assert box.take(ALL) == [b"answer", b"event|one", b"state|other"]
    assert box.take(ALL) == []
    assert not box


def test_a_state_is_replaced_where_it_stands() -> None:
    box, _ = outbox()
    one, other = Outlet(b"1"), Outlet(b"2")
    box.put_state(one, b"a")
    box.put_state(other, b"b")
    box.put_answer(b"c")
    box.put_state(one, b"d")
    assert box.count == 3
    assert box.take(ALL) == [b"d1", b"b2", b"c"]
    box.put_state(one, b"e")
    assert box.take(ALL) == [b"e1"]


def test_a_state_that_waits_is_replaced_although_an_event_before_it_has_left() -> None:
    box, _ = outbox()
    one = Outlet(b"")
    box.put_event(one, b"first")
    box.put_state(one, b"a")
    assert box.take(1) == [b"first"]
    box.put_state(one, b"b")
    assert box.take(ALL) == [b"b"]


def test_the_first_state_is_not_replaced_by_a_newer_one() -> None:
    box, _ = outbox()
    one = Outlet(b"")
    box.put_event(one, b"first")
    box.put_state(one, b"a")
    box.put_state(one, b"b")
    assert box.take(ALL) == [b"first", b"b"]


def test_in_strict_mode_every_state_counts() -> None:
    box, alarm = outbox(OutboxMode.STRICT)
    one = Outlet(b"")
    for step in range(UNPROCESSED_MESSAGES_MAX):
        box.put_state(one, b"%d" % step)
    assert box.count == UNPROCESSED_MESSAGES_MAX
    assert alarm.rung == 0
    box.put_state(one, b"one too many")
    assert alarm.rung == 1
    assert box.count == 0


def test_conflated_states_never_overflow_and_leave_the_bound_to_what_piles_up() -> None:
    box, alarm = outbox()
    outlets = [Outlet(b"") for _ in range(UNPROCESSED_MESSAGES_MAX)]
    for _ in range(3):
        for outlet in outlets:
            box.put_state(outlet, b"x")
    for _ in range(UNPROCESSED_MESSAGES_MAX):
        box.put_answer(b"answer")
    assert (box.count, box.irreplaceable) == (2 * UNPROCESSED_MESSAGES_MAX, UNPROCESSED_MESSAGES_MAX)
    assert alarm.rung == 0
    box.put_answer(b"one too many")
    assert alarm.rung == 1


def test_the_5001st_message_is_told_once_and_from_then_on_nothing_is_taken_in() -> None:
    box, alarm = outbox()
    one, late = Outlet(b""), Outlet(b"")
    box.hold(late)
    for _ in range(UNPROCESSED_MESSAGES_MAX):
        box.put_event(one, b"x")
    assert alarm.rung == 0
    box.put_event(late, b"x")
    assert alarm.rung == 1
    for _ in range(10):
        box.put_event(one, b"x")
        box.put_event(late, b"x")
        box.put_state(one, b"x")
        box.put_answer(b"x")
        box.hold(Outlet(b""))
        box.put_past(late, [b"x"])
        box.overflow()
    assert (box.count, box.pasts, bool(box), alarm.rung) == (0, 0, False, 1)
    assert late.paced is None
    assert box.take(ALL) == []


def test_cancelling_after_an_overflow_is_harmless() -> None:
    box, _ = outbox()
    held, paced, plain = Outlet(b""), Outlet(b""), Outlet(b"")
    box.hold(held)
    box.hold(paced)
    box.put_past(paced, [b"past"])
    box.put_event(plain, b"x")
    box.overflow()
    for outlet in (held, paced, plain):
        box.drop(outlet)
    assert (box.count, box.pasts) == (0, 0)


def test_held_events_count_from_the_start_and_the_past_never() -> None:
    box, alarm = outbox()
    one = Outlet(b"")
    box.hold(one)
    for step in range(3):
        box.put_event(one, b"live %d" % step)
    assert (box.count, box.pasts, bool(box)) == (3, 1, False)
    box.put_past(one, (b"past %d" % step for step in range(10_000)), known=1)
    assert (box.count, box.pasts, bool(box)) == (2, 1, True)
    box.put_event(one, b"live 3")
    sent = box.take(ALL)
    assert len(sent) == 10_003
    assert sent[-4:] == [b"past 9999", b"live 1", b"live 2", b"live 3"]
    assert (box.count, box.pasts, bool(box), alarm.rung) == (0, 0, False, 0)
    box.put_event(one, b"live 4")
    assert box.take(ALL) == [b"live 4"]


def test_the_past_is_drawn_only_as_it_is_taken() -> None:
    drawn = 0

    def past() -> Iterator[bytes]:
        nonlocal drawn
        for _ in range(1000):
            drawn += 1
            yield b"0123456789"

    box, _ = outbox()
    one = Outlet(b"")
    box.hold(one)
    box.put_past(one, past())
    assert drawn == 0
    assert len(box.take(95)) == 10
    assert drawn == 10
    box.drop(one)
    assert box.take(ALL) == []
    assert drawn == 10


def test_a_past_of_nothing_leaves_nothing_to_send() -> None:
    box, _ = outbox()
    one = Outlet(b"")
    box.hold(one)
    box.put_past(one, ())
    assert box.take(ALL) == []
    assert not box
    assert one.paced is None


def test_what_others_get_overtakes_a_long_past() -> None:
    box, _ = outbox()
    one, other = Outlet(b""), Outlet(b"")
    box.hold(one)
    box.put_past(one, [b"past 1", b"past 2"])
    assert box.take(1) == [b"past 1"]
    box.put_event(other, b"other")
    box.put_event(one, b"live")
    assert box.take(ALL) == [b"other", b"past 2", b"live"]


@pytest.mark.parametrize("bytes_max", [1, 9, 10, 11, 20, 25, ALL])
def test_take_ends_with_the_message_that_reaches_the_bound(bytes_max: int) -> None:
    box, _ = outbox()
    for _ in range(5):
        box.put_answer(b"0123456789")
    taken = box.take(bytes_max)
    assert len(taken) == min(5, -(-bytes_max // 10))
    assert box.count == 5 - len(taken)


def test_closing_forgets_everything_and_rings_no_alarm() -> None:
    box, alarm = outbox()
    one = Outlet(b"")
    box.put_event(one, b"x")
    box.hold(Outlet(b""))
    box.close()
    box.put_answer(b"x")
    box.overflow()
    assert (box.count, box.pasts, bool(box), alarm.rung) == (0, 0, False, 0)
