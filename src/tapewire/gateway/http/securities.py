"""Instruments as reference data: search, catalogue, one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial

from msgspec import structs
from starlette.responses import Response

from tapewire.gateway.http.answers import ROWS_AT_ONCE_MAX, made_answer, record_answer
from tapewire.gateway.http.endpoint import Call
from tapewire.model import (
    UNSET,
    Instrument,
    InstrumentKind,
    InstrumentUpdate,
    Maybe,
    Quote,
    Security,
    Topic,
    TopicKind,
    TradingStatus,
    UnsetType,
)
from tapewire.ports.query import Query
from tapewire.protocol.http_requests import AskCatalogue, AskSecurities, AskSecurity
from tapewire.protocol.words import Format

__all__ = ["catalogue", "search", "security", "security_of", "topic_of"]


async def search(call: Call, asked: AskSecurities) -> Response:
    """Answer with the instruments that match, those that are traded most first."""
    found = await _chosen(
        call.query.instruments(),
        lambda instrument: (
            _matches(instrument, asked)
            # Whoever names a board means it, whether it is a primary one or not.
            and (asked.include_non_base_boards or bool(asked.board) or _is_primary(call.query, instrument))
        ),
    )
    found.sort(key=lambda instrument: -instrument.rating)
    return await _rows(call, found[asked.offset : asked.offset + asked.limit], asked.format)


async def catalogue(call: Call, asked: AskCatalogue) -> Response:
    """Answer with the instruments of an exchange in the venue's order."""
    today = datetime.fromtimestamp(call.now_s, UTC).date()
    found = await _chosen(
        call.query.instruments(),
        lambda instrument: (
            instrument.key[0] == asked.exchange
            and (asked.market is None or instrument.market == asked.market)
            and (asked.include_old or instrument.cancels_on >= today)
            and (asked.include_non_base_boards or _is_primary(call.query, instrument))
        ),
    )
    end = None if asked.limit is None else asked.offset + asked.limit
    return await _rows(call, found[asked.offset : end], asked.format)


async def security(call: Call, asked: AskSecurity) -> Response:
    """Answer with one instrument."""
    instrument = call.instrument(asked.exchange, asked.symbol, asked.board)
    return record_answer(await _row(call, instrument), asked.format)


def topic_of(kind: TopicKind, instrument: Instrument, interval_s: int = 0) -> Topic:
    """Return a stream of an instrument."""
    exchange, symbol, board = instrument.key
    return Topic(kind, exchange, symbol, board, interval_s)


def security_of(
    instrument: Instrument, primary_board: str, rules: InstrumentUpdate, yield_percent: float | None = None
) -> Security:
    """Return the row of an instrument: the terms of its listing and the rules of its day."""
    low, high = instrument.price_band_ticks
    is_option = instrument.kind is InstrumentKind.OPTION
    is_derivative = is_option or instrument.kind is InstrumentKind.FUTURE
    return Security(
        symbol=instrument.symbol,
        short_name=instrument.short_name,
        description=instrument.description,
        exchange=instrument.exchange,
        market=instrument.market,
        type=instrument.type_code,
        lot_size=Decimal(instrument.lot_size),
        face_value=instrument.face_value,
        cfi_code=instrument.cfi_code,
        cancels_at=_end_of(instrument.cancels_on),
        tick_size=instrument.tick_size,
        rating=Decimal(instrument.rating),
        margin_buy=_margin(rules.margin_buy, instrument.margin_buy),
        margin_sell=_margin(rules.margin_sell, instrument.margin_sell),
        # A ratio that nobody states is left out where it would mean something.
        margin_rate=UNSET if is_derivative else Decimal(0),
        tick_value=instrument.tick_size if instrument.tick_value is None else instrument.tick_value,
        price_max=_known(rules.price_max, instrument.price_float(high)),
        price_min=_known(rules.price_min, instrument.price_float(low)),
        theoretical_price=_known(rules.theoretical_price, 0.0),
        theoretical_price_limit=_known(rules.theoretical_price_limit, 0.0),
        volatility=_known(rules.volatility, 0.0),
        currency=instrument.currency,
        isin=instrument.isin,
        yield_percent=yield_percent,
        board=instrument.board,
        primary_board=primary_board,
        trading_status=TradingStatus.NORMAL if rules.trading_status is UNSET else rules.trading_status,
        trading_status_info=None if rules.trading_status_info is UNSET else rules.trading_status_info,
        complex_product_category=instrument.complex_product_category,
        price_multiplier=instrument.price_multiplier,
        price_shown_units=instrument.price_shown_units,
        strike_price=instrument.strike if is_option and instrument.strike is not None else UNSET,
        expires_at=_end_of(instrument.cancels_on) if is_option else UNSET,
        underlying_symbol=instrument.underlying if is_option else UNSET,
        option_side=instrument.option_side if is_option and instrument.option_side is not None else UNSET,
        price_digits=instrument.price_digits,
    )


def _known(stated: Maybe[float], otherwise: float) -> float:
    return otherwise if isinstance(stated, UnsetType) else stated


def _margin(stated: Maybe[float], listed: Decimal | None) -> Decimal:
    if isinstance(stated, UnsetType):
        return listed if listed is not None else Decimal(0)
    # The digits that the double stands for.
    return Decimal(repr(stated))


def _end_of(day: date) -> str:
    return f"{day.isoformat()}T23:59:59.9999999"


def _matches(instrument: Instrument, asked: AskSecurities) -> bool:
    return (
        (asked.exchange is None or instrument.key[0] == asked.exchange)
        and (asked.sector is None or instrument.market == asked.sector)
        and (asked.board is None or instrument.board == asked.board)
        and (
            asked.cfi_prefix is None
            or instrument.cfi_code.casefold().startswith(asked.cfi_prefix.strip().casefold())
        )
        and (asked.query is None or _is_named(asked.query, instrument))
    )


def _is_named(text: str, instrument: Instrument) -> bool:
    part = text.strip().casefold()
    names = (instrument.symbol, instrument.short_name, instrument.description)
    return any(part in name.casefold() for name in names)


def _is_primary(query: Query, instrument: Instrument) -> bool:
    primary = query.instrument(instrument.exchange, instrument.symbol)
    return primary is not None and primary.board == instrument.board


async def _chosen(instruments: Sequence[Instrument], is_wanted: Callable[[Instrument], bool]) -> list[Instrument]:
    """Return those that are wanted; with many to look at, others have their turn between."""
    found: list[Instrument] = []
    for start in range(0, len(instruments), ROWS_AT_ONCE_MAX):
        if start:
            await asyncio.sleep(0)
        found += filter(is_wanted, instruments[start : start + ROWS_AT_ONCE_MAX])
    return found


async def _rows(call: Call, instruments: Sequence[Instrument], message_format: Format) -> Response:
    return await made_answer(Security, instruments, partial(_row, call), message_format)


async def _row(call: Call, instrument: Instrument) -> Security:
    snapshot = await call.query.instrument_state(topic_of(TopicKind.INSTRUMENT, instrument))
    rules = snapshot.record
    assert isinstance(rules, InstrumentUpdate)
    yield_percent = None
    if call.is_delayed:
        # They move with the market and are not kept: without a token nothing is said of them.
        rules = structs.replace(rules, theoretical_price=UNSET, theoretical_price_limit=UNSET, volatility=UNSET)
    elif instrument.kind is InstrumentKind.BOND:
        quote = await call.query.state(topic_of(TopicKind.QUOTE, instrument))
        yield_percent = quote.record.yield_percent if quote and isinstance(quote.record, Quote) else None
    primary = call.query.instrument(instrument.exchange, instrument.symbol)
    return security_of(instrument, primary.board if primary else instrument.board, rules, yield_percent)
