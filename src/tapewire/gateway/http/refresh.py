"""The token service: access tokens for refresh tokens."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tapewire.gateway.http.answers import value_answer
from tapewire.gateway.http.bodies import read_body
from tapewire.gateway.tokens import TokenAuthority
from tapewire.gateway.user_watch import UserWatch
from tapewire.ports.users import UserStoreError
from tapewire.protocol.errors import UNREADABLE, MalformedMessageError
from tapewire.protocol.tokens import AccessToken, RefreshRequest, read_refresh_body

__all__ = ["refresh_handler"]

log = logging.getLogger("tapewire.gateway.http")


def refresh_handler(
    tokens: TokenAuthority, users: UserWatch | None = None
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers ``POST /refresh``; ``users`` keeps ``tokens`` up with changes, None: nothing changes."""

    async def refresh(request: Request) -> Response:
        asked = _refresh_request(request, await read_body(request))
        if users is not None:
            try:
                await users.look()
            except UserStoreError as error:
                # The token may have been revoked meanwhile. The watch tells the log why.
                log.debug("/refresh: %s", error)
                raise HTTPException(503, "The users cannot be read now") from error
        token = tokens.refresh(asked.token, asked.allowed_portfolios)
        if token is None:
            raise HTTPException(403, "Refresh token is not valid")
        return value_answer(AccessToken(token))

    return refresh


def _refresh_request(request: Request, body: bytes) -> RefreshRequest:
    try:
        asked = read_refresh_body(body)
        # Clients that put the token into the query send an empty body, or a body without a token.
        token = asked.token or request.query_params.get("token", "")
        # The limit counts wherever it stands: what is not read here would be granted.
        allowed = asked.allowed_portfolios
        if allowed is None:
            allowed = _allowed_in_query(request)
    except MalformedMessageError as error:
        raise HTTPException(400, error.reason) from error
    except UNREADABLE as error:
        raise HTTPException(400, "allowedPortfolios is no JSON array of texts") from error
    if not token:
        raise HTTPException(400, "The refresh token is missing")
    return RefreshRequest(token, allowed)


def _allowed_in_query(request: Request) -> tuple[str, ...] | None:
    text = request.query_params.get("allowedPortfolios")
    return msgspec.json.decode(text, type=tuple[str, ...]) if text else None
