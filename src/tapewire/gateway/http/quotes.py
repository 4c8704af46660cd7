"""Quotes: of named instruments, and of the future that is current."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from starlette.responses import Response

from tapewire.gateway.http.answers import record_answer, rows_answer
from tapewire.gateway.http.delay import delayed_quote
from tapewire.gateway.http.endpoint import Call, not_found
from tapewire.gateway.http.securities import topic_of
from tapewire.model import Instrument, InstrumentKind, Quote, TopicKind
from tapewire.protocol.http_requests import AskCurrentFuture, AskQuotes

__all__ = ["current_future", "quotes"]


async def quotes(call: Call, asked: AskQuotes) -> Response:
    """Answer with the quotes of the instruments that are known, in the order they are named."""
    found = []
    for number, (exchange, symbol) in enumerate(asked.names()):
        if number:
            # Delayed ones are put together from bars: others have their turn between two.
            await asyncio.sleep(0)
        instrument = call.query.instrument(exchange, symbol)
        quote = None if instrument is None else await _quote(call, instrument)
        if quote is not None:
            found.append(quote)
    return rows_answer(Quote, found, asked.format)


async def current_future(call: Call, asked: AskCurrentFuture) -> Response:
    """Answer with the quote of the future on a base that ends next."""
    today = datetime.fromtimestamp(call.now_s, UTC).date()
    contracts = [
        instrument
        for instrument in call.query.instruments()
        if instrument.kind is InstrumentKind.FUTURE
        and instrument.key[0] == asked.exchange
        and instrument.underlying.casefold() == asked.symbol.casefold()
        and instrument.cancels_on >= today
    ]
    if not contracts:
        raise not_found(f"future on {asked.symbol}")
    quote = await _quote(call, min(contracts, key=lambda contract: contract.cancels_on))
    if quote is None:
        raise not_found(f"quote of the future on {asked.symbol}")
    return record_answer(quote, asked.format)


async def _quote(call: Call, instrument: Instrument) -> Quote | None:
    snapshot = await call.query.state(topic_of(TopicKind.QUOTE, instrument))
    if snapshot is None:
        return None
    quote = snapshot.record
    assert isinstance(quote, Quote)
    return await delayed_quote(call.query, instrument, quote, call.horizon_s) if call.is_delayed else quote
