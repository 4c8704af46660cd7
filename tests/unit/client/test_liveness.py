"""Silence of single streams: told where it is silence, never where a market is thin, and never in a storm."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewire.client.liveness import (
    ANEW_PER_MINUTE_MAX,
    JUDGED_KINDS,
    LEARNT_MESSAGES,
    MISSED_MESSAGES,
    RECONNECT_EVERY_S,
    SILENT_MIN_S,
    STEP_S,
    Alarm,
    Liveness,
    Sample,
    Step,
)
from tapewire.client.trading_hours import AROUND_THE_CLOCK, MOSCOW
from tapewire.model import TopicKind

LOOK_S = 5.0


class Played:
    """Streams that speak at their own rates, looked at every five seconds."""

    def __init__(self, *per_s: float, kind: TopicKind = TopicKind.TRADES, seed: int = 1) -> None:
        self.liveness: Liveness[int] = Liveness()
        self.per_s = list(per_s)
        self.kind = kind
        self.received = [0.0] * len(per_s)
        self.now_s = 0.0
        self.alarms: list[tuple[float, Alarm[int]]] = []
        self.is_trading = True
        self.answers: Callable[[int], int] = lambda stream: 0
        self.random = random.Random(seed)

    def run(self, seconds: float, *, random_arrivals: bool = False) -> Played:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += LOOK_S
            for stream, rate in enumerate(self.per_s):
                mean = rate * LOOK_S
                self.received[stream] += self.poisson(mean) if random_arrivals else mean
            samples = [Sample(each, self.kind, int(self.received[each]), True) for each in range(len(self.per_s))]
            for alarm in self.liveness.look(samples, self.now_s, is_trading=self.is_trading):
                self.alarms.append((self.now_s, alarm))
                if alarm.step is Step.RESUBSCRIBE:
                    self.received[alarm.stream] += self.answers(alarm.stream)
        return self

    def poisson(self, mean: float) -> int:
        count, left = 0, self.random.expovariate(1)
        while left < mean:
            count, left = count + 1, left + self.random.expovariate(1)
        return count

    def steps(self, stream: int = 0) -> list[Step]:
        return [alarm.step for _, alarm in self.alarms if alarm.stream == stream]


def test_a_busy_stream_that_falls_silent_goes_up_the_ladder_in_time() -> None:
    played = Played(20.0, 20.0).run(300)
    assert not played.alarms
    played.per_s[0] = 0
    silent_at_s = played.now_s
    played.run(SILENT_MIN_S + STEP_S + 2 * LOOK_S)
    assert played.steps() == [Step.PING, Step.RESUBSCRIBE]
    assert played.alarms[0][0] - silent_at_s <= SILENT_MIN_S + LOOK_S
    assert not played.steps(1)


def test_one_silent_stream_among_many_does_not_cost_the_connection() -> None:
    played = Played(20.0, 20.0, 20.0).run(300)
    played.per_s[0] = 0
    played.run(3_600)
    assert Step.RECONNECT not in played.steps()


def test_when_all_are_silent_the_connection_is_made_anew_once_in_a_while() -> None:
    played = Played(*[20.0] * 5).run(300)
    played.per_s = [0.0] * 5
    played.run(6 * 3_600)
    anew = [now_s for now_s, alarm in played.alarms if alarm.step is Step.RECONNECT]
    assert 1 <= len(anew) <= 6 * 3_600 / RECONNECT_EVERY_S
    assert anew[0] < 400


def test_a_message_after_the_ping_ends_the_matter() -> None:
    played = Played(20.0).run(300)
    played.per_s[0] = 0
    played.run(SILENT_MIN_S + LOOK_S)
    assert played.steps() == [Step.PING]
    played.per_s[0] = 20
    played.run(600)
    assert played.steps() == [Step.PING]


def test_a_stream_that_has_hardly_spoken_and_streams_of_portfolios_are_never_judged() -> None:
    played = Played(1.0).run(LEARNT_MESSAGES / 2 - LOOK_S)
    played.per_s[0] = 0
    assert not played.run(24 * 3_600).alarms
    orders = Played(20.0, kind=TopicKind.ORDERS).run(300)
    orders.per_s[0] = 0
    assert not orders.run(24 * 3_600).alarms
    assert not len(orders.liveness)
    assert not [kind for kind in JUDGED_KINDS if kind.of_portfolio]


@pytest.mark.parametrize("per_s", [0.002, 0.01, 0.05, 0.5, 5.0])
def test_random_arrivals_of_any_rate_are_not_silence(per_s: float) -> None:
    # Of eight hours each; quiet of fifty usual intervals does not happen by chance.
    for seed in range(5):
        assert not Played(per_s, seed=seed).run(8 * 3_600, random_arrivals=True).alarms


def test_a_market_that_speaks_in_bursts_teaches_how_long_its_quiet_is() -> None:
    played = Played(50.0)
    for _ in range(20):
        played.per_s[0] = 50
        played.run(30)
        played.per_s[0] = 0
        played.run(60)
    assert len(played.steps()) <= 4
    # From then on its quiet is known.
    before = len(played.alarms)
    for _ in range(20):
        played.per_s[0] = 50
        played.run(30)
        played.per_s[0] = 0
        played.run(60)
    assert len(played.alarms) == before


def test_a_halted_market_costs_a_bounded_number_of_requests() -> None:
    played = Played(*[20.0] * 200, kind=TopicKind.BOOK).run(300)
    played.answers = lambda stream: 1  # a book answers with its state
    played.per_s = [0.0] * 200
    played.run(600)
    minutes = Counter(int(now_s // 60) for now_s, alarm in played.alarms if alarm.step is Step.RESUBSCRIBE)
    # A sliding minute may be cut by the clock's one.
    assert max(minutes.values()) <= 2 * ANEW_PER_MINUTE_MAX
    assert sum(minutes.values()) <= 11 * ANEW_PER_MINUTE_MAX
    before = sum(alarm.step is Step.RESUBSCRIBE for _, alarm in played.alarms)
    played.run(8 * 3_600)
    after = sum(alarm.step is Step.RESUBSCRIBE for _, alarm in played.alarms) - before
    # Patience doubles with each: a handful a stream in a day.
    assert after <= 200 * 10


def test_outside_trading_hours_nothing_is_silent_and_the_opening_starts_anew() -> None:
    played = Played(20.0).run(300)
    played.per_s[0] = 0
    played.is_trading = False
    assert not played.run(10 * 3_600).alarms
    played.is_trading = True
    assert not played.run(SILENT_MIN_S - LOOK_S).alarms
    assert played.run(2 * LOOK_S).steps() == [Step.PING]


def test_streams_that_are_gone_are_forgotten() -> None:
    played = Played(20.0, 20.0).run(60)
    assert len(played.liveness) == 2
    played.liveness.look([], played.now_s, is_trading=True)
    assert not len(played.liveness)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 60), st.booleans(), st.booleans()), max_size=80))
def test_any_course_keeps_the_bounds_and_steps_in_order(steps: list[tuple[int, float, bool, bool]]) -> None:
    liveness: Liveness[int] = Liveness()
    received, now_s = 0, 0.0
    last: Step | None = None
    anew: list[float] = []
    for number, (count, seconds, is_active, is_trading) in enumerate(steps):
        received += count * 40
        now_s += seconds
        if count or not is_trading:
            last = None
        alarms = liveness.look([Sample(1, TopicKind.QUOTE, received, is_active)], now_s, is_trading=is_trading)
        assert len(alarms) <= 1
        for alarm in alarms:
            assert is_active
            assert is_trading
            assert not count, f"it spoke at look {number}"
            assert alarm.step is {None: Step.PING, Step.PING: Step.RESUBSCRIBE}.get(last, Step.RECONNECT)
            if alarm.step is Step.PING:
                assert alarm.silent_s >= SILENT_MIN_S
            if alarm.step is Step.RESUBSCRIBE:
                anew.append(now_s)
            last = None if alarm.step is Step.RECONNECT else alarm.step
        if last is Step.RESUBSCRIBE and not alarms:
            last = last if liveness._tracks.get(1) and liveness._tracks[1].step else None
    for later, earlier in zip(anew[ANEW_PER_MINUTE_MAX:], anew, strict=False):
        assert later - earlier >= 60


_MOSCOW = timezone(timedelta(hours=3))


@pytest.mark.parametrize(
    ("day", "hour", "minute", "is_open"),
    [
        (5, 9, 59, False),
        (5, 10, 30, True),
        (5, 14, 0, False),
        (5, 18, 50, False),
        (5, 20, 0, True),
        (5, 23, 50, False),
        (10, 12, 0, False),  # a Saturday
    ],
)
def test_trading_is_sure_in_the_main_and_the_evening_session(
    day: int, hour: int, minute: int, is_open: bool
) -> None:
    moment = datetime(2026, 1, day, hour, minute, tzinfo=_MOSCOW)
    assert MOSCOW.are_at(moment) is is_open
    assert AROUND_THE_CLOCK.are_at(moment)


def test_missing_messages_are_counted_as_often_as_they_came() -> None:
    played = Played(0.5).run(600)
    played.per_s[0] = 0
    silent_at_s = played.now_s
    played.run(MISSED_MESSAGES / 0.5 + 2 * LOOK_S)
    assert played.alarms[0][0] - silent_at_s >= MISSED_MESSAGES / 0.5 - LOOK_S
