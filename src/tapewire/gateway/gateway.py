"""The gateway: who may connect where, and all that its connections share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from starlette.applications import Starlette

from tapewire.gateway.addresses import AddressQuota
from tapewire.gateway.bounded_log import BoundedLog
from tapewire.gateway.command_session import CommandSession
from tapewire.gateway.connection import Connection
from tapewire.gateway.counters import Counters
from tapewire.gateway.http import Throttle, http_application
from tapewire.gateway.http.admin import admin_routes
from tapewire.gateway.hub import Hub
from tapewire.gateway.limits import Limit, Limits
from tapewire.gateway.metrics import GatewayCollector, metrics_text
from tapewire.gateway.misuse import Misuse
from tapewire.gateway.order_entry import OrderEntry
from tapewire.gateway.outbox import OutboxMode
from tapewire.gateway.presence import Presence
from tapewire.gateway.pulse import Pulse
from tapewire.gateway.quotas import ConnectionQuota
from tapewire.gateway.safeguards import Safeguards
from tapewire.gateway.session import DataSession, SessionServices
from tapewire.gateway.standing import Reception, Standing
from tapewire.gateway.tokens import TokenAuthority
from tapewire.gateway.user_watch import UserWatch
from tapewire.ports.clock import Clock
from tapewire.ports.network import FrameListener, HandshakeRefusedError
from tapewire.ports.query import Query
from tapewire.ports.venue import CommandSink, FeedSource
from tapewire.protocol.codes import STATUS_WORDS, CloseCode
from tapewire.protocol.tokens import Secret

__all__ = ["Gateway"]

log = logging.getLogger("tapewire.gateway")

#: How long connections may take to say goodbye when the gateway closes.
GOODBYE_S = 0.5
#: Pasts of subscriptions that are read at a time, of all sessions together.
PASTS_READ_AT_ONCE_MAX = 4
#: How often a gateway that is going away looks whether its outboxes are empty: no socket tells.
_DRAIN_LOOK_S = 0.01
#: When to come back after a handshake too many: somebody else has to leave first.
_RETRY_AFTER_S = 60
_PROTOCOLS: dict[str, type[DataSession] | type[CommandSession]] = {"/ws": DataSession, "/cws": CommandSession}


class Gateway:
    """Serves ``/ws``, ``/cws`` and HTTP in front of a venue; knows the venue by its ports only.

    Belongs to the running loop. Whoever accepts connections calls :meth:`accept` for each WebSocket handshake
    and gives :attr:`http` its requests.

    Args:
        commands: Where orders go, from both doors.
        throttle: Of HTTP; the documented limit unless another was given.
        admin_token: Opens ``/admin`` and ``/metrics``, which are not served without one.
        users: Keeps ``tokens`` up with changes; None: nothing changes.
        safety: Whether connections of ``/cws`` may ask that their orders do not outlive them.
    """

    def __init__(
        self,
        source: FeedSource,
        query: Query,
        tokens: TokenAuthority,
        clock: Clock,
        *,
        commands: CommandSink,
        mode: OutboxMode = OutboxMode.CONFLATE,
        throttle: Throttle | None = None,
        limits: Limits | None = None,
        admin_token: Secret | None = None,
        users: UserWatch | None = None,
        safety: bool = False,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.limits = limits or Limits()
        self._pulse = Pulse(loop, clock.processor_s)
        self.hub = Hub(source, loop, self._pulse)
        #: Counts HTTP requests.
        self.throttle = throttle or Throttle()
        self.counters = Counters()
        self._misuse = Misuse(self.limits.misuse_points, self.limits.misuse_block_s, loop.time)
        self._addresses = AddressQuota(self.limits.connections_per_address)
        self._reception = Reception(
            tokens,
            ConnectionQuota(self.limits.connections_per_user),
            self._misuse,
            self.counters,
            self.limits,
            BoundedLog(log, loop.time),
            loop.time,
        )
        self.presence = Presence(self._reception, clock, loop)
        self._mode = mode
        self._tasks: set[asyncio.Task[Any]] = set()
        orders = OrderEntry(commands)
        self._safeguards = (
            Safeguards(commands, query, self.counters, self._reception.log, self._spawn) if safety else None
        )
        self._services = SessionServices(
            self.hub,
            query,
            orders,
            self._spawn,
            asyncio.Semaphore(PASTS_READ_AT_ONCE_MAX),
            self.limits,
            self._safeguards,
        )
        self._sessions_made = 0
        self._is_closing = False
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        collector = GatewayCollector(
            self.counters, self.presence, self.hub, self.throttle, self._misuse, loop.time, self._safeguards
        )
        self.http: Starlette = http_application(
            tokens,
            clock,
            query,
            self.throttle,
            orders=orders,
            counters=self.counters,
            misuse=self._misuse,
            routes=admin_routes(self.presence, metrics_text(collector), admin_token) if admin_token else (),
            operator=admin_token,
            users=users,
        )
        if users is not None:
            users.on_change = self.presence.expel_revoked

    @property
    def connections(self) -> set[Connection]:
        """All connections that are not gone."""
        return set(self.presence.connections)

    def accept(self, path: str, peer: str) -> FrameListener | None:
        """Return the listener of a new connection, None if nothing is served at ``path``.

        Raises:
            HandshakeRefusedError: It is served, but not now.
        """
        path = path.partition("?")[0].rstrip("/").lower()
        protocol = _PROTOCOLS.get(path)
        if protocol is None:
            return None
        if self._is_closing:
            raise HandshakeRefusedError(503, STATUS_WORDS[503], "The server is going away")
        standing = Standing(self._reception, self._sessions_made + 1, path, peer)
        if not self._addresses.claim(standing.address):
            limit = Limit.ADDRESS_CONNECTIONS
            self.counters.refusals[limit] += 1
            self._reception.log.write(logging.INFO, "handshake refused", path=path, peer=peer, limit=limit.value)
            text = f"Too many connections of this address: at most {self._addresses.connections_max}"
            raise HandshakeRefusedError(429, "TooManyRequests", text, retry_after_s=_RETRY_AFTER_S)
        self._sessions_made += 1
        connection = Connection(
            lambda owner: protocol(self._services, standing, owner.outbox, owner.hurry, owner.now),
            self._pulse,
            lambda owner: self._forget(owner, standing),
            messages_max=self.limits.unprocessed_messages,
            mode=self._mode,
        )
        self.presence.enter(connection, standing)
        self._all_gone.clear()
        return connection

    async def close(self, drain_s: float = 0.0) -> None:
        """End all connections with 1001 and release everything; accepts nothing any more.

        What waits to be sent, and answers of HTTP that are being made, have ``drain_s`` seconds; each session is
        ended when its own is sent. Cancelled, it ends all of them at once.
        """
        self._is_closing = True
        try:
            if drain_s > 0:
                await self._drain(drain_s)
            for connection in self.presence.connections:
                self._say_goodbye(connection)
            try:
                async with asyncio.timeout(GOODBYE_S):
                    await self._all_gone.wait()
            except TimeoutError:
                log.info("connections that did not say goodbye: %d", len(self.presence.connections))
        finally:
            for connection in self.presence.connections:
                connection.abort()
            if self._safeguards is not None:
                await self._safeguards.finish(self._all_gone)
            for task in self._tasks:
                task.cancel()
            self.presence.close()
            self._pulse.close()
            self.hub.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _drain(self, drain_s: float) -> None:
        # What happens from now on is for nobody: queues would never be empty.
        self.hub.close()
        for connection in self.presence.connections:
            connection.drain()
        waiting = set(self.presence.connections)
        # Those that come from now on are served while others are waited for, and not waited for.
        answering = set(self.counters.http_requests)
        try:
            async with asyncio.timeout(drain_s):
                while waiting or answering:
                    for connection in [each for each in waiting if each.is_drained]:
                        waiting.discard(connection)
                        self._say_goodbye(connection)
                    answering &= self.counters.http_requests
                    await asyncio.sleep(_DRAIN_LOOK_S)
        except TimeoutError:
            log.warning(
                "after %g s, sessions that have not taken all: %d, answers of HTTP under way: %d",
                drain_s,
                len(waiting),
                len(answering),
            )

    def _say_goodbye(self, connection: Connection) -> None:
        connection.close(CloseCode.GOING_AWAY, "the server is going away")

    def _forget(self, connection: Connection, standing: Standing) -> None:
        self._addresses.release(standing.address)
        self.presence.leave(connection)
        if not self.presence.connections:
            self._all_gone.set()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of a session failed", exc_info=task.exception())
