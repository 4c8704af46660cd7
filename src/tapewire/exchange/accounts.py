"""All portfolios: asked before an order is accepted, told what has happened.

What refuses an order, in this sequence:

=====================================  ==========================================================================
``CLIENT_BLOCKED`` 407                 there is no such portfolio, or it is blocked
``INSTRUMENT_IN_BOARD_FORBIDDEN…`` 406 the portfolio belongs to another segment
``INVALID_COMPLEX_PRODUCT_CATEGORY``   the test for the instrument has not been passed
410
``LOW_RISK_MARGINAL_FORBIDDEN`` 413    a low-risk client without ``allow_margin``: any order on derivatives, any
                                       conditional one, and an order elsewhere that would be taken with it (so it
                                       comes last there)
``INSTRUMENT_CANT_BE_SHORT_SELLED``    more is sold than there is, and nobody may be short of it
405
``NO_ORDER_PRICE_FOUND`` 411           it needs margin or collateral, and something has no price
``NOT_ENOUGH_CASH`` 401                a purchase: neither cash nor what backs it suffices
``ORDER_CREATES_UNCOVERED_RISK`` 400   a sale beyond what there is: what backs it does not suffice
``INSUFFICIENT_CLIENT_FUNDS`` 309      derivatives: free money does not cover collateral and commission
=====================================  ==========================================================================

An order that is paid in full, or sells what is there, is decided by a few comparisons. One that needs margin or
collateral walks through what its account holds, never through other accounts or orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec

from tapewire.exchange.account import Account, AccountState, AccountTerms, collateral_of
from tapewire.exchange.clearing import BondInterest, Marks
from tapewire.exchange.command import Place
from tapewire.exchange.event import Cleared, DayTurned, Event, OrderAccepted, OrderCancelled, Traded
from tapewire.exchange.fills import FillRow, Fills
from tapewire.exchange.holding import Holding
from tapewire.exchange.margin import can_back, free_money, variation_margin
from tapewire.exchange.money import roubles
from tapewire.exchange.participant import is_participant
from tapewire.exchange.refusal import Refusal
from tapewire.exchange.terms import InstrumentTerms
from tapewire.model import ClientType, Instrument, Side, TradingCode

__all__ = ["Accounts", "AccountsState"]

# On the hot path: reading a member from its class costs ten times a global in Python 3.11.
_BUY, _SELL = Side.BUY, Side.SELL
_LOW_RISK_CLIENT = ClientType.LOW_RISK


class AccountsState(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of all that accounts know: plain numbers and texts, for any encoding. Money in millionths."""

    #: The instruments by whose positions holdings and orders are named.
    symbols: tuple[str, ...]
    day: int
    settlement_ticks: tuple[int, ...]
    #: Collateral to buy and to sell.
    margins: tuple[tuple[int, int], ...]
    commissions: int
    coupons: int
    accounts: tuple[AccountState, ...]
    #: Oldest first.
    fills: tuple[FillRow, ...] = ()


class Accounts:
    """Money and securities of a fixed list of portfolios. Implements ``Clearing``.

    Deterministic: the same orders, events and prices give the same refusals and the same state.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        accounts: Iterable[AccountTerms],
        marks: Marks,
        *,
        day: int,
        bonds: Mapping[str, BondInterest] | None = None,
    ) -> None:
        """Open the portfolios with their starting cash and nothing else.

        Args:
            instruments: The exchange's list, whose positions commands and events use.
            accounts: Portfolios, each name once.
            marks: Prices of now, asked when an order or a figure needs them.
            day: The running trading day: days since 1970-01-01, Moscow.
            bonds: Coupons by symbol; a bond that is not there pays none.

        Raises:
            ValueError: A value is no whole number of units of money, or terms make no sense; see
                ``InstrumentTerms`` and ``Account``.
        """
        bonds = bonds or {}
        #: In the exchange's order.
        self.instruments = [
            InstrumentTerms(position, instrument, bonds.get(instrument.symbol), day)
            for position, instrument in enumerate(instruments)
        ]
        self.marks = marks
        #: The running trading day.
        self.day = day
        #: All commissions since ever, which the house has, and all coupons, which issuers have paid.
        self.commissions = 0
        self.coupons = 0
        #: What the portfolios have traded.
        self.fills = Fills()
        self._accounts: dict[str, Account] = {}
        for terms in accounts:
            self.open(terms)

    def open(self, terms: AccountTerms) -> None:
        """Open one more portfolio.

        Raises:
            ValueError: There is one of this name, or its terms make no sense, see ``Account``.
        """
        self.check(terms)
        self._accounts[terms.name] = Account(terms)

    def check(self, terms: AccountTerms) -> None:
        """Look whether a portfolio could be opened; nothing changes.

        Raises:
            ValueError: As for ``open``.
        """
        if terms.name in self._accounts:
            raise ValueError(f"portfolio {terms.name} is there twice")
        Account(terms)

    @property
    def names(self) -> tuple[str, ...]:
        """The portfolios, in the order they were given."""
        return tuple(self._accounts)

    @property
    def terms(self) -> tuple[AccountTerms, ...]:
        """What the portfolios were opened with, in the same order."""
        return tuple(account.terms for account in self._accounts.values())

    def account(self, name: str) -> Account:
        """Return a portfolio, for reading.

        Raises:
            KeyError: There is none of this name.
        """
        return self._accounts[name]

    def refusal(self, place: Place, limit_ticks: int, *, replaces: int | None = None) -> Refusal | None:
        """Return why the account may not place the order, or None; nothing changes.

        Args:
            place: An order that the rules of its instrument allow.
            limit_ticks: The worst price that it can trade at.
            replaces: A working order of the same account that it takes the place of; what that one blocks
                counts as free. None, and a number that is not working: no order.
        """
        account = self._accounts.get(place.account)
        if account is None:
            if is_participant(place.account):
                return None
            return Refusal(TradingCode.CLIENT_BLOCKED, f"there is no portfolio {place.account}")
        order = None if replaces is None else account.state.orders.get(replaces)
        if order is None:
            return self.weigh(account, place, limit_ticks)
        terms = self.instruments[order.instrument]
        account.give_back(order, terms)
        try:
            return self.weigh(account, place, limit_ticks)
        finally:
            account.take(order, terms)

    def conditional_refusal(self, place: Place) -> Refusal | None:
        """Return why the account may not leave a conditional order for this one, or None; nothing changes.

        It needs no money until it fires; then ``refusal`` is asked of the order that it places.
        """
        account = self._accounts.get(place.account)
        if account is None:
            return self.refusal(place, 0)
        refusal = _access_refusal(account, self.instruments[place.instrument])
        return _LOW_RISK if refusal is None and not _agrees(account, place) else refusal

    def weigh(self, account: Account, place: Place, limit_ticks: int) -> Refusal | None:
        """Return why a portfolio, or a copy of it, may not place the order, or None; nothing changes."""
        terms = self.instruments[place.instrument]
        refusal = _access_refusal(account, terms)
        if refusal is not None:
            return refusal
        agrees = _agrees(account, place)
        if account.is_derivative:
            return self._contract_refusal(account, terms, place, limit_ticks) if agrees else _LOW_RISK
        if account.covers(terms, place.side, place.lots, limit_ticks):
            return None
        if place.side is _BUY:
            refusal = self._purchase_refusal(account, terms, place.lots, limit_ticks)
        else:
            refusal = self._sale_refusal(account, terms, place.lots, limit_ticks)
        if refusal is None and not agrees:
            return _LOW_RISK
        return refusal

    def apply(self, event: Event) -> None:
        """Take note of what has happened: working orders block, trades settle, endings release.

        Events of accounts that are not here pass without a trace.
        """
        if isinstance(event, Traded):
            buyer, seller = self._accounts.get(event.buyer), self._accounts.get(event.seller)
            if buyer is not None:
                self._fill(buyer, event.buy_order_id, _BUY, event)
            if seller is not None:
                self._fill(seller, event.sell_order_id, _SELL, event)
        elif isinstance(event, OrderAccepted):
            account = self._accounts.get(event.account)
            if account is not None:
                terms = self.instruments[event.instrument]
                # A market order waits only for an auction, and then at the worst price that it may get there.
                ticks = event.limit_ticks if event.price_ticks is None else event.price_ticks
                account.accept(event.order_id, terms, event.side, event.lots, ticks, event.comment)
        elif isinstance(event, OrderCancelled):
            account = self._accounts.get(event.account)
            if account is not None:
                account.release(event.order_id, self.instruments[event.instrument])
        elif isinstance(event, Cleared):
            self._set_settlement(event.settlement_ticks)
            for account in self._accounts.values():
                if account.is_derivative:
                    account.clear(self.instruments)
        elif isinstance(event, DayTurned):
            self._turn_day(event)

    def snapshot(self) -> AccountsState:
        """Return a copy of the state, which later events do not reach."""
        live = tuple(account.state for account in self._accounts.values())
        return AccountsState(
            symbols=tuple(terms.instrument.symbol for terms in self.instruments),
            day=self.day,
            settlement_ticks=tuple(terms.settlement_ticks for terms in self.instruments),
            margins=tuple((terms.margin_buy, terms.margin_sell) for terms in self.instruments),
            commissions=self.commissions,
            coupons=self.coupons,
            accounts=_copied(live),
            fills=tuple(self.fills.all()),
        )

    def restore(self, state: AccountsState) -> None:
        """Continue from a snapshot. Portfolios that it does not know keep what they were opened with.

        Raises:
            ValueError: It belongs to other instruments, or holds a portfolio that is not here; nothing has
                changed.
        """
        if state.symbols != tuple(terms.instrument.symbol for terms in self.instruments):
            raise ValueError("the snapshot of accounts belongs to another list of instruments")
        unknown = [account.name for account in state.accounts if account.name not in self._accounts]
        if unknown:
            raise ValueError(f"the snapshot of accounts holds portfolios that are not here: {', '.join(unknown)}")
        self.day, self.commissions, self.coupons = state.day, state.commissions, state.coupons
        for terms, ticks, margins in zip(self.instruments, state.settlement_ticks, state.margins, strict=True):
            terms.settlement_ticks = ticks
            terms.margin_buy, terms.margin_sell = margins
            terms.begin_day(state.day)
        self.fills = Fills(state.fills)
        for account in _copied(state.accounts):
            self._accounts[account.name].state = account

    def digest(self) -> str:
        """Return a hash of the state: equal digests mean equal money, holdings and orders."""
        return blake2b(msgspec.msgpack.encode(self.snapshot()), digest_size=16).hexdigest()

    def _purchase_refusal(self, account: Account, terms: InstrumentTerms, lots: int, ticks: int) -> Refusal | None:
        state = account.state
        holding = state.holdings.get(terms.position, _NOTHING)
        if lots <= -holding.lots - holding.buy_lots:
            return None  # it only closes a short position
        money = lots * (ticks * terms.tick_money + terms.accrued) + account.commission(terms, lots, ticks)
        backed: bool | None = False
        if terms.is_marginal:
            backed = can_back(account, self.instruments, self.marks, terms, (lots, money), (0, 0))
        if backed is None:
            return _NO_PRICE
        if backed:
            return None
        return Refusal(
            TradingCode.NOT_ENOUGH_CASH,
            f"the order needs {roubles(money)}, the portfolio has {roubles(state.cash - state.blocked)} "
            f"and not the margin for the rest",
        )

    def _sale_refusal(self, account: Account, terms: InstrumentTerms, lots: int, ticks: int) -> Refusal | None:
        instrument = terms.instrument
        if not (instrument.is_short_sell_possible and terms.is_marginal):
            holding = account.state.holdings.get(terms.position, _NOTHING)
            return Refusal(
                TradingCode.INSTRUMENT_CANT_BE_SHORT_SELLED,
                f"{instrument.symbol} cannot be sold short, and {max(holding.lots - holding.sell_lots, 0)} lots "
                f"are free to be sold",
            )
        money = lots * (ticks * terms.tick_money + terms.accrued) - account.commission(terms, lots, ticks)
        backed = can_back(account, self.instruments, self.marks, terms, (0, 0), (lots, money))
        if backed is None:
            return _NO_PRICE
        if backed:
            return None
        return Refusal(
            TradingCode.ORDER_CREATES_UNCOVERED_RISK,
            f"the portfolio has not the margin for a short sale of {instrument.symbol}",
        )

    def _contract_refusal(
        self, account: Account, terms: InstrumentTerms, place: Place, limit_ticks: int
    ) -> Refusal | None:
        holding = account.state.holdings.get(terms.position, _NOTHING)
        lots = place.lots
        buys = place.side is _BUY
        closable = -holding.lots - holding.buy_lots if buys else holding.lots - holding.sell_lots
        if lots <= closable:
            return None
        variation = variation_margin(account, self.instruments, self.marks)
        if variation is None or self.marks.last_ticks(terms.position) is None:
            return _NO_PRICE
        needed = collateral_of(holding, terms, buy_lots=lots if buys else 0, sell_lots=0 if buys else lots)
        needed += account.commission(terms, lots, limit_ticks) - holding.collateral
        free = free_money(account, variation)
        if needed <= free:
            return None
        return Refusal(
            TradingCode.INSUFFICIENT_CLIENT_FUNDS,
            f"the order needs {roubles(needed)} as collateral and commission, {roubles(free)} is free",
        )

    def _fill(self, account: Account, order_id: int, side: Side, trade: Traded) -> None:
        terms = self.instruments[trade.instrument]
        comment = account.state.orders[order_id].comment
        commission = account.fill(order_id, terms, trade.lots, trade.price_ticks)
        self.commissions += commission
        self.fills.add(
            FillRow(
                trade_id=trade.trade_id,
                order_id=order_id,
                account=account.terms.name,
                instrument=trade.instrument,
                side=side,
                lots=trade.lots,
                price_ticks=trade.price_ticks,
                interest=trade.lots * terms.accrued,
                commission=commission,
                comment=comment,
                day=self.day,
                at_ns=trade.at_ns,
            )
        )

    def _turn_day(self, turn: DayTurned) -> None:
        assert len(turn.margins) in (0, len(self.instruments))
        self._set_settlement(turn.settlement_ticks)
        accounts = self._accounts.values()
        for account in accounts:
            account.end_day(self.instruments)
        coupons = {
            terms.position: coupon for terms in self.instruments if (coupon := terms.coupons(self.day, turn.day))
        }
        self.day = turn.day
        for terms in self.instruments:
            terms.begin_day(turn.day)
        if turn.margins:
            for terms, margins in zip(self.instruments, turn.margins, strict=True):
                if margins is not None:
                    terms.set_margins(*margins)
        for account in accounts:
            self.coupons += account.pay_coupons(coupons)
            account.begin_day(self.instruments)

    def _set_settlement(self, settlement_ticks: Sequence[int]) -> None:
        assert len(settlement_ticks) == len(self.instruments)
        for terms, ticks in zip(self.instruments, settlement_ticks, strict=True):
            terms.settlement_ticks = ticks


#: Read where an account has nothing of an instrument.
_NOTHING = Holding()

_LOW_RISK = Refusal(
    TradingCode.LOW_RISK_MARGINAL_FORBIDDEN,
    "the order needs margin: a client of low risk must allow it with allowMargin",
)
_NO_PRICE = Refusal(
    TradingCode.NO_ORDER_PRICE_FOUND, "the portfolio or the order cannot be valued: an instrument has no price"
)


def _agrees(account: Account, place: Place) -> bool:
    return place.allow_margin or account.terms.client_type is not _LOW_RISK_CLIENT


def _access_refusal(account: Account, terms: InstrumentTerms) -> Refusal | None:
    if account.terms.is_blocked:
        return Refusal(TradingCode.CLIENT_BLOCKED, f"portfolio {account.terms.name} is blocked")
    if terms.segment is not account.segment:
        return Refusal(
            TradingCode.INSTRUMENT_IN_BOARD_FORBIDDEN_FOR_CLIENT,
            f"portfolio {account.terms.name} trades on {account.segment}, "
            f"{terms.instrument.symbol} is on {terms.segment}",
        )
    category = terms.instrument.complex_product_category
    passed = account.terms.tests_passed
    if category and passed is not None and category not in passed:
        return Refusal(
            TradingCode.INVALID_COMPLEX_PRODUCT_CATEGORY,
            f"test {category}, which {terms.instrument.symbol} needs, has not been passed",
        )
    return None


def _copied(states: tuple[AccountState, ...]) -> tuple[AccountState, ...]:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(states), type=tuple[AccountState, ...])
