"""The whole state of an exchange as plain values: what a snapshot holds."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from hashlib import blake2b

import msgspec

from tapewire.exchange.command import Auction
from tapewire.exchange.conditional import ConditionalOrder
from tapewire.exchange.groups import OrderGroup
from tapewire.exchange.order import RestingOrder
from tapewire.exchange.register import OrderRow
from tapewire.exchange.trading import Trading
from tapewire.model import Side

__all__ = ["ExchangeState", "TradingState", "digest", "restore_trading", "trading_state"]


class TradingState(msgspec.Struct, kw_only=True):
    """Trading in one instrument. Orders stand in the sequence in which they would trade."""

    price_band_ticks: tuple[int, int]
    is_open: bool
    auction: Auction | None
    last_ticks: int | None
    bids: list[RestingOrder]
    asks: list[RestingOrder]
    at_market: list[RestingOrder]
    at_close: list[RestingOrder]


class ExchangeState(msgspec.Struct, kw_only=True):
    """Everything that an exchange knows; msgspec makes bytes of it and reads them back.

    Two exchanges with equal states do the same with the same commands. Sequences are those of ``Register.all``
    and ``Groups.all``.
    """

    next_order_id: int
    next_trade_id: int
    next_conditional_id: int
    next_group_id: int = 1
    #: Trading days that have ended.
    session: int = 0
    #: One an instrument; none at all: as listed.
    trading: list[TradingState] = []
    orders: list[OrderRow] = []
    conditionals: list[ConditionalOrder] = []
    groups: list[OrderGroup] = []


def trading_state(trading: Trading) -> TradingState:
    """Return a copy of one instrument's state."""
    return TradingState(
        price_band_ticks=trading.band_ticks,
        is_open=trading.is_open,
        auction=trading.auction,
        last_ticks=trading.last_ticks,
        bids=_copied(trading.book.orders(Side.BUY)),
        asks=_copied(trading.book.orders(Side.SELL)),
        at_market=_copied(trading.at_market.values()),
        at_close=_copied(trading.at_close.values()),
    )


def restore_trading(trading: Trading, state: TradingState) -> list[RestingOrder]:
    """Let a fresh instrument stand where ``state`` says, and return the orders that wait in it."""
    trading.band_ticks = state.price_band_ticks
    trading.is_open = state.is_open
    trading.auction = state.auction
    trading.last_ticks = state.last_ticks
    for order in (*state.bids, *state.asks):
        trading.book.rest(order)
    trading.at_market = {order.id: order for order in state.at_market}
    trading.at_close = {order.id: order for order in state.at_close}
    return [*state.bids, *state.asks, *state.at_market, *state.at_close]


def _copied(orders: Iterable[RestingOrder]) -> list[RestingOrder]:
    """Return copies that the exchange's next command does not change."""
    copies = [copy(order) for order in orders]
    for order in copies:
        if order.iceberg is not None:
            order.iceberg = copy(order.iceberg)
    return copies


def digest(state: ExchangeState) -> str:
    """Return a hash of a state: equal for equal states, whatever led to them."""
    return blake2b(msgspec.msgpack.encode(state, order="deterministic"), digest_size=16).hexdigest()
