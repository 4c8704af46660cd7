"""HTTP over aiohttp, which is imported with the first request: the import alone costs 0.12 s."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tapewire.ports.network import ConnectError, HttpAnswer

if TYPE_CHECKING:
    import aiohttp

__all__ = ["ANSWER_BYTES_MAX", "AiohttpClient"]

#: Largest body of an answer, after decompression. A year of minute bars is about 20 MB.
ANSWER_BYTES_MAX = 64 * 1024 * 1024
#: What may be asked again without harm.
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


class AiohttpClient:
    """A ``ports.HttpClient`` over aiohttp with one pool of connections, made with the first request.

    Redirects are not followed: the answer is what the server asked for said. No cookies are kept, and nothing
    is read from the environment.

    Args:
        proxy: URL of an HTTP proxy, ``http://[user:password@]host:port``, for all requests.
        tls: What to trust, in place of the system's certificate authorities.
        answer_bytes_max: Largest body of an answer.
    """

    def __init__(
        self,
        *,
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        self._proxy = proxy
        self._tls = tls
        self._answer_bytes_max = answer_bytes_max
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float,
    ) -> HttpAnswer:
        """Make one request and return its answer, whatever its status. Cancelled, it drops its connection.

        The texts of errors name the URL without its query, which may hold a token.

        Raises:
            ConnectError: No answer came within ``timeout_s``, or one larger than allowed, or the client
                is closed.
        """
        import aiohttp

        if self._closed:
            raise ConnectError("the HTTP client is closed")
        try:
            async with self._pool().request(
                method,
                url,
                headers=headers,
                data=body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as response:
                return HttpAnswer(response.status, await self._read(response))
        except TimeoutError as error:
            raise ConnectError(f"{method} {_bare(url)}: no answer within {timeout_s:g} s") from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ConnectError(f"{method} {_bare(url)}: {said}") from error
        except aiohttp.ClientError as error:
            # The texts of the others may hold the whole URL, so they must not be chained either.
            raise ConnectError(f"{method} {_bare(url)}: {type(error).__name__}") from None

    async def close(self) -> None:
        """Release all connections; later requests are refused."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _pool(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls) if self._tls else aiohttp.TCPConnector()
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=self._proxy,
                trace_configs=[_sends_once()],
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts = bytearray()
        async for part in response.content.iter_any():
            parts += part
            if len(parts) > self._answer_bytes_max:
                response.close()
                raise ConnectError(
                    f"{response.method} {_bare(str(response.url))}:"
                    f" answer larger than {self._answer_bytes_max} bytes"
                )
        return bytes(parts)


def _sends_once() -> aiohttp.TraceConfig:
    """Keep a request that changes something from being sent twice.

    aiohttp repeats PUT and DELETE when the server hangs up before its answer: orders may have been cancelled by
    then, and the second answer would say that there are none.
    """
    import aiohttp

    trace = aiohttp.TraceConfig()

    async def starts(session: object, context: Any, asked: aiohttp.TraceRequestStartParams) -> None:
        context.is_harmless = asked.method in _HARMLESS
        context.was_sent = False

    async def sends(session: object, context: Any, sent: object) -> None:
        context.was_sent = True

    async def connects(session: object, context: Any, found: object) -> None:
        if context.was_sent and not context.is_harmless:
            raise aiohttp.ServerDisconnectedError("the server hung up before its answer")

    trace.on_request_start.append(starts)
    trace.on_request_headers_sent.append(sends)
    trace.on_connection_create_start.append(connects)
    trace.on_connection_reuseconn.append(connects)
    return trace


def _bare(url: str) -> str:
    """Return the URL without its query, fragment and user: what may be shown to people."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(a malformed URL)"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
