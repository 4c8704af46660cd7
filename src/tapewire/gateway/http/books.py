"""The order book of an instrument."""

from __future__ import annotations

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tapewire.gateway.http.answers import record_answer
from tapewire.gateway.http.endpoint import Call
from tapewire.gateway.http.securities import topic_of
from tapewire.model import Book, TopicKind
from tapewire.protocol.http_requests import AskBook

__all__ = ["book"]


async def book(call: Call, asked: AskBook) -> Response:
    """Answer with the best levels of both sides."""
    instrument = call.instrument(asked.exchange, asked.symbol, asked.board)
    snapshot = await call.query.state(topic_of(TopicKind.BOOK, instrument))
    if snapshot is None:
        raise HTTPException(503, f"The book of {instrument.symbol} is not known yet")
    whole = snapshot.record
    assert isinstance(whole, Book)
    record = msgspec.structs.replace(
        whole,
        bids=whole.bids[: asked.depth],
        asks=whole.asks[: asked.depth],
        existing=True,
        snapshot=True,
        time_s=whole.time_ms // 1_000,
    )
    return record_answer(record, asked.format)
