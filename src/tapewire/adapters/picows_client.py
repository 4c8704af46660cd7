"""Opening WebSocket connections with picows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from datetime import UTC, datetime

import python_socks
from picows import WSError, WSHandshakeError, WSInvalidURL, WSListener, WSParsedURL, ws_connect
from python_socks.async_.asyncio import Proxy as SocksProxy

from tapewire.adapters.picows_transport import PicowsListener, PicowsTransport
from tapewire.adapters.proxies import Proxies, Proxy
from tapewire.adapters.retry_after import retry_after_s
from tapewire.ports.network import ConnectError, FrameListener
from tapewire.protocol.limits import MESSAGE_BYTES_MAX

__all__ = ["PicowsConnector"]

#: Where reading starts; the buffer grows with the traffic.
READ_BUFFER_BYTES = 64 * 1024
#: When an idle connection is probed by TCP, how often, and how many probes may go unanswered. Translators of
#: addresses forget idle connections after as little as a minute. The client's pings come more often still, but
#: they tell nothing of a connection that is being made or ended.
KEEP_ALIVE_IDLE_S = 30
KEEP_ALIVE_EVERY_S = 10
KEEP_ALIVE_PROBES = 3

log = logging.getLogger("tapewire.client")


class PicowsConnector:
    """Opens connections with one TLS context, through proxies where there are; certificates are always checked."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None, proxies: Proxies | None = None) -> None:
        self._ssl_context = ssl_context
        self._proxies = proxies or Proxies()

    async def connect(self, url: str, listener: FrameListener, *, timeout_s: float) -> PicowsTransport:
        """Open a connection to ``url`` for ``listener``. Cancelled, it leaves nothing open.

        The texts of errors do not hold the URL, in which there may be a token.

        Raises:
            ConnectError: There is no connection; ``listener`` was not called.
        """
        sockets: list[socket.socket] = []
        proxy = self._proxies.of(url)
        is_socks = proxy is not None and proxy.scheme == "socks5"
        through = "" if proxy is None else f" through the proxy {proxy}"

        async def connected_socket(address: WSParsedURL) -> socket.socket:
            # With an HTTP proxy it is the proxy's address, and picows asks for the tunnel.
            if proxy is not None and is_socks:
                sockets.append(await _socks_socket(proxy, address.host, address.port, timeout_s))
            else:
                sockets.append(await _connected_socket(address.host, address.port))
            _keep_alive(sockets[-1])
            return sockets[-1]

        opened: WSListener | None = None
        try:
            async with asyncio.timeout(timeout_s):
                _, opened = await ws_connect(
                    lambda: PicowsListener(listener),
                    url,
                    ssl_context=self._ssl_context,
                    websocket_handshake_timeout=timeout_s,
                    enable_auto_pong=False,
                    max_frame_size=MESSAGE_BYTES_MAX,
                    max_redirects=0,
                    read_buffer_init_size=READ_BUFFER_BYTES,
                    logger_name="tapewire",
                    socket_factory=connected_socket,
                    proxy=None if proxy is None or is_socks else proxy.url,
                )
        except TimeoutError as error:
            raise ConnectError(f"no connection within {timeout_s:g} s{through}") from error
        except python_socks.ProxyError as error:
            raise ConnectError(f"the proxy {proxy} made no connection: {error}") from error
        except WSHandshakeError as error:
            status = error.response.status if error.response is not None else None
            raise ConnectError(
                f"the handshake was refused ({status.value if status else 'no answer'})",
                status=status.value if status else None,
                retry_after_s=_retry_after_s(error),
            ) from error
        except ssl.SSLCertVerificationError as error:  # a ValueError too
            raise ConnectError(f"the certificate was refused: {error.verify_message}") from error
        except (WSInvalidURL, ValueError):
            raise ConnectError("the address is not like ws://host:port/path") from None
        except (OSError, WSError) as error:
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ConnectError(f"{said}{through}") from error
        except Exception as error:
            # Whatever a server or a proxy can make the libraries raise, the next try may go well.
            log.exception("a connection could not be made%s", through)
            raise ConnectError(f"the connection failed: {type(error).__name__}{through}") from error
        finally:
            if opened is None:
                _shut(sockets)
        if opened is None:  # how picows says it
            raise ConnectError("the connection ended during the handshake")
        assert isinstance(opened, PicowsListener)
        return opened.transport


def _retry_after_s(error: WSHandshakeError) -> float | None:
    if error.response is None:
        return None
    return retry_after_s(error.response.headers.get("Retry-After"), datetime.now(UTC))


async def _socks_socket(proxy: Proxy, host: str, port: int, timeout_s: float) -> socket.socket:
    """Connect to a host through a SOCKS proxy, which looks its name up."""
    through = SocksProxy(
        python_socks.ProxyType.SOCKS5, proxy.host, proxy.port, proxy.user, proxy.password or None, rdns=True
    )
    return await through.connect(host, port, timeout=timeout_s)


def _keep_alive(opened: socket.socket) -> None:
    """Let TCP look after a connection that carries nothing."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Not every system has every option, and macOS has the first under another name.
    for name, value in (
        ("TCP_KEEPIDLE", KEEP_ALIVE_IDLE_S),
        ("TCP_KEEPALIVE", KEEP_ALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEP_ALIVE_EVERY_S),
        ("TCP_KEEPCNT", KEEP_ALIVE_PROBES),
    ):
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _connected_socket(host: str, port: int) -> socket.socket:
    """Connect to the first address of a host that can be had."""
    loop = asyncio.get_running_loop()
    refusal = OSError("the host has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            connecting = socket.socket(family, kind, protocol)
        except OSError as error:  # no IPv6 here, for instance
            refusal = error
            continue
        try:
            connecting.setblocking(False)
            await loop.sock_connect(connecting, address)
        except OSError as error:
            connecting.close()
            refusal = error
        except BaseException:
            connecting.close()
            raise
        else:
            return connecting
    raise refusal


def _shut(sockets: list[socket.socket]) -> None:
    """End connections that picows has begun and keeps until its own timeout when it is cancelled.

    They belong to the loop, which closes them when it sees the end.
    """
    for opening in sockets:
        with contextlib.suppress(OSError):
            opening.shutdown(socket.SHUT_RDWR)
