"""Weigh an order against a portfolio without placing it: what it costs, how large it could be."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from decimal import Decimal

from tapewire.exchange.accounts import Accounts
from tapewire.exchange.command import Place
from tapewire.exchange.money import money_of, roubles
from tapewire.exchange.refusal import LOTS_MAX
from tapewire.model import OrderEstimate, Side

__all__ = ["estimate"]


def estimate(
    accounts: Accounts,
    name: str,
    instrument: int,
    *,
    price_ticks: int,
    lots: int | None = None,
    budget: Decimal | None = None,
    includes_orders: bool = False,
) -> OrderEstimate:
    """Return what an order of a portfolio would cost and how many lots it could buy and sell. Changes nothing.

    How many lots: the most that would not be refused now, with ``allow_margin`` and as an order that owes
    nothing; at most ``LOTS_MAX``.

    Args:
        accounts: All portfolios.
        name: The portfolio.
        instrument: Its position in the exchange's list.
        price_ticks: The price that all is reckoned at, 1 tick or more.
        lots: Size of the order, 0 or more. None: the most that ``budget`` pays, commission included, or 0.
        budget: Roubles; unused beside ``lots``.
        includes_orders: True: with what working orders block. False: as if none worked.

    Raises:
        KeyError: There is no such portfolio.
        ValueError: The budget is finer than a millionth, or ``lots`` or the price is out of its range.
    """
    if price_ticks < 1 or (lots is not None and not 0 <= lots <= LOTS_MAX):
        raise ValueError(f"{lots} lots at {price_ticks} ticks cannot be estimated")
    terms = accounts.instruments[instrument]
    account = accounts.account(name)
    if not includes_orders:
        account = account.without_orders(accounts.instruments)

    def can(side: Side, lots: int, *, on_margin: bool) -> bool:
        place = Place(
            account=name, instrument=instrument, side=side, lots=lots, price_ticks=price_ticks, allow_margin=True
        )
        if accounts.weigh(account, place, price_ticks) is not None:
            return False
        return on_margin or account.is_derivative or account.covers(terms, side, lots, price_ticks)

    def cost(lots: int) -> int:
        if account.is_derivative:
            return lots * terms.margin_buy
        return lots * (price_ticks * terms.tick_money + terms.accrued)

    if lots is None:
        money = 0 if budget is None else money_of(budget, "the budget")
        lots = _most(lambda lots: cost(lots) + account.commission(terms, lots, price_ticks) <= money)
    return OrderEstimate(
        portfolio=name,
        symbol=terms.instrument.symbol,
        exchange=terms.instrument.exchange,
        sell_lots=Decimal(_most(lambda lots: can(Side.SELL, lots, on_margin=True))),
        buy_lots=Decimal(_most(lambda lots: can(Side.BUY, lots, on_margin=True))),
        sell_lots_without_margin=Decimal(_most(lambda lots: can(Side.SELL, lots, on_margin=False))),
        buy_lots_without_margin=Decimal(_most(lambda lots: can(Side.BUY, lots, on_margin=False))),
        cost=roubles(cost(lots)),
        commission=roubles(account.commission(terms, lots, price_ticks)),
        price=terms.instrument.price(price_ticks),
        is_united_portfolio=False,
    )


def _most(fits: Callable[[int], bool]) -> int:
    # What fits, fits with a lot less: then halving finds the most in thirty steps.
    return bisect_left(range(1, LOTS_MAX + 1), True, key=lambda lots: not fits(lots))
