"""Own trades: of the session that runs, and of those that have passed."""

from __future__ import annotations

from starlette.responses import Response

from tapewire.gateway.http.answers import rows_answer
from tapewire.gateway.http.endpoint import Call
from tapewire.gateway.http.portfolio import records
from tapewire.model import Fill, TopicKind
from tapewire.ports.query import FillsFilter
from tapewire.protocol.http_portfolio import (
    AskFills,
    AskPastFills,
    AskPastFillsBefore,
    AskPastFillsOf,
    AskPastFillsOfBefore,
    AskSymbolFills,
)

__all__ = ["fills", "past_fills", "past_fills_before", "past_fills_of", "past_fills_of_before", "symbol_fills"]


async def fills(call: Call, asked: AskFills) -> Response:
    """Answer with own trades of the session, oldest first."""
    found = await records(call, Fill, TopicKind.FILLS, asked)
    return rows_answer(Fill, [fill for fill in found if asked.with_repo or fill.repo is None], asked.format)


async def symbol_fills(call: Call, asked: AskSymbolFills) -> Response:
    """Answer with own trades of the session in one symbol, oldest first."""
    found = [
        fill
        for fill in await records(call, Fill, TopicKind.FILLS, asked)
        if fill.symbol == asked.symbol and (asked.board is None or fill.board == asked.board)
    ]
    return rows_answer(Fill, found, asked.format)


async def past_fills(call: Call, asked: AskPastFills) -> Response:
    """Answer with own trades of past sessions."""
    return await _past(call, asked, asked.ticker)


async def past_fills_of(call: Call, asked: AskPastFillsOf) -> Response:
    """Answer with own trades of past sessions in one symbol."""
    return await _past(call, asked, asked.symbol)


async def past_fills_before(call: Call, asked: AskPastFillsBefore) -> Response:
    """Answer the deprecated twin of :func:`past_fills`."""
    return await _past(call, asked, asked.ticker)


async def past_fills_of_before(call: Call, asked: AskPastFillsOfBefore) -> Response:
    """Answer the deprecated twin of :func:`past_fills_of`."""
    return await _past(call, asked, asked.symbol)


_Asked = AskPastFills | AskPastFillsOf | AskPastFillsBefore | AskPastFillsOfBefore


async def _past(call: Call, asked: _Asked, symbol: str | None) -> Response:
    wanted = FillsFilter(
        since_s=asked.since_s,
        from_id=asked.from_id,
        symbol=symbol,
        board=getattr(asked, "board", None),
        side=getattr(asked, "side", None),
        by_time=asked.by_time,
        descending=asked.descending,
        limit=asked.limit,
    )
    found = await call.query.past_fills(asked.exchange, asked.portfolio, wanted)
    return rows_answer(Fill, [fill for fill in found if asked.with_repo or fill.repo is None], asked.format)
