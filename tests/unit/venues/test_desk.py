from decimal import Decimal

import pytest

from tapewire.exchange import Accounts, Exchange, PlaceConditional
from tapewire.model import (
    CancelOrder,
    Condition,
    Done,
    OrderStatus,
    OrderType,
    PlaceOrder,
    Refused,
    Side,
    TimeInForce,
    TopicKind,
)
from tapewire.venues.desk import Desk
from tapewire.venues.directory import Directory
from tapewire.venues.keeper import Keeper
from tapewire.venues.listing import Listing
from tapewire.venues.marks import LastPrices
from tapewire.venues.memory_archive import MemoryArchive
from tapewire.venues.portfolios import Portfolios
from tapewire.venues.streams import Streams
from tapewire.venues.venue_clock import VenueClock
from trading import BUY, SELL, FakeClock, RecordingSink, instrument, place, topic


class Stage:
    """A desk over an exchange with two instruments."""

    def __init__(self):
        self.clock = FakeClock()
        directory = Directory([instrument("TEST"), instrument("OTHER")])
        self.core = Exchange(directory.instruments)
        self.listings = tuple(
            Listing(listed, self.core.book(position), None, epoch="e", at_ns=self.clock.now_ns)
            for position, listed in enumerate(directory.instruments)
        )
        self.streams = Streams()
        self.keeper = Keeper(self.listings, MemoryArchive())
        time = VenueClock(self.clock)
        # Everybody may do everything, and nobody has a portfolio.
        nobody = Portfolios(
            self.core,
            Accounts(directory.instruments, (), LastPrices(), day=0),
            LastPrices(),
            self.streams,
            epoch="e",
            now_ns=time.now_ns,
        )
        self.desk = Desk(self.core, directory, self.listings, self.streams, self.keeper, nobody, clock=time)


@pytest.fixture
def stage():
    return Stage()


def order(side=BUY, lots=1, price="10.00", **changes):
    asked = {
        "portfolio": "D1" if side is BUY else "D2",
        "exchange": "MOEX",
        "symbol": "TEST",
        "board": "TQBR",
        "type": OrderType.MARKET if price is None else OrderType.LIMIT,
        "side": side,
        "quantity_lots": lots,
        "price": None if price is None else Decimal(price),
    }
    return PlaceOrder(**(asked | changes))


def test_an_order_is_done_under_its_number(stage):
    outcome = stage.desk.submit(order(lots=3))

    assert isinstance(outcome, Done)
    assert len(outcome.order_number) == 19
    assert stage.core.book(0).levels(BUY, 9) == [(1000, 3)]
    assert stage.desk.best(stage.core.instruments[0]) == (1000, None)


def test_an_empty_board_is_the_primary_one(stage):
    assert isinstance(stage.desk.submit(order(symbol="OTHER", board="")), Done)
    assert stage.core.book(1).best_bid == 1000


@pytest.mark.parametrize("price", ["10", "10.0", "10.000", "1E+1"])
def test_a_price_is_its_value_not_its_spelling(stage, price):
    stage.desk.submit(order(price=price))

    assert stage.core.book(0).best_bid == 1000


def test_a_cancelled_order_is_done_under_the_same_number(stage):
    number = stage.desk.submit(order()).order_number

    assert stage.desk.submit(CancelOrder(portfolio="D1", order_number=number)) == Done(number)
    assert stage.core.book(0).best_bid is None


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (order(symbol="NONE"), 300),
        (order(board="CETS"), 300),
        (order(exchange="SPBX"), 300),
        (order(type=OrderType.LIMIT, price=None), 409),
        (order(type=OrderType.MARKET), 409),
        (order(type=OrderType("iceberg")), 412),
        (order(price="10.005"), 409),
        (order(price="NaN"), 409),
        (order(price="Infinity"), 409),
        (order(price="1E+400"), 409),
        (order(price="-10.00"), 301),
        (order(price="0"), 301),
        (order(price="11.01"), 301),
        (order(lots=0), 304),
        (order(lots=10**30), 304),
        (order(side=Side("hold")), 300),
        (order(time_in_force=TimeInForce.GOOD_TILL_CANCELLED), 300),
        (order(price=None, time_in_force=TimeInForce.BOOK_OR_CANCEL), 412),
    ],
)
def test_a_bad_order_is_refused_with_its_code_and_changes_nothing(stage, command, code):
    digest = stage.core.state_digest()

    outcome = stage.desk.submit(command)

    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert outcome.reason
    assert stage.core.state_digest() == digest


@pytest.mark.parametrize("number", ["", "abc", "-5", "1.5", "٣", "9" * 400, "12"])
def test_an_unknown_number_is_not_found(stage, number):
    outcome = stage.desk.submit(CancelOrder(portfolio="D1", order_number=number))

    assert outcome == Refused(404, f"the account has no working order {number}")


def test_a_foreign_order_looks_like_an_unknown_one(stage):
    number = stage.desk.submit(order()).order_number

    outcome = stage.desk.submit(CancelOrder(portfolio="D2", order_number=number))

    assert outcome == Refused(404, f"the account has no working order {number}")


def test_trades_go_to_tape_and_streams_with_consecutive_positions(stage):
    sink = RecordingSink()
    stage.streams.open(topic(TopicKind.TRADES), 0, sink)
    stage.desk.submit(order(SELL, 2, "10.00"))
    stage.desk.submit(order(SELL, 2, "10.01"))
    stage.desk.submit(order(BUY, 3, None))
    stage.streams.flush()

    assert [(position.sequence, record.quantity) for _, position, record in sink.events] == [(1, 2), (2, 1)]
    assert stage.listings[0].tape.sequence == 2
    assert stage.listings[1].tape.sequence == 0


def test_a_command_that_changes_no_book_is_no_change(stage):
    sink = RecordingSink()
    stage.streams.open(topic(TopicKind.BOOK), 0, sink)
    stage.desk.submit(order(BUY, 3, None))
    stage.desk.submit(order(BUY, 0))
    stage.streams.flush()

    assert sink.changes == []


def test_event_time_never_goes_back(stage):
    stage.desk.submit(order(BUY))
    stage.clock.now_ns -= 10**12
    stage.desk.submit(order(SELL))

    (printed,) = stage.listings[0].tape.last(1)
    assert printed.at_ns == FakeClock().now_ns


def test_the_end_of_a_day_ends_orders_for_the_day_and_tells_the_books(stage):
    sink = RecordingSink()
    stage.streams.open(topic(TopicKind.BOOK), 0, sink)
    stage.desk.submit(order())
    stage.streams.flush()

    stage.desk.end_day(20_000, (1000, 1000), ())
    stage.streams.flush()

    assert stage.core.book(0).best_bid is None
    assert len(sink.changes) == 1
    assert stage.core.orders.session == 1


def test_time_reaches_the_exchange_when_something_is_due(stage):
    stop = PlaceConditional(
        order=place(BUY, 1, None),
        condition=Condition.MORE,
        trigger_ticks=1,
        expires_at_ns=stage.clock.now_ns + 10**9,
    )
    (kept,) = stage.core.apply(stop, at_ns=stage.clock.now_ns)
    stage.desk.pass_time(stage.clock.now_ns // 10**9)
    assert stage.core.conditionals.get(kept.order_id).status is OrderStatus.WORKING

    stage.clock.now_ns += 10**9
    stage.desk.pass_time(stage.clock.now_ns // 10**9)

    assert stage.core.conditionals.get(kept.order_id).status is OrderStatus.CANCELED
