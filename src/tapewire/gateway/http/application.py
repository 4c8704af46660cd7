"""The ASGI application of the gateway: who is let in, where requests go, what becomes of errors.

::

    tally → CORS → admission (who, how often) → route (any letter case) → access → parameters → handler
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Callable, Sequence

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
from tapewire.gateway.http.endpoint import Call, Endpoint, authorise
from tapewire.gateway.http.market import MARKET_ENDPOINTS
from tapewire.gateway.http.openapi import describe
from tapewire.gateway.http.refresh import refresh_handler
from tapewire.gateway.http.tally import Tally
from tapewire.gateway.http.throttle import Throttle
from tapewire.gateway.limits import Limit
from tapewire.gateway.misuse import Misuse
from tapewire.gateway.tokens import TokenAuthority
from tapewire.ports import ArchiveError, Clock, Query, UnknownTopicError
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.http_requests import read_http_request
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

    def __init__(self, path: str, endpoint: object, method: str) -> None:
        super().__init__(path, endpoint, methods=[method])  # type: ignore[arg-type]
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"/?\Z", re.IGNORECASE | re.ASCII)


def http_application(
    tokens: TokenAuthority,
    clock: Clock,
    query: Query,
    throttle: Throttle | None = None,
    *,
    counters: Counters | None = None,
    misuse: Misuse | None = None,
    routes: Sequence[Route] = (),
    operator: Secret | None = None,
) -> Starlette:
    """Return the ASGI application of the gateway.

    Args:
        throttle: Else one with the documented limit.
        counters: What is to count answers and refusals.
        misuse: Who is blocked; None: nobody.
        routes: What is served beside the market.
        operator: A token whose requests are not throttled.
    """
    description = describe(MARKET_ENDPOINTS)
    counters = counters or Counters()

    async def openapi(request: Request) -> Response:
        return value_answer(description)

    app = Starlette(
        routes=[
            *(_route(endpoint, query, clock, _BlockCheck(misuse, counters)) for endpoint in MARKET_ENDPOINTS),
            _AnyCaseRoute("/refresh", refresh_handler(tokens), "POST"),
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


class _BlockCheck:
    """Refuses the market to whoever is blocked for misuse; tokens can still be had."""

    def __init__(self, misuse: Misuse | None, counters: Counters) -> None:
        self._misuse = misuse
        self._counters = counters

    def __call__(self, caller: Caller) -> None:
        left_s = self._misuse.blocked_for_s(caller.name) if self._misuse is not None else 0
        if left_s > 0:
            self._counters.refusals[Limit.MISUSE] += 1
            seconds = math.ceil(left_s)
            text = f"Too many points for misuse: blocked for {seconds} s more"
            raise HTTPException(429, text, {"Retry-After": str(seconds)})


def _route(endpoint: Endpoint, query: Query, clock: Clock, check: Callable[[Caller], None]) -> Route:
    async def answer(request: Request) -> Response:
        caller = caller_of(request.scope)
        check(caller)
        authorise(endpoint, caller)
        call = Call(query, clock.wall_ns() // 1_000_000_000, is_delayed=caller.claims is None)
        response = await _handle(endpoint, call, request)
        return _without_body(response) if request.method == "HEAD" else response

    return _AnyCaseRoute(endpoint.path, answer, "GET")


async def _handle(endpoint: Endpoint, call: Call, request: Request) -> Response:
    try:
        asked = read_http_request(endpoint.request, request.path_params, request.query_params.multi_items())
        async with asyncio.timeout(QUERY_DEADLINE_S):
            return await endpoint.handle(call, asked)
    except BadRequestError as error:
        raise HTTPException(400, error.text) from error
    except UnknownTopicError as error:
        raise HTTPException(404, str(error)) from error
    except ArchiveError as error:
        log.error("%s: the archive cannot be read", endpoint.path, exc_info=error)
        raise HTTPException(503, "The past cannot be read now") from error
    except TimeoutError as error:
        # Counted with the answers of 5xx; a line each would be a log that anybody can fill.
        log.debug("%s: no answer of the venue within %g s", endpoint.path, QUERY_DEADLINE_S)
        raise HTTPException(504, "The venue did not answer in time") from error


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
