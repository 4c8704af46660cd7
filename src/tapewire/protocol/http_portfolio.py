"""Requests of HTTP, portfolio side: a class an endpoint, as in ``http_requests``.

Source: reference of HTTP, section 5.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from tapewire.model import Exchange, Side, from_iso
from tapewire.protocol.http_requests import HttpRequest, Number
from tapewire.protocol.limits import HTTP_PAST_FILLS_MAX
from tapewire.protocol.reading import camel
from tapewire.protocol.words import Format

__all__ = [
    "AskDerivativesRisk",
    "AskFills",
    "AskLoginPositions",
    "AskMoney",
    "AskOrder",
    "AskOrders",
    "AskPastFills",
    "AskPastFillsBefore",
    "AskPastFillsOf",
    "AskPastFillsOfBefore",
    "AskPosition",
    "AskPositions",
    "AskRisk",
    "AskStopOrder",
    "AskStopOrders",
    "AskSummary",
    "AskSymbolFills",
    "OfPortfolio",
]

_SPELLINGS = {"board": "instrumentGroup", "from_id": "from", "by_time": "orderByTradeDate"}


def _spelling(name: str) -> str:
    return _SPELLINGS.get(name) or camel(name)


class OfPortfolio(HttpRequest, frozen=True, kw_only=True, rename=_spelling):
    """What all requests about a portfolio have; the token must be for it."""

    exchange: Exchange
    portfolio: str
    format: Format = Format.SIMPLE


class _WithJson(OfPortfolio, frozen=True, kw_only=True, rename=_spelling):
    json_response: bool = False


class AskOrders(_WithJson, frozen=True, kw_only=True, rename=_spelling):
    pass


class AskOrder(_WithJson, frozen=True, kw_only=True, rename=_spelling):
    order_id: Number


class AskStopOrders(_WithJson, frozen=True, kw_only=True, rename=_spelling):
    pass


class AskStopOrder(_WithJson, frozen=True, kw_only=True, rename=_spelling):
    order_id: Number


class AskPositions(_WithJson, frozen=True, kw_only=True, rename=_spelling):
    #: Leaves the rows of money out.
    without_currency: bool = False


class AskPosition(_WithJson, frozen=True, kw_only=True, rename=_spelling):
    symbol: str


class AskLoginPositions(HttpRequest, frozen=True, kw_only=True, rename=_spelling):
    """Positions of all portfolios of the token's login."""

    login: str
    format: Format = Format.SIMPLE
    without_currency: bool = False
    json_response: bool = False


class AskFills(_WithJson, frozen=True, kw_only=True, rename=_spelling):
    #: Also REPO trades.
    with_repo: bool = False


class AskSymbolFills(_WithJson, frozen=True, kw_only=True, rename=_spelling):
    symbol: str
    board: str | None = None


class AskSummary(_WithJson, frozen=True, kw_only=True, rename=_spelling):
    pass


class AskRisk(_WithJson, frozen=True, kw_only=True, rename=_spelling):
    pass


class AskDerivativesRisk(_WithJson, frozen=True, kw_only=True, rename=_spelling):
    pass


class AskMoney(OfPortfolio, frozen=True, kw_only=True, rename=_spelling):
    pass


# --- trades of past sessions: now and as the deprecated twin has them ------------------------------------


class _PastFills(OfPortfolio, frozen=True, kw_only=True, rename=_spelling):
    #: A date or a time, ISO 8601, UTC.
    date_from: str | None = None
    #: Number of the first trade wanted.
    from_id: Number | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=HTTP_PAST_FILLS_MAX)] = HTTP_PAST_FILLS_MAX
    by_time: bool = False
    #: Newest, or largest number, first.
    descending: bool = False
    with_repo: bool = False

    @property
    def since_s(self) -> int | None:
        """The first moment wanted, Unix s UTC.

        Raises:
            ValueError: ``date_from`` is no time.
        """
        return None if self.date_from is None else int(from_iso(self.date_from).timestamp())

    def problem(self) -> str | None:
        try:
            if (self.since_s or 0) < 0:
                return "Invalid or unsupported dateFrom"
        except (ValueError, OverflowError):
            return "Invalid or unsupported dateFrom"
        if self.exchange is Exchange.UNITED and not self.by_time:
            return "Invalid or unsupported orderByTradeDate: it must be true for united portfolios"
        return None


class AskPastFillsBefore(_PastFills, frozen=True, kw_only=True, rename=_spelling):
    ticker: str | None = None
    side: Side | None = None


class AskPastFillsOfBefore(_PastFills, frozen=True, kw_only=True, rename=_spelling):
    symbol: str


class AskPastFills(_PastFills, frozen=True, kw_only=True, rename=_spelling):
    ticker: str | None = None
    side: Side | None = None
    board: str | None = None
    json_response: bool = False


class AskPastFillsOf(_PastFills, frozen=True, kw_only=True, rename=_spelling):
    symbol: str
    side: Side | None = None
    board: str | None = None
    json_response: bool = False
