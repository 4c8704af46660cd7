"""HTTP that misbehaves on command: an ASGI application around an ASGI application."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

import msgspec

from tapewire.faults.kinds import FaultKind
from tapewire.faults.plan import FaultPlan
from tapewire.faults.rule import FaultRule
from tapewire.faults.strike_log import StrikeLog
from tapewire.faults.subject import read_claims
from tapewire.faults.tally import Strike
from tapewire.protocol.codes import INVALID_TOKEN, STATUS_WORDS

__all__ = ["Application", "FaultyApplication", "refusal_word", "retry_after_s"]

AsgiScope = MutableMapping[str, Any]
AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
Application = Callable[[AsgiScope, Receive, Send], Awaitable[None]]


class FaultyApplication:
    """Refuses requests, answers them late or never, and ends tokens early.

    Nothing is late for a client that has gone: whatever waits ends with it.
    """

    def __init__(
        self, application: Application, plan: FaultPlan, wall_s: Callable[[], float], log: StrikeLog
    ) -> None:
        self._application = application
        self._plan = plan
        self._wall_s = wall_s
        self._log = log

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        path: str = scope["path"]
        now = asyncio.get_running_loop().time()
        token = _bearer(scope) if self._plan.looks_at_tokens else ""
        claims = read_claims(token) if token else None
        client = scope.get("client")
        peer = f"{client[0]}:{client[1]}" if client else ""
        strikes = self._plan.http(path, claims.sub if claims else "", now)
        for strike in strikes:
            self._log.struck(strike, path, peer)
        kinds = {strike.rule.kind: strike for strike in reversed(strikes)}
        if FaultKind.NO_ANSWER in kinds:
            await _disconnected(receive)
            return
        late_s = kinds[FaultKind.DELAY].by_s if FaultKind.DELAY in kinds else 0.0
        if FaultKind.REFUSED in kinds:
            if await _is_there_after(late_s, receive):
                await _refuse(send, kinds[FaultKind.REFUSED].rule)
            return
        if claims is not None:
            self._plan.see_token(token, claims)
            refused = self._plan.refused_token(token, claims, path, None, now, self._wall_s())
            if isinstance(refused, Strike):
                self._log.struck(refused, path, peer)
            if refused:
                if await _is_there_after(late_s, receive):
                    await _answer(send, 401, INVALID_TOKEN, {"www-authenticate": "Bearer"})
                return
        await self._application(scope, receive, _late(receive, send, late_s) if late_s else send)


def refusal_word(status: int) -> str:
    """Return the word for programs that goes with a status: the gateway's, or the name of one it never answers."""
    named = HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")
    return STATUS_WORDS.get(status, named)


def retry_after_s(rule: FaultRule) -> int | None:
    """Return when to come back, whole seconds, if that is told."""
    return None if rule.retry_after_s is None else math.ceil(rule.retry_after_s)


def _late(receive: Receive, send: Send, late_s: float) -> Send:
    """Let an answer begin late. What the client still sends of its request meanwhile is nobody's."""

    async def send_late(message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            await _is_there_after(late_s, receive)
        # To a client that has gone nothing is sent, which is the server's business.
        await send(message)

    return send_late


async def _is_there_after(late_s: float, receive: Receive) -> bool:
    """Wait so long or until the client gives up, and say whether it still waits for its answer."""
    if not late_s:
        return True
    try:
        async with asyncio.timeout(late_s):
            await _disconnected(receive)
    except TimeoutError:
        return True
    return False


async def _disconnected(receive: Receive) -> None:
    """Wait until the client gives up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(send: Send, rule: FaultRule) -> None:
    after_s = retry_after_s(rule)
    await _answer(
        send, rule.answer_code, rule.answer_text, {} if after_s is None else {"retry-after": str(after_s)}
    )


async def _answer(send: Send, status: int, text: str, headers: dict[str, str]) -> None:
    body = msgspec.json.encode({"code": refusal_word(status), "message": text})
    # Browsers may ask from any page, as they may of what stands behind.
    headers |= {
        "access-control-allow-origin": "*",
        "content-type": "application/json",
        "content-length": str(len(body)),
    }
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


def _bearer(scope: AsgiScope) -> str:
    for name, value in scope["headers"]:
        if name.lower() == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return str(token.strip()) if scheme.casefold() == "bearer" else ""
    return ""
