"""Requests of HTTP, market side: a class an endpoint, which is the table of its parameters.

Reading is as tolerant as real clients need: names and words in any letter case, booleans as ``true`` or ``True``
or ``1``, an empty value or ``null`` is a parameter that was not sent, unknown parameters are ignored, of one sent
twice the last counts. What is left has the stated type and lies within the stated bounds, or the request is
refused. Source: reference of HTTP, sections 1, 3 and 4.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec

from tapewire.model import Side, Word, is_interval
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.limits import (
    BOOK_DEPTH_DEFAULT,
    BOOK_DEPTH_MAX,
    HTTP_SEARCH_ROWS_DEFAULT,
    HTTP_SYMBOLS_MAX,
    HTTP_TRADES_MAX,
)
from tapewire.protocol.reading import camel
from tapewire.protocol.requests import interval_seconds
from tapewire.protocol.words import Format, ListedExchange, MarketName, Sector

__all__ = [
    "AskBars",
    "AskBoards",
    "AskBook",
    "AskCatalogue",
    "AskCurrencyPairs",
    "AskCurrentFuture",
    "AskMarketStatus",
    "AskPastTrades",
    "AskQuotes",
    "AskRiskRates",
    "AskSecurities",
    "AskSecurity",
    "AskTime",
    "AskTrades",
    "HttpRequest",
    "read_http_request",
]

T = TypeVar("T", bound="HttpRequest")

_INT32_MAX = 2**31 - 1
_INT64_MAX = 2**63 - 1

Count = Annotated[int, msgspec.Meta(ge=0, le=_INT32_MAX)]
Number = Annotated[int, msgspec.Meta(ge=0, le=_INT64_MAX)]
#: Unix s UTC. Any that fits is taken: clients write "until the end of time" in many ways.
Seconds = Number

_SPELLINGS = {
    "since_s": "from",
    "until_s": "to",
    "timeframe": "tf",
    "bars_min": "countBack",
    "board": "instrumentGroup",
    "cfi_prefix": "cficode",
    "quantity_min": "qtyFrom",
    "quantity_max": "qtyTo",
    "price_min": "priceFrom",
    "price_max": "priceTo",
}


def _spelling(name: str) -> str:
    return _SPELLINGS.get(name) or camel(name)


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True, rename=_spelling):
    """Base of all requests: a class is the list of parameters that its endpoint takes, path included."""

    def problem(self) -> str | None:
        """Say what is wrong with values that are well typed, None if nothing is."""
        return None


class _Formatted(HttpRequest, frozen=True, kw_only=True, rename=_spelling):
    format: Format = Format.SIMPLE


# --- reference data -------------------------------------------------------------------------------------


class AskTime(HttpRequest, frozen=True, kw_only=True, rename=_spelling):
    pass


class AskSecurities(_Formatted, frozen=True, kw_only=True, rename=_spelling):
    #: Part of the ticker or of a name.
    query: str | None = None
    limit: Count = HTTP_SEARCH_ROWS_DEFAULT
    offset: Count = 0
    sector: Sector | None = None
    cfi_prefix: str | None = None
    exchange: ListedExchange | None = None
    board: str | None = None
    #: Also boards other than the primary one.
    include_non_base_boards: bool = False


class AskCatalogue(_Formatted, frozen=True, kw_only=True, rename=_spelling):
    exchange: ListedExchange
    market: MarketName | None = None
    #: Also what has come to its end.
    include_old: bool = False
    #: None: all.
    limit: Count | None = None
    offset: Count = 0
    include_non_base_boards: bool = False


class AskSecurity(_Formatted, frozen=True, kw_only=True, rename=_spelling):
    exchange: ListedExchange
    symbol: str
    board: str | None = None
    json_response: bool = False


class AskBoards(HttpRequest, frozen=True, kw_only=True, rename=_spelling):
    exchange: ListedExchange
    symbol: str
    json_response: bool = False


class AskCurrentFuture(_Formatted, frozen=True, kw_only=True, rename=_spelling):
    exchange: ListedExchange
    #: Base code of the future, as ``Si``.
    symbol: str
    json_response: bool = False


class AskCurrencyPairs(HttpRequest, frozen=True, kw_only=True, rename=_spelling):
    pass


class AskRiskRates(HttpRequest, frozen=True, kw_only=True, rename=_spelling):
    risk_category_id: Annotated[int, msgspec.Meta(ge=-_INT32_MAX - 1, le=_INT32_MAX)]
    exchange: ListedExchange | None = None
    ticker: str | None = None
    #: Part of the ticker, of a name or of the ISIN.
    search: str | None = None
    #: None: all.
    limit: Count | None = None
    offset: Count = 0


class AskMarketStatus(_Formatted, frozen=True, kw_only=True, rename=_spelling):
    exchange: ListedExchange
    market: MarketName


# --- market data ----------------------------------------------------------------------------------------


class AskQuotes(_Formatted, frozen=True, kw_only=True, rename=_spelling):
    #: ``EXCHANGE:TICKER``, separated by commas.
    symbols: str

    def names(self) -> tuple[tuple[str, str], ...]:
        """Return exchange and symbol of each instrument that is asked for, each once."""
        pairs = (part.strip().partition(":") for part in self.symbols.split(",") if part.strip())
        return tuple(dict.fromkeys((exchange.upper(), symbol) for exchange, _, symbol in pairs))

    def problem(self) -> str | None:
        names = self.names()
        if not names or not all(exchange and symbol for exchange, symbol in names):
            return "Invalid or unsupported symbols: EXCHANGE:TICKER, separated by commas"
        return f"Too many symbols: at most {HTTP_SYMBOLS_MAX}" if len(names) > HTTP_SYMBOLS_MAX else None


class AskBook(_Formatted, frozen=True, kw_only=True, rename=_spelling):
    exchange: ListedExchange
    symbol: str
    board: str | None = None
    #: Levels a side.
    depth: Annotated[int, msgspec.Meta(ge=1, le=BOOK_DEPTH_MAX)] = BOOK_DEPTH_DEFAULT


class AskTrades(_Formatted, frozen=True, kw_only=True, rename=_spelling):
    """Trades of the session. Bounds are inclusive."""

    exchange: ListedExchange
    symbol: str
    board: str | None = None
    json_response: bool = False
    since_s: Seconds | None = None
    until_s: Seconds | None = None
    from_id: Number | None = None
    to_id: Number | None = None
    #: Lots.
    quantity_min: Count | None = None
    quantity_max: Count | None = None
    price_min: float | None = None
    price_max: float | None = None
    #: Of the order that started the trade.
    side: Side | None = None
    offset: Count = 0
    #: More than ``HTTP_TRADES_MAX`` gives that many.
    take: Count = HTTP_TRADES_MAX
    #: Newest first.
    descending: bool = False
    include_virtual_trades: bool = False

    def problem(self) -> str | None:
        return (
            _reversed("from", self.since_s, self.until_s, "to")
            or _reversed("fromId", self.from_id, self.to_id, "toId")
            or _reversed("qtyFrom", self.quantity_min, self.quantity_max, "qtyTo")
            or _reversed("priceFrom", self.price_min, self.price_max, "priceTo")
        )


class AskPastTrades(_Formatted, frozen=True, kw_only=True, rename=_spelling):
    """Trades of past sessions. Bounds are inclusive."""

    exchange: ListedExchange
    symbol: str
    board: str | None = None
    since_s: Seconds | None = None
    until_s: Seconds | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=HTTP_TRADES_MAX)]
    offset: Count = 0
    json_response: bool = False

    def problem(self) -> str | None:
        return _reversed("from", self.since_s, self.until_s, "to")


class AskBars(_Formatted, frozen=True, kw_only=True, rename=_spelling):
    """Bars that open within a range, both ends included."""

    symbol: str
    exchange: ListedExchange
    board: str | None = None
    #: Seconds, or one of D, W, M, Y.
    timeframe: str
    since_s: Seconds
    until_s: Seconds
    #: Fewer bars in the range: the range grows backwards until there are so many.
    bars_min: Count = 0
    #: The symbol is the exact ticker; otherwise it may also be the short name.
    untraded: bool = False
    split_adjust: bool = True
    json_response: bool = False

    @property
    def interval_s(self) -> int:
        """The timeframe in seconds; 0 if it is none."""
        seconds = interval_seconds(self.timeframe) or 0
        return seconds if is_interval(seconds) else 0

    def problem(self) -> str | None:
        if not self.interval_s:
            return "Invalid or unsupported tf"
        return _reversed("from", self.since_s, self.until_s, "to")


# --- reading --------------------------------------------------------------------------------------------

#: What clients write for a parameter that they leave open.
_NOTHING = frozenset({"", "null"})
_PATH = re.compile(r"at `\$\.(\w+)")
_MISSING = re.compile(r"required field `(\w+)`")


def read_http_request(request_type: type[T], path: Mapping[str, str], query: Iterable[tuple[str, str]]) -> T:
    """Read the parameters of a request from the parts of its path and from its query, decoded.

    Raises:
        BadRequestError: A parameter is missing or has a value that the endpoint does not take; its guid is
            empty.
    """
    names = _names(request_type)
    # What stands in the path cannot be said otherwise in the query.
    sent = ((name.casefold(), value) for name, value in query if value not in _NOTHING)
    values = {names[name]: value for name, value in sent if name in names} | dict(path)
    try:
        request = msgspec.convert(values, request_type, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequestError("", ResultCode.BAD_REQUEST, _explain(str(error))) from error
    problem = _strange_value(request) or request.problem()
    if problem is not None:
        raise BadRequestError("", ResultCode.BAD_REQUEST, problem)
    return request


@cache
def _names(request_type: type[HttpRequest]) -> Mapping[str, str]:
    return {encoded.casefold(): encoded for _, encoded in _spelled(request_type)}


def _explain(error: str) -> str:
    missing = _MISSING.search(error)
    if missing:
        return f"The parameter {missing[1]} is missing"
    path = _PATH.search(error)
    return f"Invalid or unsupported {path[1]}" if path else "The request is not valid"


def _strange_value(request: HttpRequest) -> str | None:
    """Name a word that is not in its list, or a number that is none."""
    for name, encoded in _spelled(type(request)):
        value: Any = getattr(request, name)
        if (isinstance(value, Word) and not value.known) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            return f"Invalid or unsupported {encoded}"
    return None


@cache
def _spelled(request_type: type[HttpRequest]) -> tuple[tuple[str, str], ...]:
    # The library reads the annotations anew each time, which is most of what a small request costs.
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(request_type))


def _reversed(low_name: str, low: float | None, high: float | None, high_name: str) -> str | None:
    return f"{low_name} is above {high_name}" if low is not None and high is not None and low > high else None
