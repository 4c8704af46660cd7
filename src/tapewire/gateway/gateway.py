"""The gateway: who may connect where, and all that its connections share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from starlette.applications import Starlette

from tapewire.gateway.command_session import CommandSession
from tapewire.gateway.connection import Connection
from tapewire.gateway.http import Throttle, http_application
from tapewire.gateway.hub import Hub
from tapewire.gateway.outbox import OutboxMode
from tapewire.gateway.pulse import Pulse
from tapewire.gateway.quotas import ConnectionQuota
from tapewire.gateway.session import DataSession, SessionServices
from tapewire.gateway.tokens import TokenAuthority
from tapewire.ports import Clock, FeedSource, FrameListener, HandshakeRefusedError, Query
from tapewire.protocol.codes import CloseCode

__all__ = ["Gateway"]

log = logging.getLogger("tapewire.gateway")

#: How long connections may take to say goodbye when the gateway closes.
DRAIN_S = 0.5


class Gateway:
    """Serves ``/ws``, ``/cws`` and HTTP in front of a venue; knows the venue by its ports only.

    Belongs to the running loop. Whoever accepts connections calls :meth:`accept` for each WebSocket handshake
    and gives :attr:`http` its requests.
    """

    def __init__(
        self,
        source: FeedSource,
        query: Query,
        tokens: TokenAuthority,
        clock: Clock,
        *,
        mode: OutboxMode = OutboxMode.CONFLATE,
        throttle: Throttle | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._pulse = Pulse(loop, clock.stopwatch_s)
        self.hub = Hub(source, loop, self._pulse)
        #: Counts HTTP requests; the documented limit unless another was given.
        self.throttle = throttle or Throttle()
        self.http: Starlette = http_application(tokens, clock, query, self.throttle)
        self.connections: set[Connection] = set()
        self._mode = mode
        self._tasks: set[asyncio.Task[None]] = set()
        self._services = SessionServices(self.hub, query, tokens, ConnectionQuota(), self._spawn)
        self._is_closing = False
        self._all_gone = asyncio.Event()
        self._all_gone.set()

    def accept(self, path: str, peer: str) -> FrameListener | None:
        """Return the listener of a new connection, None if nothing is served at ``path``.

        Raises:
            HandshakeRefusedError: It is served, but not now.
        """
        protocols: dict[str, type[DataSession] | type[CommandSession]] = {
            "/ws": DataSession,
            "/cws": CommandSession,
        }
        protocol = protocols.get(path.partition("?")[0].rstrip("/").lower())
        if protocol is None:
            return None
        if self._is_closing:
            raise HandshakeRefusedError(503, "ServiceUnavailable", "The server is going away")
        connection = Connection(
            lambda owner: protocol(self._services, owner.outbox, owner.hurry, owner.now),
            self._pulse,
            self._forget,
            mode=self._mode,
        )
        self.connections.add(connection)
        self._all_gone.clear()
        return connection

    async def close(self) -> None:
        """End all connections with 1001 and release everything; accepts nothing any more."""
        self._is_closing = True
        for connection in tuple(self.connections):
            connection.close(CloseCode.GOING_AWAY, "the server is going away")
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._all_gone.wait()
        except TimeoutError:
            log.info("%d connections did not say goodbye", len(self.connections))
            for connection in tuple(self.connections):
                connection.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pulse.close()
        self.hub.close()

    def _forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if not self.connections:
            self._all_gone.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("reading the past of a subscription failed", exc_info=task.exception())
