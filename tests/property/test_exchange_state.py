"""All kinds of commands: one future from one state, and what must hold whatever comes."""

from collections import Counter
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewire.exchange import (
    Auction,
    Cancel,
    CancelAll,
    CancelConditional,
    CancelGroup,
    ChangeGroup,
    ConditionalAccepted,
    ConditionalCancelled,
    ConditionalFired,
    EndOfDay,
    Exchange,
    ExchangeState,
    GroupEnded,
    GroupMade,
    MakeGroup,
    OrderAccepted,
    OrderCancelled,
    OrderRef,
    OrderRejected,
    PassTime,
    Place,
    PlaceConditional,
    Refusal,
    Replace,
    ReplaceConditional,
    SetRules,
    Traded,
    is_participant,
)
from tapewire.model import Condition, GroupPolicy, InstrumentKind, OrderScope, Side, TimeInForce, TradingCode
from tapewire.model import Exchange as Where
from trading import instrument

LOW, HIGH = 995, 1005
SECOND = 1_000_000_000
LISTED = [
    instrument(price_band_ticks=(LOW, HIGH), kind=InstrumentKind.FUTURE),
    instrument("SPB", exchange=Where.SPBX, price_band_ticks=(LOW, HIGH)),
]


class Crowd:
    """Draws commands: most of them good, so that much happens, and some of each kind of bad ones."""

    def __init__(self, seed):
        self.random = Random(seed)
        self.pick = self.random.choice

    def run(self, count):
        """Return commands with the seconds that pass before each of them."""
        draws = (
            (self.place,) * 20
            + (self.conditional,) * 4
            + (self.make_group,) * 3
            + (self.rules, self.time, self.time)
        )
        draws += (self.cancel, self.cancel_conditional, self.replace, self.replace, self.replace_conditional)
        draws += (self.change_group, self.cancel_group, self.cancel_all, self.end_of_day)
        self.placed = self.kept = 0
        return [(self.pick(draws)(), self.pick((0, 0, 0, 1, 4))) for _ in range(count)]

    def user(self):
        return self.pick("AB")

    def recent(self):
        return max(self.placed * 2 // 3 - self.random.randrange(8), 1)

    def recent_kept(self):
        return max(self.kept - self.random.randrange(4), 1)

    def price(self):
        return self.pick((None, *range(LOW, HIGH + 1)))

    def time_in_force(self):
        often = (TimeInForce.ONE_DAY,) * 9 + (TimeInForce.GOOD_TILL_CANCELLED,) * 3
        return self.pick((*often, *TimeInForce))

    def place(self):
        self.placed += 1
        is_iceberg = self.random.random() < 0.2
        return Place(
            account=self.pick(("A", "A", "B", "B", "~P")),
            instrument=self.pick((0, 0, 1)),
            side=self.pick((Side.BUY, Side.SELL)),
            lots=self.random.randint(1, 12),
            price_ticks=self.price(),
            time_in_force=self.time_in_force(),
            visible_lots=self.random.randint(1, 3) if is_iceberg else None,
            expires_at_ns=self.pick((None, None, None, None, 40 * SECOND)),
            comment=self.pick((None, "mine")),
        )

    def conditional(self):
        self.kept += 1
        return PlaceConditional(
            order=msgspec.structs.replace(self.place(), account=self.user()),
            condition=self.pick(tuple(Condition)),
            trigger_ticks=self.random.randint(LOW, HIGH),
            protecting_s=self.pick((None, None, 1, 5)),
            expires_at_ns=self.pick((None, None, None, 30 * SECOND)),
            is_active=self.random.random() < 0.6,
        )

    def refs(self):
        return tuple(
            OrderRef(self.user(), self.recent_kept() if is_conditional else self.recent(), is_conditional)
            for is_conditional in self.random.choices((False, True), k=self.random.randint(1, 3))
        )

    def make_group(self):
        return MakeGroup(owner=self.pick("xy"), orders=self.refs(), policy=self.pick(tuple(GroupPolicy)))

    def change_group(self):
        return ChangeGroup(
            owner=self.pick("xy"),
            group_id=self.random.randint(1, 4),
            orders=self.refs(),
            policy=self.pick(tuple(GroupPolicy)),
        )

    def cancel_group(self):
        return CancelGroup(owner=self.pick("xy"), group_id=self.random.randint(1, 4))

    def rules(self):
        return SetRules(
            instrument=self.pick((0, 0, 1)),
            price_band_ticks=self.pick(((LOW, HIGH), (LOW, HIGH), (998, 1002))),
            is_open=self.random.random() < 0.9,
            auction=self.pick((None, None, *Auction)),
        )

    def time(self):
        return PassTime()

    def end_of_day(self):
        return EndOfDay(day=self.random.randrange(9))

    def cancel(self):
        return Cancel(account=self.user(), order_id=self.recent())

    def cancel_conditional(self):
        return CancelConditional(account=self.user(), order_id=self.recent_kept())

    def cancel_all(self):
        return CancelAll(
            account=self.user(), exchange=self.pick((None, Where.SPBX)), scope=self.pick(tuple(OrderScope))
        )

    def replace(self):
        return Replace(
            account=self.user(),
            order_id=self.recent(),
            instrument=self.pick((0, 1)),
            side=self.pick((Side.BUY, Side.SELL)),
            lots=self.random.randint(1, 12),
            price_ticks=self.price(),
            time_in_force=self.pick((None, None, TimeInForce.ONE_DAY)),
            visible_lots=self.pick((None, None, 2)),
        )

    def replace_conditional(self):
        return ReplaceConditional(order_id=self.recent_kept(), by=self.conditional())


RUNS = st.builds(lambda seed, count: Crowd(seed).run(count), st.integers(0, 10**9), st.integers(1, 120))


class LotsAllowed:
    """A clearing that lets an account have so many lots at work, and notes all that it is told."""

    def __init__(self, most=40):
        self.most = most
        self.blocked = {}
        self.ended = set()
        self.told = []

    def conditional_refusal(self, place):
        assert not is_participant(place.account)

    def refusal(self, place, limit_ticks, *, replaces=None):
        assert not is_participant(place.account)
        assert limit_ticks == place.price_ticks or place.price_ticks is None
        at_work = sum(
            lots
            for number, (account, lots) in self.blocked.items()
            if account == place.account and number != replaces
        )
        if at_work + place.lots > self.most:
            return Refusal(TradingCode.NOT_ENOUGH_CASH, "too many lots")
        return None

    def apply(self, event):
        self.told.append(event)
        match event:
            case OrderAccepted():
                assert event.order_id not in self.ended
                self.blocked[event.order_id] = (event.account, event.lots)
            case Traded():
                for number, account in ((event.buy_order_id, event.buyer), (event.sell_order_id, event.seller)):
                    self.release(number, account, event.lots)
            case OrderCancelled():
                self.release(event.order_id, event.account, event.remaining_lots)
                assert event.order_id in self.ended

    def release(self, number, account, lots):
        whose, blocked = self.blocked.pop(number)
        assert whose == account
        assert lots <= blocked
        if lots < blocked:
            self.blocked[number] = (whose, blocked - lots)
        else:
            self.ended.add(number)


def fresh(clearing=None):
    return Exchange(LISTED, clearing=clearing, first_order_id=1, first_trade_id=1, first_conditional_id=1)


def run(exchange, commands, at_ns=0):
    events = []
    for command, seconds in commands:
        at_ns += seconds * SECOND
        events.append(exchange.apply(command, at_ns=at_ns))
    return events


@settings(max_examples=300, deadline=None)
@given(RUNS)
def test_the_same_commands_give_the_same_events_and_the_same_state(commands):
    first, second = fresh(LotsAllowed()), fresh(LotsAllowed())

    assert run(first, commands) == run(second, commands)
    assert first.state_digest() == second.state_digest()


@settings(max_examples=300, deadline=None)
@given(RUNS, st.integers(0, 120))
def test_an_exchange_restored_at_any_point_goes_on_as_if_nothing_had_been(commands, cut):
    one = fresh()
    run(one, commands[:cut])
    before = one.state_digest()
    data = msgspec.msgpack.encode(one.snapshot())
    other = Exchange.restored(LISTED, msgspec.msgpack.decode(data, type=ExchangeState))
    assert other.state_digest() == before == one.state_digest()
    for account in "AB":
        assert list(other.orders.of(account)) == list(one.orders.of(account))
        assert list(other.conditionals.of(account)) == list(one.conditionals.of(account))

    at_ns = sum(seconds for _, seconds in commands[:cut]) * SECOND
    for command, seconds in commands[cut:]:
        at_ns += seconds * SECOND
        assert one.apply(command, at_ns=at_ns) == other.apply(command, at_ns=at_ns)
        assert one.state_digest() == other.state_digest()


@settings(max_examples=100, deadline=None)
@given(RUNS)
def test_a_snapshot_does_not_change_with_the_exchange(commands):
    exchange = fresh()
    half = len(commands) // 2
    run(exchange, commands[:half])
    snapshot = exchange.snapshot()
    data = msgspec.msgpack.encode(snapshot)

    run(exchange, commands[half:], at_ns=100 * SECOND)

    assert msgspec.msgpack.encode(snapshot) == data


@settings(max_examples=300, deadline=None)
@given(RUNS)
def test_everything_ends_once_and_everybody_knows_the_same(commands):
    clearing = LotsAllowed()
    exchange = fresh(clearing)
    ends = Counter()
    begun = Counter()
    auctions = [None, None]
    at_ns = 0
    for command, seconds in commands:
        at_ns += seconds * SECOND
        before = exchange.state_digest()
        events = exchange.apply(command, at_ns=at_ns)
        if isinstance(command, SetRules):
            auctions[command.instrument] = command.auction
        for event in events:
            match event:
                case OrderRejected(order_id=None):
                    assert exchange.state_digest() == before
                case ConditionalAccepted():
                    begun["conditional", event.order_id] += 1
                case ConditionalFired() | ConditionalCancelled():
                    ends["conditional", event.order_id] += 1
                case GroupMade():
                    begun["group", event.group_id] += 1
                case GroupEnded():
                    ends["group", event.group_id] += 1

        assert set(ends.values()) | set(begun.values()) <= {1}
        working = {order.id for order in exchange.conditionals.working.values()}
        assert working == {number for kind, number in begun - ends if kind == "conditional"}
        for number in range(1, 9):
            group = exchange.group(number)
            if group is not None:
                assert (group.status.value == "Active") == (begun["group", number] > ends["group", number])

        # What waits is what the clearing blocks and what the register calls working.
        resting = {order.id: order.remaining_lots for order in waiting(exchange)}
        assert resting == {number: lots for number, (_, lots) in clearing.blocked.items()}
        rows = {row.id: row.lots - row.filled_lots for row in exchange.orders.working.values()}
        assert rows == {number: lots for number, lots in resting.items() if number in rows}
        assert {number for number, (account, _) in clearing.blocked.items() if account != "~P"} == set(rows)
        for position, auction in enumerate(auctions):
            book = exchange.book(position)
            if auction is None and book.best_bid is not None and book.best_ask is not None:
                assert book.best_bid < book.best_ask
        for event in clearing.told:
            if isinstance(event, Traded):
                assert event.buyer != event.seller or is_participant(event.buyer)
        clearing.told.clear()


def waiting(exchange):
    for trading in exchange.snapshot().trading:
        yield from (*trading.bids, *trading.asks, *trading.at_market, *trading.at_close)
