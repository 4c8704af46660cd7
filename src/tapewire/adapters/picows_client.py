"""Opening WebSocket connections with picows."""

from __future__ import annotations

import asyncio
import ssl

from picows import WSError, WSHandshakeError, ws_connect

from tapewire.adapters.picows_transport import PicowsListener, PicowsTransport
from tapewire.ports import ConnectError, FrameListener
from tapewire.protocol.limits import MESSAGE_BYTES_MAX

__all__ = ["PicowsConnector"]

#: Where reading starts; the buffer grows with the traffic.
READ_BUFFER_BYTES = 64 * 1024


class PicowsConnector:
    """Opens connections with one TLS context; certificates are always checked."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl_context = ssl_context

    async def connect(self, url: str, listener: FrameListener, *, timeout_s: float) -> PicowsTransport:
        """Open a connection to ``url`` for ``listener``.

        Raises:
            ConnectError: There is no connection; ``listener`` was not called.
        """
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
                )
        except TimeoutError as error:
            raise ConnectError(f"no connection within {timeout_s:g} s") from error
        except WSHandshakeError as error:
            status = error.response.status if error.response is not None else None
            raise ConnectError(
                f"the handshake was refused ({status.value if status else 'no answer'})",
                status=status.value if status else None,
            ) from error
        except (OSError, WSError, ValueError) as error:
            raise ConnectError(str(error) or type(error).__name__) from error
        assert isinstance(opened, PicowsListener)
        return opened.transport
