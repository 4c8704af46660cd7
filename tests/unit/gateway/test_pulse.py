"""When feeds deliver and sessions write: at once, then after a rest as long as the beat was dear."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tapewire.gateway.pulse import LEADING_BEAT_MAX_S, REST_MAX_S, REST_TO_BEAT, Pulse
from tapewire.simulation import run_virtual


class Stopwatch:
    """Shows what was spent; nothing else takes time here."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def __call__(self) -> float:
        return self.spent_s


class Session:
    """Writes down when it was flushed; each flush costs."""

    def __init__(self, stopwatch: Stopwatch | None = None, cost_s: float = 0.0) -> None:
        self.flushed: list[float] = []
        self._stopwatch = stopwatch
        self._cost_s = cost_s

    def flush(self) -> None:
        self.flushed.append(asyncio.get_running_loop().time())
        if self._stopwatch is not None:
            self._stopwatch.spent_s += self._cost_s


class Feed:
    """Marks its sessions, as deliveries do."""

    def __init__(self, pulse: Pulse, sessions: list[Session]) -> None:
        self.delivered: list[float] = []
        self._pulse = pulse
        self._sessions = sessions

    def deliver(self) -> None:
        self.delivered.append(asyncio.get_running_loop().time())
        for session in self._sessions:
            self._pulse.mark(session)


def new_pulse(stopwatch: Stopwatch | None = None) -> Pulse:
    return Pulse(asyncio.get_running_loop(), stopwatch or Stopwatch())


def test_beats_that_cost_nothing_come_in_every_turn() -> None:
    async def main() -> None:
        pulse = new_pulse()
        sessions = [Session() for _ in range(100)]
        feed = Feed(pulse, sessions)
        for _ in range(5):
            pulse.due(feed)
            pulse.due(feed)
            await asyncio.sleep(0.0001)
        assert feed.delivered == pytest.approx([0, 0.0001, 0.0002, 0.0003, 0.0004])
        assert all(session.flushed == feed.delivered for session in sessions)

    run_virtual(main)


@pytest.mark.parametrize("cost_s", [0.00001, 0.0005, 0.002, 0.1])
def test_a_rest_is_as_long_as_the_beat_was_dear_within_a_bound(cost_s: float) -> None:
    async def main() -> None:
        stopwatch = Stopwatch()
        pulse = new_pulse(stopwatch)
        session = Session(stopwatch, cost_s)
        rest_s = min(REST_TO_BEAT * cost_s, REST_MAX_S)
        pulse.mark(session)
        await asyncio.sleep(rest_s / 4)
        pulse.mark(session)
        await asyncio.sleep(rest_s / 4)
        pulse.mark(session)
        await asyncio.sleep(10)
        assert session.flushed == pytest.approx([0, rest_s])
        # After silence nobody waits.
        pulse.mark(session)
        await asyncio.sleep(1)
        assert session.flushed[2:] == pytest.approx([10 + rest_s / 2])

    run_virtual(main)


def test_under_load_each_session_writes_once_a_beat_and_nothing_waits_longer_than_a_rest() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        stopwatch = Stopwatch()
        pulse = new_pulse(stopwatch)
        sessions = [Session(stopwatch, 0.00001) for _ in range(100)]  # a beat of 1 ms
        late: list[float] = []
        for _ in range(300):
            marked = loop.time()
            for session in sessions:
                pulse.mark(session)
            await asyncio.sleep(0.0001)
            if sessions[0].flushed[-1] >= marked:
                late.append(sessions[0].flushed[-1] - marked)
        await asyncio.sleep(1)
        # 30 ms of marks, every 0.1 ms.
        assert all(10 <= len(session.flushed) <= 12 for session in sessions)
        gaps = [
            later - sooner for sooner, later in zip(sessions[0].flushed, sessions[0].flushed[1:], strict=False)
        ]
        assert max(gaps) <= 0.003 + 1e-9
        assert late

    run_virtual(main)


def test_what_becomes_due_in_a_beat_waits_for_the_next_and_is_not_forgotten() -> None:
    async def main() -> None:
        stopwatch = Stopwatch()
        pulse = new_pulse(stopwatch)
        late = Session()

        class Dear(Session):
            def flush(self) -> None:
                super().flush()
                if len(self.flushed) == 2:
                    pulse.mark(late)

        dear = Dear(stopwatch, 0.001)
        for _ in range(2):
            pulse.mark(dear)
            await asyncio.sleep(0.0001)
        await asyncio.sleep(1)
        assert dear.flushed == pytest.approx([0, 0.003])
        assert late.flushed == pytest.approx([0.006])

    run_virtual(main)


def test_an_urgent_session_never_waits_for_the_others() -> None:
    async def main() -> None:
        stopwatch = Stopwatch()
        pulse = new_pulse(stopwatch)
        session, urgent = Session(stopwatch, 0.001), Session()
        pulse.mark(session)
        await asyncio.sleep(0.0005)
        pulse.mark(session)
        pulse.mark(urgent)
        pulse.mark_urgent(urgent)
        await asyncio.sleep(0.0001)
        assert urgent.flushed == [0.0005]
        assert session.flushed == [0]
        await asyncio.sleep(0.01)
        assert session.flushed == pytest.approx([0, 0.003])
        assert urgent.flushed == [0.0005]

    run_virtual(main)


def test_a_forgotten_session_is_not_written() -> None:
    async def main() -> None:
        pulse = new_pulse()
        gone, gone_urgent, stays = Session(), Session(), Session()
        pulse.mark(gone)
        pulse.mark_urgent(gone_urgent)
        pulse.mark(stays)
        pulse.forget(gone)
        pulse.forget(gone_urgent)
        pulse.forget(Session())
        await asyncio.sleep(0.01)
        assert (gone.flushed, gone_urgent.flushed, stays.flushed) == ([], [], [0])

    run_virtual(main)


def test_whoever_raises_is_reported_and_harms_nobody_else() -> None:
    class BrokenSession(Session):
        def flush(self) -> None:
            raise ValueError("broken session")

    class BrokenFeed(Feed):
        def deliver(self) -> None:
            raise ValueError("broken feed")

    async def main() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        pulse = new_pulse()
        others = [Session() for _ in range(20)]
        pulse.mark_urgent(BrokenSession())
        pulse.mark(BrokenSession())
        pulse.due(BrokenFeed(pulse, []))
        pulse.due(Feed(pulse, others))
        pulse.mark_urgent(others[0])
        await asyncio.sleep(0.01)
        assert [len(session.flushed) for session in others] == [2] + 19 * [1]
        assert [str(context["exception"]) for context in reported] == [
            "broken session",
            "broken feed",
            "broken session",
        ]

    run_virtual(main)


def test_after_close_nothing_is_delivered_or_written() -> None:
    async def main() -> None:
        stopwatch = Stopwatch()
        pulse = new_pulse(stopwatch)
        session = Session(stopwatch, 0.001)
        feed = Feed(pulse, [session])
        for _ in range(2):
            pulse.due(feed)
            await asyncio.sleep(0.0001)
        pulse.mark_urgent(session)
        pulse.close()
        await asyncio.sleep(1)
        assert feed.delivered == session.flushed == [0]

    run_virtual(main)


def test_after_a_cheap_beat_the_next_may_come_before_its_turn_and_comes_once() -> None:
    async def main() -> None:
        pulse = new_pulse()
        session = Session()
        feed = Feed(pulse, [session])
        pulse.due(feed)
        pulse.lead()
        assert feed.delivered == []  # nobody knows yet what a beat costs here
        await asyncio.sleep(1)
        pulse.due(feed)
        pulse.lead()
        assert feed.delivered == session.flushed == [0, 1]
        pulse.lead()
        await asyncio.sleep(1)
        assert feed.delivered == session.flushed == [0, 1]

    run_virtual(main)


def test_after_a_dear_beat_none_comes_before_its_turn() -> None:
    async def main() -> None:
        stopwatch = Stopwatch()
        pulse = new_pulse(stopwatch)
        session = Session(stopwatch, 1.1 * LEADING_BEAT_MAX_S)
        feed = Feed(pulse, [session])
        for number in range(3):
            pulse.due(feed)
            pulse.lead()
            assert len(feed.delivered) == number
            await asyncio.sleep(1)
            assert len(feed.delivered) == number + 1

    run_virtual(main)


def test_what_follows_a_leading_beat_at_once_comes_together_in_the_next_turn() -> None:
    async def main() -> None:
        stopwatch = Stopwatch()
        pulse = new_pulse(stopwatch)
        session = Session(stopwatch, 0.9 * LEADING_BEAT_MAX_S)
        feed = Feed(pulse, [session])
        pulse.due(feed)
        await asyncio.sleep(1)
        for _ in range(10):
            pulse.due(feed)
            pulse.lead()
        assert session.flushed == [0, 1]
        await asyncio.sleep(0)
        assert session.flushed == [0, 1, 1]
        # That one was no leading beat, so there is a rest, and nothing leads in it.
        for _ in range(10):
            pulse.due(feed)
            pulse.lead()
        await asyncio.sleep(0)
        assert session.flushed == [0, 1, 1]
        await asyncio.sleep(1)
        assert session.flushed == pytest.approx([0, 1, 1, 1 + REST_TO_BEAT * 0.9 * LEADING_BEAT_MAX_S])

    run_virtual(main)


def test_a_beat_is_not_led_from_within() -> None:
    async def main() -> None:
        pulse = new_pulse()
        pulse.due(Feed(pulse, [Session()]))
        await asyncio.sleep(1)

        class Leading(Feed):
            def deliver(self) -> None:
                super().deliver()
                if len(self.delivered) == 1:
                    pulse.due(self)
                    pulse.mark_urgent(session)
                    pulse.lead()
                    assert session.flushed == []

        session = Session()
        leading = Leading(pulse, [session])
        pulse.due(leading)
        pulse.lead()
        assert leading.delivered == session.flushed == [1]
        await asyncio.sleep(1)
        assert leading.delivered == [1, 1]

    run_virtual(main)


def test_an_urgent_session_alone_leads_nothing_and_goes_first_where_a_feed_does() -> None:
    async def main() -> None:
        pulse = new_pulse()
        session, urgent = Session(), Session()
        feed = Feed(pulse, [session, urgent])
        pulse.due(feed)
        await asyncio.sleep(1)
        pulse.mark_urgent(urgent)
        pulse.lead()
        assert urgent.flushed == [0]
        pulse.due(feed)
        pulse.lead()
        assert session.flushed == [0, 1]
        assert urgent.flushed == [0, 1, 1]

    run_virtual(main)
