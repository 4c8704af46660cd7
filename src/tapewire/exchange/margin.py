"""Margins of a portfolio on the cash markets: what it is worth, what must stand behind it.

A lot is valued at the last price, with the interest that has accrued. What is not marginal counts nothing as
backing. For each instrument the larger of two cases is covered: all working purchases fill and no sale does, or
the other way round; and beyond that, what orders would pay above the value, or bring below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tapewire.exchange.account import Account
from tapewire.exchange.clearing import Marks
from tapewire.exchange.holding import Holding
from tapewire.exchange.money import RATE_UNITS
from tapewire.exchange.terms import InstrumentTerms

__all__ = ["Backing", "backing", "can_back", "free_money", "variation_margin"]


class Backing(NamedTuple):
    """Value and margins; values in units of money, margins in millionths of them."""

    #: Cash and what is marginal.
    liquid: int
    #: Cash and everything.
    total: int
    initial: int
    #: With working orders.
    corrected: int

    @property
    def power(self) -> int:
        """What of the value is not yet needed as margin, millionths of units of money."""
        return self.liquid * RATE_UNITS - self.corrected


def backing(account: Account, instruments: Sequence[InstrumentTerms], marks: Marks) -> Backing:
    """Return value and margins of all that the account holds; without a last price, at the settlement price."""
    liquid = total = account.state.cash
    initial = corrected = 0
    client = account.terms.client_type
    for position, holding in account.state.holdings.items():
        terms = instruments[position]
        ticks = marks.last_ticks(position)
        if ticks is None:
            ticks = terms.settlement_ticks
        part = _part(holding, terms, terms.rates[client], ticks, 0, 0, 0, 0)
        liquid += part.liquid
        total += part.total
        initial += part.initial
        corrected += part.corrected
    return Backing(liquid, total, initial, corrected)


def can_back(
    account: Account,
    instruments: Sequence[InstrumentTerms],
    marks: Marks,
    terms: InstrumentTerms,
    buy: tuple[int, int],
    sell: tuple[int, int],
) -> bool | None:
    """Return whether the account can back one more order; None if something has no price.

    Args:
        account: A portfolio of shares, bonds or currency.
        instruments: All instruments.
        marks: Their prices.
        terms: The instrument of the order.
        buy: Its lots and the money they would pay; (0, 0) for a sale.
        sell: Its lots and the money they would bring; (0, 0) for a purchase.
    """
    power = account.state.cash * RATE_UNITS
    client = account.terms.client_type
    holdings = account.state.holdings
    for position, holding in holdings.items():
        if position == terms.position or not (holding.lots or holding.buy_lots or holding.sell_lots):
            continue
        ticks = marks.last_ticks(position)
        if ticks is None:
            return None
        other = instruments[position]
        part = _part(holding, other, other.rates[client], ticks, 0, 0, 0, 0)
        power += part.power
    ticks = marks.last_ticks(terms.position)
    if ticks is None:
        return None
    holding = holdings.get(terms.position, _NOTHING)
    return power + _part(holding, terms, terms.rates[client], ticks, *buy, *sell).power >= 0


def variation_margin(account: Account, instruments: Sequence[InstrumentTerms], marks: Marks) -> int | None:
    """Return what contracts have won since the last clearing, units of money; None if one has no price.

    Contracts that were opened and closed since count with what they have brought.
    """
    margin = 0
    for position, holding in account.state.holdings.items():
        if holding.lots:
            ticks = marks.last_ticks(position)
            if ticks is None:
                return None
            margin += holding.lots * ticks * instruments[position].tick_money
        margin -= holding.cleared_cost
    return margin


_NOTHING = Holding()


def _part(
    holding: Holding,
    terms: InstrumentTerms,
    rates: tuple[int, int],
    ticks: int,
    buy_lots: int,
    buy_money: int,
    sell_lots: int,
    sell_money: int,
) -> Backing:
    lots = holding.lots
    buy_lots += holding.buy_lots
    buy_money += holding.buy_money
    sell_lots += holding.sell_lots
    sell_money += holding.sell_money
    unit = ticks * terms.tick_money + terms.accrued
    liquid_unit = unit if terms.is_marginal else 0
    long_rate, short_rate = rates
    long_margin, short_margin = liquid_unit * long_rate, unit * short_rate
    corrected = max((lots + buy_lots) * long_margin, (sell_lots - lots) * short_margin, 0)
    # Orders that fill away from the value change the value itself.
    if buy_money > buy_lots * liquid_unit:
        corrected += (buy_money - buy_lots * liquid_unit) * RATE_UNITS
    if sell_money < sell_lots * liquid_unit:
        corrected += (sell_lots * liquid_unit - sell_money) * RATE_UNITS
    if lots >= 0:
        return Backing(lots * liquid_unit, lots * unit, lots * long_margin, corrected)
    return Backing(lots * unit, lots * unit, -lots * short_margin, corrected)


def free_money(account: Account, variation: int) -> int:
    """Return what a derivatives portfolio may still block, units of money; below 0 it lacks so much.

    What contracts have lost since the last clearing is held in reserve, what they have won comes with the next.
    """
    state = account.state
    return state.cash + state.variation - state.collateral - state.blocked - state.commission + min(variation, 0)
