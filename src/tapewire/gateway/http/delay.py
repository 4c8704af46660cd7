"""What somebody without a token may see: the market as it was at a horizon, as far as the venue knows it.

The venue keeps trades and bars but neither old quotes nor old books. So a delayed quote has the last price, the
figures of the session and the open interest of then, rebuilt from trades and bars; bid, ask and their sizes are
unknown and say so. The horizon is a whole minute, see ``Call.horizon_s``.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tapewire.model import (
    DAY_S,
    MOSCOW_OFFSET_S,
    UNSET,
    Bar,
    Instrument,
    Maybe,
    Quote,
    Topic,
    TopicKind,
    UnsetType,
    bar_begins_s,
    bar_ends_s,
    trading_day,
)
from tapewire.ports.query import Query, TradesFilter

__all__ = ["delayed_bars", "delayed_quote", "fold"]

_MINUTE_S = 60
_MINUTES_OF_A_DAY = DAY_S // _MINUTE_S
#: Of the longest bar.
_DAYS_MAX = 366


def fold(bars: Sequence[Bar], opening_s: int) -> Bar | None:
    """Return the one bar that these make, oldest first; None for none."""
    if not bars:
        return None
    return Bar(
        time_s=opening_s,
        open=bars[0].open,
        close=bars[-1].close,
        high=max(bar.high for bar in bars),
        low=min(bar.low for bar in bars),
        volume=sum(bar.volume for bar in bars),
    )


async def delayed_bars(query: Query, topic: Topic, bars: Sequence[Bar], horizon_s: int) -> Sequence[Bar]:
    """Return bars as they were at the horizon: the one that ran then holds what had been traded by then.

    One that is no whole number of minutes long is left out until it has ended.
    """
    ended = [bar for bar in bars if bar_ends_s(bar.time_s, topic.interval_s) <= horizon_s]
    if len(ended) == len(bars):
        return bars
    # All others begin later than the horizon, but for the first of them.
    running = bars[len(ended)]
    begins_s = bar_begins_s(running.time_s, topic.interval_s)
    if begins_s >= horizon_s or topic.interval_s % _MINUTE_S:
        return ended
    part = fold(await _parts(query, topic, begins_s, horizon_s), running.time_s)
    return ended if part is None else [*ended, part]


async def delayed_quote(query: Query, instrument: Instrument, now: Quote, horizon_s: int) -> Quote:
    """Return the quote of an instrument as it was at the horizon, made from the one of now."""
    exchange, symbol, board = instrument.key
    minutes = Topic(TopicKind.BAR, exchange, symbol, board, _MINUTE_S)
    session_start_s = query.session_start_s()
    is_of_today = session_start_s <= horizon_s
    start_s = session_start_s if is_of_today else session_start_s - DAY_S
    last_bars = (await query.bars(minutes, 0, horizon_s - _MINUTE_S, 1)).bars
    in_session = (await query.bars(minutes, start_s, horizon_s - _MINUTE_S, _MINUTES_OF_A_DAY)).bars
    session = fold(in_session, start_s)
    if last_bars:
        last = last_bars[-1].close
        at_s, open_interest = await _last_trade(query, instrument, last_bars[-1])
    else:
        last, at_s, open_interest = instrument.price_float(instrument.prev_close_ticks), 0, None
    # The close before a day that has passed is not kept.
    prev_close = now.prev_close_price if is_of_today else UNSET
    change: Maybe[float] = UNSET if isinstance(prev_close, UnsetType) else _rounded(last - prev_close)
    percent: Maybe[float] = UNSET
    if not isinstance(prev_close, UnsetType) and prev_close:
        percent = _rounded(100 * (last - prev_close) / prev_close, 2)
    return msgspec.structs.replace(
        now,
        prev_close_price=prev_close,
        last_price=last,
        last_price_time_s=at_s,
        high_price=session.high if session else last,
        low_price=session.low if session else last,
        open_price=session.open if session else last,
        volume=float(session.volume if session else 0),
        # Trades of what has none carry 0.
        open_interest=None if now.open_interest is None else open_interest,
        ask=None,
        bid=None,
        ask_volume=0,
        bid_volume=0,
        total_ask_volume=0,
        total_bid_volume=0,
        book_time_ms=None,
        yield_percent=None,
        lot_value=_rounded(now.lot_value / now.last_price * last) if now.last_price else 0.0,
        change=change,
        change_percent=percent,
    )


async def _last_trade(query: Query, instrument: Instrument, minute: Bar) -> tuple[int, int | None]:
    """Return time (Unix s) and open interest of the last trade in a minute; its last second if none is kept."""
    exchange, symbol, board = instrument.key
    ends_s = minute.time_s + _MINUTE_S - 1
    found = await query.trades(
        Topic(TopicKind.TRADES, exchange, symbol, board),
        TradesFilter(since_s=minute.time_s, until_s=ends_s, descending=True, limit=1),
    )
    if not found.trades:
        return ends_s, None
    return found.trades[0].time_ms // 1_000, found.trades[0].open_interest


async def _parts(query: Query, topic: Topic, begins_s: int, horizon_s: int) -> Sequence[Bar]:
    """Return whole days and, of the horizon's own day, whole minutes that lie between two moments."""
    midnight_s = trading_day(horizon_s) * DAY_S - MOSCOW_OFFSET_S
    days: Sequence[Bar] = ()
    if begins_s < midnight_s:
        # A bar of a day is named by midnight UTC of its date.
        first_s, last_s = (trading_day(at_s) * DAY_S for at_s in (begins_s, midnight_s - 1))
        days = (await query.bars(topic._replace(interval_s=DAY_S), first_s, last_s, _DAYS_MAX)).bars
    since_s = max(begins_s, midnight_s)
    minutes = await query.bars(
        topic._replace(interval_s=_MINUTE_S), since_s, horizon_s - _MINUTE_S, _MINUTES_OF_A_DAY
    )
    return [*days, *minutes.bars]


def _rounded(value: float, digits: int = 6) -> float:
    """Take off the dust of binary fractions, and the sign of nothing."""
    return round(value, digits) + 0.0
