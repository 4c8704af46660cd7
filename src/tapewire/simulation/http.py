"""HTTP without sockets: a client that calls ASGI applications in its own process.

An application runs inside the request that asks it. What it raises comes out of ``request``, since in a test
that is a fault to see and not a 500 to handle. On a ``VirtualTimeLoop`` its endpoints must be ``async``:
frameworks run the others in threads, which do not exist there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

from tapewire.ports.network import ConnectError, HttpAnswer
from tapewire.simulation.network import parse_host_port

__all__ = ["AsgiApp", "HttpAddress", "HttpRequest", "SimulatedHttp"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
AsgiApp = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


class HttpRequest:
    """One request as a server saw it: method, URL and headers as sent, names of headers in lower case."""

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method = method
        self.url = url
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    def __repr__(self) -> str:
        return f"<{self.method} {self.url.partition('?')[0]}>"


class HttpAddress:
    """One address and its faults, which hold for requests made later.

    Attributes:
        delay_s: Added to each answer, after the application has made it.
        requests: What has reached the application, oldest first.
    """

    def __init__(self, app: AsgiApp) -> None:
        self.app = app
        self.delay_s = 0.0
        self.requests: list[HttpRequest] = []
        self.is_reachable = True
        self.swallows = False
        self.canned: list[HttpAnswer] = []

    def unreachable(self) -> None:
        """Refuse connections."""
        self.is_reachable = False

    def swallow(self) -> None:
        """Take requests and never answer them: they reach the application, and the caller times out."""
        self.swallows = True

    def answer_next(self, status: int, body: bytes = b"", *, retry_after_s: float | None = None) -> None:
        """Answer one coming request with this, in the application's place."""
        self.canned.append(HttpAnswer(status, body, retry_after_s))

    def restore(self) -> None:
        """End all faults."""
        self.is_reachable = True
        self.swallows = False
        self.delay_s = 0.0
        self.canned.clear()


class SimulatedHttp:
    """A ``ports.HttpClient`` that routes requests to ASGI applications by ``host:port``.

    Args:
        latency_s: What each way takes.
    """

    def __init__(self, *, latency_s: float = 0.001) -> None:
        self.latency_s = latency_s
        self._addresses: dict[str, HttpAddress] = {}
        self._closed = False

    def listen(self, host_port: str, app: AsgiApp) -> HttpAddress:
        """Give an application an address; ``https`` URLs without a port go to 443.

        Raises:
            ValueError: The address is taken, or is not written ``host:port``.
        """
        host_port, _ = parse_host_port(f"http://{host_port}")
        if host_port in self._addresses:
            raise ValueError(f"{host_port} is taken")
        address = self._addresses[host_port] = HttpAddress(app)
        return address

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float,
    ) -> HttpAnswer:
        """Make one request and return its answer, whatever its status.

        Raises:
            ConnectError: Nobody listens, no answer came within ``timeout_s``, or the client is closed.
        """
        if self._closed:
            raise ConnectError("the HTTP client is closed")
        try:
            host_port, _ = parse_host_port(url)
        except ValueError as error:
            raise ConnectError(str(error)) from error
        request = HttpRequest(method, url, headers or {}, body)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(host_port, request)
        except TimeoutError as error:
            raise ConnectError(f"{method} {host_port}: no answer within {timeout_s:g} s") from error

    async def close(self) -> None:
        """Refuse all later requests."""
        self._closed = True

    async def _exchange(self, host_port: str, request: HttpRequest) -> HttpAnswer:
        await asyncio.sleep(self.latency_s)
        address = self._addresses.get(host_port)
        if address is None or not address.is_reachable:
            raise ConnectError(f"{request.method} {host_port}: connection refused")
        address.requests.append(request)
        answer = address.canned.pop(0) if address.canned else await _call(address.app, request)
        if address.swallows:
            await asyncio.Event().wait()
        await asyncio.sleep(address.delay_s + self.latency_s)
        return answer


async def _call(app: AsgiApp, request: HttpRequest) -> HttpAnswer:
    """Run the application for one request and gather its answer."""
    status = 0
    later: str | None = None
    parts: list[bytes] = []
    unread = [request.body]

    async def receive() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        # The client never hangs up before the answer; whoever waits for that is cancelled with the call.
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(message: Message) -> None:
        nonlocal status, later
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = dict(message.get("headers", ()))
            later = headers[b"retry-after"].decode() if b"retry-after" in headers else None
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(_scope(request), receive, send)
    assert status, "the application ended without an answer"
    # A date would need a time of day; servers of ours say seconds.
    return HttpAnswer(status, b"".join(parts), float(later) if later is not None and later.isdigit() else None)


def _scope(request: HttpRequest) -> Scope:
    parts = urlsplit(request.url)
    headers = {"host": parts.netloc, "content-length": str(len(request.body))} | request.headers
    host, _, port = parse_host_port(request.url)[0].rpartition(":")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": parts.scheme,
        "path": unquote(parts.path) or "/",
        "raw_path": (parts.path or "/").encode("ascii"),
        "query_string": parts.query.encode("ascii"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 40_000),
        "server": (host, int(port)),
    }
