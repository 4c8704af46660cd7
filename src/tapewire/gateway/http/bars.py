"""Bars of a range, and what lies beside it."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from tapewire.gateway.http.answers import rows_answer
from tapewire.gateway.http.delay import delayed_bars
from tapewire.gateway.http.endpoint import Call, not_found
from tapewire.gateway.http.securities import topic_of
from tapewire.model import Bar, BarsHistory, Instrument, Topic, TopicKind, bar_opening_s
from tapewire.protocol.http_requests import AskBars
from tapewire.protocol.limits import HTTP_BARS_MAX, UNIX_SECONDS_MAX

__all__ = ["bars"]


async def bars(call: Call, asked: AskBars) -> Response:
    """Answer with the bars of a range: the newest ``HTTP_BARS_MAX`` of them, ``prev`` leads to the others."""
    topic = topic_of(TopicKind.BAR, _instrument(call, asked), asked.interval_s)
    since_s, until_s = min(asked.since_s, UNIX_SECONDS_MAX), min(asked.until_s, UNIX_SECONDS_MAX)
    # The bar that ran at the horizon: of later ones not even their being there is to be seen.
    newest_s = bar_opening_s(call.horizon_s - 1, asked.interval_s) if call.is_delayed else UNIX_SECONDS_MAX
    until_s = min(until_s, newest_s)
    found = await _read(call, topic, since_s, until_s, HTTP_BARS_MAX)
    if len(found) < asked.bars_min:
        # The newest bars before the end hold those of the range, as there are fewer of them.
        found = await _read(call, topic, 0, until_s, min(asked.bars_min, HTTP_BARS_MAX))
    first_s = found[0].time_s if found else since_s
    beside = await call.query.bar_neighbours(topic, first_s, max(until_s, first_s))
    next_s = beside.next_s if beside.next_s is not None and beside.next_s <= newest_s else None
    wrapper = BarsHistory(bars=(), next_s=next_s, previous_s=beside.previous_s)
    return rows_answer(Bar, found, asked.format, wrapper=wrapper)


async def _read(call: Call, topic: Topic, since_s: int, until_s: int, limit: int) -> Sequence[Bar]:
    if not call.is_delayed:
        return (await call.query.bars(topic, since_s, until_s, limit)).bars
    # One more: the last one may turn out to have had no trades by then.
    found = (await call.query.bars(topic, since_s, until_s, limit + 1)).bars
    return (await delayed_bars(call.query, topic, found, call.horizon_s))[-limit:]


def _instrument(call: Call, asked: AskBars) -> Instrument:
    instrument = call.query.instrument(asked.exchange, asked.symbol, asked.board or "")
    if instrument is None and not asked.untraded:
        instrument = next(
            (
                listed
                for listed in call.query.instruments()
                if (listed.key[0], listed.short_name) == (asked.exchange, asked.symbol)
                and listed.board == (asked.board or listed.board)
            ),
            None,
        )
    if instrument is None:
        raise not_found(f"{asked.exchange}:{asked.symbol}" + (f" on {asked.board}" if asked.board else ""))
    return instrument
