"""The distance to the broker's cut: estimated, told, acted upon; streams are replaced without a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.client import links
from tapewire.client.events import PressureEvent
from tapewire.client.pressure import ACT_ABOVE, ACT_EVERY_S, BEST_OF_S, EASE_AFTER_S, Pressure
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription
from tapewire.model import Book
from tapewire.protocol.limits import UNPROCESSED_MESSAGES_MAX
from tapewire.simulation import run_virtual
from unit.client.stage import Request, Stage, accept_all, answer, data, settle, silence, staged, trade

ACTIVE = SubscriptionState.ACTIVE


def run(scenario: Callable[[Stage], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with staged(**settings) as stage:
            await scenario(stage)

    run_virtual(main)


# --- the estimate ---------------------------------------------------------------------------------------


def looked(rate: float, lag_s: float, *, seconds: float = 60, pressure: Pressure | None = None) -> Pressure:
    """A connection with a rate, whose messages become late after the first half."""
    pressure = pressure or Pressure()
    for step in range(int(seconds / 5)):
        late = lag_s if step * 5 >= seconds / 2 else 0.0
        pressure.look(int(step * 5 * rate), 0.3 + late, 0.05, step * 5.0)
    return pressure


def test_what_waits_is_what_comes_in_the_time_by_which_messages_are_late() -> None:
    estimate = looked(500, 4.0).estimate
    assert estimate.messages_per_s == pytest.approx(500, rel=0.05)
    assert estimate.late_s == pytest.approx(4.0)
    assert estimate.waiting == pytest.approx(2_000, rel=0.05)
    assert estimate.of_the_bound == pytest.approx(2_000 / UNPROCESSED_MESSAGES_MAX, rel=0.05)


def test_clocks_that_differ_and_long_ways_do_not_count() -> None:
    pressure = Pressure()
    for step in range(20):
        estimate = pressure.look(step * 5_000, -3_600.0, 2.5, step * 5.0)
    assert estimate.late_s == 0
    assert not pressure.must_act(100)


def test_a_way_that_has_become_longer_for_good_is_the_usual_one_after_a_while() -> None:
    pressure = looked(500, 4.0)
    for step in range(int(3 * BEST_OF_S / 5)):
        pressure.look(30_000 + step * 2_500, 4.3, 0.05, 60 + step * 5.0)
    assert pressure.estimate.late_s == 0


def test_nothing_measured_is_no_pressure() -> None:
    pressure = Pressure()
    for step in range(10):
        pressure.look(step * 50_000, None, None, step * 5.0)
    assert pressure.estimate.waiting == 0
    assert not pressure.must_act(50)


def test_acts_are_apart_and_go_on_until_it_is_calm() -> None:
    pressure = looked(500, 4.0)
    assert pressure.must_act(60)
    assert not pressure.must_act(60 + ACT_EVERY_S - 0.1)
    assert pressure.must_act(60 + ACT_EVERY_S)
    # Half of what began it is still too much, a hundredth is not.
    half = ACT_ABOVE / 2 * UNPROCESSED_MESSAGES_MAX / 500
    pressure.look(32_500, 0.3 + half, 0.05, 65)
    assert pressure.must_act(200)
    pressure.look(35_000, 0.3, 0.05, 70)
    assert not pressure.must_act(400)


def test_after_a_long_calm_a_step_is_taken_back_and_later_when_that_was_too_early() -> None:
    def calm_until(end_s: float) -> list[float]:
        """Look every 5 s without lateness; when a step was taken back."""
        eased = []
        for now_s in range(int(clock[0]) + 5, int(end_s) + 1, 5):
            pressure.look(received, 0.3, 0.05, now_s)
            assert not pressure.must_act(now_s)
            if pressure.may_ease(now_s):
                eased.append(now_s - clock[0])
        clock[0] = end_s
        return eased

    pressure, received = looked(500, 4.0), 30_000
    clock = [60.0]
    assert pressure.must_act(60)
    assert not pressure.may_ease(60)
    assert calm_until(60 + 2 * EASE_AFTER_S + 20) == pytest.approx([EASE_AFTER_S + 5, 2 * EASE_AFTER_S + 5], abs=5)
    # It was too early: the next calm has to last twice as long.
    received += 500 * 5
    pressure.look(received, 10.0, 0.05, clock[0] + 5)
    pressure.look(received + 500 * 5, 10.0, 0.05, clock[0] + 10)
    assert pressure.must_act(clock[0] + 10)
    clock[0] += 10
    received += 500 * 5
    assert calm_until(clock[0] + 3 * EASE_AFTER_S) == pytest.approx([2 * EASE_AFTER_S + 5], abs=5)


def test_without_anything_done_nothing_is_taken_back() -> None:
    pressure = Pressure()
    for step in range(500):
        pressure.look(step * 100, 0.3, 0.05, step * 5.0)
        assert not pressure.must_act(step * 5.0)
        assert not pressure.may_ease(step * 5.0)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1e6, 1e6), st.floats(0, 100), st.floats(0, 600))))
def test_any_measurements_give_an_estimate_that_is_none_below_zero(
    steps: list[tuple[int, float, float, float]],
) -> None:
    pressure, now_s, received = Pressure(), 0.0, 0
    for count, lag_s, round_trip_s, seconds in steps:
        now_s, received = now_s + seconds, received + count
        estimate = pressure.look(received, lag_s, round_trip_s, now_s)
        assert estimate.messages_per_s >= 0
        assert estimate.late_s >= 0


# --- replacing ------------------------------------------------------------------------------------------


def book(number: int) -> Request:
    """One book in the Slim spelling, told apart by its time."""
    return {"b": [], "a": [], "t": number, "h": False}


async def opened(stage: Stage) -> tuple[Subscription[Book], str]:
    stream = await stage.client.book("TEST").open()
    return stream, stage.broker.subscribed[-1]


def replacing(stage: Stage, stream: Subscription[Book], *, on_own_link: bool) -> asyncio.Task[bool]:
    feed = stage.fleet._feed_of[stream]
    request = msgspec.structs.replace(feed.request, frequency=1_000)
    return asyncio.create_task(stage.fleet.replace(feed, request, on_own_link=on_own_link))


@pytest.mark.parametrize("on_own_link", [False, True])
def test_a_stream_is_replaced_without_a_gap_and_the_old_one_goes_last(on_own_link: bool) -> None:
    async def scenario(stage: Stage) -> None:
        stream, old = await opened(stage)
        old_peer = stage.broker.peer
        stage.broker.reply = silence
        replaced = replacing(stage, stream, on_own_link=on_own_link)
        await stage.broker.until(lambda: len(stage.broker.subscribed) == 2)
        fresh = stage.broker.subscribed[1]
        assert stage.broker.requests[-1]["frequency"] == 1_000
        # Until the new one is granted the old one is delivered.
        old_peer.transport.send([data(old, book(1))])
        assert (await anext(stream)).time_ms == 1
        assert not stage.broker.unsubscribed
        stage.broker.send(answer(fresh), data(fresh, book(2)))
        assert await replaced
        await settle()
        old_peer.transport.send([data(old, book(3))])
        stage.broker.send(data(fresh, book(4)))
        await settle()
        assert [(await anext(stream)).time_ms] == [4]
        assert stage.broker.unsubscribed == [old]
        assert not len(stage.client.gaps)
        assert len(stage.fleet.links) == 1 + on_own_link
        # Equal requests still find it.
        other = await stage.client.book("TEST").open()
        assert len(stage.broker.subscribed) == 2
        await other.close()
        await stream.close()
        await asyncio.sleep(60)
        assert len(stage.fleet.links) == 1, "a connection of its own goes with its stream"

    run(scenario)


def test_a_successor_that_is_refused_or_not_answered_changes_nothing() -> None:
    async def scenario(stage: Stage) -> None:
        stream, old = await opened(stage)
        for reply in (silence, lambda request: [answer(request["guid"], 404, "no")]):
            stage.broker.reply = reply
            assert not await replacing(stage, stream, on_own_link=False)
            stage.broker.send(data(old, book(5)))
            assert (await anext(stream)).time_ms == 5
        assert stream.state is ACTIVE
        await stream.close()

    run(scenario)


def test_a_stream_closed_or_cut_while_it_is_replaced_leaves_nothing_behind() -> None:
    async def scenario(stage: Stage) -> None:
        stream, _ = await opened(stage)
        stage.broker.reply = silence
        replaced = replacing(stage, stream, on_own_link=False)
        await stage.broker.until(lambda: len(stage.broker.subscribed) == 2)
        await stream.close()
        stage.broker.send(answer(stage.broker.subscribed[1]))
        assert not await replaced
        await settle()
        assert stage.nothing_is_left()
        stage.broker.reply = accept_all
        stream, _ = await opened(stage)
        stage.broker.reply = silence
        replaced = replacing(stage, stream, on_own_link=False)
        await settle()
        stage.broker.reply = accept_all
        stage.network.cut()
        assert not await replaced
        await asyncio.sleep(30)
        assert stream.state is ACTIVE
        await stream.close()

    run(scenario)


def test_a_cut_of_the_old_connection_is_healed_by_the_new_one() -> None:
    async def scenario(stage: Stage) -> None:
        stream, _ = await opened(stage)
        stage.broker.reply = silence
        replaced = replacing(stage, stream, on_own_link=True)
        await stage.broker.until(lambda: len(stage.broker.subscribed) == 2)
        stage.broker.reply = accept_all
        fresh = stage.broker.subscribed[1]
        stage.network.connections[0].cut()
        stage.broker.send(answer(fresh), data(fresh, book(2)))
        assert await replaced
        assert (await anext(stream)).time_ms == 2
        (gap,) = stage.client.gaps
        assert gap.state.value == "filled"
        await stream.close()

    run(scenario)


def test_connections_of_one_stream_are_few_and_leave_one_for_what_is_critical(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links, "DATA_LINKS_MAX", 4)

    async def scenario(stage: Stage) -> None:
        streams = [await stage.client.book(f"T{number}").open() for number in range(4)]
        done = [await replacing(stage, stream, on_own_link=True) for stream in streams]
        assert done == [True, True, False, False]
        orders = await stage.client.portfolio("D1").watch_orders().open()
        assert len(stage.fleet.links) == 4
        # What does not move goes on where it was, and one more finds its place beside it.
        more = await stage.client.book("MORE").open()
        for stream in (*streams, orders, more):
            await stream.close()

    run(scenario)


def test_trades_are_not_replaced() -> None:
    async def scenario(stage: Stage) -> None:
        trades = await stage.client.trades("TEST").open()
        feed = stage.fleet._feed_of[trades]
        assert not await stage.fleet.replace(feed, feed.request, on_own_link=True)
        assert len(stage.fleet.links) == 1
        await trades.close()

    run(scenario)


# --- the whole ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relieves", [True, False])
def test_a_connection_that_falls_behind_is_relieved_step_by_step_unless_that_is_off(relieves: bool) -> None:
    async def scenario(stage: Stage) -> None:
        stage.fleet._watch._relief.acts = relieves
        events = aiter(stage.client.events)
        streams = [await stage.client.book(f"T{number}").open() for number in range(3)]
        peer = stage.broker.peer
        for second in range(60):
            guids = [guid for guid in stage.broker.subscribed if guid not in stage.broker.unsubscribed]
            peer.transport.send([data(guid, book(second)) for guid in guids for _ in range(200)])
            stage.broker.ping_delay_s = 0.0 if second < 30 else 4.0
            await asyncio.sleep(1)
        estimate = stage.fleet.links[0].pressure.estimate
        assert estimate.round_trip_s == pytest.approx(4, abs=0.2)
        assert estimate.waiting > ACT_ABOVE * UNPROCESSED_MESSAGES_MAX
        asked_most = max(request["frequency"] for request in stage.broker.requests if "frequency" in request)
        # Calm returns, and with it the intervals that the program has asked for.
        stage.broker.ping_delay_s = 0.0
        await asyncio.sleep(3 * EASE_AFTER_S)
        assert {stage.fleet._feed_of[stream].request.frequency for stream in streams} == {175}
        assert all(stream.state is ACTIVE for stream in streams)
        for stream in streams:
            await stream.close()
        stage.client.events.close()
        told = [event async for event in events if isinstance(event, PressureEvent)]
        asked = [request["frequency"] for request in stage.broker.requests if "frequency" in request]
        if relieves:
            assert {event.stream for event in told} == {"book:T0", "book:T1", "book:T2"}
            assert asked_most >= 350
            assert told[-1].action == "one message in 175 ms"
            assert all(event.waiting > ACT_ABOVE * event.waiting_max for event in told[:3])
        else:
            assert not told
            assert set(asked) == {175}

    run(scenario)


@pytest.mark.parametrize("time_ms", [None, 4_102_444_800_000, 1])
def test_a_trade_whose_time_cannot_be_says_nothing_of_what_waits(time_ms: int | None) -> None:
    async def scenario(stage: Stage) -> None:
        trades = await stage.client.trades("TEST").open()
        guid = stage.broker.subscribed[-1]
        now_ms = int(stage.fleet.now().timestamp() * 1_000)
        for second in range(60):
            at_ms = time_ms if second < 10 else now_ms + second * 1_000
            stage.broker.send(*(data(guid, trade(second * 10 + one, t=at_ms)) for one in range(10)))
            await asyncio.sleep(1)
        assert stage.fleet.links[0].pressure.estimate.waiting < 100
        assert stage.fleet.links[0].pressure.estimate.messages_per_s > 1
        await trades.close()

    run(scenario)
