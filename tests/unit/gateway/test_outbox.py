"""The outbox in single cases; any sequence of calls is in ``property/test_outbox.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tapewire.gateway.burst import Burst
from tapewire.gateway.outbox import Outbox, OutboxMode, Outlet
from tapewire.protocol.limits import UNPROCESSED_MESSAGES_MAX
from unit.gateway.mail import ALL, burst, no_past_breaks, outlet_of, taken


class Alarm:
    def __init__(self) -> None:
        self.rung = 0

    def __call__(self) -> None:
        self.rung += 1


def outbox(mode: OutboxMode = OutboxMode.CONFLATE) -> tuple[Outbox, Alarm]:
    alarm = Alarm()
    return Outbox(lambda: None, alarm, no_past_breaks, mode=mode), alarm


def test_a_message_is_the_shared_bytes_and_the_tail() -> None:
    box, _ = outbox()
    one, other = outlet_of(b"|one"), outlet_of(b"|other")
    box.put_answer(b"answer", 0.0)
    box.put_events(one, burst(b"event"))
    box.put_state(other, burst(b"state"))
    assert taken(box) == [b"answer", b"event|one", b"state|other"]
    assert taken(box) == []
    assert not box


def test_a_state_is_replaced_where_it_stands() -> None:
    box, _ = outbox()
    one, other = outlet_of(b"1"), outlet_of(b"2")
    box.put_state(one, burst(b"a"))
    box.put_state(other, burst(b"b"))
    box.put_answer(b"c", 0.0)
    box.put_state(one, burst(b"d"))
    assert box.count == 3
    assert taken(box) == [b"d1", b"b2", b"c"]
    box.put_state(one, burst(b"e"))
    assert taken(box) == [b"e1"]


def test_a_state_that_waits_is_replaced_although_an_event_before_it_has_left() -> None:
    box, _ = outbox()
    one = outlet_of(b"")
    box.put_events(one, burst(b"first"))
    box.put_state(one, burst(b"a"))
    assert taken(box, 1) == [b"first"]
    box.put_state(one, burst(b"b"))
    assert taken(box) == [b"b"]


def test_the_first_state_is_not_replaced_by_a_newer_one() -> None:
    box, _ = outbox()
    one = outlet_of(b"")
    box.put_events(one, burst(b"first"))
    box.put_state(one, burst(b"a"))
    box.put_state(one, burst(b"b"))
    assert taken(box) == [b"first", b"b"]


def test_in_strict_mode_every_state_counts() -> None:
    box, alarm = outbox(OutboxMode.STRICT)
    one = outlet_of(b"")
    for step in range(UNPROCESSED_MESSAGES_MAX):
        box.put_state(one, burst(b"%d" % step))
    assert box.count == UNPROCESSED_MESSAGES_MAX
    assert alarm.rung == 0
    box.put_state(one, burst(b"one too many"))
    assert alarm.rung == 1
    assert box.count == 0


def test_conflated_states_never_overflow_and_leave_the_bound_to_what_piles_up() -> None:
    box, alarm = outbox()
    outlets = [outlet_of(b"") for _ in range(UNPROCESSED_MESSAGES_MAX)]
    for _ in range(3):
        for outlet in outlets:
            box.put_state(outlet, burst(b"x"))
    for _ in range(UNPROCESSED_MESSAGES_MAX):
        box.put_answer(b"answer", 0.0)
    assert (box.count, box.irreplaceable) == (2 * UNPROCESSED_MESSAGES_MAX, UNPROCESSED_MESSAGES_MAX)
    assert alarm.rung == 0
    box.put_answer(b"one too many", 0.0)
    assert alarm.rung == 1


def test_the_5001st_message_is_told_once_and_from_then_on_nothing_is_taken_in() -> None:
    box, alarm = outbox()
    one, late = outlet_of(b""), outlet_of(b"")
    box.hold(late)
    for _ in range(UNPROCESSED_MESSAGES_MAX):
        box.put_events(one, burst(b"x"))
    assert alarm.rung == 0
    box.put_events(late, burst(b"x"))
    assert alarm.rung == 1
    for _ in range(10):
        box.put_events(one, burst(b"x"))
        box.put_events(late, burst(b"x"))
        box.put_state(one, burst(b"x"))
        box.put_answer(b"x", 0.0)
        box.hold(outlet_of(b""))
        box.put_past(late, [b"x"])
        box.overflow()
    assert (box.count, box.pasts, bool(box), alarm.rung) == (0, 0, False, 1)
    assert late.paced is None
    assert taken(box) == []


def test_cancelling_after_an_overflow_is_harmless() -> None:
    box, _ = outbox()
    held, paced, plain = outlet_of(b""), outlet_of(b""), outlet_of(b"")
    box.hold(held)
    box.hold(paced)
    box.put_past(paced, [b"past"])
    box.put_events(plain, burst(b"x"))
    box.overflow()
    for outlet in (held, paced, plain):
        box.drop(outlet)
    assert (box.count, box.pasts) == (0, 0)


def test_held_events_count_from_the_start_and_the_past_never() -> None:
    box, alarm = outbox()
    one = outlet_of(b"")
    box.hold(one)
    for step in range(3):
        box.put_events(one, burst(b"live %d" % step))
    assert (box.count, box.pasts, bool(box)) == (3, 1, False)
    box.put_past(one, (b"past %d" % step for step in range(10_000)), known={0})
    assert (box.count, box.pasts, bool(box)) == (2, 1, True)
    box.put_events(one, burst(b"live 3"))
    sent = taken(box)
    assert len(sent) == 10_003
    assert sent[-4:] == [b"past 9999", b"live 1", b"live 2", b"live 3"]
    assert (box.count, box.pasts, bool(box), alarm.rung) == (0, 0, False, 0)
    box.put_events(one, burst(b"live 4"))
    assert taken(box) == [b"live 4"]


def test_the_past_is_drawn_only_as_it_is_taken() -> None:
    drawn = 0

    def past() -> Iterator[bytes]:
        nonlocal drawn
        for _ in range(1000):
            drawn += 1
            yield b"0123456789"

    box, _ = outbox()
    one = outlet_of(b"")
    box.hold(one)
    box.put_past(one, past())
    assert drawn == 0
    assert len(taken(box, 120 - 1)) == 10
    assert drawn == 10
    box.drop(one)
    assert taken(box) == []
    assert drawn == 10


def test_a_past_of_nothing_leaves_nothing_to_send() -> None:
    box, _ = outbox()
    one = outlet_of(b"")
    box.hold(one)
    box.put_past(one, ())
    assert taken(box) == []
    assert not box
    assert one.paced is None


def test_what_others_get_overtakes_a_long_past() -> None:
    box, _ = outbox()
    one, other = outlet_of(b""), outlet_of(b"")
    box.hold(one)
    box.put_past(one, [b"past 1", b"past 2"])
    assert taken(box, 1) == [b"past 1"]
    box.put_events(other, burst(b"other"))
    box.put_events(one, burst(b"live"))
    assert taken(box) == [b"other", b"past 2", b"live"]


@pytest.mark.parametrize("bytes_max", [1, 11, 12, 13, 24, 30, ALL])
def test_take_ends_with_the_message_that_reaches_the_bound(bytes_max: int) -> None:
    box, _ = outbox()
    for _ in range(5):
        box.put_answer(b"0123456789", 0.0)
    got = taken(box, bytes_max)
    assert len(got) == min(5, -(-bytes_max // 12))  # ten bytes and the header of the frame
    assert box.count == 5 - len(got)


def test_closing_forgets_everything_and_rings_no_alarm() -> None:
    box, alarm = outbox()
    one = outlet_of(b"")
    box.put_events(one, burst(b"x"))
    box.hold(outlet_of(b""))
    box.close()
    box.put_answer(b"x", 0.0)
    box.overflow()
    assert (box.count, box.pasts, bool(box), alarm.rung) == (0, 0, False, 0)


def test_a_burst_is_framed_for_tails_of_every_length() -> None:
    box, _ = outbox()
    both = burst(b"x" * 120, b"y" * 70_000)
    tails = [b"", b"12345", b"123456", b"abcdef", b"z" * 300, b"12345"]
    for tail in tails:
        box.put_events(outlet_of(tail), both)
    assert box.count == 2 * len(tails)
    assert taken(box) == [message + tail for tail in tails for message in both.messages]
    assert box.taken == 2 * len(tails)


def test_readiness_is_told_once_until_everything_was_taken() -> None:
    told = 0

    def tell() -> None:
        nonlocal told
        told += 1

    box = Outbox(tell, lambda: None, no_past_breaks)
    one = outlet_of(b"")
    box.put_state(one, burst(b"a"))
    box.put_state(one, burst(b"b"))
    box.put_events(one, burst(b"c"))
    assert told == 1
    assert taken(box, 1) == [b"b"]
    box.put_answer(b"d", 0.0)
    assert told == 1  # whoever took a part comes back
    assert taken(box) == [b"c", b"d"]
    box.put_answer(b"e", 0.0)
    box.drop(one)
    assert taken(box) == [b"e"]
    box.hold(one)
    box.put_past(one, ())
    assert told == 3
    assert taken(box) == []
    box.put_final(one, burst(b"f"))
    assert told == 4


def test_the_oldest_message_tells_its_time() -> None:
    box, _ = outbox()
    one, other = outlet_of(b""), outlet_of(b"")
    assert box.oldest_s is None
    box.put_state(one, Burst([b"a"], 1.0))
    box.put_answer(b"b", 2.0)
    assert box.oldest_s == 1.0
    box.put_state(one, Burst([b"c"], 3.0))
    assert box.oldest_s == 1.0  # that a newer state has replaced it does not help a reader that is stuck
    box.put_events(other, Burst([b"d"], 4.0))
    taken(box, 1)
    assert box.oldest_s == 2.0
    taken(box)
    assert box.oldest_s is None
    box.hold(other)
    box.put_events(other, Burst([b"e"], 5.0))
    assert box.oldest_s == 5.0


def test_a_final_form_takes_the_place_of_a_state_among_others() -> None:
    box, _ = outbox()
    bars, other = outlet_of(b""), outlet_of(b"")
    box.put_state(other, burst(b"x"))
    box.put_state(bars, burst(b"9:00 so far"))
    box.put_answer(b"y", 0.0)
    box.put_final(bars, burst(b"9:00"))
    box.put_state(bars, burst(b"9:01 so far"))
    box.put_state(bars, burst(b"9:01 further"))
    assert (box.count, box.irreplaceable) == (4, 2)
    assert taken(box) == [b"x", b"9:00", b"y", b"9:01 further"]


def test_a_state_behind_a_final_form_is_replaced_there_and_becomes_final_there() -> None:
    box, _ = outbox()
    bars = outlet_of(b"")
    box.put_state(bars, burst(b"9:00 so far"))
    box.put_final(bars, burst(b"9:00"))
    box.put_state(bars, burst(b"9:01 so far"))
    box.put_answer(b"y", 0.0)
    box.put_state(bars, burst(b"9:01 further"))
    box.put_final(bars, burst(b"9:01"))
    box.put_final(bars, burst(b"9:02"))
    box.put_state(bars, burst(b"9:03 so far"))
    assert taken(box, 1) == [b"9:00"]
    box.put_state(bars, burst(b"9:03 further"))
    assert (box.count, box.irreplaceable) == (4, 3)
    assert taken(box) == [b"9:01", b"y", b"9:02", b"9:03 further"]
    box.put_state(bars, burst(b"9:04"))
    box.put_state(bars, burst(b"9:04 further"))
    assert taken(box) == [b"9:04 further"]


def test_a_past_that_cannot_be_written_harms_nobody_else_and_nothing_of_it_follows() -> None:
    broken: list[tuple[Outlet, Exception]] = []
    box = Outbox(lambda: None, lambda: None, lambda outlet, error: broken.append((outlet, error)))
    bad, other = outlet_of(b""), outlet_of(b"")

    def past() -> Iterator[bytes]:
        yield b"good"
        raise ValueError("not to be written")

    box.put_answer(b"answer", 0.0)
    box.hold(bad)
    box.put_events(bad, burst(b"live"))
    box.put_past(bad, past())
    box.put_events(other, burst(b"of the other"))
    assert taken(box) == [b"answer", b"of the other", b"good"]
    assert [(outlet, str(error)) for outlet, error in broken] == [(bad, "not to be written")]
    box.put_events(bad, burst(b"live"))
    assert taken(box) == []
    assert (box.count, box.pasts) == (2, 1)
    box.drop(bad)
    assert (box.count, box.pasts, bool(box)) == (0, 0, False)
