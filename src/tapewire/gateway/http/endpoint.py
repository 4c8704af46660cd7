"""One row of a route table: where it is, who may ask, which parameters it takes, what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tapewire.gateway.http.admission import Caller
from tapewire.gateway.http.answers import error_answer, group_error_answer
from tapewire.gateway.misuse import Offence
from tapewire.gateway.order_entry import OrderEntry
from tapewire.model import CommandKey, Instrument, Record
from tapewire.ports.query import Query
from tapewire.protocol.codes import INVALID_TOKEN
from tapewire.protocol.http_requests import HttpRequest
from tapewire.protocol.limits import ANONYMOUS_DELAY_SECONDS
from tapewire.protocol.reading import WireRequest
from tapewire.protocol.tokens import Claims

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
    orders: OrderEntry
    #: The gateway's clock at the request, Unix s UTC.
    now_s: int
    #: What a good token says; None without one.
    claims: Claims | None
    #: Gives misuse points to the caller.
    charge: Callable[[Offence], None]
    #: Under which a command is remembered.
    key: CommandKey | None = None
    body: bytes = b""
    #: Errors of order groups have a shape of their own.
    is_of_groups: bool = False

    @property
    def is_delayed(self) -> bool:
        """Whether data are delayed: there is no token."""
        return self.claims is None

    @property
    def known_caller(self) -> Claims:
        """What the token says, where one is needed."""
        assert self.claims is not None, "an endpoint that needs to know who asks needs a token"
        return self.claims

    def error(self, status: int, text: str, code: str | None = None) -> Response:
        """Return an answer for something that went wrong."""
        if self.is_of_groups:
            return group_error_answer(status, f"{code}: {text}" if code else text)
        return error_answer(status, text, code=code)

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
    """One endpoint."""

    path: str
    access: Access
    request: type[HttpRequest]
    handle: Handler
    #: The record it answers with, or another type of value.
    answer: type[Record] | type[int] | type[str]
    summary: str
    is_list: bool = False
    #: Beside 200, 400, 401, 429, 503 and 504.
    statuses: tuple[int, ...] = ()
    is_deprecated: bool = False
    method: str = "GET"
    #: The right that the token must carry.
    scope: str | None = None
    #: What the body is read as; None: there is none.
    body: type[WireRequest] | None = None
    is_body_list: bool = False
    #: A header may name the request, and it is carried out only once.
    is_repeatable: bool = False
    #: The good answer is plain text.
    is_text: bool = False
    is_of_groups: bool = False


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
