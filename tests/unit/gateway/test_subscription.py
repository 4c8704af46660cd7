"""One subscription between its feed and its outbox."""

from __future__ import annotations

import asyncio
import json

from tapewire.gateway.feeds import Event, EventFeed, FeedKey
from tapewire.gateway.outbox import Outbox
from tapewire.gateway.pulse import Pulse
from tapewire.gateway.rhythm import Rhythm
from tapewire.gateway.subscription import Subscription
from tapewire.gateway.windows import Windows
from tapewire.model import Side, StreamPosition, Topic, TopicKind, Trade
from tapewire.protocol.words import Format
from tapewire.simulation import run_virtual
from unit.gateway.mail import burst, no_past_breaks, taken

TAPE = Topic(TopicKind.TRADES, "MOEX", "SBER", "TQBR")


def trade(number: int) -> Trade:
    return Trade(
        id=number,
        symbol="SBER",
        board="TQBR",
        quantity=1,
        price=1.0,
        time_ms=1,
        open_interest=None,
        existing=False,
        side=Side.BUY,
    )


class Desk:
    """A subscription whose records are written as their numbers."""

    def __init__(self, messages_max: int = 100, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.marks = 0
        self.outbox = Outbox(self.mark, lambda: None, no_past_breaks, messages_max=messages_max)
        beating = loop or asyncio.new_event_loop()
        rhythm = Rhythm(Windows(beating), Pulse(beating, beating.time))
        if loop is None:
            beating.close()
        feed = EventFeed(FeedKey(TAPE, Format.SIMPLE), rhythm)
        self.subscription = Subscription("g", feed, self.outbox, None)

    def mark(self) -> None:
        self.marks += 1

    def live(self, number: int, *, epoch: str = "one", sequence: int | None = None) -> None:
        position = StreamPosition(epoch, number if sequence is None else sequence)
        event = Event(position, trade(number), self.write(trade(number)))
        self.subscription.deliver_events([event], burst(event.shared))

    def begin(self, *numbers: int, reached: StreamPosition) -> None:
        self.subscription.begin([trade(number) for number in numbers], reached, self.write)

    def write(self, record: object) -> bytes:
        assert isinstance(record, Trade)
        return b"%d" % record.id

    def sent(self) -> list[int]:
        return [int(message.partition(b",")[0]) for message in taken(self.outbox)]


def test_events_go_straight_to_the_outbox_and_mark_it() -> None:
    desk = Desk()
    desk.live(1)
    desk.live(2)
    assert (desk.marks, desk.sent()) == (1, [1, 2])


def test_while_the_past_is_read_nothing_is_marked_and_everything_counts() -> None:
    desk = Desk()
    desk.subscription.hold()
    for number in (4, 5, 6):
        desk.live(number)
    assert (desk.marks, desk.outbox.count) == (0, 3)
    desk.begin(2, 3, 4, reached=StreamPosition("one", 4))
    assert (desk.marks, desk.sent()) == (1, [2, 3, 4, 5, 6])
    desk.live(7)
    assert (desk.marks, desk.sent()) == (2, [7])


def test_what_was_not_delivered_yet_when_the_past_comes_is_sent_once() -> None:
    async def scenario() -> None:
        desk = Desk(loop=asyncio.get_running_loop())
        desk.subscription.hold()
        feed = desk.subscription.feed
        assert isinstance(feed, EventFeed)
        feed.add(desk.subscription)
        feed.happened(StreamPosition("one", 4), trade(4))
        desk.begin(3, 4, reached=StreamPosition("one", 4))
        feed.deliver()
        assert [json.loads(message)["data"]["id"] for message in taken(desk.outbox)[1:]] == [4]

    run_virtual(scenario)


def test_live_trades_that_a_short_past_has_no_room_for_are_sent() -> None:
    desk = Desk()
    desk.subscription.hold()
    for number in (4, 5, 6):
        desk.live(number)
    desk.begin(6, reached=StreamPosition("one", 6))
    assert desk.sent() == [4, 5, 6]


def test_a_past_shows_the_newest_of_what_was_before() -> None:
    desk = Desk()
    desk.subscription.hold()
    desk.live(4)
    past = [trade(number) for number in (1, 2, 3, 4)]
    desk.subscription.begin(past, StreamPosition("one", 4), desk.write, length_max=2)
    assert desk.sent() == [2, 3, 4]


def test_a_page_of_a_later_epoch_tells_what_nobody_was_told() -> None:
    desk = Desk()
    desk.subscription.hold()
    desk.live(4)
    desk.begin(3, 4, 5, reached=StreamPosition("two", 1))
    desk.live(6, epoch="two", sequence=2)
    assert desk.sent() == [3, 4, 5, 6]


def test_a_page_of_a_later_epoch_holds_what_came_before_it() -> None:
    desk = Desk()
    desk.subscription.hold()
    for number in (4, 5):
        desk.live(number)
    desk.live(6, epoch="two", sequence=1)
    desk.live(7, epoch="two", sequence=2)
    desk.begin(3, 4, 5, 6, reached=StreamPosition("two", 1))
    assert desk.sent() == [3, 4, 5, 6, 7]


def test_a_page_of_an_earlier_epoch_holds_nothing_of_the_later_one() -> None:
    desk = Desk()
    desk.subscription.hold()
    desk.live(4, epoch="two", sequence=1)
    desk.live(5, epoch="two", sequence=2)
    desk.begin(1, 2, 3, reached=StreamPosition("one", 3))
    assert desk.sent() == [1, 2, 3, 4, 5]


def test_an_empty_page_of_another_epoch_loses_nothing() -> None:
    desk = Desk()
    desk.subscription.hold()
    desk.live(1)
    desk.begin(reached=StreamPosition("two", 0))
    assert desk.sent() == [1]


def test_a_session_that_is_being_cut_remembers_nothing_more() -> None:
    desk = Desk(messages_max=10)
    desk.subscription.hold()
    for number in range(1000):
        desk.live(number)
    waiting = desk.subscription._joining
    assert waiting is not None
    assert len(waiting) <= 11
    desk.begin(1, 2, reached=StreamPosition("one", 2))
    assert desk.sent() == []


def test_the_tail_names_the_guid() -> None:
    assert Desk().subscription.tail == b',"guid":"g"}'


def test_what_must_not_wait_is_hurried_with_each_delivery() -> None:
    desk = Desk()
    hurried: list[int] = []
    desk.subscription = Subscription("g", desk.subscription.feed, desk.outbox, lambda: hurried.append(1))
    desk.live(1)
    desk.live(2)
    assert len(hurried) == 2


def test_a_burst_that_the_past_holds_in_part_is_taken_apart() -> None:
    desk = Desk()
    desk.subscription.hold()
    events = [Event(StreamPosition("one", number), trade(number), b"%d" % number) for number in (3, 4, 5, 6)]
    desk.subscription.deliver_events(events, burst(*(event.shared for event in events)))
    desk.begin(2, 3, 4, reached=StreamPosition("one", 4))
    assert desk.sent() == [2, 3, 4, 5, 6]


def test_a_state_that_the_past_has_brought_is_not_sent_again() -> None:
    desk = Desk()
    desk.subscription.hold()
    desk.subscription.deliver_state(StreamPosition("one", 4), burst(b"4"))
    desk.begin(3, reached=StreamPosition("one", 4))
    for sequence in (3, 4, 5):
        desk.subscription.deliver_state(StreamPosition("one", sequence), burst(b"%d" % sequence))
    assert desk.sent() == [3, 5]
    desk.subscription.deliver_state(StreamPosition("two", 1), burst(b"6"))
    assert desk.sent() == [6]


def test_a_first_state_that_the_past_has_shown_is_not_sent_again() -> None:
    desk = Desk()
    desk.subscription.hold()
    desk.subscription.deliver_first(StreamPosition("one", 4), burst(b"4"))
    desk.begin(3, reached=StreamPosition("one", 4))
    desk.subscription.deliver_first(StreamPosition("one", 4), burst(b"4"))
    assert desk.sent() == [3]
    desk.subscription.deliver_first(StreamPosition("one", 5), burst(b"5"))
    desk.subscription.deliver_state(StreamPosition("one", 6), burst(b"6"))
    assert desk.sent() == [5, 6]
