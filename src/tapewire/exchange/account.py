"""One portfolio: its money, what it holds, its working orders. Moves with events, a few operations each."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from tapewire.exchange.commission import CommissionRates, commission_of
from tapewire.exchange.holding import Holding
from tapewire.exchange.money import MONEY_UNITS, money_of
from tapewire.exchange.terms import InstrumentTerms, segment_of
from tapewire.model import ClientType, InstrumentKind, Side

__all__ = ["CASH_MAX", "Account", "AccountState", "AccountTerms", "WorkingOrder"]


# On the hot path: reading a member from its class costs ten times a global in Python 3.11.
_BUY = Side.BUY

#: Roubles that a portfolio may begin with. A million times as many units of money still have room to grow in
#: the 64 bits of a stored number.
CASH_MAX = 100_000_000_000


class AccountTerms(msgspec.Struct, frozen=True, kw_only=True):
    """A portfolio as it is opened. Its name says what it trades: ``D…``, ``G…`` or ``75…``."""

    name: str
    #: What it begins with, roubles.
    cash: Decimal
    commission: CommissionRates = CommissionRates()
    client_type: ClientType = ClientType.STANDARD_RISK
    #: Investor tests that its owner has passed; None: all.
    tests_passed: frozenset[str] | None = None
    #: Blocked accounts keep what they have and place no orders.
    is_blocked: bool = False


class WorkingOrder(msgspec.Struct, gc=False):
    """What is left of an accepted order, and the money it stands for."""

    instrument: int
    is_buy: bool
    lots: int
    #: None: a market order that does not wait and therefore blocks nothing.
    price_ticks: int | None
    #: What its commission is reckoned of so far, and what it has paid.
    traded: int = 0
    charged: int = 0
    #: What the rest would pay or bring at the limit, commission included.
    money: int = 0
    comment: str | None = None


class AccountState(msgspec.Struct):
    """All that an account knows beside its terms, in units of money."""

    name: str
    #: With what has still to settle. Derivatives: as of the last turn of the day.
    cash: int
    #: The part of ``cash`` that settles tomorrow.
    cash_due: int = 0
    #: When the trading day began.
    cash_at_start: int = 0
    value_at_start: int = 0
    power_at_start: int = 0
    #: Commission of the day. Derivatives pay it when the day turns, others with each trade.
    commission: int = 0
    #: Money that working orders would pay: whole purchases, or the commission alone on derivatives.
    blocked: int = 0
    #: Derivatives: blocked for contracts and working orders, sum of the holdings.
    collateral: int = 0
    #: Derivatives: variation margin of the clearings of the day, paid when the day turns.
    variation: int = 0
    #: By the instrument's position.
    holdings: dict[int, Holding] = {}
    #: By order number.
    orders: dict[int, WorkingOrder] = {}


class Account:
    """A portfolio at work."""

    __slots__ = ("_rates", "is_derivative", "segment", "state", "terms")

    def __init__(self, terms: AccountTerms) -> None:
        """Open it with its starting cash.

        Raises:
            ValueError: A portfolio of this name trades nothing, its money is finer than a millionth or not
                between 0 and ``CASH_MAX``, a commission is finer than a millionth, or nobody states rates of
                risk for clients of its type.
        """
        cash = money_of(terms.cash, f"the cash of portfolio {terms.name}")
        if not 0 <= terms.cash <= CASH_MAX:
            raise ValueError(f"portfolio {terms.name} begins with {terms.cash}, not 0 to {CASH_MAX}")
        if terms.client_type not in (ClientType.LOW_RISK, ClientType.STANDARD_RISK, ClientType.HIGH_RISK):
            raise ValueError(f"portfolio {terms.name} has a client of type {terms.client_type}")
        self.terms = terms
        self.segment = segment_of(terms.name)
        self.is_derivative = self.segment.value == "FORTS"
        self._rates = {kind: terms.commission.of(kind) for kind in InstrumentKind}
        self.state = AccountState(
            name=terms.name, cash=cash, cash_at_start=cash, value_at_start=cash, power_at_start=cash
        )

    def commission(self, terms: InstrumentTerms, lots: int, ticks: int, order: WorkingOrder | None = None) -> int:
        """Return what so many lots more would cost an order; None: one that has not traded."""
        base = lots * MONEY_UNITS if terms.is_derivative else lots * ticks * terms.tick_money
        rate = self._rates[terms.instrument.kind]
        return (
            commission_of(base, rate)
            if order is None
            else commission_of(order.traded + base, rate) - order.charged
        )

    def covers(self, terms: InstrumentTerms, side: Side, lots: int, ticks: int) -> bool:
        """Return whether an order on the cash markets pays with money and sells securities that are there."""
        state = self.state
        if side is _BUY:
            money = lots * (ticks * terms.tick_money + terms.accrued) + self.commission(terms, lots, ticks)
            return money <= state.cash - state.blocked
        holding = state.holdings.get(terms.position)
        return holding is not None and lots <= holding.lots - holding.sell_lots

    def without_orders(self, instruments: Sequence[InstrumentTerms]) -> Account:
        """Return a copy in which no order works."""
        copy = Account(self.terms)
        copy.state = msgspec.msgpack.decode(msgspec.msgpack.encode(self.state), type=AccountState)
        for order_id, order in self.state.orders.items():
            copy.release(order_id, instruments[order.instrument])
        return copy

    def accept(
        self,
        order_id: int,
        terms: InstrumentTerms,
        side: Side,
        lots: int,
        price_ticks: int | None,
        comment: str | None = None,
    ) -> None:
        """Block what a new order may need."""
        order = WorkingOrder(terms.position, side is _BUY, lots, price_ticks, comment=comment)
        self.state.orders[order_id] = order
        self.take(order, terms)

    def fill(self, order_id: int, terms: InstrumentTerms, lots: int, ticks: int) -> int:
        """Settle a trade of an order and return its commission."""
        state = self.state
        order = state.orders[order_id]
        is_buy = order.is_buy
        commission = self.commission(terms, lots, ticks, order)
        order.traded += lots * MONEY_UNITS if terms.is_derivative else lots * ticks * terms.tick_money
        order.charged += commission
        order.lots -= lots
        holding = state.holdings[terms.position]
        lot_money = ticks * terms.tick_money + terms.accrued
        signed = lots if is_buy else -lots
        holding.trade(signed, lot_money, terms.accrued)
        if is_buy:
            holding.buy_lots -= lots
        else:
            holding.sell_lots -= lots
        state.commission += commission
        if terms.is_derivative:
            holding.cleared_cost += signed * lot_money
            holding.settled_lots = holding.lots
        else:
            flow = -signed * lot_money - commission
            state.cash += flow
            if terms.settles_tomorrow:
                state.cash_due += flow
            else:
                holding.settled_lots += signed
        blocked = order.money
        if order.lots:
            order.money = self._money_of(order, terms)
            self._block(holding, terms, is_buy, order.money - blocked)
        else:
            del state.orders[order_id]
            self._block(holding, terms, is_buy, -blocked)
        return commission

    def release(self, order_id: int, terms: InstrumentTerms) -> None:
        """Give back what was blocked for the rest of an order."""
        self.give_back(self.state.orders.pop(order_id), terms)

    def take(self, order: WorkingOrder, terms: InstrumentTerms) -> None:
        """Block for the rest of an order at the terms of now."""
        state = self.state
        holding = state.holdings.get(terms.position)
        if holding is None:
            holding = state.holdings[terms.position] = Holding()
        order.money = self._money_of(order, terms)
        if order.is_buy:
            holding.buy_lots += order.lots
        else:
            holding.sell_lots += order.lots
        self._block(holding, terms, order.is_buy, order.money)

    def give_back(self, order: WorkingOrder, terms: InstrumentTerms) -> None:
        """Release all that is blocked for an order."""
        holding = self.state.holdings[terms.position]
        if order.is_buy:
            holding.buy_lots -= order.lots
        else:
            holding.sell_lots -= order.lots
        self._block(holding, terms, order.is_buy, -order.money)

    def _money_of(self, order: WorkingOrder, terms: InstrumentTerms) -> int:
        """Return what the rest of an order would pay or bring at its limit; on derivatives, its commission."""
        lots, ticks = order.lots, order.price_ticks
        if ticks is None:
            return 0
        commission = self.commission(terms, lots, ticks, order)
        if terms.is_derivative:
            return commission
        value = lots * (ticks * terms.tick_money + terms.accrued)
        return value + commission if order.is_buy else value - commission

    def _block(self, holding: Holding, terms: InstrumentTerms, is_buy: bool, money: int) -> None:
        if terms.is_derivative:
            self.state.blocked += money
            self._set_collateral(holding, terms)
        elif is_buy:
            holding.buy_money += money
            self.state.blocked += money
        else:
            holding.sell_money += money

    def _set_collateral(self, holding: Holding, terms: InstrumentTerms) -> None:
        if terms.is_derivative:
            needed = collateral_of(holding, terms)
            self.state.collateral += needed - holding.collateral
            holding.collateral = needed

    def clear(self, instruments: Sequence[InstrumentTerms]) -> None:
        """Settle the variation margin of all contracts at the settlement prices."""
        state = self.state
        for position, holding in state.holdings.items():
            terms = instruments[position]
            worth = holding.lots * terms.settlement_ticks * terms.tick_money
            state.variation += worth - holding.cleared_cost
            holding.cleared_cost = worth

    def end_day(self, instruments: Sequence[InstrumentTerms]) -> None:
        """Settle the day at the settlement prices and the interest of its end."""
        state = self.state
        if self.is_derivative:
            self.clear(instruments)
            state.cash += state.variation - state.commission
            state.variation = 0
        state.commission = state.cash_due = 0
        for position, holding in state.holdings.items():
            terms = instruments[position]
            holding.begin_day(terms.settlement_ticks * terms.tick_money + terms.accrued)

    def pay_coupons(self, coupons: dict[int, int]) -> int:
        """Take the coupons of a turn of the day, by instrument and for one lot; return what they come to."""
        paid = 0
        for position, lot_coupon in coupons.items():
            holding = self.state.holdings.get(position)
            if holding is not None:
                holding.pay_coupon(lot_coupon)
                paid += holding.lots * lot_coupon
        self.state.cash += paid
        return paid

    def begin_day(self, instruments: Sequence[InstrumentTerms]) -> None:
        """Block at the terms of the new day, and remember what it begins with."""
        state = self.state
        for order in state.orders.values():
            terms = instruments[order.instrument]
            self.give_back(order, terms)
            self.take(order, terms)
        value = state.cash
        for position, holding in state.holdings.items():
            self._set_collateral(holding, instruments[position])
            if not self.is_derivative:
                value += holding.day_cost
        state.cash_at_start = state.cash
        state.value_at_start = value
        # Contracts have just been cleared, so nothing is held in reserve for them.
        state.power_at_start = state.cash - state.blocked - state.collateral


def collateral_of(holding: Holding, terms: InstrumentTerms, *, buy_lots: int = 0, sell_lots: int = 0) -> int:
    """Return the collateral for contracts whose working orders, and so many lots more, fill at their worst."""
    long = (holding.lots + holding.buy_lots + buy_lots) * terms.margin_buy
    short = (holding.sell_lots + sell_lots - holding.lots) * terms.margin_sell
    return max(long, short, 0)
