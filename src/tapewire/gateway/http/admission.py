"""Who asks over HTTP, and whether too often: in front of everything else."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tapewire.gateway.addresses import address_of
from tapewire.gateway.counters import Counters
from tapewire.gateway.http.answers import error_answer
from tapewire.gateway.http.throttle import Throttle
from tapewire.gateway.limits import Limit
from tapewire.gateway.misuse import address_name, login_name
from tapewire.gateway.tokens import TokenAuthority
from tapewire.protocol.tokens import Claims, Secret

__all__ = ["Admission", "Caller", "caller_of"]

_CALLER = "tapewire.caller"
#: Answers of one caller that are being made or sent; a long one holds megabytes.
ANSWERS_AT_ONCE_MAX = 20


class Caller(NamedTuple):
    """Who makes a request."""

    #: What a good token says; None without one.
    claims: Claims | None
    #: By which the caller is counted: that of the login, or of the address without a good token.
    name: str
    #: A token was shown, but it is not good.
    is_refused: bool = False


class Admission:
    """ASGI middleware: finds out who asks and refuses those who ask too often, or too much at a time.

    Requests with a good token count for its login, all others for the address they come from, those of the
    operator for nobody.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: TokenAuthority,
        throttle: Throttle,
        counters: Counters,
        operator: Secret | None,
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._throttle = throttle
        self._operator = operator
        self._counters = counters
        self._at_once: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        authorization = Headers(scope=scope).get("authorization", "")
        scheme, _, token = authorization.partition(" ")
        token = token.strip() if scheme.casefold() == "bearer" else ""
        caller = self._identify(token, client[0] if client else "", is_asking=bool(authorization))
        # The operator has to get in when neighbours ask too much.
        is_operator = self._operator is not None and Secret(token) == self._operator
        scope[_CALLER] = caller
        if is_operator:
            await self._app(scope, receive, send)
            return
        if self._throttle.admit(caller.name, asyncio.get_running_loop().time()):
            await self._answer(caller, scope, receive, send)
            return
        text = f"Too many requests: at most {self._throttle.per_second} a second"
        # A second empties no bucket for good, but it is the shortest time that the header can say.
        await error_answer(429, text, {"Retry-After": "1"})(scope, receive, send)

    async def _answer(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        if self._at_once[caller.name] >= ANSWERS_AT_ONCE_MAX:
            self._counters.refusals[Limit.HTTP_REQUESTS_AT_ONCE] += 1
            text = f"Too many requests at once: at most {ANSWERS_AT_ONCE_MAX}"
            await error_answer(429, text, {"Retry-After": "1"})(scope, receive, send)
            return
        self._at_once[caller.name] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._at_once[caller.name] -= 1
            if not self._at_once[caller.name]:
                del self._at_once[caller.name]

    def _identify(self, token: str, host: str, *, is_asking: bool) -> Caller:
        claims = self._tokens.verify(token)
        if claims is None:
            return Caller(None, address_name(address_of(host)), is_refused=is_asking)
        return Caller(claims, login_name(claims.sub))


def caller_of(scope: Scope) -> Caller:
    """Return who makes a request that was admitted."""
    caller = scope[_CALLER]
    assert isinstance(caller, Caller)
    return caller
