"""One row of a route table: where it is, who may ask, which parameters it takes, what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tapewire.gateway.http.admission import Caller
from tapewire.model import Instrument, Record
from tapewire.ports import Query
from tapewire.protocol.codes import INVALID_TOKEN
from tapewire.protocol.http_requests import HttpRequest
from tapewire.protocol.limits import ANONYMOUS_DELAY_SECONDS

__all__ = ["Access", "Call", "Endpoint", "authorise", "not_found"]

_MINUTE_S = 60


class Access(Enum):
    """Who may ask."""

    #: Anybody. Without a token market data are delayed.
    DELAYED = "A"
    #: Whoever has a token.
    TOKEN = "T"  # noqa: S105  (the letter of the reference)


class Call(NamedTuple):
    """What a handler is given beside the parameters."""

    query: Query
    #: The gateway's clock at the request, Unix s UTC.
    now_s: int
    #: Without a token: data are delayed.
    is_delayed: bool

    @property
    def horizon_s(self) -> int:
        """The moment (Unix s) that somebody without a token sees the market at: what came later is hidden.

        It is a whole minute, so that the bars of a minute show all there is to see.
        """
        return (self.now_s - ANONYMOUS_DELAY_SECONDS) // _MINUTE_S * _MINUTE_S

    def instrument(self, exchange: str, symbol: str, board: str | None = None) -> Instrument:
        """Return an instrument; no board means the primary one.

        Raises:
            HTTPException: 404, there is none.
        """
        instrument = self.query.instrument(exchange, symbol, board or "")
        if instrument is None:
            raise not_found(f"{exchange}:{symbol}" + (f" on {board}" if board else ""))
        return instrument


Handler = Callable[[Call, Any], Awaitable[Response]]


class Endpoint(NamedTuple):
    """One endpoint, by GET."""

    path: str
    access: Access
    request: type[HttpRequest]
    handle: Handler
    #: The record it answers with, or another type of value.
    answer: type[Record] | type[int] | type[str]
    summary: str
    is_list: bool = False
    #: Beside 200, 400, 429 and, with a token needed, 401.
    statuses: tuple[int, ...] = ()
    is_deprecated: bool = False


def authorise(endpoint: Endpoint, caller: Caller) -> None:
    """Let a caller pass, or not.

    A token that is not good is refused everywhere: whoever shows one would take delayed data for live ones.

    Raises:
        HTTPException: 401.
    """
    if caller.is_refused or (endpoint.access is Access.TOKEN and caller.claims is None):
        raise HTTPException(401, INVALID_TOKEN, {"WWW-Authenticate": "Bearer"})


def not_found(what: str) -> HTTPException:
    """Return the refusal of something that is not there."""
    return HTTPException(404, f"Unknown {what[:80]}")
