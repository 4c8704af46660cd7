"""The hub: a topic is opened with the first who wants it and closed with the last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from tapewire.gateway.burst import Burst
from tapewire.gateway.feeds import Event, FeedKey
from tapewire.gateway.hub import Hub
from tapewire.gateway.pulse import Pulse
from tapewire.model import StreamPosition, Topic, TopicKind
from tapewire.ports.venue import FeedSink, Snapshot, UnknownTopicError
from tapewire.protocol.words import Format
from tapewire.simulation import run_virtual

BOOK = Topic(TopicKind.BOOK, "MOEX", "SBER", "TQBR")
TAPE = Topic(TopicKind.TRADES, "MOEX", "SBER", "TQBR")
UNKNOWN = Topic(TopicKind.BOOK, "MOEX", "NONE", "TQBR")


class Source:
    """A ``FeedSource`` that writes down what is opened and closed."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def open(self, topic: Topic, sink: FeedSink) -> None:
        if topic == UNKNOWN:
            raise UnknownTopicError("no such stream")
        self.calls.append(f"open {topic.kind}")

    def close(self, topic: Topic, sink: FeedSink) -> None:
        self.calls.append(f"close {topic.kind}")

    def current(self, topic: Topic) -> Snapshot | None:
        return None


class Subscriber:
    def deliver_state(self, position: StreamPosition, state: Burst) -> None:
        raise AssertionError("there is no state")

    def deliver_first(self, position: StreamPosition, state: Burst) -> None:
        raise AssertionError("there is no state")

    def deliver_final(self, position: StreamPosition, state: Burst) -> None:
        raise AssertionError("there is no state")

    def deliver_events(self, events: Sequence[Event], burst: Burst) -> None:
        raise AssertionError("there are no events")


def new_hub(source: Source) -> Hub:
    loop = asyncio.get_running_loop()
    return Hub(source, loop, Pulse(loop, loop.time))


def key(topic: Topic, depth: int = 5, form: Format = Format.SIMPLE) -> FeedKey:
    is_book = topic.kind is TopicKind.BOOK
    return FeedKey(topic, form, depth if is_book else 0, 100 if is_book else 0)


def run(scenario: Callable[[Hub, Source], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        source = Source()
        await scenario(new_hub(source), source)

    run_virtual(main)


def test_a_topic_is_opened_once_and_closed_once() -> None:
    async def scenario(hub: Hub, source: Source) -> None:
        one, two = hub.state_feed(key(BOOK)), hub.state_feed(key(BOOK, depth=6))
        subscribers = [Subscriber() for _ in range(3)]
        one.add(subscribers[0])
        one.add(subscribers[1])
        two.add(subscribers[2])
        assert source.calls == ["open book"]
        one.remove(subscribers[0])
        hub.release(one)
        one.remove(subscribers[1])
        hub.release(one)
        hub.release(one)
        assert source.calls == ["open book"]
        assert hub.topics == 1
        two.remove(subscribers[2])
        hub.release(two)
        hub.release(two)
        assert source.calls == ["open book", "close book"]
        assert hub.topics == 0

    run(scenario)


def test_states_and_events_are_released_alike() -> None:
    async def scenario(hub: Hub, source: Source) -> None:
        book, tape = hub.state_feed(key(BOOK)), hub.event_feed(key(TAPE))
        hub.release(tape)
        hub.release(book)
        assert source.calls == ["open book", "open trades", "close trades", "close book"]
        again = hub.event_feed(key(TAPE))
        assert again is not tape
        assert source.calls[-1] == "open trades"
        hub.release(tape)  # the old one is nobody's: the new one stays
        assert source.calls[-1] == "open trades"

    run(scenario)


def test_an_unknown_topic_leaves_nothing_behind() -> None:
    async def scenario(hub: Hub, source: Source) -> None:
        with pytest.raises(UnknownTopicError):
            hub.state_feed(key(UNKNOWN))
        assert hub.topics == 0
        assert source.calls == []

    run(scenario)


def test_news_of_a_topic_that_nobody_wants_are_dropped() -> None:
    async def scenario(hub: Hub, source: Source) -> None:
        hub.changed(BOOK)
        feed = hub.state_feed(key(BOOK))
        subscriber = Subscriber()
        feed.add(subscriber)
        hub.changed(BOOK)
        feed.remove(subscriber)
        hub.release(feed)
        await asyncio.sleep(1)

    run(scenario)


def test_closing_closes_every_topic_once() -> None:
    async def scenario(hub: Hub, source: Source) -> None:
        book, tape = hub.state_feed(key(BOOK)), hub.event_feed(key(TAPE))
        hub.close()
        hub.release(book)
        hub.release(tape)
        hub.close()
        assert source.calls == ["open book", "open trades", "close book", "close trades"]
        assert hub.topics == 0

    run(scenario)
