"""HTTP over aiohttp, which is imported with the first request: the import alone costs 0.12 s."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tapewire.adapters.proxies import Proxies, Proxy
from tapewire.adapters.retry_after import retry_after_s
from tapewire.ports.network import ConnectError, HttpAnswer

if TYPE_CHECKING:
    import aiohttp

__all__ = ["ANSWER_BYTES_MAX", "AiohttpClient"]

#: Largest body of an answer, after decompression. A year of minute bars is about 20 MB.
ANSWER_BYTES_MAX = 64 * 1024 * 1024
#: What may be asked again without harm.
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_PROXY_WANTS_CREDENTIALS = 407


class AiohttpClient:
    """A ``ports.HttpClient`` over aiohttp with a pool of connections for each proxy, made with the first request.

    Redirects are not followed: the answer is what the server asked for said. No cookies are kept, and nothing
    is read from the environment.

    Args:
        proxies: Through which proxy each host is reached.
        tls: What to trust, in place of the system's certificate authorities.
        answer_bytes_max: Largest body of an answer.
    """

    def __init__(
        self,
        *,
        proxies: Proxies | None = None,
        tls: ssl.SSLContext | None = None,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        self._proxies = proxies or Proxies()
        self._tls = tls
        self._answer_bytes_max = answer_bytes_max
        self._sessions: dict[Proxy | None, aiohttp.ClientSession] = {}
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

        Errors do not name the URL: its query may hold a token, and who asked knows it.

        Raises:
            ConnectError: No answer came within ``timeout_s``, or one larger than allowed, or the client
                is closed.
        """
        import aiohttp

        if self._closed:
            raise ConnectError("the HTTP client is closed")
        proxy = self._proxies.of(url)
        through = "" if proxy is None else f" through the proxy {proxy}"
        try:
            async with self._pool(proxy).request(
                method,
                url,
                headers=_headers(headers, proxy, url),
                # To the proxy alone, and not in its address: that would be encoded otherwise than on sockets.
                proxy_headers=proxy.authorization if proxy is not None else None,
                data=body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as response:
                if proxy is not None and response.status == _PROXY_WANTS_CREDENTIALS:
                    raise _refused_by(proxy, response.status)
                later_s = retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC))
                return HttpAnswer(response.status, await self._read(response), later_s)
        except TimeoutError as error:
            raise ConnectError(f"no answer within {timeout_s:g} s{through}") from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ConnectError(f"{said}{through}") from error
        except aiohttp.ClientHttpProxyError as error:
            assert proxy is not None
            raise _refused_by(proxy, error.status) from None
        except aiohttp.ClientError as error:
            # The texts of the others may hold the whole URL, so they must not be chained either.
            raise ConnectError(type(error).__name__) from None
        except ConnectError:
            raise
        except Exception as error:
            if proxy is None:
                raise
            if _is_of_socks(error):
                raise ConnectError(f"the proxy {proxy} made no connection: {error}") from error
            # One that hangs up in the middle is an IncompleteReadError. Of others nobody knows what they tell.
            said = "it hung up" if isinstance(error, EOFError) else type(error).__name__
            raise ConnectError(f"the proxy {proxy} made no connection: {said}") from None

    async def close(self) -> None:
        """Release all connections; later requests are refused."""
        self._closed = True
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    def _pool(self, proxy: Proxy | None) -> aiohttp.ClientSession:
        import aiohttp

        if proxy not in self._sessions:
            is_http = proxy is not None and proxy.scheme == "http"
            self._sessions[proxy] = aiohttp.ClientSession(
                connector=_connector(proxy, self._tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=proxy.address if proxy is not None and is_http else None,
                trace_configs=[_sends_once()],
            )
        return self._sessions[proxy]

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts = bytearray()
        async for part in response.content.iter_any():
            parts += part
            if len(parts) > self._answer_bytes_max:
                response.close()
                raise ConnectError(f"answer larger than {self._answer_bytes_max} bytes")
        return bytes(parts)


def _connector(proxy: Proxy | None, tls: ssl.SSLContext | None) -> aiohttp.TCPConnector:
    import aiohttp

    trusted: ssl.SSLContext | bool = tls if tls is not None else True
    if proxy is None or proxy.scheme == "http":
        return aiohttp.TCPConnector(ssl=trusted)
    from aiohttp_socks import ProxyConnector, ProxyType

    return ProxyConnector(
        proxy.host,
        proxy.port,
        ProxyType.SOCKS5,
        username=proxy.user,
        password=proxy.password or None,
        rdns=True,
        ssl=trusted,
    )


def _headers(headers: Mapping[str, str] | None, proxy: Proxy | None, url: str) -> Mapping[str, str] | None:
    """Add what an HTTP proxy wants of a request that it reads itself; in a tunnel the far end would get it."""
    if proxy is None or proxy.scheme != "http" or not url.startswith("http:"):
        return headers
    return {**(headers or {}), **proxy.authorization}


def _is_of_socks(error: Exception) -> bool:
    # Its errors have no root of their own, and it is imported with the first request through such a proxy.
    from aiohttp_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError

    return isinstance(error, ProxyConnectionError | ProxyError | ProxyTimeoutError)


def _refused_by(proxy: Proxy, status: int) -> ConnectError:
    return ConnectError(f"the proxy {proxy} made no connection: status {status}")


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
