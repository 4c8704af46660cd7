import asyncio
from decimal import Decimal

import pytest

from tapewire.market import Market, catalogue
from tapewire.model import (
    UNSET,
    CancelOrder,
    CommandKey,
    Done,
    Exchange,
    OrderType,
    PlaceOrder,
    Refused,
    Repeated,
    Topic,
    TopicKind,
)
from tapewire.ports.query import Query
from tapewire.ports.venue import (
    CommandSink,
    FeedSource,
    TooManyStreamsError,
    UnknownPortfolioError,
    UnknownTopicError,
)
from tapewire.simulation import VirtualClock, run_virtual
from tapewire.venues import EmbeddedVenue
from tapewire.venues.embedded import STEPS_AT_ONCE_MAX
from tapewire.venues.intervals import INTERVALS_MAX
from trading import BUY, SELL, FakeClock, RecordingSink, rich

BOOK = Topic(TopicKind.BOOK, "MOEX", "SBER", "TQBR")
QUOTE = Topic(TopicKind.QUOTE, "MOEX", "SBER", "TQBR")
TRADES = Topic(TopicKind.TRADES, "MOEX", "SBER", "TQBR")


def venue_of(*, rate=500, seed=1, count=6, clock=None):
    market = Market(catalogue(count), seed=seed, events_per_second=rate)
    return EmbeddedVenue(market, clock=clock or FakeClock(), accounts=rich("D1", "D2", "D3"))


def order(side, lots, price, portfolio="D1", **changes):
    return PlaceOrder(
        **{
            "portfolio": portfolio,
            "exchange": Exchange.MOEX,
            "symbol": "SBER",
            "board": "TQBR",
            "type": OrderType.MARKET if price is None else OrderType.LIMIT,
            "side": side,
            "quantity_lots": lots,
            "price": None if price is None else Decimal(price),
        }
        | changes
    )


def submit(venue, *commands):
    async def main():
        return [await venue.submit(command) for command in commands]

    return asyncio.run(main())


def recent(venue, topic, limit):
    return asyncio.run(venue.recent_trades(topic, limit))


def test_it_is_all_three_ports():
    venue = venue_of()
    source: FeedSource = venue
    sink: CommandSink = venue
    query: Query = venue

    assert source is sink is query


def test_it_is_empty_until_the_market_opens():
    venue = venue_of()
    assert venue.current(BOOK).record.bids == ()

    assert venue.step() > 0
    book = venue.current(BOOK).record
    assert len(book.bids) >= 20
    assert len(book.asks) >= 20
    assert book.bids[0].price < book.asks[0].price


def test_it_finds_instruments_by_name():
    venue = venue_of()

    assert [instrument.symbol for instrument in venue.instruments()][:3] == ["SBER", "GAZP", "LKOH"]
    assert venue.instrument("MOEX", "SBER") is venue.instrument("MOEX", "SBER", "TQBR")
    assert venue.instrument("MOEX", "SBER", "CETS") is None
    assert venue.instrument("SPBX", "SBER") is None


@pytest.mark.parametrize(
    "topic",
    [
        BOOK._replace(subject="NONE"),
        BOOK._replace(board="CETS"),
        BOOK._replace(exchange="SPBX"),
        BOOK._replace(interval_s=60),
        BOOK._replace(kind=TopicKind.BAR),
    ],
)
def test_a_stream_it_does_not_have_is_an_error(topic):
    venue = venue_of()

    with pytest.raises(UnknownTopicError, match="this venue has no stream"):
        venue.open(topic, RecordingSink())
    with pytest.raises(UnknownTopicError):
        venue.current(topic)
    with pytest.raises(UnknownTopicError):
        recent(venue, topic, 5)


@pytest.mark.parametrize(
    "topic",
    [
        Topic(TopicKind.ORDERS, "MOEX", "D9"),
        Topic(TopicKind.SUMMARY, "SPBX", "D1"),
        Topic(TopicKind.DERIVATIVES_RISK, "MOEX", "D1"),
    ],
)
def test_a_stream_of_no_portfolio_is_an_error_of_its_own(topic):
    venue = venue_of()

    with pytest.raises(UnknownPortfolioError):
        venue.open(topic, RecordingSink())
    with pytest.raises(UnknownPortfolioError):
        asyncio.run(venue.state(topic))


def test_an_empty_board_means_the_primary_one_and_is_told_as_it_was_opened():
    venue, sink = venue_of(), RecordingSink()
    short = BOOK._replace(board="")
    venue.open(short, sink)
    submit(venue, order(BUY, 1, "300.00"))

    assert sink.changes == [short]
    assert venue.current(short) == venue.current(BOOK)


def test_state_and_tape_are_read_in_their_own_ways():
    venue = venue_of()

    with pytest.raises(UnknownTopicError, match="no state"):
        venue.current(TRADES)
    with pytest.raises(UnknownTopicError, match="not the kind of the trade tape"):
        recent(venue, BOOK, 5)
    with pytest.raises(ValueError, match="limit is -1"):
        recent(venue, TRADES, -1)


def test_users_trade_with_the_market_and_with_each_other():
    venue, sink = venue_of(), RecordingSink()
    venue.step()
    venue.open(TRADES, sink)

    bought, sold = submit(venue, order(BUY, 3, None), order(SELL, 2, None, portfolio="D2"))

    assert isinstance(bought, Done)
    assert isinstance(sold, Done)
    sides = [record.side for _, _, record in sink.events]
    assert sides == sorted(sides)
    assert {BUY, SELL} == set(sides)
    assert sum(record.quantity for *_, record in sink.events) == 5


def test_a_resting_order_can_be_cancelled_by_its_owner_alone():
    venue = venue_of()
    (placed,) = submit(venue, order(BUY, 1, "300.00"))

    foreign, own, again = submit(
        venue,
        CancelOrder(portfolio="D2", order_number=placed.order_number),
        CancelOrder(portfolio="D1", order_number=placed.order_number),
        CancelOrder(portfolio="D1", order_number=placed.order_number),
    )

    assert (foreign.code, own, again.code) == (404, placed, 404)


def test_nobody_trades_in_a_participant_s_name():
    (outcome,) = submit(venue_of(), order(BUY, 1, "300.00", portfolio="~maker-1"))

    assert isinstance(outcome, Refused)
    assert "~maker-1" in outcome.reason


def test_a_hot_book_nobody_pulls_is_told_once():
    venue, sink = venue_of(rate=5000), RecordingSink()
    venue.open(BOOK, sink)
    venue.open(QUOTE, sink)
    for _ in range(50):
        venue.step()
    assert sink.changes == [BOOK, QUOTE]

    venue.current(BOOK)
    for _ in range(50):
        venue.step()
    assert sink.changes == [BOOK, QUOTE, BOOK]


def test_after_close_nothing_is_told():
    venue, sink = venue_of(), RecordingSink()
    venue.open(BOOK, sink)
    venue.open(TRADES, sink)
    venue.close(BOOK, sink)
    venue.close(TRADES, sink)
    for _ in range(100):
        venue.step()

    assert (sink.changes, sink.events) == ([], [])


def test_history_and_live_trades_join_without_a_hole():
    venue, sink = venue_of(rate=5000), RecordingSink()
    for _ in range(100):
        venue.step()
    page = recent(venue, TRADES, 10)
    venue.open(TRADES, sink)
    for _ in range(100):
        venue.step()

    assert len(page.trades) == 10
    assert all(trade.existing for trade in page.trades)
    first = page.position.sequence + 1
    assert [position.sequence for _, position, _ in sink.events] == list(range(first, first + len(sink.events)))
    assert {position.epoch for _, position, _ in sink.events} == {page.position.epoch}
    assert not any(record.existing for *_, record in sink.events)
    ids = [trade.id for trade in page.trades] + [record.id for *_, record in sink.events]
    assert ids == sorted(set(ids))


def test_a_long_page_is_that_of_the_moment_of_the_call():
    venue = venue_of(rate=5000, count=1)
    for _ in range(400):
        venue.step()

    async def main():
        page = asyncio.ensure_future(venue.recent_trades(TRADES, 5000))
        await asyncio.sleep(0)
        venue.step()
        return await page

    page = asyncio.run(main())
    assert len(page.trades) > 1000
    own = [trade for trade in page.trades if trade.time_ms >= FakeClock().now_ns // 10**6]
    assert page.position.sequence == len(own)
    assert len(page.trades) == 5000
    assert recent(venue, TRADES, 5000).position.sequence > page.position.sequence


def test_every_quote_field_has_a_value_or_is_null_by_its_kind():
    venue = venue_of(rate=5000)
    for _ in range(200):
        venue.step()

    for instrument in venue.instruments():
        quote = venue.current(Topic(TopicKind.QUOTE, "MOEX", instrument.symbol, instrument.board)).record
        values = {name: getattr(quote, name) for name in quote.__struct_fields__}
        assert UNSET not in values.values()
        assert quote.low_price <= quote.last_price <= quote.high_price
        assert quote.low_price <= quote.open_price <= quote.high_price
        assert quote.bid < quote.ask
        assert quote.volume > 0
        assert (quote.open_interest is not None) == (instrument.kind == "future")
        assert (quote.yield_percent is not None) == (instrument.kind == "bond")


def test_a_sink_that_fails_leaves_a_sound_venue():
    class FailingSink(RecordingSink):
        def changed(self, topic):
            raise RuntimeError("no")

    venue, sink, failing = venue_of(), RecordingSink(), FailingSink()
    venue.open(BOOK, failing)
    venue.open(BOOK, sink)

    with pytest.raises(ExceptionGroup):
        submit(venue, order(BUY, 7, "300.00"))

    assert sink.changes == [BOOK]
    assert [level.volume for level in venue.current(BOOK).record.bids] == [7]
    venue.close(BOOK, failing)
    assert isinstance(submit(venue, order(SELL, 7, "300.00"))[0], Done)


def test_a_new_venue_has_a_new_epoch_and_higher_numbers():
    clock = FakeClock()
    old = venue_of(clock=clock)
    (first,) = submit(old, order(BUY, 1, "300.00"))
    clock.now_ns += 1_000_000_000
    new = venue_of(clock=clock)
    (second,) = submit(new, order(BUY, 1, "300.00"))

    assert old.current(BOOK).position.epoch != new.current(BOOK).position.epoch
    assert int(second.order_number) > int(first.order_number)


def test_the_same_seed_and_clock_give_the_same_records():
    def run(seed):
        venue, sink = venue_of(rate=2000, seed=seed), RecordingSink()
        venue.open(TRADES, sink)
        for _ in range(100):
            venue.step()
        return sink.events, venue.current(BOOK), venue.current(QUOTE)

    assert run(5) == run(5)
    assert run(5) != run(6)


def test_run_makes_a_step_every_ten_milliseconds_without_drift():
    async def main():
        market = Market(catalogue(2), seed=1, events_per_second=100)
        venue = EmbeddedVenue(market, clock=VirtualClock(asyncio.get_running_loop()))
        task = asyncio.ensure_future(venue.run())
        await asyncio.sleep(60.001)
        steps = market.next_step
        book = venue.current(BOOK).record
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return steps, book.time_ms, venue.steps_skipped

    steps, time_ms, skipped = run_virtual(main())
    # The opening is step 0; sixty seconds are 6,000 more.
    assert steps == 6_001
    assert time_ms % 10 == 0
    assert skipped == 0


def test_after_a_stall_a_bounded_number_of_steps_is_made_up():
    class StallingSink(RecordingSink):
        """Holds the loop for two seconds, once."""

        def __init__(self, loop):
            super().__init__()
            self.loop = loop

        def changed(self, topic):
            super().changed(topic)
            self.loop.advance(2.0)

    class StallingLoopClock:
        """The loop's time as the venue sees it: virtual time and the stalls."""

        def __init__(self, loop):
            self._time = loop.time
            self.stalled_s = 0.0
            loop.time = self.time

        def time(self):
            return self._time() + self.stalled_s

        def advance(self, seconds):
            self.stalled_s += seconds

    async def main():
        loop = asyncio.get_running_loop()
        market = Market(catalogue(1), seed=1, events_per_second=5000)
        venue = EmbeddedVenue(market, clock=FakeClock())
        task = asyncio.ensure_future(venue.run())
        await asyncio.sleep(1.0)
        venue.open(BOOK, StallingSink(StallingLoopClock(loop)))
        before = market.next_step
        await asyncio.sleep(0.02)
        made = market.next_step - before
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return made, venue.steps_skipped

    made, skipped = run_virtual(main())
    assert made <= STEPS_AT_ONCE_MAX + 4
    assert 170 <= skipped <= 200


def test_so_many_timeframes_of_an_instrument_are_made_and_no_more() -> None:
    async def main() -> None:
        venue = EmbeddedVenue(Market(catalogue(2), seed=1), clock=VirtualClock())
        first, second = venue.instruments()
        sink = RecordingSink()
        for kind in (TopicKind.BAR, TopicKind.CLUSTER):
            topic = Topic(kind, first.exchange.value, first.symbol, first.board)
            opened = []
            while len(opened) < INTERVALS_MAX:
                try:
                    venue.open(topic._replace(interval_s=1 + len(opened)), sink)
                except TooManyStreamsError:
                    break
                opened.append(topic._replace(interval_s=1 + len(opened)))
            assert len(opened) >= INTERVALS_MAX - 2  # bars of a minute and of a day are always made
            with pytest.raises(TooManyStreamsError, match=f"{INTERVALS_MAX} timeframes"):
                venue.open(topic._replace(interval_s=998), sink)
            # Another instrument has a bound of its own, and what is closed makes room.
            venue.open(Topic(kind, second.exchange.value, second.symbol, second.board, 7), sink)
            venue.close(opened[0], sink)
            venue.open(topic._replace(interval_s=999), sink)

    run_virtual(main)


def test_a_command_is_carried_out_once_for_each_key():
    venue = venue_of()
    key = CommandKey("P1", "g")

    async def main():
        first = await venue.submit(order(BUY, 1, "300.00"), key)
        again = await venue.submit(order(BUY, 1, "300.00"), key)
        other = await venue.submit(order(BUY, 1, "300.00"), CommandKey("P2", "g"))
        refused = await venue.submit(order(BUY, 0, "300.00"), CommandKey("P1", "h"))
        return first, again, other, refused, await venue.submit(order(BUY, 0, "300.00"), CommandKey("P1", "h"))

    first, again, other, refused, refused_again = asyncio.run(main())
    assert again == Repeated(first)
    assert isinstance(other, Done)
    assert other != first
    assert refused_again == Repeated(refused)
