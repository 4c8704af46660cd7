"""The trade tape: the session that runs, and those that have passed."""

from __future__ import annotations

from starlette.responses import Response

from tapewire.gateway.http.answers import rows_answer
from tapewire.gateway.http.endpoint import Call
from tapewire.gateway.http.securities import topic_of
from tapewire.model import TopicKind, Trade, TradesHistory
from tapewire.ports.query import TradesFilter
from tapewire.protocol.http_requests import AskPastTrades, AskTrades
from tapewire.protocol.limits import HTTP_TRADES_MAX, UNIX_SECONDS_MAX

__all__ = ["past_trades", "session_trades"]


async def session_trades(call: Call, asked: AskTrades) -> Response:
    """Answer with trades of the running session."""
    instrument = call.instrument(asked.exchange, asked.symbol, asked.board)
    wanted = TradesFilter(
        since_s=max(min(asked.since_s or 0, UNIX_SECONDS_MAX), call.query.session_start_s()),
        until_s=_at_most(asked.until_s, UNIX_SECONDS_MAX),
        from_id=asked.from_id,
        to_id=asked.to_id,
        quantity_min=asked.quantity_min,
        quantity_max=asked.quantity_max,
        price_min=asked.price_min,
        price_max=asked.price_max,
        side=asked.side,
        descending=asked.descending,
        offset=asked.offset,
        limit=min(asked.take, HTTP_TRADES_MAX),
    )
    found = await call.query.trades(topic_of(TopicKind.TRADES, instrument), wanted)
    return rows_answer(Trade, found.trades, asked.format)


async def past_trades(call: Call, asked: AskPastTrades) -> Response:
    """Answer with trades of the sessions before the running one, oldest first."""
    instrument = call.instrument(asked.exchange, asked.symbol, asked.board)
    wanted = TradesFilter(
        since_s=min(asked.since_s or 0, UNIX_SECONDS_MAX),
        until_s=_at_most(asked.until_s, call.query.session_start_s() - 1),
        offset=asked.offset,
        limit=asked.limit,
    )
    found = await call.query.trades(topic_of(TopicKind.TRADES, instrument), wanted)
    wrapper = TradesHistory(total=found.total, trades=())
    return rows_answer(Trade, found.trades, asked.format, wrapper=wrapper)


def _at_most(bound: int | None, most: int) -> int:
    return most if bound is None else min(bound, most)
