"""Counts the answers of HTTP, in front of everything else."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tapewire.gateway.counters import Counters

__all__ = ["Tally"]


class Tally:
    """ASGI middleware: counts answers by class of the status, and requests while they are answered."""

    def __init__(self, app: ASGIApp, *, counters: Counters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        counters = self._counters
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        request = object()
        counters.http_requests.add(request)
        try:
            await self._app(scope, receive, counted)
        except Exception:
            # Answered with 500 further out.
            status = status or 500
            raise
        finally:
            counters.http_requests.discard(request)
            if status:
                counters.http_answers[f"{status // 100}xx"] += 1
