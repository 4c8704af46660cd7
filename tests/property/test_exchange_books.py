"""The fast book against a slow obvious one, and what must hold after any sequence of commands."""

from collections import defaultdict
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tapewire.exchange import (
    Cancel,
    CancelRejected,
    Exchange,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    Traded,
)
from tapewire.model import TimeInForce
from trading import BUY, SELL, instrument, place, trades

ACCOUNTS = ("A", "B", "C")
LOW, HIGH = 995, 1005
SERVED = (
    TimeInForce.ONE_DAY,
    TimeInForce.IMMEDIATE_OR_CANCEL,
    TimeInForce.FILL_OR_KILL,
    TimeInForce.BOOK_OR_CANCEL,
)


def listed():
    return instrument(price_band_ticks=(LOW, HIGH))


@dataclass
class OracleOrder:
    account: str
    side: object
    price: int
    lots: int
    arrival: int


class OracleBook:
    """Every order in one list, sorted anew for each command."""

    def __init__(self):
        self.orders = []
        self.arrivals = 0

    def counterparts(self, side, price):
        if side is BUY:
            hits = [order for order in self.orders if order.side is SELL and order.price <= price]
            return sorted(hits, key=lambda order: (order.price, order.arrival))
        hits = [order for order in self.orders if order.side is BUY and order.price >= price]
        return sorted(hits, key=lambda order: (-order.price, order.arrival))

    def place(self, account, side, lots, price, time_in_force):
        """Return (price, lots, counterpart) of each trade."""
        self.arrivals += 1
        may_rest = price is not None and time_in_force in (TimeInForce.ONE_DAY, TimeInForce.BOOK_OR_CANCEL)
        if price is None:
            price = HIGH if side is BUY else LOW
        hits = self.counterparts(side, price)
        if hits and time_in_force is TimeInForce.BOOK_OR_CANCEL:
            return []
        if time_in_force is TimeInForce.FILL_OR_KILL and sum(order.lots for order in hits) < lots:
            return []
        done = []
        for order in hits:
            size = min(lots, order.lots)
            if size:
                done.append((order.price, size, order.account))
                order.lots -= size
                lots -= size
        self.orders = [order for order in self.orders if order.lots]
        if lots and may_rest:
            self.orders.append(OracleOrder(account, side, price, lots, self.arrivals))
        return done

    def cancel(self, account, arrival):
        kept = [order for order in self.orders if (order.account, order.arrival) != (account, arrival)]
        found = len(kept) < len(self.orders)
        self.orders = kept
        return found

    def queue(self, side):
        ordered = self.counterparts(BUY if side is SELL else SELL, HIGH if side is SELL else LOW)
        return [(order.account, order.price, order.lots, order.arrival) for order in ordered]


class BooksAgree(RuleBasedStateMachine):
    """Random commands to exchange and oracle; what they hold and what was traded must be equal."""

    def __init__(self):
        super().__init__()
        self.exchange = Exchange([listed()], first_order_id=1)
        self.oracle = OracleBook()
        self.lots = defaultdict(int)
        self.money = defaultdict(int)
        self.open_lots = {}
        self.ended = set()
        self.trade_ids = []

    @rule(
        account=st.sampled_from(ACCOUNTS),
        side=st.sampled_from((BUY, SELL)),
        lots=st.integers(1, 9),
        price=st.none() | st.integers(LOW, HIGH),
        time_in_force=st.sampled_from(SERVED),
    )
    def place(self, account, side, lots, price, time_in_force):
        if price is None and time_in_force is TimeInForce.BOOK_OR_CANCEL:
            time_in_force = TimeInForce.ONE_DAY
        command = place(side, lots, price, account=account, time_in_force=time_in_force)
        events = self.exchange.apply(command, at_ns=0)
        self.note(events)

        expected = self.oracle.place(account, side, lots, price, time_in_force)
        assert [
            (trade.price_ticks, trade.lots, trade.seller if side is BUY else trade.buyer)
            for trade in trades(events)
        ] == expected
        assert events[0].order_id == self.oracle.arrivals

    @rule(account=st.sampled_from(ACCOUNTS), back=st.integers(0, 30))
    def cancel(self, account, back):
        order_id = self.oracle.arrivals - back
        (event,) = self.exchange.apply(Cancel(account=account, order_id=order_id), at_ns=0)
        self.note([event])
        assert isinstance(event, OrderCancelled) == self.oracle.cancel(account, order_id)

    @rule(lots=st.integers(-2, 0), price=st.integers(LOW, HIGH))
    def place_badly(self, lots, price):
        before = self.exchange.state_digest()
        (event,) = self.exchange.apply(place(BUY, lots, price), at_ns=0)
        assert isinstance(event, OrderRejected)
        assert self.exchange.state_digest() == before

    def note(self, events):
        for event in events:
            match event:
                case OrderAccepted():
                    assert event.order_id not in self.open_lots
                    self.open_lots[event.order_id] = event.lots
                case Traded():
                    self.trade_ids.append(event.trade_id)
                    self.lots[event.buyer] += event.lots
                    self.lots[event.seller] -= event.lots
                    self.money[event.buyer] -= event.lots * event.price_ticks
                    self.money[event.seller] += event.lots * event.price_ticks
                    for order_id in (event.buy_order_id, event.sell_order_id):
                        self.reduce(order_id, event.lots)
                case OrderCancelled():
                    assert self.open_lots[event.order_id] == event.remaining_lots
                    self.reduce(event.order_id, event.remaining_lots)
                case _:
                    assert isinstance(event, CancelRejected)

    def reduce(self, order_id, lots):
        assert order_id not in self.ended, "an order ends once"
        self.open_lots[order_id] -= lots
        assert self.open_lots[order_id] >= 0
        if not self.open_lots[order_id]:
            self.ended.add(order_id)

    @invariant()
    def the_book_is_not_crossed(self):
        book = self.exchange.book(0)
        if book.best_bid is not None and book.best_ask is not None:
            assert book.best_bid < book.best_ask

    @invariant()
    def queues_equal_the_oracle_s(self):
        book = self.exchange.book(0)
        for side in (BUY, SELL):
            orders = list(book.orders(side))
            assert [(o.account, o.price_ticks, o.lots, o.id) for o in orders] == self.oracle.queue(side)
            assert book.total_lots(side) == sum(order.lots for order in orders)
            levels = defaultdict(int)
            for order in orders:
                levels[order.price_ticks] += order.lots
            assert book.levels(side, 99) == list(levels.items())

    @invariant()
    def what_is_not_ended_rests_with_what_is_left(self):
        book = self.exchange.book(0)
        resting = {order.id: order.lots for side in (BUY, SELL) for order in book.orders(side)}
        assert resting == {number: lots for number, lots in self.open_lots.items() if lots}

    @invariant()
    def nothing_is_made_or_lost(self):
        assert sum(self.lots.values()) == 0
        assert sum(self.money.values()) == 0
        assert self.trade_ids == sorted(set(self.trade_ids))


TestBooksAgree = BooksAgree.TestCase
TestBooksAgree.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


COMMANDS = st.lists(
    st.builds(
        place,
        st.sampled_from((BUY, SELL)),
        st.integers(0, 9),
        st.none() | st.integers(LOW - 1, HIGH + 1),
        account=st.sampled_from(ACCOUNTS),
        time_in_force=st.sampled_from((*SERVED, TimeInForce.GOOD_TILL_CANCELLED)),
        instrument=st.integers(0, 2),
    )
    | st.builds(Cancel, account=st.sampled_from(ACCOUNTS), order_id=st.integers(1, 40)),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(COMMANDS)
def test_the_same_commands_give_the_same_events_and_the_same_state(commands):
    first, second = (Exchange([listed(), listed()], first_order_id=1) for _ in range(2))

    for command in commands:
        assert first.apply(command, at_ns=7) == second.apply(command, at_ns=7)
    assert first.state_digest() == second.state_digest()


@settings(max_examples=100, deadline=None)
@given(COMMANDS)
def test_the_version_tells_a_changed_book_from_an_unchanged_one(commands):
    exchange = Exchange([listed(), listed()], first_order_id=1)
    book = exchange.book(0)

    def state():
        return [(order.id, order.lots) for side in (BUY, SELL) for order in book.orders(side)]

    for command in commands:
        before = book.version, state()
        exchange.apply(command, at_ns=0)
        assert (book.version == before[0]) == (state() == before[1])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 60))
def test_orders_of_one_price_trade_in_the_order_in_which_they_came(sizes, wanted):
    exchange = Exchange([listed()], first_order_id=1)
    for lots in sizes:
        exchange.apply(place(SELL, lots, 1000), at_ns=0)

    filled = trades(exchange.apply(place(BUY, wanted, 1000), at_ns=0))

    expected = []
    for number, lots in enumerate(sizes, start=1):
        size = min(lots, wanted - sum(size for _, size in expected))
        if size:
            expected.append((number, size))
    assert [(trade.sell_order_id, trade.lots) for trade in filled] == expected
