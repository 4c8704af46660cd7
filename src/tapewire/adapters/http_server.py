"""The listener: one socket, uvicorn on it, started and stopped by its owner."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import uvicorn

from tapewire.adapters.one_port import Acceptor, NoWebSocket, OnePortProtocol, one_port_protocol

__all__ = ["HttpServer", "ListenError", "open_listener"]

#: Connections that wait to be accepted.
BACKLOG = 1_024
#: How long answers that are being made may take when the server stops.
ANSWER_GRACE_S = 0.7
#: When uvicorn cancels whatever still runs: an application that does not end when its peer is gone.
_CANCEL_S = 1
assert ANSWER_GRACE_S < _CANCEL_S


class ListenError(Exception):
    """The address cannot be listened on: in use, not ours, or not allowed."""


def open_listener(host: str, port: int) -> socket.socket:
    """Bind a listening socket; port 0 takes a free one.

    Raises:
        ListenError: Why the address cannot be had, in one line.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: signals are the program's business."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


class HttpServer:
    """Serves an ASGI application and WebSocket connections on one socket.

    ``turned_away`` counts peers that were refused before they had asked for anything (``one_port_protocol``).
    """

    def __init__(
        self,
        application: Any,
        accept: Acceptor,
        listener: socket.socket,
        turned_away: Counter[str] | None = None,
    ) -> None:
        self._listener = listener
        turned_away = turned_away if turned_away is not None else Counter()
        self._server = _Server(
            uvicorn.Config(
                application,
                http=one_port_protocol(accept, turned_away),
                ws=NoWebSocket,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # Anybody can write X-Forwarded-For: nobody is another address for it (decision 0032).
                proxy_headers=False,
                timeout_graceful_shutdown=_CANCEL_S,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when connections are accepted."""
        self._serving = asyncio.create_task(self._server.serve([self._listener]), name="http server")
        up = asyncio.create_task(self._server.is_up.wait())
        try:
            await asyncio.wait({self._serving, up}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
        if not self._server.is_up.is_set():
            await self._serving
            raise RuntimeError("the HTTP server ended before it was up")

    async def wait(self) -> None:
        """Wait for ever; raises if the server ends without having been asked to."""
        assert self._serving is not None
        await asyncio.shield(self._serving)
        if not self._server.should_exit:
            raise RuntimeError("the HTTP server has ended")

    async def stop(self, grace_s: float = ANSWER_GRACE_S) -> None:
        """Accept nothing more, finish HTTP requests that have come whole within a bound, close the socket."""
        assert grace_s <= ANSWER_GRACE_S
        self._server.should_exit = True
        if self._serving is not None:
            # uvicorn ends every connection by its ``shutdown``: those that owe us the rest of a request at once.
            await asyncio.wait({self._serving}, timeout=grace_s)
            # A peer that does not read its answer counts as gone: uvicorn would cancel the answer and log a
            # traceback of it.
            for connection in tuple(self._server.server_state.connections):
                assert isinstance(connection, OnePortProtocol)
                connection.transport.abort()
            await self._serving
        self._listener.close()
