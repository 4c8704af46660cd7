"""The quote: best bid and ask with their sizes, last price and the figures of the session."""

from __future__ import annotations

from typing import Annotated

from tapewire.model.record import UNSET, Maybe, Record, Wire
from tapewire.model.words import Exchange

__all__ = ["Quote"]


class Quote(Record, frozen=True, kw_only=True, gc=False):
    """One instrument's summary line; every message is complete and replaces the one before.

    Prices are in the instrument's quoted unit, sizes in lots. ``last_price_time_s`` is event time, Unix s
    UTC. Source: reference of subscriptions, section 7.3.
    """

    symbol: Annotated[str, Wire("symbol", "sym")]
    exchange: Annotated[Exchange, Wire("exchange", "ex")]
    description: Annotated[str, Wire("description", "desc")]
    currency: Annotated[Maybe[str | None], Wire(None, None, "currency")] = UNSET
    prev_close_price: Annotated[Maybe[float], Wire("prev_close_price", None, "prevClosePrice")] = UNSET
    last_price: Annotated[float, Wire("last_price", "c", "lastPrice")]
    last_price_time_s: Annotated[int, Wire("last_price_timestamp", "tst", "lastPriceTimestamp")]
    high_price: Annotated[float, Wire("high_price", "h", "highPrice")]
    low_price: Annotated[float, Wire("low_price", "l", "lowPrice", also=("le",))]
    #: Accrued coupon interest of a bond in its currency; 0 otherwise.
    accrued_interest: Annotated[float, Wire("accruedInt", "acci", "accruedInterest", also=("accruedIntetest",))]
    #: Traded in this session, lots.
    volume: Annotated[float, Wire("volume", "v")]
    #: Contracts; null or 0 where the instrument has none.
    open_interest: Annotated[int | None, Wire("open_interest", "oi", "openInterest")]
    ask: Annotated[float | None, Wire("ask")]
    bid: Annotated[float | None, Wire("bid")]
    ask_volume: Annotated[int, Wire("ask_vol", "av", "askVol")]
    bid_volume: Annotated[int, Wire("bid_vol", "bv", "bidVol")]
    #: Time of the book behind ``bid`` and ``ask``, Unix ms UTC.
    book_time_ms: Annotated[int | None, Wire("ob_ms_timestamp", "tso", "obMsTimestamp")]
    open_price: Annotated[float, Wire("open_price", "o", "openPrice")]
    #: Yield at the last price, per cent; bonds only.
    yield_percent: Annotated[float | None, Wire("yield", "y")]
    #: Units in a lot.
    lot_size: Annotated[float, Wire("lotsize", "lot", "lotSize")]
    #: Value of a lot at the last price, in the currency of the instrument.
    lot_value: Annotated[float, Wire("lotvalue", "lotv", "lotValue")]
    face_value: Annotated[float, Wire("facevalue", "fv", "faceValue")]
    #: Kind of instrument: ``CS``, ``PS``, ``CORP``, … or a descriptive text.
    type: Annotated[str | None, Wire("type", "t")]
    total_bid_volume: Annotated[int, Wire("total_bid_vol", "tbv", "totalBidVol")]
    total_ask_volume: Annotated[int, Wire("total_ask_vol", "tav", "totalAskVol")]
    #: Deprecated by the broker: equals ``accrued_interest``.
    accrued_interest_old: Annotated[Maybe[float], Wire("accrued_interest", None, None)] = UNSET
    #: Last price minus previous close.
    change: Annotated[Maybe[float], Wire("change", None)] = UNSET
    change_percent: Annotated[
        Maybe[float], Wire("change_percent", None, "changePercent", also=("change_percent",))
    ] = UNSET
