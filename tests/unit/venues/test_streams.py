import pytest

from tapewire.model import BookLevel, StreamPosition, TopicKind
from tapewire.venues.streams import Streams
from trading import RecordingSink, topic

BOOK = topic(TopicKind.BOOK)
QUOTE = topic(TopicKind.QUOTE)
TRADES = topic(TopicKind.TRADES)
RECORD = BookLevel(price=1.0, volume=1)


class FailingSink(RecordingSink):
    def changed(self, topic):
        raise RuntimeError("no")

    def happened(self, topic, position, record):
        raise RuntimeError("no")


def position(sequence):
    return StreamPosition("e", sequence)


@pytest.fixture
def streams():
    return Streams()


@pytest.fixture
def sink():
    return RecordingSink()


def test_nothing_is_told_before_the_flush(streams, sink):
    streams.open(BOOK, 0, sink)
    streams.changed(0)
    assert sink.changes == []

    streams.flush()
    assert sink.changes == [BOOK]


def test_a_change_is_told_once_until_somebody_pulls(streams, sink):
    streams.open(BOOK, 0, sink)
    for _ in range(3):
        streams.changed(0)
        streams.flush()
    assert sink.changes == [BOOK]

    streams.pulled(BOOK)
    streams.changed(0)
    streams.flush()
    assert sink.changes == [BOOK, BOOK]


def test_each_topic_of_the_instrument_is_told_and_no_other(streams, sink):
    streams.open(BOOK, 0, sink)
    streams.open(QUOTE, 0, sink)
    streams.open(topic(TopicKind.BOOK, "OTHER"), 1, sink)
    streams.changed(0)
    streams.flush()

    assert sink.changes == [BOOK, QUOTE]


def test_a_newcomer_is_told_though_another_has_not_pulled(streams, sink):
    streams.open(BOOK, 0, RecordingSink())
    streams.changed(0)
    streams.flush()

    streams.open(BOOK, 0, sink)
    streams.changed(0)
    streams.flush()
    assert sink.changes == [BOOK]


def test_events_come_in_order_to_all_who_listen(streams, sink):
    other = RecordingSink()
    streams.open(TRADES, 0, sink)
    streams.open(TRADES, 0, other)
    streams.open(BOOK, 0, other)
    streams.happened(0, position(1), lambda: RECORD)
    streams.changed(0)
    streams.happened(0, position(2), lambda: RECORD)
    streams.flush()

    assert sink.events == other.events == [(TRADES, position(1), RECORD), (TRADES, position(2), RECORD)]
    assert other.changes == [BOOK]


def test_behind_all_events_of_a_flush_their_sinks_hear_that_it_was_all(streams, sink):
    other = RecordingSink()
    streams.open(TRADES, 0, sink)
    streams.open(BOOK, 0, other)
    for number in range(3):
        streams.happened(0, position(number), lambda: RECORD)
    streams.changed(0)
    streams.flush()
    streams.flush()
    streams.happened(0, position(3), lambda: RECORD)
    streams.flush()

    assert sink.ends == [3, 4]
    assert other.ends == []


def test_a_sink_that_fails_at_the_end_costs_nobody_else_anything(streams, sink):
    class FailingAtTheEnd(RecordingSink):
        def told(self):
            raise RuntimeError("no")

    streams.open(TRADES, 0, FailingAtTheEnd())
    streams.open(TRADES, 0, sink)
    streams.happened(0, position(1), lambda: RECORD)

    with pytest.raises(ExceptionGroup):
        streams.flush()

    assert sink.ends == [1]
    streams.flush()


def test_no_record_is_made_for_nobody(streams, sink):
    streams.open(BOOK, 0, sink)

    def make():
        raise AssertionError("nobody listens")

    streams.happened(0, position(1), make)
    streams.flush()


def test_opening_twice_is_opening_once(streams, sink):
    for _ in range(2):
        streams.open(TRADES, 0, sink)
    streams.happened(0, position(1), lambda: RECORD)
    streams.flush()

    assert len(sink.events) == 1


def test_nothing_is_told_after_close_not_even_what_was_noted(streams, sink):
    streams.open(TRADES, 0, sink)
    streams.open(BOOK, 0, sink)
    streams.happened(0, position(1), lambda: RECORD)
    streams.changed(0)
    streams.close(TRADES, sink)
    streams.close(BOOK, sink)
    streams.flush()

    assert (sink.events, sink.changes) == ([], [])


def test_closing_what_is_not_open_changes_nothing(streams, sink):
    streams.close(BOOK, sink)
    streams.open(BOOK, 0, sink)
    streams.close(BOOK, RecordingSink())
    streams.changed(0)
    streams.flush()

    assert sink.changes == [BOOK]


def test_a_sink_that_fails_costs_nobody_else_anything(streams, sink):
    streams.open(TRADES, 0, FailingSink())
    streams.open(TRADES, 0, sink)
    streams.open(BOOK, 0, FailingSink())
    streams.open(BOOK, 0, sink)
    streams.happened(0, position(1), lambda: RECORD)
    streams.changed(0)

    with pytest.raises(ExceptionGroup) as failure:
        streams.flush()

    assert len(failure.value.exceptions) == 2
    assert len(sink.events) == 1
    assert sink.changes == [BOOK]
    streams.flush()


def test_a_sink_may_close_others_while_it_is_told(streams, sink):
    class ClosingSink(RecordingSink):
        def changed(self, topic):
            streams.close(BOOK, sink)

    streams.open(BOOK, 0, ClosingSink())
    streams.open(BOOK, 0, sink)
    streams.changed(0)
    streams.flush()

    assert sink.changes == []
