"""One port for HTTP and WebSocket: uvicorn reads the request, picows takes over upgraded connections.

picows exports no class for a connection that somebody else has accepted, so this module uses its
``WSProtocol`` by its private place, and the server extra pins picows exactly (docs/decisions/0004-one-port.md).
Everything that depends on it is here.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any, cast

import httptools
from picows import WSAutoPingStrategy, WSUpgradeRequest
from picows.picows import WSProtocol  # type: ignore[attr-defined]
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tapewire.adapters.picows_transport import PicowsListener
from tapewire.ports import FrameListener
from tapewire.protocol.limits import MESSAGE_BYTES_MAX

__all__ = ["Acceptor", "one_port_protocol"]

#: Returns the listener for a handshake at a path from a peer, None if nothing is served there.
Acceptor = Callable[[str, str], FrameListener | None]

#: The smallest that picows takes: an idle session costs half as much as with its default.
READ_BUFFER_BYTES = 2 * 1024
HANDSHAKE_TIMEOUT_S = 5.0

log = logging.getLogger("tapewire.gateway.websocket")


def one_port_protocol(accept: Acceptor) -> type[HttpToolsProtocol]:
    """Return the uvicorn protocol class that gives WebSocket handshakes to ``accept``."""

    class OnePortProtocol(HttpToolsProtocol):
        """HTTP until a request asks for a WebSocket."""

        _data = b""

        def data_received(self, data: bytes) -> None:
            self._data = data
            super().data_received(data)

        def _should_upgrade_to_ws(self) -> bool:
            return True

        def handle_websocket_upgrade(self) -> None:
            # Called while the parser's exception is handled: it says where the request ended. What stands
            # behind it are frames of a peer that did not wait for our answer.
            upgrade = sys.exc_info()[1]
            assert isinstance(upgrade, httptools.HttpParserUpgrade)
            frames = self._data[upgrade.args[0] :]
            self._data = b""
            self.connections.discard(self)
            protocol = _websocket_protocol(accept, self.client)
            protocol.connection_made(self.transport)
            # From here on the loop talks to the new protocol, also while the handshake is being answered.
            self.transport.set_protocol(protocol)
            _feed(protocol, self._request_bytes() + frames)

        def _request_bytes(self) -> bytes:
            lines = [self.scope["method"].encode() + b" " + self.url + b" HTTP/1.1"]
            lines += [name + b": " + value for name, value in self.headers]
            return b"\r\n".join(lines) + b"\r\n\r\n"

    return OnePortProtocol


def _websocket_protocol(accept: Acceptor, client: tuple[str, int] | None) -> Any:
    peer = f"{client[0]}:{client[1]}" if client else ""

    def listen(request: WSUpgradeRequest) -> PicowsListener | None:
        listener = accept(request.path.decode("ascii", "replace"), peer)
        return PicowsListener(listener) if listener is not None else None

    return WSProtocol(
        None,  # host and path: a client's business
        None,
        False,  # server side
        listen,
        log,
        True,  # an exception in a listener ends its connection
        HANDSHAKE_TIMEOUT_S,
        False,  # no pings of its own
        10,
        10,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,  # pongs are the connection's business
        MESSAGE_BYTES_MAX,
        None,
        READ_BUFFER_BYTES,
    )


def _feed(protocol: Any, data: bytes) -> None:
    """Give bytes to a buffered protocol as a transport would."""
    rest = memoryview(data)
    while rest:
        buffer = cast(memoryview, protocol.get_buffer(len(rest)))
        size = min(len(buffer), len(rest))
        buffer[:size] = rest[:size]
        protocol.buffer_updated(size)
        rest = rest[size:]


class NoWebSocket(asyncio.Protocol):
    """Stands where uvicorn wants a WebSocket implementation of its own; never made."""
