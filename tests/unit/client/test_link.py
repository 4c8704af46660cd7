"""What a connection does on its own: asking again, pausing, ending; and what must not follow from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from tapewire.client.asking import ANSWER_TIMEOUT_S
from tapewire.client.backoff import LAST_S
from tapewire.client.buffer import Fail
from tapewire.client.errors import BufferOverflowError
from tapewire.client.events import ConnectedEvent, SilentEvent, WaitingEvent
from tapewire.client.heartbeat import PING_EVERY_S, PING_TIMEOUT_S
from tapewire.client.link import Link
from tapewire.client.reach import WOKEN_SPREAD_S
from tapewire.client.states import SubscriptionState
from tapewire.client.subscriber import REFUSED_PAUSE_MAX_S, REFUSED_PAUSE_S, TRIES_MAX
from tapewire.client.subscription import Subscription
from tapewire.model import Bar, Exchange
from tapewire.ports.network import HandshakeRefusedError
from tapewire.protocol.formats import codec
from tapewire.protocol.requests import SubscribeBars
from tapewire.protocol.words import Format
from tapewire.simulation import run_virtual
from unit.client.stage import (
    Request,
    Stage,
    accept_all,
    access_token,
    answer,
    data,
    settle,
    silence,
    staged,
    trade,
)

ACTIVE, RESTORING = SubscriptionState.ACTIVE, SubscriptionState.RESTORING


def run(scenario: Callable[[Stage], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with staged(**settings) as stage:
            await scenario(stage)

    run_virtual(main)


def now() -> float:
    return asyncio.get_running_loop().time()


def cut(stage: Stage) -> None:
    stage.network.connections[-1].cut()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(600):
        while not condition():  # noqa: ASYNC110  (virtual time; what is waited for tells nobody)
            await asyncio.sleep(0.01)


def test_streams_of_a_new_lane_that_are_opened_together_share_the_wait_for_its_connection() -> None:
    async def scenario(stage: Stage) -> None:
        portfolio = stage.client.portfolio("D1", exchange=Exchange.MOEX)
        streams = [portfolio.watch_orders(), portfolio.watch_fills(), portfolio.watch_positions()]
        opening = []
        for stream in streams:
            opening.append(asyncio.create_task(stream.open()))
            # The next one finds the connection while it is being opened.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.gather(*opening)
        assert [stream.state for stream in streams] == [ACTIVE] * 3
        assert len(stage.fleet.links) == 2
        for stream in streams:
            await stream.close()

    run(scenario)


def test_a_consumer_that_overflows_takes_nothing_from_another_of_the_same_stream() -> None:
    async def scenario(stage: Stage) -> None:
        slow = await stage.client.trades("TEST", buffer=Fail(1)).open()
        other = await stage.client.trades("TEST").open()
        guid = stage.broker.subscribed[0]
        stage.broker.send(*(data(guid, trade(number)) for number in range(1, 5)))
        assert [(await anext(other)).id for _ in range(4)] == [1, 2, 3, 4]
        assert (await anext(slow)).id == 1
        with pytest.raises(BufferOverflowError):
            await anext(slow)
        assert other.state is ACTIVE
        await other.close()

    run(scenario)


def test_a_refusal_near_the_deadline_is_asked_again_after_its_pause_and_nothing_spins() -> None:
    async def scenario(stage: Stage) -> None:
        books = await stage.client.book("TEST").open()
        loop = asyncio.get_running_loop()

        def late_refusal(request: Request) -> list[bytes]:
            reply = answer(request["guid"], 429, "too many")
            loop.call_later(ANSWER_TIMEOUT_S - 0.5, lambda: stage.broker.send(reply))
            stage.broker.reply = accept_all
            return []

        stage.broker.reply = late_refusal
        cut(stage)
        # Without an end of its own a loop that spins would stop virtual time.
        async with asyncio.timeout(120):
            await until(lambda: books.state is ACTIVE and len(stage.broker.subscribed) == 3)
        assert not stage.broker.unsubscribed
        await books.close()

    run(scenario)


def test_a_stream_that_a_busy_broker_refuses_is_asked_for_at_growing_intervals_up_to_a_bound() -> None:
    async def scenario(stage: Stage) -> None:
        trades = await stage.client.trades("TEST").open()
        asked_at: list[float] = []

        def busy(request: Request) -> list[bytes]:
            asked_at.append(now())
            return [answer(request["guid"], 429, "too many")]

        stage.broker.reply = busy
        cut(stage)
        await until(lambda: len(asked_at) == 12)
        pauses = [later - earlier for earlier, later in pairwise(asked_at)]
        assert REFUSED_PAUSE_S[0] < pauses[0] < REFUSED_PAUSE_S[1] + 0.1
        assert all(REFUSED_PAUSE_MAX_S / 2 <= pause <= REFUSED_PAUSE_MAX_S + 0.1 for pause in pauses[-4:])
        stage.broker.reply = accept_all
        await until(lambda: trades.state is ACTIVE)
        # A grant ends the growth.
        asked_at.clear()
        stage.broker.reply = busy
        cut(stage)
        await until(lambda: len(asked_at) == 2)
        assert asked_at[1] - asked_at[0] < REFUSED_PAUSE_S[1] + 0.1
        await trades.close()

    run(scenario)


def test_when_one_connection_gets_through_the_others_do_not_wait_out_their_pauses() -> None:
    async def scenario(stage: Stage) -> None:
        events = aiter(stage.client.events)
        books = await stage.client.book("TEST").open()
        orders = await stage.client.portfolio("D1").watch_orders().open()
        # Long enough that pauses have grown to tens of seconds.
        stage.broker.address.refuse(None)
        stage.network.cut()
        await asyncio.sleep(90)
        stage.broker.address.restore()
        await until(lambda: ACTIVE in (books.state, orders.state))
        first = now()
        await until(lambda: books.state is orders.state is ACTIVE)
        assert now() - first < WOKEN_SPREAD_S + 0.1
        for stream in (books, orders):
            await stream.close()
        stage.client.events.close()
        pauses = [event.seconds async for event in events if isinstance(event, WaitingEvent)]
        assert max(pauses) > 10

    run(scenario)


def test_connections_that_are_ended_at_once_do_not_wake_each_other_without_end() -> None:
    async def scenario(stage: Stage) -> None:
        books = await stage.client.book("TEST").open()
        orders = await stage.client.portfolio("D1").watch_orders().open()
        stage.network.cut()
        before = len(stage.broker.peers)
        began = now()
        while now() - began < 300:
            await until(lambda: any(not one.client.ended for one in stage.network.connections))
            stage.network.cut()
        # Each alone makes about twenty tries in five minutes.
        assert len(stage.broker.peers) - before < 60
        await until(lambda: books.state is orders.state is ACTIVE)
        for stream in (books, orders):
            await stream.close()

    run(scenario)


def test_a_connection_lost_during_a_renewal_is_not_asked_twice_on_the_next() -> None:
    async def scenario(stage: Stage) -> None:
        books = await stage.client.book("TEST").open()
        stage.broker.reply = lambda request: [
            answer(request["guid"], 200 if request["token"] == access_token(2) else 401, "Invalid JWT token!")
        ]
        stage.oauth.swallow()
        cut(stage)
        await until(lambda: len(stage.broker.subscribed) == 2)
        await settle()
        cut(stage)
        stage.broker.reply = accept_all
        await until(lambda: books.state is ACTIVE)
        await asyncio.sleep(60)
        assert len(set(stage.broker.subscribed)) == len(stage.broker.subscribed) == 3
        await books.close()

    run(scenario)


def test_one_stream_that_is_never_answered_does_not_cost_the_others_their_connection() -> None:
    async def scenario(stage: Stage) -> None:
        good = await stage.client.book("GOOD").open()
        bad = await stage.client.book("BAD").open()
        events = aiter(stage.client.events)
        stage.broker.reply = lambda request: silence(request) if request["code"] == "BAD" else accept_all(request)
        cut(stage)
        await asyncio.sleep(600)
        assert (good.state, bad.state) == (ACTIVE, RESTORING)
        assert len(stage.broker.peers) == 2, "one connection for each cut"
        asked = sum(request.get("code") == "BAD" for request in stage.broker.requests)
        assert TRIES_MAX < asked < 600 / ANSWER_TIMEOUT_S
        stage.broker.reply = accept_all
        await until(lambda: bad.state is ACTIVE)
        await good.close()
        await bad.close()
        stage.client.events.close()
        told = [event async for event in events if isinstance(event, SilentEvent)]
        assert {event.subject for event in told} == {"book:BAD"}

    run(scenario)


def test_a_broker_that_answers_no_request_at_all_is_left_for_a_new_connection() -> None:
    async def scenario(stage: Stage) -> None:
        book = await stage.client.book("TEST").open()
        stage.broker.reply = silence
        cut(stage)
        await until(lambda: len(stage.broker.peers) == 3)
        stage.broker.reply = accept_all
        await until(lambda: book.state is ACTIVE)
        await book.close()

    run(scenario)


def test_a_connection_that_answers_no_ping_is_left_and_the_event_says_so() -> None:
    async def scenario(stage: Stage) -> None:
        book = await stage.client.book("TEST").open()
        events = aiter(stage.client.events)
        began = now()
        stage.broker.answers_pings = False
        await until(lambda: len(stage.broker.peers) == 2)
        assert now() - began < PING_EVERY_S + PING_TIMEOUT_S + 2
        assert isinstance(await anext(events), SilentEvent)
        stage.broker.answers_pings = True
        await until(lambda: book.state is ACTIVE)
        await book.close()

    run(scenario)


def test_a_goodbye_that_the_broker_does_not_end_is_not_waited_for() -> None:
    async def scenario(stage: Stage) -> None:
        book = await stage.client.book("TEST").open()
        stage.broker.answers_close = False
        # Text that is no UTF-8: the client ends the connection and the broker leaves it hanging.
        stage.broker.peer.transport.send_frame(1, b"\xff")
        began = now()
        await until(lambda: len(stage.broker.peers) == 2)
        assert now() - began < 5
        stage.broker.answers_close = True
        await until(lambda: book.state is ACTIVE)
        await book.close()

    run(scenario)


def test_a_stream_that_falls_silent_is_subscribed_to_anew_and_what_it_missed_is_fetched() -> None:
    async def scenario(stage: Stage) -> None:
        trades = await stage.client.trades("TEST").open()
        other = await stage.client.trades("OTHER").open()
        third = await stage.client.trades("THIRD").open()
        old, *others = stage.broker.subscribed
        for number in range(300):
            guids = (old, *others) if number < 200 else others
            stage.broker.send(*(data(guid, trade(number)) for guid in guids))
            await asyncio.sleep(0.5)
        assert len(stage.broker.peers) == 1
        fresh = stage.broker.subscribed[3]
        assert stage.broker.unsubscribed == [old]
        (gap,) = stage.client.gaps
        assert "silent for" in gap.cause
        before = trades.received
        stage.broker.send(data(old, trade(900)), data(fresh, trade(901)))
        await settle()
        assert trades.received == before + 1, "data of the old guid are dropped"
        for stream in (trades, other, third):
            await stream.close()

    run(scenario)


def test_when_to_come_back_is_kept_with_a_spread() -> None:
    async def scenario(stage: Stage) -> None:
        book = await stage.client.book("TEST").open()
        events = aiter(stage.client.events)
        accept = stage.broker.address.acceptor

        def refuse(path: str, client: str) -> None:
            raise HandshakeRefusedError(429, "TooManyRequests", "not now", retry_after_s=60)

        stage.broker.address.acceptor = refuse
        cut(stage)
        pauses = []
        while len(pauses) < 3:
            event = await anext(events)
            if isinstance(event, WaitingEvent):
                pauses.append(event.seconds)
        assert pauses[0] <= 1, "a cut is no refusal"
        assert all(60 <= pause <= 60 + LAST_S for pause in pauses[1:])
        stage.broker.address.acceptor = accept
        async for event in events:
            if isinstance(event, ConnectedEvent):
                break
        await until(lambda: book.state is ACTIVE)
        await book.close()

    run(scenario)


def test_a_shared_stream_of_bars_can_be_opened_again_after_it_was_restored_and_closed() -> None:
    async def scenario(stage: Stage) -> None:
        def make() -> Subscription[Bar]:
            request = SubscribeBars(
                guid="", code="TEST", exchange=Exchange.MOEX, timeframe=60, since_s=0, skip_history=True
            )
            return Subscription(request, codec(Bar, Format.SIMPLE), Fail(9), "bars:TEST", stage.fleet)

        fields = {"time": 60, "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1}
        bars = await make().open()
        stage.broker.send(data(stage.broker.subscribed[0], fields))
        assert (await anext(bars)).time_s == 60
        cut(stage)
        await until(lambda: len(stage.broker.subscribed) == 2 and bars.state is ACTIVE)
        await bars.close()
        assert stage.nothing_is_left()
        again = await make().open()
        await settle()
        assert len(stage.broker.subscribed) == 3, "it is asked for, not joined to one that has ended"
        await again.close()

    run(scenario)


def test_a_fault_of_our_own_ends_the_streams_and_not_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(stage: Stage) -> None:
        book = await stage.client.book("TEST").open()

        def broken(*_: object) -> None:
            raise ZeroDivisionError("our own")

        monkeypatch.setattr(Link, "_left", broken)
        cut(stage)
        with pytest.raises(Exception, match="connection 1 has failed"):
            await anext(book)
        assert "ZeroDivisionError" in caplog.text

    run(scenario)
