"""The scripted venue: it says what it was told to say, in the order and with the positions of a real one."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from portfolio import order
from tapewire.model import (
    Bar,
    CancelOrder,
    CommandKey,
    Done,
    Exchange,
    Instrument,
    InstrumentKind,
    InstrumentUpdate,
    OrderStatus,
    OrderType,
    PlaceOrder,
    Record,
    Refused,
    Repeated,
    Side,
    StreamPosition,
    Topic,
    TopicKind,
    Unavailable,
)
from tapewire.ports.venue import UnknownPortfolioError, UnknownTopicError
from tapewire.simulation import START_NS, ScriptedVenue, VirtualClock, run_virtual
from trading import RecordingSink


def instrument(symbol: str = "SBER", board: str = "TQBR") -> Instrument:
    return Instrument(
        symbol=symbol,
        exchange=Exchange.MOEX,
        board=board,
        kind=InstrumentKind.SHARE,
        short_name=symbol,
        description=f"{symbol} shares",
        type_code="CS",
        currency="RUB",
        lot_size=10,
        tick_size=Decimal("0.01"),
        face_value=Decimal(3),
        prev_close_ticks=30_000,
        price_band_ticks=(27_000, 33_000),
    )


SBER = instrument()


class Sink:
    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def changed(self, topic: Topic) -> None:
        self.heard.append(("changed", topic))

    def happened(self, topic: Topic, position: StreamPosition, record: Record) -> None:
        self.heard.append((position.epoch, position.sequence, record))

    def told(self) -> None:
        """What was told is kept already."""


@pytest.fixture
def venue() -> ScriptedVenue:
    return ScriptedVenue([SBER, instrument("SBER", "SMAL"), instrument("GAZP")])


@pytest.fixture
def sink() -> Sink:
    return Sink()


def place_order() -> PlaceOrder:
    return PlaceOrder(
        portfolio="D39004",
        exchange=Exchange.MOEX,
        symbol="SBER",
        board="",
        type=OrderType.LIMIT,
        side=Side.BUY,
        quantity_lots=1,
        price=Decimal("300.10"),
    )


def test_trades_are_pushed_with_gapless_positions(venue: ScriptedVenue, sink: Sink) -> None:
    topic = venue.topic(TopicKind.TRADES, SBER)
    before = venue.publish_trade(SBER, 300)
    venue.open(topic, sink)
    venue.open(topic, sink)
    first = venue.publish_trade(SBER, Decimal("300.01"), lots=5, side=Side.SELL)
    second = venue.publish_trade(SBER, 300.02)
    venue.publish_trade(instrument("GAZP"), 130)
    assert sink.heard == [("epoch-0001", 2, first), ("epoch-0001", 3, second)]
    assert before.id < first.id < second.id
    assert (first.price, first.quantity, first.side) == (300.01, 5, Side.SELL)


def test_state_is_told_and_pulled(venue: ScriptedVenue, sink: Sink) -> None:
    topic = venue.topic(TopicKind.BOOK, SBER)
    venue.open(topic, sink)
    assert venue.current(topic) is None
    venue.set_book(SBER, bids=[(300.0, 1)])
    book = venue.set_book(SBER, bids=[(300.0, 1), (299.9, 2)], asks=[(300.1, 3)])
    assert sink.heard == [("changed", topic)] * 2
    assert venue.current(topic) == (StreamPosition("epoch-0001", 2), book)
    assert [level.volume for level in book.bids] == [1, 2]


def test_a_quote_is_complete(venue: ScriptedVenue) -> None:
    quote = venue.set_quote(SBER, 300.5, bid=300.4)
    assert (quote.bid, quote.ask, quote.last_price) == (300.4, None, 300.5)
    snapshot = venue.current(venue.topic(TopicKind.QUOTE, SBER))
    assert snapshot is not None
    assert snapshot.record is quote


def test_a_late_snapshot_is_none_until_released(venue: ScriptedVenue, sink: Sink) -> None:
    topic = venue.topic(TopicKind.BOOK, SBER)
    venue.open(topic, sink)
    venue.hold_snapshot(topic)
    book = venue.set_book(SBER)
    assert (venue.current(topic), sink.heard) == (None, [])
    venue.release_snapshot(topic)
    assert sink.heard == [("changed", topic)]
    assert venue.current(topic) == (StreamPosition("epoch-0001", 1), book)


def test_a_restart_begins_a_new_epoch_and_numbers_anew(venue: ScriptedVenue, sink: Sink) -> None:
    book, trades = (venue.topic(kind, SBER) for kind in (TopicKind.BOOK, TopicKind.TRADES))
    venue.set_book(SBER)
    venue.set_book(SBER)
    venue.publish_trade(SBER, 300)
    venue.open(book, sink)
    venue.open(trades, sink)
    venue.restart()
    trade = venue.publish_trade(SBER, 301)
    assert sink.heard == [("changed", book), ("epoch-0002", 1, trade)]
    snapshot = venue.current(book)
    assert snapshot is not None
    assert snapshot.position == StreamPosition("epoch-0002", 1)


def test_a_restart_does_not_release_a_late_snapshot(venue: ScriptedVenue, sink: Sink) -> None:
    topic = venue.topic(TopicKind.BOOK, SBER)
    venue.open(topic, sink)
    venue.hold_snapshot(topic)
    venue.set_book(SBER)
    venue.restart()
    assert (venue.current(topic), sink.heard) == (None, [])


def test_a_closed_topic_is_silent_and_not_listed(venue: ScriptedVenue, sink: Sink) -> None:
    topic = venue.topic(TopicKind.TRADES, SBER)
    other = Sink()
    venue.open(topic, sink)
    venue.open(topic, other)
    venue.close(topic, sink)
    venue.publish_trade(SBER, 300)
    assert (len(sink.heard), len(other.heard)) == (0, 1)
    assert venue.open_topics == (topic,)
    venue.close(topic, other)
    venue.close(topic, other)
    assert venue.open_topics == ()


def test_a_sink_may_close_while_it_is_told(venue: ScriptedVenue, sink: Sink) -> None:
    topic = venue.topic(TopicKind.BOOK, SBER)

    class Leaver(Sink):
        def changed(self, topic: Topic) -> None:
            super().changed(topic)
            venue.close(topic, self)

    leaver = Leaver()
    venue.open(topic, leaver)
    venue.open(topic, sink)
    venue.set_book(SBER)
    venue.set_book(SBER)
    assert (len(leaver.heard), len(sink.heard)) == (1, 2)


@pytest.mark.parametrize(
    "topic",
    [
        Topic(TopicKind.BOOK, "MOEX", "NOPE", "TQBR"),
        Topic(TopicKind.BOOK, "MOEX", "SBER"),
        Topic(TopicKind.BOOK, "SPBX", "SBER", "TQBR"),
        Topic(TopicKind.ORDERS, "MOEX", "D00000"),
    ],
)
def test_unknown_topics_are_refused(venue: ScriptedVenue, sink: Sink, topic: Topic) -> None:
    with pytest.raises(UnknownTopicError):
        venue.open(topic, sink)
    assert venue.open_topics == ()


def test_events_have_no_state_and_states_no_tape(venue: ScriptedVenue) -> None:
    with pytest.raises(UnknownTopicError, match="no state"):
        venue.current(venue.topic(TopicKind.TRADES, SBER))

    async def ask() -> None:
        await venue.recent_trades(venue.topic(TopicKind.BOOK, SBER), 1)

    with pytest.raises(UnknownTopicError, match="tape"):
        run_virtual(ask)


def test_instruments_are_found_by_board_or_as_primary(venue: ScriptedVenue) -> None:
    assert [found.key[1:] for found in venue.instruments()] == [
        ("SBER", "TQBR"),
        ("SBER", "SMAL"),
        ("GAZP", "TQBR"),
    ]
    assert venue.instrument("MOEX", "SBER") == SBER
    assert venue.instrument("MOEX", "SBER", "SMAL") == instrument("SBER", "SMAL")
    assert venue.instrument("MOEX", "GAZP", "SMAL") is None
    assert venue.instrument("SPBX", "SBER") is None


@pytest.mark.parametrize(("delays", "ids"), [((1.0, 0.0), [1, 2, 3]), ((0.0, 1.0), [1, 2]), ((0.0, 0.0), [1, 2])])
def test_a_page_is_taken_after_the_first_delay(
    venue: ScriptedVenue, delays: tuple[float, float], ids: list[int]
) -> None:
    async def main() -> None:
        first = venue.publish_trade(SBER, 300).id
        venue.publish_trade(SBER, 300)
        venue.page_delays_s = delays
        asyncio.get_running_loop().call_later(0.5, venue.publish_trade, SBER, 300)
        page = await venue.recent_trades(venue.topic(TopicKind.TRADES, SBER), 100)
        assert [trade.id - first + 1 for trade in page.trades] == ids
        assert page.position == StreamPosition("epoch-0001", len(ids))
        assert all(trade.existing for trade in page.trades)
        assert asyncio.get_running_loop().time() == sum(delays)

    run_virtual(main)


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3)])
def test_a_page_holds_the_newest_trades(venue: ScriptedVenue, limit: int, count: int) -> None:
    async def main() -> None:
        published = [venue.publish_trade(SBER, 300).id for _ in range(3)]
        page = await venue.recent_trades(venue.topic(TopicKind.TRADES, SBER), limit)
        assert [trade.id for trade in page.trades] == published[3 - count :]

    run_virtual(main)


def test_commands_are_written_down_and_answered_as_told(venue: ScriptedVenue) -> None:
    order, cancel = place_order(), CancelOrder(portfolio="D39004", order_number="17")
    refused = Refused(202, "not enough money")
    venue.answer_next(refused, RuntimeError("the venue is on fire"))

    async def main() -> None:
        assert await venue.submit(order) == refused
        with pytest.raises(RuntimeError, match="on fire"):
            await venue.submit(order)
        first, second = await venue.submit(order), await venue.submit(order)
        assert isinstance(first, Done)
        assert first != second
        assert await venue.submit(cancel) == Done("17")

    run_virtual(main)
    assert venue.commands == [order] * 4 + [cancel]


def test_delayed_commands_keep_their_own_outcomes(venue: ScriptedVenue) -> None:
    async def main() -> None:
        venue.answer_next(Done("1"), Done("2"))
        venue.desk.delay_s = 5
        async with asyncio.TaskGroup() as group:
            first = group.create_task(venue.submit(place_order()))
            second = group.create_task(venue.submit(place_order()))
        assert (first.result(), second.result()) == (Done("1"), Done("2"))
        assert asyncio.get_running_loop().time() == 5

    run_virtual(main)


def test_a_key_is_carried_out_once_and_who_repeats_it_waits_for_the_first(venue: ScriptedVenue) -> None:
    async def main() -> None:
        key = CommandKey("P1", "g")
        venue.answer_next(Done("1"), Unavailable("closed"), Refused(404, "none"))
        venue.desk.delay_next(5)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(venue.submit(place_order(), key))
            again = group.create_task(venue.submit(place_order(), key))
        assert (first.result(), again.result()) == (Done("1"), Repeated(Done("1")))
        assert asyncio.get_running_loop().time() == 5
        # What was not taken is not remembered.
        other = CommandKey("P1", "h")
        assert await venue.submit(place_order(), other) == Unavailable("closed")
        assert await venue.submit(place_order(), other) == Refused(404, "none")
        assert await venue.submit(place_order(), other) == Repeated(Refused(404, "none"))
        assert venue.desk.keys == [key, other, other]

    run_virtual(main)


def test_a_portfolio_has_the_newest_row_of_each_key(venue: ScriptedVenue) -> None:
    topic = Topic(TopicKind.ORDERS, "MOEX", "D39004")

    async def main() -> None:
        for record in (order("1"), order("2"), order("1", status=OrderStatus.FILLED)):
            venue.publish(topic, record)
        page = await venue.portfolio_records(topic)
        assert page.position == venue.position(topic)
        assert page.records == [
            order("1", status=OrderStatus.FILLED, existing=True),
            order("2", existing=True),
        ]
        for unknown in (topic._replace(subject="D1"), topic._replace(exchange="UNITED")):
            with pytest.raises(UnknownPortfolioError):
                await venue.portfolio_records(unknown)
        with pytest.raises(UnknownTopicError):
            await venue.portfolio_records(topic._replace(kind=TopicKind.SUMMARY))

    run_virtual(main)


def test_records_carry_the_time_of_the_clock() -> None:
    async def main() -> None:
        venue = ScriptedVenue([SBER], clock=VirtualClock())
        await asyncio.sleep(1.5)
        assert venue.publish_trade(SBER, 300).time_ms == START_NS // 10**6 + 1500
        assert venue.set_book(SBER).time_ms == START_NS // 10**6 + 1500

    run_virtual(main)


def test_the_script_itself_is_checked(venue: ScriptedVenue) -> None:
    trade = venue.publish_trade(SBER, 300)
    with pytest.raises(AssertionError, match="kind of events"):
        venue.set_state(venue.topic(TopicKind.TRADES, SBER), trade)
    with pytest.raises(AssertionError, match="kind of states"):
        venue.publish(venue.topic(TopicKind.BOOK, SBER), trade)
    with pytest.raises(UnknownTopicError):
        venue.publish_trade(instrument("NOPE"), 1)


def test_bars_run_finish_and_are_read_back(venue: ScriptedVenue) -> None:
    sink = RecordingSink()
    topic = venue.topic(TopicKind.BAR, SBER, 60)
    venue.open(topic, sink)
    one, two = (Bar(time_s=time_s, open=1.0, high=2.0, low=0.5, close=1.5, volume=9) for time_s in (60, 180))
    venue.run_bar(topic, one)
    venue.finish_bar(topic, one)
    venue.run_bar(topic, two)

    async def main() -> None:
        page = await venue.bars(topic, 0, 999, 9)
        assert (page.bars, page.position) == ([one, two], venue.position(topic))
        assert (await venue.bars(topic, 0, 999, 1)).bars == [two]
        assert await venue.bar_neighbours(topic, 61, 100) == (60, 180)
        assert await venue.bar_neighbours(topic, 0, 999) == (None, None)

    run_virtual(main())
    assert sink.changes == [topic, topic]
    assert [record for _, _, record in sink.events] == [one]
    assert venue.current(topic) == (venue.position(topic), two)


def test_changes_of_an_instrument_are_told_as_they_are_and_laid_over_its_state(venue: ScriptedVenue) -> None:
    sink = RecordingSink()
    topic = venue.topic(TopicKind.INSTRUMENT, SBER)
    venue.open(topic, sink)
    before = asyncio.run(venue.instrument_state(topic)).record
    update = InstrumentUpdate(symbol="SBER", price_max=12.0)
    venue.change_instrument(SBER, update)

    position, after = asyncio.run(venue.instrument_state(topic))
    assert isinstance(before, InstrumentUpdate)
    assert after == before.merged(update) != before
    assert sink.events == [(topic, position, update)]
