"""Feeds: encoded once for all, the newest state once a window, and joining without doubles."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from tapewire.gateway import feeds
from tapewire.gateway.burst import BURST_MESSAGES_MAX, Burst
from tapewire.gateway.feeds import Event, EventFeed, FeedKey, StateFeed
from tapewire.gateway.hub import Hub
from tapewire.gateway.pulse import Pulse
from tapewire.model import Book, Record, StreamPosition, Topic, TopicKind
from tapewire.protocol.words import Format
from tapewire.simulation import ScriptedVenue, VirtualClock, run_virtual
from unit.gateway.test_gateway import FILL
from unit.gateway.world import GAZP, SBER


class Subscriber:
    """Keeps what was delivered, with the time."""

    def __init__(self) -> None:
        self.states: list[tuple[float, Any]] = []
        self.events: list[Any] = []
        self.bursts: list[int] = []

    def deliver_state(self, position: StreamPosition, state: Burst) -> None:
        [shared] = state.messages
        self.states.append((asyncio.get_running_loop().time(), json.loads(shared + b"}")["data"]))

    def deliver_first(self, position: StreamPosition, state: Burst) -> None:
        self.deliver_state(position, state)

    def deliver_final(self, position: StreamPosition, state: Burst) -> None:
        raise AssertionError("of bars only")

    def deliver_events(self, events: Sequence[Event], burst: Burst) -> None:
        assert [event.shared for event in events] == list(burst.messages)
        self.bursts.append(len(events))
        for event in events:
            self.events.append((event.position, json.loads(event.shared + b"}")["data"]))

    def bids(self) -> list[float]:
        return [state["bids"][0]["price"] for _, state in self.states]


class Hall:
    """A hub over a scripted venue, with the encodings counted."""

    def __init__(self) -> None:
        self.venue = ScriptedVenue((SBER, GAZP), clock=VirtualClock())
        loop = asyncio.get_running_loop()
        self.hub = Hub(self.venue, loop, Pulse(loop, loop.time))
        self.book = self.venue.topic(TopicKind.BOOK, SBER)
        self.tape = self.venue.topic(TopicKind.TRADES, SBER)

    def feed(self, window_ms: int = 100, depth: int = 20, form: Format = Format.SIMPLE) -> StateFeed:
        return self.hub.state_feed(FeedKey(self.book, form, depth, window_ms))

    def bid(self, price: float) -> None:
        self.venue.set_book(SBER, [(price, 1)])


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """Every record that a feed writes."""
    written: list[Record] = []
    real = feeds.encoder

    def counting(key: FeedKey) -> Callable[[Record], bytes]:
        write = real(key)

        def count(record: Record) -> bytes:
            written.append(record)
            return write(record)

        return count

    monkeypatch.setattr(feeds, "encoder", counting)
    return written


def run(scenario: Callable[[Hall], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await scenario(Hall())

    run_virtual(main)


def test_a_thousand_subscribers_cost_one_encoding_a_window(encoded: list[Record]) -> None:
    async def scenario(hall: Hall) -> None:
        hall.bid(1)
        feed = hall.feed()
        subscribers = [Subscriber() for _ in range(1000)]
        assert len({feed.add(subscriber) for subscriber in subscribers}) == 1
        assert len(encoded) == 1
        for price in (2, 3, 4):
            hall.bid(price)
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        assert len(encoded) == 2
        assert all(subscriber.bids() == [4] for subscriber in subscribers)

    run(scenario)


def test_a_late_snapshot_is_encoded_once_for_all_who_waited(encoded: list[Record]) -> None:
    async def scenario(hall: Hall) -> None:
        feed = hall.feed()
        subscribers = [Subscriber() for _ in range(1000)]
        assert {feed.add(subscriber) for subscriber in subscribers} == {None}
        hall.bid(1)
        await asyncio.sleep(0.5)
        assert all(subscriber.bids() == [1] for subscriber in subscribers)
        assert all(subscriber.states[0][1]["existing"] is True for subscriber in subscribers)
        assert len(encoded) <= 2

    run(scenario)


def test_an_event_of_a_quiet_tape_does_not_wait_for_the_next_turn() -> None:
    async def scenario(hall: Hall) -> None:
        feed = hall.hub.event_feed(FeedKey(hall.tape, Format.SLIM))
        subscriber = Subscriber()
        feed.add(subscriber)
        hall.venue.publish_trade(SBER, 300)
        await asyncio.sleep(0.1)
        hall.venue.publish_trade(SBER, 301)
        assert subscriber.bursts == [1, 1]
        await asyncio.sleep(0.1)
        assert subscriber.bursts == [1, 1]

    run(scenario)


def test_an_event_is_encoded_once_for_all(encoded: list[Record]) -> None:
    async def scenario(hall: Hall) -> None:
        feed = hall.hub.event_feed(FeedKey(hall.tape, Format.SLIM))
        subscribers = [Subscriber() for _ in range(1000)]
        for subscriber in subscribers:
            feed.add(subscriber)
        trades = [hall.venue.publish_trade(SBER, 300 + step) for step in range(3)]
        assert len(encoded) == hall.hub.encoded == 3
        assert subscribers[0].events == []
        await asyncio.sleep(0)
        assert subscribers[0].bursts == [3]
        for subscriber in subscribers:
            assert [record["id"] for _, record in subscriber.events] == [trade.id for trade in trades]
            assert [position.sequence for position, _ in subscriber.events] == [1, 2, 3]

    run(scenario)


def test_the_newest_state_comes_at_the_end_of_each_window_that_had_a_change() -> None:
    async def scenario(hall: Hall) -> None:
        hall.bid(1)
        feed, subscriber = hall.feed(), Subscriber()
        feed.add(subscriber)
        await asyncio.sleep(0.005)
        for step in range(29):  # until 0.295: a change each 10 ms
            hall.bid(2 + step)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.65)  # silence for six windows
        hall.bid(99)
        await asyncio.sleep(1)
        times = [when for when, _ in subscriber.states]
        assert times == pytest.approx([0.1, 0.2, 0.3, 1.0], abs=0.0011)
        assert subscriber.bids() == [11, 21, 30, 99]
        assert all(state["existing"] is False for _, state in subscriber.states)

    run(scenario)


def test_nothing_is_sent_without_a_change() -> None:
    async def scenario(hall: Hall) -> None:
        hall.bid(1)
        subscriber = Subscriber()
        assert hall.feed().add(subscriber) is not None
        await asyncio.sleep(60)
        assert subscriber.states == []

    run(scenario)


def test_joining_in_the_middle_of_a_window_gives_that_state_once() -> None:
    async def scenario(hall: Hall) -> None:
        hall.bid(1)
        feed, early, late, later = hall.feed(), Subscriber(), Subscriber(), Subscriber()
        feed.add(early)
        hall.bid(2)
        await asyncio.sleep(0.05)
        first = feed.add(late)
        assert first is not None
        assert json.loads(first + b"}")["data"]["bids"] == [{"price": 2, "volume": 1}]
        await asyncio.sleep(0.1)
        assert (early.bids(), late.bids()) == ([2], [])
        hall.bid(3)
        feed.add(later)
        hall.bid(4)
        await asyncio.sleep(0.2)
        assert (early.bids(), late.bids(), later.bids()) == ([2, 4], [4], [4])

    run(scenario)


def test_the_first_state_is_existing_and_the_live_ones_are_not() -> None:
    async def scenario(hall: Hall) -> None:
        hall.bid(1)
        subscriber = Subscriber()
        first = hall.feed().add(subscriber)
        assert first is not None
        data = json.loads(first + b"}")["data"]
        assert (data["existing"], data["snapshot"]) == (True, True)
        hall.bid(2)
        await asyncio.sleep(0.2)
        assert subscriber.states[0][1]["existing"] is False

    run(scenario)


def test_a_state_that_stays_unknown_is_waited_for_over_many_windows() -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.hold_snapshot(hall.book)
        feed, waiting, gone = hall.feed(), Subscriber(), Subscriber()
        feed.add(waiting)
        feed.add(gone)
        hall.hub.changed(hall.book)
        await asyncio.sleep(0.5)
        hall.hub.changed(hall.book)
        await asyncio.sleep(0.5)
        feed.remove(gone)
        hall.bid(7)
        hall.venue.release_snapshot(hall.book)
        await asyncio.sleep(0.5)
        hall.bid(8)
        await asyncio.sleep(0.5)
        assert waiting.bids() == [7, 8]
        assert [state["existing"] for _, state in waiting.states] == [True, False]
        assert gone.states == []

    run(scenario)


@pytest.mark.parametrize("form", list(Format))
def test_the_depth_cuts_both_sides(form: Format) -> None:
    async def scenario(hall: Hall) -> None:
        levels = [(100 - step, 1 + step) for step in range(50)]
        hall.venue.set_book(SBER, levels, [(price + 200, lots) for price, lots in levels[:2]])
        bids = "b" if form is Format.SLIM else "bids"
        asks = "a" if form is Format.SLIM else "asks"
        price = "p" if form is Format.SLIM else "price"
        for depth, seen in ((1, (1, 1)), (3, (3, 2)), (50, (50, 2))):
            subscriber = Subscriber()
            first = hall.feed(depth=depth, form=form).add(subscriber)
            assert first is not None
            data = json.loads(first + b"}")["data"]
            assert (len(data[bids]), len(data[asks])) == seen
            assert data[bids][0][price] == 100

    run(scenario)


def test_a_restarted_venue_is_no_reason_to_miss_a_state() -> None:
    async def scenario(hall: Hall) -> None:
        hall.bid(1)
        feed, subscriber = hall.feed(), Subscriber()
        feed.add(subscriber)
        hall.venue.restart()  # the same sequence, another epoch
        await asyncio.sleep(0.2)
        assert subscriber.bids() == [1]

    run(scenario)


def test_a_broken_state_costs_its_window_only() -> None:
    async def scenario(hall: Hall) -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        hall.bid(1)
        feed, subscriber = hall.feed(), Subscriber()
        feed.add(subscriber)
        hall.venue._states[hall.book] = hall.venue.set_quote(SBER, 1.0)  # a record of another kind
        hall.hub.changed(hall.book)
        await asyncio.sleep(0.2)
        hall.bid(2)
        await asyncio.sleep(0.2)
        assert subscriber.bids() == [2]
        assert len(reported) == 1

    run(scenario)


def test_equal_keys_share_a_feed_and_others_do_not() -> None:
    async def scenario(hall: Hall) -> None:
        feed = hall.feed()
        assert hall.feed() is feed
        others = [hall.feed(window_ms=101), hall.feed(depth=19), hall.feed(form=Format.SLIM)]
        assert len({id(other) for other in [feed, *others]}) == 4
        tape = hall.hub.event_feed(FeedKey(hall.tape, Format.SLIM))
        assert hall.hub.event_feed(FeedKey(hall.tape, Format.SLIM)) is tape
        assert isinstance(tape, EventFeed)
        assert hall.hub.topics == 2

    run(scenario)


def test_a_removed_subscriber_gets_nothing_more() -> None:
    async def scenario(hall: Hall) -> None:
        hall.bid(1)
        feed, gone, stays = hall.feed(), Subscriber(), Subscriber()
        feed.add(gone)
        feed.add(stays)
        hall.bid(2)
        feed.remove(gone)
        feed.remove(gone)
        assert list(feed._joined) == [stays]
        await asyncio.sleep(1)
        assert (gone.bids(), stays.bids()) == ([], [2])

    run(scenario)


def test_books_that_fit_are_not_copied(encoded: list[Record]) -> None:
    async def scenario(hall: Hall) -> None:
        hall.bid(1)
        feed, subscriber = hall.feed(), Subscriber()
        feed.add(subscriber)
        hall.bid(2)
        await asyncio.sleep(1)
        snapshot = hall.venue.current(hall.book)
        assert snapshot is not None
        assert isinstance(snapshot.record, Book)
        assert encoded[-1] is snapshot.record

    run(scenario)


def test_whoever_joins_between_an_event_and_its_delivery_gets_it_not() -> None:
    async def scenario(hall: Hall) -> None:
        feed = hall.hub.event_feed(FeedKey(hall.tape, Format.SLIM))
        early, late = Subscriber(), Subscriber()
        feed.add(early)
        hall.venue.publish_trade(SBER, 300)
        feed.add(late)
        hall.venue.publish_trade(SBER, 301)
        feed.remove(early)
        await asyncio.sleep(0.01)
        assert [position.sequence for position, _ in early.events] == [1]
        assert [position.sequence for position, _ in late.events] == [2]

    run(scenario)


def test_a_burst_has_a_bound() -> None:
    async def scenario(hall: Hall) -> None:
        feed, subscriber = hall.hub.event_feed(FeedKey(hall.tape, Format.SLIM)), Subscriber()
        feed.add(subscriber)
        for step in range(2 * BURST_MESSAGES_MAX + 3):
            hall.venue.publish_trade(SBER, 300 + step)
        await asyncio.sleep(0.01)
        assert subscriber.bursts == [BURST_MESSAGES_MAX, BURST_MESSAGES_MAX, 3]
        sequences = [position.sequence for position, _ in subscriber.events]
        assert sequences == list(range(1, 2 * BURST_MESSAGES_MAX + 4))

    run(scenario)


def test_events_of_a_portfolio_do_not_wait_for_a_beat() -> None:
    async def scenario(hall: Hall) -> None:
        topic = Topic(TopicKind.FILLS, "MOEX", "D39004")
        feed, subscriber = hall.hub.event_feed(FeedKey(topic, Format.SIMPLE)), Subscriber()
        feed.add(subscriber)
        hall.venue.publish(topic, FILL)
        assert subscriber.bursts == [1]

    run(scenario)


def test_a_feed_that_nothing_happens_to_forgets_who_joined_and_what_they_got() -> None:
    async def scenario(hall: Hall) -> None:
        hall.bid(1)
        feed, subscriber = hall.feed(), Subscriber()
        first = feed.add(subscriber)
        await asyncio.sleep(0.2)
        assert feed._joined == {}
        assert feed._first is None
        assert feed.add(Subscriber()) == first
        hall.bid(2)
        await asyncio.sleep(0.2)
        assert subscriber.bids() == [2]

    run(scenario)
