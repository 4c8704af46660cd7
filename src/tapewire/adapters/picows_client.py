"""Opening WebSocket connections with picows."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from datetime import UTC, datetime

from picows import WSError, WSHandshakeError, WSInvalidURL, WSListener, WSParsedURL, ws_connect

from tapewire.adapters.picows_transport import PicowsListener, PicowsTransport
from tapewire.adapters.retry_after import retry_after_s
from tapewire.ports.network import ConnectError, FrameListener
from tapewire.protocol.limits import MESSAGE_BYTES_MAX

__all__ = ["PicowsConnector"]

#: Where reading starts; the buffer grows with the traffic.
READ_BUFFER_BYTES = 64 * 1024


class PicowsConnector:
    """Opens connections with one TLS context; certificates are always checked."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl_context = ssl_context

    async def connect(self, url: str, listener: FrameListener, *, timeout_s: float) -> PicowsTransport:
        """Open a connection to ``url`` for ``listener``. Cancelled, it leaves nothing open.

        The texts of errors do not hold the URL, in which there may be a token.

        Raises:
            ConnectError: There is no connection; ``listener`` was not called.
        """
        sockets: list[socket.socket] = []

        async def connected_socket(address: WSParsedURL) -> socket.socket:
            sockets.append(await _connected_socket(address.host, address.port))
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
                )
        except TimeoutError as error:
            raise ConnectError(f"no connection within {timeout_s:g} s") from error
        except WSHandshakeError as error:
            status = error.response.status if error.response is not None else None
            raise ConnectError(
                f"the handshake was refused ({status.value if status else 'no answer'})",
                status=status.value if status else None,
                retry_after_s=_retry_after_s(error),
            ) from error
        except (WSInvalidURL, ValueError):
            raise ConnectError("the address is not like ws://host:port/path") from None
        except (OSError, WSError) as error:
            raise ConnectError(getattr(error, "strerror", None) or str(error) or type(error).__name__) from error
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
