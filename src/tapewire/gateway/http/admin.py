"""What the operator asks: who is connected, an end to a session, the metrics. With a token of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tapewire.gateway.http.answers import value_answer
from tapewire.gateway.http.endpoint import not_found
from tapewire.gateway.metrics import METRICS_TYPE
from tapewire.gateway.presence import Presence
from tapewire.protocol.codes import CloseCode
from tapewire.protocol.tokens import Secret

__all__ = ["admin_routes"]

Handler = Callable[[Request], Awaitable[Response]]


def admin_routes(presence: Presence, metrics: Callable[[], bytes], token: Secret) -> list[Route]:
    """Return the routes of the operator; each wants ``Authorization: Bearer <token>``."""

    async def sessions(request: Request) -> Response:
        return value_answer({"sessions": presence.sessions(), "ended": presence.ended()})

    async def end(request: Request) -> Response:
        session = request.path_params["session"]
        connection = presence.find(session)
        if connection is None:
            raise not_found(f"session {session}")
        connection.close(CloseCode.POLICY, "ended by the operator")
        return Response(status_code=204)

    async def scrape(request: Request) -> Response:
        return Response(metrics(), media_type=METRICS_TYPE)

    return [
        Route("/admin/sessions", _guarded(sessions, token), methods=["GET"]),
        Route("/admin/sessions/{session}", _guarded(end, token), methods=["DELETE"]),
        Route("/metrics", _guarded(scrape, token), methods=["GET"]),
    ]


def _guarded(handle: Handler, token: Secret) -> Handler:
    async def guarded(request: Request) -> Response:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.casefold() != "bearer" or Secret(shown.strip()) != token:
            raise HTTPException(401, "The admin token is missing or wrong", {"WWW-Authenticate": "Bearer"})
        return await handle(request)

    return guarded
