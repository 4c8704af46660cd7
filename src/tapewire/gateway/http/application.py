"""The ASGI application of the gateway: who is let in, where requests go, what becomes of errors.

::

    tally → CORS → admission (who, how often) → route (any letter case) → access → body → parameters → rights
    → handler
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cache

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tapewire.gateway.counters import Counters
from tapewire.gateway.http.admission import Admission, Caller, caller_of
from tapewire.gateway.http.answers import error_answer, value_answer
from tapewire.gateway.http.bodies import read_body
from tapewire.gateway.http.endpoint import Call, Endpoint, authorise
from tapewire.gateway.http.openapi import Schema, describe
from tapewire.gateway.http.refresh import refresh_handler
from tapewire.gateway.http.routes import ENDPOINTS
from tapewire.gateway.http.tally import Tally
from tapewire.gateway.http.throttle import Throttle
from tapewire.gateway.limits import Limit
from tapewire.gateway.misuse import Misuse, Offence
from tapewire.gateway.order_entry import OrderEntry, check_portfolio, check_scope
from tapewire.gateway.tokens import TokenAuthority
from tapewire.gateway.user_watch import UserWatch
from tapewire.model import CommandKey
from tapewire.ports.archive import ArchiveError
from tapewire.ports.clock import Clock
from tapewire.ports.query import Query
from tapewire.ports.venue import UnknownPortfolioError, UnknownTopicError, VenueUnavailableError
from tapewire.protocol.errors import BadRequestError, NotJsonError
from tapewire.protocol.http_requests import HttpRequest, read_http_request
from tapewire.protocol.limits import GUID_CHARACTERS_MAX
from tapewire.protocol.tokens import Secret

__all__ = ["http_application"]

log = logging.getLogger("tapewire.gateway.http")

#: How long the venue may take to find what is asked for.
QUERY_DEADLINE_S = 30.0
#: How long a browser may remember what it is allowed to send.
_PREFLIGHT_S = 600
#: Where WebSockets are served.
_SOCKET_PATHS = ("/ws", "/cws")


class _AnyCaseRoute(Route):
    """A route whose path is matched in any letter case, with or without a slash at its end."""

    def __init__(self, path: str, endpoint: object, *methods: str) -> None:
        super().__init__(path, endpoint, methods=methods)  # type: ignore[arg-type]
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"/?\Z", re.IGNORECASE | re.ASCII)


def http_application(
    tokens: TokenAuthority,
    clock: Clock,
    query: Query,
    throttle: Throttle | None = None,
    *,
    orders: OrderEntry,
    counters: Counters | None = None,
    misuse: Misuse | None = None,
    routes: Sequence[Route] = (),
    operator: Secret | None = None,
    users: UserWatch | None = None,
) -> Starlette:
    """Return the ASGI application of the gateway.

    Args:
        throttle: Else one with the documented limit.
        orders: Where commands go.
        counters: What is to count answers and refusals.
        misuse: Who is blocked; None: nobody.
        routes: What is served beside.
        operator: A token whose requests are not throttled.
        users: Keeps ``tokens`` up with changes; None: nothing changes.
    """
    description = _description()
    counters = counters or Counters()

    async def openapi(request: Request) -> Response:
        return value_answer(description)

    app = Starlette(
        routes=[
            *_routes(ENDPOINTS, _Desk(query, orders, clock, misuse, counters)),
            _AnyCaseRoute("/refresh", refresh_handler(tokens, users), "POST"),
            _AnyCaseRoute("/openapi.json", openapi, "GET"),
            # Handshakes never come here: what does has not asked for one.
            *(_AnyCaseRoute(path, _upgrade, "GET") for path in _SOCKET_PATHS),
            *routes,
        ],
        middleware=[
            Middleware(Tally, counters=counters),
            # Browsers may call from any page: nothing here depends on cookies.
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"],
                allow_headers=["*"],
                max_age=_PREFLIGHT_S,
            ),
            Middleware(
                Admission,
                tokens=tokens,
                throttle=throttle or Throttle(),
                counters=counters,
                operator=operator,
            ),
        ],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.router.redirect_slashes = False
    return app


class _Desk:
    """What all handlers of an application share, and who is let in to them."""

    def __init__(
        self,
        query: Query,
        orders: OrderEntry,
        clock: Clock,
        misuse: Misuse | None,
        counters: Counters,
    ) -> None:
        self._query = query
        self._orders = orders
        self._clock = clock
        self._misuse = misuse
        self._counters = counters

    def check_block(self, caller: Caller) -> None:
        """Refuse whoever is blocked for misuse; tokens can still be had."""
        left_s = self._misuse.blocked_for_s(caller.name) if self._misuse is not None else 0
        if left_s > 0:
            self._counters.refusals[Limit.MISUSE] += 1
            seconds = math.ceil(left_s)
            text = f"Too many points for misuse: blocked for {seconds} s more"
            raise HTTPException(429, text, {"Retry-After": str(seconds)})

    async def call(self, endpoint: Endpoint, request: Request) -> Call:
        """Return what a handler is given; the body is read for whoever is let in only."""
        caller = caller_of(request.scope)

        def charge(offence: Offence) -> None:
            if self._misuse is not None:
                self._misuse.charge(caller.name, offence)

        return Call(
            self._query,
            self._orders,
            self._clock.wall_ns() // 1_000_000_000,
            caller.claims,
            charge,
            key=_key(caller, request) if endpoint.is_repeatable else None,
            body=await read_body(request) if endpoint.body is not None else b"",
            is_of_groups=endpoint.is_of_groups,
        )


@cache
def _description() -> Schema:
    """Return what is served, in the words of OpenAPI: of all gateways alike, and dear to make."""
    return describe(ENDPOINTS)


def _routes(endpoints: Sequence[Endpoint], desk: _Desk) -> Iterator[Route]:
    """Yield one route a path, which knows all methods that are taken there."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    for path, methods in by_path.items():
        yield _AnyCaseRoute(path, _answerer(methods, desk), *methods)


def _answerer(methods: Mapping[str, Endpoint], desk: _Desk) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        endpoint = methods["GET" if request.method == "HEAD" else request.method]
        caller = caller_of(request.scope)
        desk.check_block(caller)
        authorise(endpoint, caller)
        response = await _handle(endpoint, await desk.call(endpoint, request), request)
        return _without_body(response) if request.method == "HEAD" else response

    return answer


async def _handle(endpoint: Endpoint, call: Call, request: Request) -> Response:
    try:
        try:
            asked = read_http_request(endpoint.request, request.path_params, request.query_params.multi_items())
            _check_rights(endpoint, call, asked)
            async with asyncio.timeout(QUERY_DEADLINE_S):
                return await endpoint.handle(call, asked)
        except NotJsonError as error:
            call.charge(Offence.UNREADABLE)
            raise HTTPException(400, error.text) from error
        except BadRequestError as error:
            raise HTTPException(int(error.code), error.text) from error
        except UnknownTopicError as error:
            is_served = endpoint.scope is None or isinstance(error, UnknownPortfolioError)
            status = 404 if is_served else 501
            raise HTTPException(status, str(error) if is_served else "Not served by this version") from error
        except ArchiveError as error:
            log.error("%s: the archive cannot be read", endpoint.path, exc_info=error)
            raise HTTPException(503, "The past cannot be read now") from error
        except VenueUnavailableError as error:
            raise HTTPException(503, str(error)) from error
        except TimeoutError as error:
            # Counted with the answers of 5xx; a line each would be a log that anybody can fill.
            log.debug("%s: no answer of the venue within %g s", endpoint.path, QUERY_DEADLINE_S)
            raise HTTPException(504, "The venue did not answer in time") from error
    except HTTPException as refusal:
        if not endpoint.is_of_groups:
            raise
        return call.error(refusal.status_code, refusal.detail)


def _check_rights(endpoint: Endpoint, call: Call, asked: HttpRequest) -> None:
    if endpoint.scope is None:
        return
    check_scope("", call.known_caller, endpoint.scope)
    portfolio = getattr(asked, "portfolio", None)
    if portfolio is not None:
        check_portfolio("", call.known_caller, portfolio)


def _key(caller: Caller, request: Request) -> CommandKey | None:
    """Return under which a command is remembered; None if the client has not named it."""
    named = request.headers.get("x-reqid") or request.headers.get("x-alor-reqid")
    if not named or caller.claims is None:
        return None
    if len(named) > GUID_CHARACTERS_MAX:
        raise HTTPException(400, f"X-REQID is longer than {GUID_CHARACTERS_MAX} characters")
    return CommandKey(caller.claims.sub, named)


async def _upgrade(request: Request) -> Response:
    """Tell whoever asks for the address of a socket by plain HTTP what is there."""
    raise HTTPException(426, "This is a WebSocket", {"Upgrade": "websocket", "Connection": "Upgrade"})


def _without_body(response: Response) -> Response:
    """Keep the head of an answer; what would be long to encode is not encoded."""
    if isinstance(response, StreamingResponse):
        response = Response(headers=dict(response.headers))
        # How long the answer would be is known only when it is made.
        del response.headers["content-length"]
    response.body = b""
    return response


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405 and request.method == "OPTIONS":
        return Response(status_code=204, headers=error.headers)
    return error_answer(error.status_code, error.detail, error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    """Answer for a fault of ours; whoever runs the application gets the exception to log."""
    return error_answer(500, "Internal error")
