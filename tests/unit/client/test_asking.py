"""Requests for streams: nothing is asked twice at once, critical ones come first, few are unanswered."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tapewire.client.asking import ANSWER_TIMEOUT_S, UNANSWERED_MAX, Asking, Round

FEEDS = st.integers(0, 9)


def sent(asking: Asking[int], now_s: float = 0) -> list[int]:
    """All that may be sent now."""
    feeds = []
    while (feed := asking.next(now_s)) is not None:
        feeds.append(feed)
    return feeds


def test_critical_ones_come_first_each_rank_in_its_order() -> None:
    asking: Asking[int] = Asking()
    asking.begin([(1, False), (2, True), (3, False), (4, True)], 0)
    assert sent(asking) == [2, 4, 1, 3]


def test_no_more_than_the_window_waits_and_each_answer_lets_one_more_go() -> None:
    asking: Asking[int] = Asking()
    asking.begin(((feed, False) for feed in range(UNANSWERED_MAX + 2)), 0)
    assert len(sent(asking)) == UNANSWERED_MAX
    asking.answered(0, ok=True)
    assert sent(asking) == [UNANSWERED_MAX]


def test_one_that_was_dropped_and_added_again_is_sent_once_and_in_its_new_rank() -> None:
    asking: Asking[int] = Asking()
    asking.add(1, is_critical=True)
    asking.add(2, is_critical=True)
    asking.drop(1)
    asking.add(1, is_critical=False)
    assert sent(asking) == [2, 1]


def test_many_that_come_and_go_leave_nothing() -> None:
    asking: Asking[int] = Asking()
    for feed in range(1_000):
        asking.add(feed, is_critical=False)
        asking.drop(feed)
    assert asking.is_idle
    assert not any(asking._queues)


def test_overdue_are_those_that_waited_too_long_the_longest_first() -> None:
    asking: Asking[int] = Asking()
    for number in range(3):
        asking.add(number, is_critical=False)
        assert asking.next(number) == number
    assert asking.due_at_s == ANSWER_TIMEOUT_S
    assert asking.overdue(ANSWER_TIMEOUT_S - 0.001) == []
    assert asking.overdue(ANSWER_TIMEOUT_S + 1) == [0, 1]


def test_what_is_postponed_has_no_deadline_frees_its_place_and_holds_the_round_open() -> None:
    asking: Asking[int] = Asking()
    asking.begin([(1, False), (2, False)], 0)
    assert sent(asking) == [1, 2]
    asking.postpone(1)
    asking.answered(2, ok=True)
    assert asking.due_at_s is None
    assert asking.overdue(1_000) == []
    assert asking.finished(3) is None
    asking.again(1, is_critical=False)
    assert sent(asking, 5) == [1]
    asking.answered(1, ok=False)
    assert asking.finished(6) == Round(1, 1, 6)
    assert asking.finished(6) is None, "a round ends once"


def test_nothing_to_ask_for_is_no_round() -> None:
    asking: Asking[int] = Asking()
    asking.begin([], 0)
    assert asking.finished(1) is None


class _Asked(RuleBasedStateMachine):
    """Any calls in any order, beside sets that a child could keep."""

    def __init__(self) -> None:
        super().__init__()
        self.asking: Asking[int] = Asking()
        self.now_s = 0.0
        self.queued: dict[int, bool] = {}
        self.waiting: dict[int, float] = {}
        self.postponed: set[int] = set()

    def drop_all_of(self, feed: int) -> None:
        self.queued.pop(feed, None)
        self.waiting.pop(feed, None)
        self.postponed.discard(feed)

    @rule(feed=FEEDS, is_critical=st.booleans())
    def add(self, feed: int, is_critical: bool) -> None:
        self.asking.add(feed, is_critical=is_critical)
        if feed not in self.queued and feed not in self.waiting and feed not in self.postponed:
            self.queued[feed] = is_critical

    @rule(seconds=st.floats(0, 12))
    def send(self, seconds: float) -> None:
        self.now_s += seconds
        feed = self.asking.next(self.now_s)
        expected = next((each for each, rank in self.queued.items() if rank), next(iter(self.queued), None))
        assert feed == expected
        if feed is not None:
            del self.queued[feed]
            self.waiting[feed] = self.now_s

    @rule(feed=FEEDS, ok=st.booleans())
    def answer(self, feed: int, ok: bool) -> None:
        self.asking.answered(feed, ok=ok)
        self.waiting.pop(feed, None)
        self.postponed.discard(feed)

    @rule(feed=FEEDS)
    def postpone(self, feed: int) -> None:
        self.asking.postpone(feed)
        if self.waiting.pop(feed, None) is not None:
            self.postponed.add(feed)

    @rule(feed=FEEDS, is_critical=st.booleans())
    def again(self, feed: int, is_critical: bool) -> None:
        self.asking.again(feed, is_critical=is_critical)
        if feed in self.waiting or feed in self.postponed:
            self.drop_all_of(feed)
            self.queued[feed] = is_critical

    @rule(feed=FEEDS)
    def drop(self, feed: int) -> None:
        self.asking.drop(feed)
        self.drop_all_of(feed)

    @invariant()
    def agrees(self) -> None:
        assert self.asking.is_idle == (not self.queued and not self.waiting and not self.postponed)
        late = [each for each, at in self.waiting.items() if self.now_s - at >= ANSWER_TIMEOUT_S]
        assert self.asking.overdue(self.now_s) == late
        assert all((each in self.asking) for each in (*self.queued, *self.waiting, *self.postponed))


TestAsked = _Asked.TestCase
TestAsked.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_round_is_of_those_it_began_with_and_ends_when_the_last_is_answered_or_dropped() -> None:
    asking: Asking[int] = Asking()
    asking.begin([(1, False), (2, False)], 10)
    assert sent(asking, 10) == [1, 2]
    asking.add(3, is_critical=False)
    asking.answered(1, ok=True)
    assert asking.finished(11) is None
    asking.drop(2)
    assert asking.finished(12) == Round(ok=1, refused=0, seconds=2)
    assert asking.finished(13) is None
    asking.answered(3, ok=True)
    assert asking.finished(14) is None


def test_one_that_is_asked_for_again_is_still_of_the_round() -> None:
    asking: Asking[int] = Asking()
    asking.begin([(1, False)], 0)
    assert sent(asking) == [1]
    asking.postpone(1)
    assert asking.finished(1) is None
    asking.again(1, is_critical=False)
    assert asking.finished(2) is None
    assert sent(asking, 3) == [1]
    asking.answered(1, ok=False)
    assert asking.finished(4) == Round(ok=0, refused=1, seconds=4)
