"""Exchange and accounts together: whatever is commanded, no money and no lot comes from nowhere or is lost."""

from collections import defaultdict
from decimal import Decimal
from random import Random

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from accounting import BOND, BOND_TERMS, DAY, FUTURE, OPTION, PAIR, SHARE, instruments
from tapewire.exchange import (
    Accounts,
    AccountsState,
    AccountTerms,
    Auction,
    Cancel,
    CancelAll,
    CancelConditional,
    ClearDerivatives,
    ConditionalAccepted,
    EndOfDay,
    Exchange,
    ExchangeState,
    GroupMade,
    MakeGroup,
    OrderAccepted,
    OrderRef,
    PassTime,
    Place,
    PlaceConditional,
    Replace,
    SetRules,
    Traded,
    is_participant,
)
from tapewire.model import ClientType, Condition, GroupPolicy, OrderStatus, Side, TimeInForce
from tapewire.venues.marks import LastPrices

SECOND = 1_000_000_000
PARTICIPANT = "~P"
TRADED = (SHARE, BOND, PAIR, FUTURE, OPTION)
TERMS = (
    AccountTerms(name="D1", cash=Decimal(20_000)),
    AccountTerms(name="D2", cash=Decimal(200_000), client_type=ClientType.LOW_RISK),
    AccountTerms(name="G1", cash=Decimal(300_000), client_type=ClientType.HIGH_RISK),
    AccountTerms(name="751", cash=Decimal(10_000)),
    AccountTerms(name="752", cash=Decimal(3_000)),
)
SEGMENTS = {
    "D1": (SHARE, BOND),
    "D2": (SHARE, BOND),
    "G1": (PAIR,),
    "751": (FUTURE, OPTION),
    "752": (FUTURE, OPTION),
}
BEGAN_WITH = sum(int(terms.cash) * 1_000_000 for terms in TERMS)


class System:
    """An exchange that accounts clear, and beside it what participants have paid and hold."""

    def __init__(self):
        self.listed = instruments()
        marks = LastPrices()
        self.accounts = Accounts(self.listed, TERMS, marks, day=DAY, bonds={"BOND": BOND_TERMS})
        self.core = Exchange(
            self.listed, clearing=self.accounts, first_order_id=1, first_trade_id=1, first_conditional_id=1
        )
        marks.follow(self.core, self.accounts)
        self.now_ns = 0
        self.flow = 0
        self.lots = defaultdict(int)
        self.trades = 0

    def restored(self):
        """Return another system that goes on where this one stands, by way of bytes."""
        other = System()
        marks = LastPrices()
        other.accounts = Accounts(self.listed, TERMS, marks, day=DAY, bonds={"BOND": BOND_TERMS})
        written = msgspec.msgpack.encode(self.accounts.snapshot())
        other.accounts.restore(msgspec.msgpack.decode(written, type=AccountsState))
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(self.core.snapshot()), type=ExchangeState)
        other.core = Exchange.restored(self.listed, state, clearing=other.accounts)
        marks.follow(other.core, other.accounts)
        other.now_ns = self.now_ns
        return other

    def digest(self):
        return self.core.state_digest(), self.accounts.digest()

    def apply(self, command, pause_s=0):
        self.now_ns += pause_s * SECOND
        # Interest moves at the end of a day, behind all trades of the command.
        events = self.core.apply(command, at_ns=self.now_ns)
        for happened in events:
            if isinstance(happened, Traded):
                self.trades += 1
                terms = self.accounts.instruments[happened.instrument]
                value = happened.lots * (happened.price_ticks * terms.tick_money + terms.accrued)
                for account, sign in ((happened.buyer, 1), (happened.seller, -1)):
                    if is_participant(account):
                        self.flow -= sign * value
                        self.lots[happened.instrument] += sign * happened.lots
        return events

    def check(self):
        self.check_books()
        money, lots = self.flow, dict(self.lots)
        for name in self.accounts.names:
            state = self.accounts.account(name).state
            self.check_orders(name, state)
            money += state.cash
            for position, holding in state.holdings.items():
                lots[position] = lots.get(position, 0) + holding.lots
            if self.accounts.account(name).is_derivative:
                # Variation margin is money that has still to move, and so is the commission of the day.
                owed = sum(holding.cleared_cost for holding in state.holdings.values())
                money += state.variation - owed - state.commission
        assert money + self.accounts.commissions - self.accounts.coupons == BEGAN_WITH
        assert not any(lots.values()), lots

    def check_books(self):
        for position in range(len(self.listed)):
            book = self.core.book(position)
            is_gathering = self.core._matching.trading[position].auction is not None
            if not is_gathering and book.best_bid is not None and book.best_ask is not None:
                assert book.best_bid < book.best_ask

    def check_orders(self, name, state):
        working = {row.id: row for row in self.core.orders.of(name) if row.status is OrderStatus.WORKING}
        assert {number: order.lots for number, order in state.orders.items()} == {
            number: row.lots - row.filled_lots for number, row in working.items()
        }
        if not working:
            assert state.blocked == 0
            for holding in state.holdings.values():
                assert (holding.buy_lots, holding.sell_lots, holding.buy_money, holding.sell_money) == (0, 0, 0, 0)
        filled = defaultdict(int)
        for fill in self.accounts.fills.of(name):
            filled[fill.order_id] += fill.lots
        for row in self.core.orders.of(name):
            assert filled[row.id] == row.filled_lots


class Crowd:
    """Draws commands of users and participants."""

    def __init__(self, seed):
        self.random = Random(seed)
        self.pick = self.random.choice
        self.numbers = [(name, 1) for name in SEGMENTS]
        self.conditionals = [(name, 1) for name in SEGMENTS]

    def command(self):
        draws = (self.place,) * 30 + (self.replace,) * 5 + (self.conditional,) * 3
        draws += (self.cancel, self.cancel_conditional, self.cancel_all, self.group, self.rules, PassTime)
        if self.random.random() < 0.05:
            draws = (self.clear, self.end_day)
        return self.pick(draws)()

    def note(self, events):
        for happened in events:
            if isinstance(happened, OrderAccepted) and not is_participant(happened.account):
                self.numbers.append((happened.account, happened.order_id))
            elif isinstance(happened, ConditionalAccepted):
                self.conditionals.append((happened.account, happened.order_id))

    def price(self, position):
        close = instruments()[position].prev_close_ticks
        return self.pick((None, close, *(close + self.random.randint(-6, 6) * close // 500 for _ in range(5))))

    def place(self, account=None):
        account = account or self.pick((*SEGMENTS, PARTICIPANT, PARTICIPANT, PARTICIPANT, "D9"))
        position = self.pick(SEGMENTS.get(account, TRADED) if self.random.random() < 0.97 else TRADED)
        return Place(
            account=account,
            instrument=position,
            side=self.pick((Side.BUY, Side.SELL)),
            lots=self.random.randint(1, 12),
            price_ticks=self.price(position),
            time_in_force=self.pick((TimeInForce.ONE_DAY,) * 8 + tuple(TimeInForce)),
            allow_margin=self.random.random() < 0.5,
            visible_lots=self.pick((None, None, None, 2)),
            comment=self.pick((None, "mine")),
        )

    def replace(self):
        account, number = self.pick(self.numbers[-8:])
        place = self.place(account)
        return Replace(
            account=account,
            order_id=number,
            instrument=place.instrument,
            side=place.side,
            lots=place.lots,
            price_ticks=place.price_ticks,
            allow_margin=place.allow_margin,
        )

    def conditional(self):
        order = self.place(self.pick(tuple(SEGMENTS)))
        return PlaceConditional(
            order=order,
            condition=self.pick(tuple(Condition)),
            trigger_ticks=self.price(order.instrument) or 1000,
            protecting_s=self.pick((None, None, 3)),
            is_active=self.random.random() < 0.7,
        )

    def cancel(self):
        account, number = self.pick(self.numbers[-8:])
        return Cancel(account=account, order_id=number)

    def cancel_conditional(self):
        account, number = self.pick(self.conditionals[-5:])
        return CancelConditional(account=account, order_id=number)

    def cancel_all(self):
        return CancelAll(account=self.pick(tuple(SEGMENTS)))

    def group(self):
        refs = [OrderRef(*self.pick(self.numbers[-5:])), OrderRef(*self.pick(self.conditionals[-5:]), True)]
        return MakeGroup(owner="x", orders=tuple(refs), policy=self.pick(tuple(GroupPolicy)))

    def rules(self):
        position = self.pick(TRADED)
        return SetRules(
            instrument=position,
            price_band_ticks=instruments()[position].price_band_ticks,
            is_open=self.random.random() < 0.98,
            auction=self.pick((None, None, None, None, *Auction)),
        )

    def clear(self):
        return ClearDerivatives()

    def end_day(self):
        self.day = getattr(self, "day", DAY) + self.random.randint(1, 3)
        margins = tuple(
            None if listed.margin_buy is None else (Decimal(self.random.randint(100, 400)), Decimal(250))
            for listed in instruments()
        )
        return EndOfDay(day=self.day, margins=self.pick(((), margins)))


RUNS = st.tuples(st.integers(0, 10**9), st.sampled_from([30, 150, 300]))


@settings(max_examples=60)
@given(RUNS)
def test_money_and_lots_are_conserved_and_nothing_stays_blocked(run):
    seed, count = run
    system, crowd = System(), Crowd(seed)
    grouped = 0
    for _ in range(count):
        events = system.apply(crowd.command(), crowd.pick((0, 0, 1, 5)))
        crowd.note(events)
        grouped += isinstance(events[0], GroupMade) if events else 0
        system.check()
    event(f"trades: {min(system.trades // 50 * 50, 100)} and more")
    event(f"groups: {bool(grouped)}")

    for name in SEGMENTS:
        system.apply(CancelAll(account=name))
    system.check()
    for name in SEGMENTS:
        state = system.accounts.account(name).state
        assert not state.orders
        assert state.blocked == 0


@settings(max_examples=25)
@given(RUNS)
def test_a_system_that_is_restored_in_between_has_the_same_future(run):
    seed, count = run
    system, crowd = System(), Crowd(seed)
    other = None
    for number in range(count):
        if number == count // 2:
            other = system.restored()
            assert other.digest() == system.digest()
        command, pause_s = crowd.command(), crowd.pick((0, 0, 1, 5))
        events = system.apply(command, pause_s)
        crowd.note(events)
        if other is not None:
            assert other.apply(command, pause_s) == events
    assert other is not None
    assert other.digest() == system.digest()
