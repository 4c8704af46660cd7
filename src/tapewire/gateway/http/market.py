"""The route table of market data. The first row whose path fits is taken: literal paths stand before open ones.

Rows are tried in their order, so what programs ask for all the time stands at the top.
"""

from __future__ import annotations

from tapewire.gateway.http.bars import bars
from tapewire.gateway.http.books import book
from tapewire.gateway.http.endpoint import Access, Endpoint
from tapewire.gateway.http.quotes import current_future, quotes
from tapewire.gateway.http.reference import boards, currency_pairs, market_status, risk_rates, time
from tapewire.gateway.http.securities import catalogue, search, security
from tapewire.gateway.http.trades import past_trades, session_trades
from tapewire.model import (
    BarsHistory,
    Book,
    CurrencyPair,
    MarketStatus,
    Quote,
    RiskRates,
    Security,
    Trade,
    TradesHistory,
)
from tapewire.protocol.http_requests import (
    AskBars,
    AskBoards,
    AskBook,
    AskCatalogue,
    AskCurrencyPairs,
    AskCurrentFuture,
    AskMarketStatus,
    AskPastTrades,
    AskQuotes,
    AskRiskRates,
    AskSecurities,
    AskSecurity,
    AskTime,
    AskTrades,
)

__all__ = ["MARKET_ENDPOINTS"]

_ANYBODY, _TOKEN = Access.DELAYED, Access.TOKEN
_SECURITIES = "/md/v2/Securities"
_SECURITY = "/md/v2/Securities/{exchange}/{symbol}"

MARKET_ENDPOINTS = (
    Endpoint(
        "/md/v2/orderbooks/{exchange}/{symbol}",
        _TOKEN,
        AskBook,
        book,
        Book,
        "The order book",
        statuses=(404,),
    ),
    Endpoint("/md/v2/history", _ANYBODY, AskBars, bars, BarsHistory, "Bars of a range", statuses=(404,)),
    Endpoint(f"{_SECURITIES}/{{symbols}}/quotes", _ANYBODY, AskQuotes, quotes, Quote, "Quotes", is_list=True),
    Endpoint("/md/v2/time", _ANYBODY, AskTime, time, int, "The clock, Unix s"),
    Endpoint(_SECURITIES, _ANYBODY, AskSecurities, search, Security, "Search for instruments", is_list=True),
    Endpoint(
        f"{_SECURITIES}/currencyPairs",
        _ANYBODY,
        AskCurrencyPairs,
        currency_pairs,
        CurrencyPair,
        "Currency pairs that settle tomorrow",
        is_list=True,
    ),
    Endpoint(
        f"{_SECURITIES}/{{exchange}}",
        _TOKEN,
        AskCatalogue,
        catalogue,
        Security,
        "All instruments of an exchange",
        is_list=True,
    ),
    Endpoint(_SECURITY, _TOKEN, AskSecurity, security, Security, "One instrument", statuses=(404,)),
    Endpoint(
        f"{_SECURITY}/availableBoards",
        _ANYBODY,
        AskBoards,
        boards,
        str,
        "Boards of a symbol, the primary one first",
        is_list=True,
        statuses=(404,),
    ),
    Endpoint(
        f"{_SECURITY}/alltrades",
        _TOKEN,
        AskTrades,
        session_trades,
        Trade,
        "Trades of the running session",
        is_list=True,
        statuses=(404,),
    ),
    Endpoint(
        f"{_SECURITY}/alltrades/history",
        _TOKEN,
        AskPastTrades,
        past_trades,
        TradesHistory,
        "Trades of past sessions",
        statuses=(404,),
    ),
    Endpoint(
        f"{_SECURITY}/actualFuturesQuote",
        _TOKEN,
        AskCurrentFuture,
        current_future,
        Quote,
        "Quote of the future on a base that ends next",
        statuses=(404,),
    ),
    Endpoint("/md/v2/risk/rates", _ANYBODY, AskRiskRates, risk_rates, RiskRates, "Rates of risk"),
    Endpoint(
        "/md/status/{exchange}/{market}",
        _ANYBODY,
        AskMarketStatus,
        market_status,
        MarketStatus,
        "Whether a market trades",
        statuses=(404,),
        is_deprecated=True,
    ),
)
