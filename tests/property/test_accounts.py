"""Accounts against a slow ledger of all fills, and what must hold after any orders, clearings and days."""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from accounting import BOND, BOND_TERMS, DAY, FUTURE, MAKER, OPTION, PAIR, SHARE, Desk, instruments, opened
from tapewire.exchange import (
    Accounts,
    Cleared,
    CommissionRates,
    DayTurned,
    OrderAccepted,
    OrderCancelled,
    Refusal,
    Traded,
)
from tapewire.exchange.margin import backing, free_money, variation_margin
from tapewire.model import ClientType, TimeInForce
from trading import BUY, SELL

RATES = CommissionRates(
    shares=Decimal("0.00037"), bonds=Decimal("0.0003"), currencies=Decimal("0.0004"), contract=Decimal("1.23")
)
#: So little that a few orders use it up.
START = {"D": 3_000, "G": 25_000, "7": 2_500}
PORTFOLIOS = tuple(
    opened(name, START[name[0]], client_type=client, commission=RATES)
    for name, client in (
        ("D1", ClientType.LOW_RISK),
        ("D2", ClientType.HIGH_RISK),
        ("G1", ClientType.LOW_RISK),
        ("G2", ClientType.STANDARD_RISK),
        ("751", ClientType.LOW_RISK),
        ("752", ClientType.STANDARD_RISK),
    )
)
LISTED = {"D": (SHARE, BOND), "G": (PAIR,), "7": (FUTURE, OPTION)}
CONTRACTS = (FUTURE, OPTION)
#: Roubles of one tick of one lot: by the rules of the instruments, not by the code.
TICK = {
    SHARE: Fraction(1, 100) * 10,
    BOND: Fraction(1, 100) * 10,
    PAIR: Fraction(1, 100) * 1000,
    FUTURE: Fraction(3, 2),
    OPTION: Fraction(3, 2),
}
RATE = {
    SHARE: Fraction(RATES.shares),
    BOND: Fraction(RATES.bonds),
    PAIR: Fraction(RATES.currencies),
    FUTURE: Fraction(RATES.contract),
    OPTION: Fraction(RATES.contract),
}
UNIT = Fraction(1, 1_000_000)


class Line:
    """One account's fills of one instrument, in fractions of roubles."""

    def __init__(self):
        self.lots = 0
        self.average = Fraction(0)  # of a lot, with interest
        self.interest = Fraction(0)
        self.realised = Fraction(0)
        self.day_average = Fraction(0)
        self.day_realised = Fraction(0)
        self.splits = 0

    def fill(self, lots, price, interest):
        if self.lots * lots < 0:
            closed = min(abs(lots), abs(self.lots))
            sign = 1 if self.lots > 0 else -1
            self.realised += sign * closed * (price - self.average)
            self.day_realised += sign * closed * (price - self.day_average)
            self.splits += 1
            self.lots -= sign * closed
            lots += sign * closed
        if lots:
            total = self.lots + lots
            self.average = (self.average * self.lots + price * lots) / total
            self.day_average = (self.day_average * self.lots + price * lots) / total
            self.interest = (self.interest * self.lots + interest * lots) / total
            self.lots = total

    def turn(self, price, coupon):
        self.day_average = price - coupon
        self.day_realised = Fraction(0)
        self.realised += self.lots * coupon


class Ledger:
    """Everything from the list of events alone."""

    def __init__(self):
        self.day = DAY
        self.lines = defaultdict(Line)
        self.paid = defaultdict(Fraction)  # by account: money that came in, commissions apart
        self.since_clearing = defaultdict(Fraction)  # contracts: what was paid since, by account and instrument
        self.owners = {}  # of working orders: account, instrument, side, lots, price
        self.coupons = defaultdict(Fraction)
        self.commissions = defaultdict(Fraction)

    def accrued(self, instrument):
        on = date(1970, 1, 1) + timedelta(days=self.day)
        return Fraction(BOND_TERMS.accrued_interest(on) if instrument == BOND else 0)

    def note(self, event):
        if isinstance(event, OrderAccepted):
            self.owners[event.order_id] = [
                event.account,
                event.instrument,
                event.side,
                event.lots,
                event.price_ticks,
                Fraction(0),
            ]
        elif isinstance(event, OrderCancelled):
            assert self.owners.pop(event.order_id)[3] == event.remaining_lots
        elif isinstance(event, Traded):
            for account, order, lots in (
                (event.buyer, event.buy_order_id, event.lots),
                (event.seller, event.sell_order_id, -event.lots),
            ):
                self._fill(account, order, event.instrument, lots, event.price_ticks)
        elif isinstance(event, Cleared):
            self._clear(event.settlement_ticks)
        elif isinstance(event, DayTurned):
            self._turn(event)

    def _fill(self, account, order, instrument, lots, ticks):
        name = party(account)
        price, interest = ticks * TICK[instrument], self.accrued(instrument)
        self.lines[name, instrument].fill(lots, price + interest, interest)
        if instrument in CONTRACTS:
            self.since_clearing[name, instrument] += lots * price
        else:
            self.paid[name] -= lots * (price + interest)
        working = self.owners[order]
        working[3] -= abs(lots)
        if name != "~":
            owed = self._owed(instrument, working[5])
            working[5] += abs(lots) * (1 if instrument in CONTRACTS else price)
            self.commissions[name] += self._owed(instrument, working[5]) - owed
        if not working[3]:
            del self.owners[order]

    def _owed(self, instrument, traded):
        return Fraction(ceil(traded * RATE[instrument] * 100), 100)

    def _clear(self, settlement):
        for (name, instrument), line in self.lines.items():
            if instrument in CONTRACTS:
                worth = line.lots * settlement[instrument] * TICK[instrument]
                self.paid[name] += worth - self.since_clearing[name, instrument]
                self.since_clearing[name, instrument] = worth

    def _turn(self, event):
        self._clear(event.settlement_ticks)
        accrued = self.accrued(BOND)
        last = (BOND_TERMS.matures_on - date(1970, 1, 1)).days
        days = [last - BOND_TERMS.period_days * number for number in range(9)]
        coupon = sum(self.day < day <= event.day for day in days) * Fraction(BOND_TERMS.coupon)
        for (name, instrument), line in self.lines.items():
            is_bond = instrument == BOND
            price = event.settlement_ticks[instrument] * TICK[instrument] + (accrued if is_bond else 0)
            line.turn(price, coupon if is_bond else 0)
            if is_bond:
                self.paid[name] += line.lots * coupon
                self.coupons[name] += line.lots * coupon
        self.day = event.day


def party(account):
    return "~" if account.startswith("~") else account


def money(fraction):
    """Return roubles in units of money; they must be whole."""
    units = fraction / UNIT
    assert units.denominator == 1
    return int(units)


def money_of(state):
    """Return all money of an account but what open contracts have won since the last clearing."""
    return state.cash + state.variation - (state.commission if state.name[0] == "7" else 0)


class AccountsMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.desk = Desk(*PORTFOLIOS)
        self.desk.watch = self._watch
        self.ledger = Ledger()
        self.asked = None
        self.busy = PORTFOLIOS
        self.listed = tuple(TICK)

    # Steps.

    @initialize(busy=st.lists(st.sampled_from(PORTFOLIOS), min_size=1, max_size=3))
    def choose(self, busy):
        # Few accounts meet the edges of their money sooner than many.
        self.busy = tuple(busy)
        self.listed = tuple({listed: None for terms in busy for listed in LISTED[terms.name[0]]})

    @rule(
        number=st.integers(0, 2),
        other=st.booleans(),
        side=st.sampled_from((BUY, SELL)),
        lots=st.integers(1, 15),
        offset=st.integers(-3, 3),
        allow=st.booleans(),
        time_in_force=st.sampled_from((TimeInForce.ONE_DAY, TimeInForce.IMMEDIATE_OR_CANCEL)),
        is_market=st.booleans(),
    )
    def place(self, number, other, side, lots, offset, allow, time_in_force, is_market):
        portfolio = self.busy[number % len(self.busy)]
        name = portfolio.name
        listed = LISTED[name[0]][other and name[0] != "G"]
        lots = 1 + lots // 8 if listed in (PAIR, BOND) else lots
        price = None if is_market else self._price(listed, offset)
        before = self._power(name)
        holding = self.desk.accounts.account(name).state.holdings.get(listed)
        self.asked = (
            name,
            side,
            lots,
            allow,
            None if holding is None else (holding.lots, holding.buy_lots, holding.sell_lots),
        )
        outcome = self.desk.place(
            name, side, lots, price, instrument=listed, allow_margin=allow, time_in_force=time_in_force
        )
        self.asked = None
        if isinstance(outcome, Refusal):
            assert self._power(name) == before
        elif name[0] != "7" and not allow and portfolio.client_type is ClientType.LOW_RISK:
            assert self._power(name) >= min(before, 0)
            assert self._power(name) >= 0 or side is SELL

    @rule(
        number=st.integers(0, 2),
        other=st.booleans(),
        side=st.sampled_from((BUY, SELL)),
        lots=st.integers(1, 15),
        offset=st.integers(-3, 3),
        allow=st.booleans(),
    )
    def meet(self, number, other, side, lots, offset, allow):
        """Let an order find a counterpart for all but two of its lots."""
        name = self.busy[number % len(self.busy)].name
        listed = LISTED[name[0]][other and name[0] != "G"]
        self.desk.place(MAKER, side.opposite, max(lots - 2, 1), self._price(listed, offset), instrument=listed)
        self.place(number, other, side, lots, offset, allow, TimeInForce.ONE_DAY, is_market=False)

    @rule(
        side=st.sampled_from((BUY, SELL)),
        number=st.integers(0, 5),
        lots=st.integers(1, 15),
        offset=st.integers(-3, 3),
    )
    def make(self, side, number, lots, offset):
        listed = self.listed[number % len(self.listed)]
        self.desk.place(MAKER, side, lots, self._price(listed, offset), instrument=listed)

    @precondition(lambda self: self.ledger.owners)
    @rule(data=st.data())
    def cancel(self, data):
        number = data.draw(st.sampled_from(sorted(self.ledger.owners)))
        self.desk.cancel(self.ledger.owners[number][0], number)

    @rule(number=st.integers(0, 5), offset=st.integers(-80, 80))
    def move_price(self, number, offset):
        listed = self.listed[number % len(self.listed)]
        close = self.desk.listed[listed].prev_close_ticks
        self.desk.prices[listed] = close + offset * close // 1000

    @rule()
    def clear(self):
        self.desk.clear()

    @rule(days=st.integers(1, 200), margin=st.integers(100, 300))
    def turn(self, days, margin):
        margins = tuple(
            (Decimal(margin), Decimal(margin + 50)) if number in CONTRACTS else None
            for number in range(len(self.desk.listed))
        )
        self.desk.turn(days, margins=margins)

    @rule()
    def go_on_from_a_snapshot(self):
        taken = self.desk.accounts.snapshot()
        restored = Accounts(instruments(), PORTFOLIOS, self.desk, day=0, bonds={"BOND": BOND_TERMS})
        restored.restore(taken)
        assert restored.digest() == self.desk.accounts.digest()
        self.desk.accounts = restored

    # What must hold.

    @invariant()
    def lots_and_money_are_conserved(self):
        accounts = self.desk.accounts
        states = [accounts.account(terms.name).state for terms in PORTFOLIOS]
        for listed in TICK:
            held = sum(state.holdings[listed].lots for state in states if listed in state.holdings)
            assert held + self.ledger.lines["~", listed].lots == 0
        users = sum(money_of(state) for state in states)
        participants = money(self.ledger.paid["~"])
        assert users + participants + accounts.commissions == 1_000_000 * sum(terms.cash for terms in PORTFOLIOS)
        assert accounts.coupons == money(-self.ledger.coupons["~"])

    @invariant()
    def everything_is_as_the_ledger_says(self):
        for terms in PORTFOLIOS:
            state = self.desk.accounts.account(terms.name).state
            charged = self.ledger.commissions[terms.name]
            assert money_of(state) == money(Fraction(terms.cash) + self.ledger.paid[terms.name] - charged)
            for listed, holding in state.holdings.items():
                line = self.ledger.lines[terms.name, listed]
                assert holding.lots == line.lots
                bound = line.splits * UNIT
                for fast, slow in (
                    (holding.cost, line.lots * line.average),
                    (holding.day_cost, line.lots * line.day_average),
                    (holding.interest, line.lots * line.interest),
                    (holding.realised, line.realised),
                    (holding.day_realised, line.day_realised),
                ):
                    assert abs(fast * UNIT - slow) <= bound
                # The cut of a cost moves between the two and is never lost.
                assert (holding.realised - holding.cost) * UNIT == line.realised - line.lots * line.average

    @invariant()
    def blocked_is_what_working_orders_need(self):
        for terms in PORTFOLIOS:
            state = self.desk.accounts.account(terms.name).state
            working = {number: order for number, order in self.ledger.owners.items() if order[0] == terms.name}
            assert {number: order.lots for number, order in state.orders.items()} == {
                number: order[3] for number, order in working.items()
            }
            if not working:
                assert state.blocked == 0
            collateral = 0
            for listed, holding in state.holdings.items():
                lots = {
                    side: sum(o[3] for o in working.values() if o[1] == listed and o[2] is side)
                    for side in (BUY, SELL)
                }
                assert (holding.buy_lots, holding.sell_lots) == (lots[BUY], lots[SELL])
                if not working:
                    assert (holding.buy_money, holding.sell_money) == (0, 0)
                if listed in CONTRACTS:
                    day = self.desk.accounts.instruments[listed]
                    long, short = holding.lots + lots[BUY], lots[SELL] - holding.lots
                    collateral += max(long * day.margin_buy, short * day.margin_sell, 0)
            assert state.collateral == collateral
            if terms.name[0] != "7":
                least = sum(
                    order[3] * (order[4] * TICK[order[1]] + self.ledger.accrued(order[1]))
                    for order in working.values()
                    if order[2] is BUY
                )
                # Beyond the value only the commission, whose rounding is below a kopeck an order.
                assert money(least) <= state.blocked <= money(least) * 1.0005 + 10_000 * len(working)

    def teardown(self):
        again = Desk(*PORTFOLIOS)
        for event in self.desk.events:
            again.accounts.apply(event)
        assert again.accounts.digest() == self.desk.accounts.digest()
        for number, order in list(self.ledger.owners.items()):
            self.desk.cancel(order[0], number)
        self.blocked_is_what_working_orders_need()

    def _watch(self, event):
        self.ledger.note(event)
        if not (isinstance(event, OrderAccepted) and self.asked and event.account == self.asked[0]):
            return
        # Between acceptance and the first trade: what the acceptance alone has done.
        name, side, lots, allow, before = self.asked
        account = self.desk.accounts.account(name)
        held, buying, selling = before or (0, 0, 0)
        instruments_now = self.desk.accounts.instruments
        if account.is_derivative:
            closes = lots <= (-held - buying if side is BUY else held - selling)
            variation = variation_margin(account, instruments_now, self.desk)
            assert closes or free_money(account, variation) >= 0
            return
        if event.price_ticks is None:
            return  # it blocks nothing: what it has paid is looked at when its trades are done
        is_covered = account.state.cash >= account.state.blocked if side is BUY else lots <= held - selling
        closes = side is BUY and lots <= -held - buying
        if not (allow or account.terms.client_type is not ClientType.LOW_RISK):
            assert is_covered
        elif not (is_covered or closes):
            assert backing(account, instruments_now, self.desk).power >= 0

    def _price(self, listed, offset):
        close = self.desk.listed[listed].prev_close_ticks
        return close + offset * close // 100

    def _power(self, name):
        state = self.desk.accounts.account(name).state
        return state.cash - state.blocked


AccountsMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestAccounts = AccountsMachine.TestCase
