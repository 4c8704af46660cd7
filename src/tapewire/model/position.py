"""Positions of a portfolio, cash included."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from tapewire.model.record import UNSET, Maybe, Record, Wire
from tapewire.model.words import Exchange

__all__ = ["Position"]


class Position(Record, frozen=True, kw_only=True, gc=False):
    """One row of a portfolio, keyed by symbol, exchange and portfolio; every message is the whole row.

    A closed position stays as a row with zero quantities. Money is in the settlement currency.
    Source: reference of subscriptions, section 7.6.
    """

    #: Value at the average price.
    volume: Annotated[Decimal, Wire("volume", "v")]
    #: Value at the current price.
    current_volume: Annotated[Decimal, Wire("currentVolume", "cv")]
    #: Ticker, or the currency's code in a cash row.
    symbol: Annotated[str, Wire("symbol", "sym")]
    #: ``EXCHANGE:TICKER``.
    broker_symbol: Annotated[str, Wire("brokerSymbol", "tic")]
    portfolio: Annotated[str, Wire("portfolio", "p")]
    exchange: Annotated[Exchange, Wire("exchange", "ex")]
    average_price: Annotated[Decimal, Wire("avgPrice", "pxavg")]
    quantity_units: Annotated[Decimal, Wire("qtyUnits", "q")]
    #: Units at the start of the trading day.
    open_units: Annotated[Decimal, Wire("openUnits", "o")]
    #: Units in a lot.
    lot_size: Annotated[Decimal, Wire("lotSize", "lot")]
    short_name: Annotated[str, Wire("shortName", "n")]
    quantity_t0_units: Annotated[Decimal, Wire("qtyT0", "q0")]
    quantity_t1_units: Annotated[Decimal, Wire("qtyT1", "q1")]
    quantity_t2_units: Annotated[Decimal, Wire("qtyT2", "q2")]
    #: With all pending settlements.
    quantity_future_units: Annotated[Decimal, Wire("qtyTFuture", "qf")]
    quantity_t0_lots: Annotated[Maybe[Decimal], Wire("qtyT0Batch", None)] = UNSET
    quantity_t1_lots: Annotated[Maybe[Decimal], Wire("qtyT1Batch", None)] = UNSET
    quantity_t2_lots: Annotated[Maybe[Decimal], Wire("qtyT2Batch", None)] = UNSET
    quantity_future_lots: Annotated[Maybe[Decimal], Wire("qtyTFutureBatch", None)] = UNSET
    quantity_lots: Annotated[Maybe[Decimal], Wire("qtyBatch", None, None)] = UNSET
    open_lots: Annotated[Maybe[Decimal], Wire("openQtyBatch", None)] = UNSET
    #: Duplicate of ``quantity_lots``.
    quantity: Annotated[Maybe[Decimal], Wire("qty", None, None)] = UNSET
    #: Duplicate of ``open_lots``.
    open: Annotated[Maybe[Decimal], Wire("open", None, None)] = UNSET
    #: Since the opening of the session.
    daily_unrealised_result: Annotated[Decimal, Wire("dailyUnrealisedPl", "upd")]
    #: Since entry.
    unrealised_result: Annotated[Decimal, Wire("unrealisedPl", "up")]
    #: True: a row of cash. False: an instrument.
    is_currency: Annotated[bool, Wire("isCurrency", "cur")]
    #: True: a row of the first snapshot. False: a change.
    existing: Annotated[bool, Wire("existing", "h")]
