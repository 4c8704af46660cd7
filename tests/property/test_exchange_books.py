"""The fast book against a slow obvious one, and what must hold after any sequence of commands."""

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from property.slow_exchange import SlowExchange
from tapewire.exchange import (
    Cancel,
    CancelConditional,
    CancelRejected,
    ConditionalCancelled,
    Exchange,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    PlaceConditional,
    Traded,
)
from tapewire.model import Condition, InstrumentKind, TimeInForce
from trading import BUY, SELL, instrument, place, trades

USERS = ("A", "B", "C")
ACCOUNTS = (*USERS, "~P")
LOW, HIGH = 995, 1005
SERVED = (
    TimeInForce.ONE_DAY,
    TimeInForce.IMMEDIATE_OR_CANCEL,
    TimeInForce.FILL_OR_KILL,
    TimeInForce.BOOK_OR_CANCEL,
    TimeInForce.GOOD_TILL_CANCELLED,
)
RESTS = (TimeInForce.ONE_DAY, TimeInForce.BOOK_OR_CANCEL, TimeInForce.GOOD_TILL_CANCELLED)


def listed():
    return instrument(price_band_ticks=(LOW, HIGH), kind=InstrumentKind.FUTURE)


class BooksAgree(RuleBasedStateMachine):
    """Random commands to exchange and oracle; what they hold and what was traded must be equal."""

    def __init__(self):
        super().__init__()
        self.exchange = Exchange([listed()], first_order_id=1, first_conditional_id=1)
        self.slow = SlowExchange(LOW, HIGH)
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
        visible=st.none() | st.integers(1, 4),
        variance=st.sampled_from((0, 20)),
    )
    def place(self, account, side, lots, price, time_in_force, visible, variance):
        if price is None and time_in_force in RESTS:
            time_in_force = TimeInForce.ONE_DAY
        if price is None or time_in_force not in RESTS or visible is None or visible >= lots:
            visible, variance = None, 0
        if visible is not None:
            # Large enough for a variance to show.
            lots, visible = lots * 5, visible * 5
        command = place(
            side,
            lots,
            price,
            account=account,
            time_in_force=time_in_force,
            visible_lots=visible,
            visible_variance_percent=variance,
        )
        events = self.exchange.apply(command, at_ns=0)
        self.note(events)
        self.agree(events, self.slow.place(account, side, lots, price, time_in_force, visible, variance))

    @rule(
        account=st.sampled_from(USERS),
        side=st.sampled_from((BUY, SELL)),
        lots=st.integers(1, 9),
        price=st.none() | st.integers(LOW, HIGH),
        condition=st.sampled_from(Condition),
        trigger=st.integers(LOW, HIGH),
    )
    def place_stop(self, account, side, lots, price, condition, trigger):
        order = place(side, lots, price, account=account)
        command = PlaceConditional(order=order, condition=condition, trigger_ticks=trigger)
        events = self.exchange.apply(command, at_ns=0)
        self.note(events)
        self.agree(events, self.slow.place_stop(account, side, lots, price, condition, trigger))

    @rule(account=st.sampled_from(ACCOUNTS), back=st.integers(0, 30))
    def cancel(self, account, back):
        order_id = self.slow.orders_seen - back
        (event,) = self.exchange.apply(Cancel(account=account, order_id=order_id), at_ns=0)
        self.note([event])
        assert isinstance(event, OrderCancelled) == self.slow.cancel(account, order_id)

    @rule(account=st.sampled_from(USERS), order_id=st.integers(1, 20))
    def cancel_stop(self, account, order_id):
        (event,) = self.exchange.apply(CancelConditional(account=account, order_id=order_id), at_ns=0)
        assert isinstance(event, ConditionalCancelled) == self.slow.cancel_stop(account, order_id)

    @rule(lots=st.integers(-2, 0), price=st.integers(LOW, HIGH))
    def place_badly(self, lots, price):
        before = self.exchange.state_digest()
        (event,) = self.exchange.apply(place(BUY, lots, price), at_ns=0)
        assert isinstance(event, OrderRejected)
        assert self.exchange.state_digest() == before

    def agree(self, events, expected):
        done = [(t.price_ticks, t.lots, t.buy_order_id, t.sell_order_id) for t in trades(events)]
        assert done == expected

    def note(self, events):
        for event in events:
            match event:
                case OrderAccepted():
                    assert event.order_id not in self.open_lots
                    self.open_lots[event.order_id] = event.lots
                case Traded():
                    assert event.buyer != event.seller or event.buyer == "~P"
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
                case CancelRejected():
                    assert event.order_id not in self.open_lots or not self.is_mine(event)

    def is_mine(self, rejected):
        row = self.exchange.orders.working.get(rejected.order_id)
        return row is not None and row.account == rejected.account

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
    def queues_equal_those_of_the_oracle(self):
        book = self.exchange.book(0)
        for side in (BUY, SELL):
            orders = list(book.orders(side))
            queue = self.slow.queue(side)
            assert [(o.id, o.account, o.price_ticks, o.lots, o.remaining_lots) for o in orders] == [
                (o.id, o.account, o.price, o.shown, o.shown + o.hidden) for o in queue
            ]
            assert book.total_lots(side) == sum(order.lots for order in orders)
            shown, whole = defaultdict(int), defaultdict(int)
            for order in orders:
                shown[order.price_ticks] += order.lots
                whole[order.price_ticks] += order.remaining_lots
            assert book.levels(side, 99) == list(shown.items())
            assert book.depth(side) == list(whole.items())

    @invariant()
    def conditional_orders_stand_where_the_oracle_s_do(self):
        found = [(order.id, order.status.value) for order in self.exchange.conditionals.all()]
        assert sorted(found) == [(stop.id, stop.status) for stop in self.slow.stops]
        assert self.exchange.last_ticks(0) == self.slow.last

    @invariant()
    def what_is_not_ended_rests_with_what_is_left(self):
        book = self.exchange.book(0)
        resting = {order.id: order.remaining_lots for side in (BUY, SELL) for order in book.orders(side)}
        assert resting == {number: lots for number, lots in self.open_lots.items() if lots}
        for row in self.exchange.orders.all():
            assert (row.status.value == "working") == (row.id in resting)
            if row.id in resting:
                assert row.lots - row.filled_lots == resting[row.id]

    @invariant()
    def nothing_is_made_or_lost(self):
        assert sum(self.lots.values()) == 0
        assert sum(self.money.values()) == 0
        assert self.trade_ids == sorted(set(self.trade_ids))


TestBooksAgree = BooksAgree.TestCase
TestBooksAgree.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


COMMANDS = st.lists(
    st.builds(
        place,
        st.sampled_from((BUY, SELL)),
        st.integers(0, 9),
        st.none() | st.integers(LOW - 1, HIGH + 1),
        account=st.sampled_from(ACCOUNTS),
        time_in_force=st.sampled_from((*SERVED, TimeInForce.AT_THE_CLOSE)),
        instrument=st.integers(0, 2),
    )
    | st.builds(Cancel, account=st.sampled_from(ACCOUNTS), order_id=st.integers(1, 40)),
    max_size=60,
)


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
        exchange.apply(place(SELL, lots, 1000, account="S"), at_ns=0)

    filled = trades(exchange.apply(place(BUY, wanted, 1000), at_ns=0))

    expected = []
    for number, lots in enumerate(sizes, start=1):
        size = min(lots, wanted - sum(size for _, size in expected))
        if size:
            expected.append((number, size))
    assert [(trade.sell_order_id, trade.lots) for trade in filled] == expected
