"""Reference data beside the instruments: clock, boards, currency pairs, rates of risk, status of a market."""

from __future__ import annotations

from decimal import Decimal

from starlette.responses import Response

from tapewire.gateway.http.answers import record_answer, rows_answer, value_answer
from tapewire.gateway.http.endpoint import Call, not_found
from tapewire.gateway.http.securities import topic_of
from tapewire.model import (
    CurrencyPair,
    Instrument,
    InstrumentKind,
    InstrumentUpdate,
    MarketStatus,
    RiskRate,
    RiskRates,
    TopicKind,
    TradingStatus,
)
from tapewire.protocol.http_requests import AskBoards, AskCurrencyPairs, AskMarketStatus, AskRiskRates, AskTime
from tapewire.protocol.limits import ANONYMOUS_DELAY_SECONDS

__all__ = ["STANDARD_RISK", "boards", "currency_pairs", "market_status", "risk_rates", "time"]

#: The category that the venue's rates are stated for: clients of standard risk.
STANDARD_RISK = 1
#: How the exchange ends the symbols that settle tomorrow: ``CNYRUB_TOM``, ``USD000UTSTOM``.
_TOMORROW = "TOM"
_NO_TRADING = frozenset({TradingStatus.CLOSED, TradingStatus.BREAK})


async def time(call: Call, asked: AskTime) -> Response:
    """Answer with the clock, Unix s; without a token it is late like all that is told then."""
    return value_answer(call.now_s - ANONYMOUS_DELAY_SECONDS if call.is_delayed else call.now_s)


async def boards(call: Call, asked: AskBoards) -> Response:
    """Answer with the boards of a symbol, the primary one first."""
    primary = call.instrument(asked.exchange, asked.symbol).board
    found = [
        instrument.board
        for instrument in call.query.instruments()
        if instrument.key[:2] == (asked.exchange, asked.symbol)
    ]
    return value_answer(sorted(found, key=lambda board: board != primary))


async def currency_pairs(call: Call, asked: AskCurrencyPairs) -> Response:
    """Answer with the pairs that are traded for settlement tomorrow."""
    pairs = [
        CurrencyPair(first_code=instrument.symbol[:3], second_code=instrument.currency, symbol=instrument.symbol)
        for instrument in call.query.instruments()
        if instrument.kind is InstrumentKind.CURRENCY and instrument.symbol.endswith(_TOMORROW)
    ]
    return rows_answer(CurrencyPair, pairs)


async def risk_rates(call: Call, asked: AskRiskRates) -> Response:
    """Answer with the rates for a category of clients: the venue states those of standard risk only."""
    rates = [
        _rate(number, instrument)
        for number, instrument in enumerate(call.query.instruments(), start=1)
        if asked.risk_category_id == STANDARD_RISK and _is_asked_for(instrument, asked)
    ]
    end = None if asked.limit is None else asked.offset + asked.limit
    wrapper = RiskRates(rates=(), total=len(rates))
    return rows_answer(RiskRate, rates[asked.offset : end], wrapper=wrapper)


async def market_status(call: Call, asked: AskMarketStatus) -> Response:
    """Answer with ``open`` as long as one instrument of the market trades."""
    status = "closed"
    known = [
        instrument
        for instrument in call.query.instruments()
        if (instrument.key[0], instrument.market) == (asked.exchange, asked.market)
    ]
    if not known:
        raise not_found(f"market {asked.market} of {asked.exchange}")
    for instrument in known:
        rules = (await call.query.instrument_state(topic_of(TopicKind.INSTRUMENT, instrument))).record
        assert isinstance(rules, InstrumentUpdate)
        if rules.trading_status not in _NO_TRADING:
            status = "open"
            break
    return record_answer(MarketStatus(market=asked.market, status=status))


def _is_asked_for(instrument: Instrument, asked: AskRiskRates) -> bool:
    part = "" if asked.search is None else asked.search.strip().casefold()
    names = (instrument.symbol, instrument.short_name, instrument.description, instrument.isin or "")
    return (
        (asked.exchange is None or instrument.key[0] == asked.exchange)
        and (asked.ticker is None or instrument.symbol.casefold() == asked.ticker.strip().casefold())
        and any(part in name.casefold() for name in names)
    )


def _rate(number: int, instrument: Instrument) -> RiskRate:
    return RiskRate(
        id=number,
        symbol=instrument.symbol,
        exchange=instrument.exchange,
        risk_category_id=STANDARD_RISK,
        security_risk_category_id=None,
        asset_type=instrument.kind.value,
        underlying_asset=instrument.underlying or None,
        set_name=None,
        isin=instrument.isin,
        currency=instrument.currency,
        rate_up=instrument.risk_rate_up,
        rate_down=instrument.risk_rate_down,
        rate_symmetric=max(instrument.risk_rate_up, instrument.risk_rate_down),
        is_short_sell_possible=instrument.is_short_sell_possible,
        is_marginal=instrument.is_marginal,
        set_rate=Decimal(0),
        sign=None,
    )
