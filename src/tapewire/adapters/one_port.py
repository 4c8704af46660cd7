"""One port for HTTP and WebSocket: uvicorn reads the request, picows takes over upgraded connections.

picows exports no class for a connection that somebody else has accepted, so this module uses its
``WSProtocol`` and its check of handshakes by their private place, and the server extra pins picows exactly
(docs/decisions/0004-one-port.md). Everything that depends on it is here.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any, cast

import httptools
from picows import WSAutoPingStrategy, WSListener, WSUpgradeRequest
from picows.picows import WSProtocol, _validate_upgrade_request  # type: ignore[attr-defined]
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
#: What picows gets to see of a handshake. The rest may be long, and secret.
_HANDSHAKE_HEADERS = frozenset(
    (b"host", b"sec-websocket-key", b"sec-websocket-version", b"content-length", b"transfer-encoding")
)

log = logging.getLogger("tapewire.gateway.websocket")


def one_port_protocol(accept: Acceptor) -> type[HttpToolsProtocol]:
    """Return the uvicorn protocol class that gives WebSocket handshakes to ``accept``."""

    class OnePortProtocol(HttpToolsProtocol):
        """HTTP until a request asks for a WebSocket."""

        _data = b""
        _is_refused = False

        def data_received(self, data: bytes) -> None:
            if not self._is_refused:
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
            if self.cycle is not None and not self.cycle.response_complete:
                # The answer to an earlier request would land among the frames: the connection ends with it.
                self.cycle.keep_alive = False
                self._is_refused = True
                return
            self.connections.discard(self)
            protocol = _websocket_protocol(accept, self.client)
            protocol.connection_made(self.transport)
            # From here on the loop talks to the new protocol, also while the handshake is being answered.
            self.transport.set_protocol(protocol)
            _feed(protocol, self._handshake_bytes() + frames, self.transport)

        def _handshake_bytes(self) -> bytes:
            # uvicorn has found the upgrade among the words of the Connection header (Firefox sends
            # "keep-alive, Upgrade"); picows takes that one word only.
            lines = [self.scope["method"].encode() + b" " + self.url + b" HTTP/1.1"]
            lines += [b"connection: upgrade", b"upgrade: websocket"]
            lines += [name + b": " + value for name, value in self.headers if name in _HANDSHAKE_HEADERS]
            return b"\r\n".join(lines) + b"\r\n\r\n"

    return OnePortProtocol


def _websocket_protocol(accept: Acceptor, client: tuple[str, int] | None) -> Any:
    peer = f"{client[0]}:{client[1]}" if client else ""

    def listen(request: WSUpgradeRequest) -> WSListener | None:
        try:
            _validate_upgrade_request(request)
        except RuntimeError:
            # picows refuses it with 400, but asks for a listener first and would never tell it of the end.
            return WSListener()
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


def _feed(protocol: Any, data: bytes, transport: asyncio.BaseTransport) -> None:
    """Give bytes to a buffered protocol as its transport would."""
    rest = memoryview(data)
    while rest and not transport.is_closing():
        buffer = cast(memoryview, protocol.get_buffer(len(rest)))
        size = min(len(buffer), len(rest))
        buffer[:size] = rest[:size]
        protocol.buffer_updated(size)
        rest = rest[size:]


class NoWebSocket(asyncio.Protocol):
    """Stands where uvicorn wants a WebSocket implementation of its own; never made."""
