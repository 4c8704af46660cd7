"""The broker's side of a schedule: a scripted venue behind a gateway that is cut, muted, blocked and restarted."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import portfolio as rows
from schedules.kind import PORTFOLIO
from schedules.schedule import Schedule
from schedules.teller import Teller
from tapewire.client.broker import Broker
from tapewire.client.endpoints import Endpoints
from tapewire.client.tokens import TokenKeeper
from tapewire.connect import assembled
from tapewire.faults import FaultInjector
from tapewire.gateway.gateway import Gateway
from tapewire.gateway.limits import Limits
from tapewire.gateway.tokens import TokenAuthority
from tapewire.market.catalogue import catalogue
from tapewire.model import Bar, Fill, Record, Trade
from tapewire.ports.network import FrameListener, Transport
from tapewire.protocol.formats import codec
from tapewire.protocol.requests import STREAMS
from tapewire.protocol.words import Format
from tapewire.simulation import LinkConditions, Network, ScriptedVenue, SimulatedHttp, VirtualClock
from unit.gateway.world import KEY, REFRESH, USERS

__all__ = ["FORGED", "HOST_PORT", "World"]

HOST_PORT = "gateway:80"
#: Price of all that is sent for guids that nobody asked for any more.
FORGED = 666.0


class World:
    """Everything but the program; ``teller`` knows all that was told."""

    def __init__(self, schedule: Schedule) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = VirtualClock()
        #: The client's, which may jump.
        self.client_clock = VirtualClock()
        self.has_jumped = False
        self.venue = ScriptedVenue(catalogue(3), portfolios=(PORTFOLIO,), clock=self.clock)
        self.tokens = TokenAuthority(KEY, USERS, self.clock)
        self.network = Network(
            seed=schedule.seed,
            conditions=LinkConditions(latency_s=schedule.latency_s, jitter_s=schedule.jitter_s),
        )
        self.http = SimulatedHttp()
        self.injector = FaultInjector(schedule.faults, self.clock)
        self.gateway = self._new_gateway()
        self.address = self.network.listen(HOST_PORT, self._accept)
        self.web = self.http.listen(HOST_PORT, self._ask)
        self.teller = Teller(self.venue, self.clock)
        #: Data requests by guid, over all connections, and those that were taken back.
        self.requests: dict[str, dict[str, Any]] = {}
        self.taken_back: dict[str, None] = {}
        self.refused_until_s = 0.0
        self._is_restarting = False

    def broker(self, rng: random.Random) -> Broker:
        """Return a broker, not started."""
        where = Endpoints.from_base(f"http://{HOST_PORT}")
        tokens = TokenKeeper(self.http, where.oauth, REFRESH, rng)
        return assembled(where, self.network.connector(), tokens, self.http, rng, self.client_clock)

    # --- faults -----------------------------------------------------------------------------------------

    def refuse(self, status: int | None, seconds: float) -> None:
        """Refuse handshakes for so long."""
        self.address.refuse(status)
        self._restore_in(seconds)

    def swallow(self, seconds: float) -> None:
        self.address.swallow()
        self._restore_in(seconds)

    def delay_handshakes(self, by_s: float, seconds: float) -> None:
        self.address.handshake_delay_s = by_s
        self._restore_in(seconds)

    def heal(self) -> None:
        """End all faults that last."""
        self.address.restore()
        self.web.restore()
        self.venue.page_delays_s = (0.0, 0.0)

    async def restart(self, down_s: float) -> None:
        """End the server, and begin another one with a new epoch after a while."""
        if self._is_restarting:
            return
        self._is_restarting = True
        old = self.gateway
        self.address.refuse(None)
        self.web.unreachable()
        self.network.cut()
        await old.close()
        self.venue.restart()
        await asyncio.sleep(down_s)
        self.gateway = self._new_gateway()
        self._is_restarting = False
        self.address.restore()
        self.web.restore()

    def forge(self, rng: random.Random) -> None:
        """Send data for a guid that was taken back, or that no connection of now has asked for."""
        live = [one for one in self.network.connections if not one.server.ended and one.path == "/ws"]
        guids = [guid for guid in self.taken_back if guid in self.requests]
        if not live or not guids:
            return
        request = self.requests[rng.choice(guids)]
        message = _forged(request)
        if message is not None:
            connection = rng.choice(live)
            connection.server.send([message] * 2)

    # --- inside -----------------------------------------------------------------------------------------

    def _new_gateway(self) -> Gateway:
        return Gateway(
            self.venue, self.venue, self.tokens, self.clock, commands=self.venue, limits=Limits(misuse_points=None)
        )

    def _accept(self, path: str, peer: str) -> FrameListener | None:
        listener = self.injector.acceptor(self.gateway.accept)(path, peer)
        return None if listener is None else _Tap(listener, self)

    async def _ask(self, scope: Any, receive: Any, send: Any) -> None:
        await self.injector.application(self.gateway.http)(scope, receive, send)

    def _restore_in(self, seconds: float) -> None:
        until_s = self.refused_until_s = self.loop.time() + seconds

        def restore() -> None:
            if self.refused_until_s == until_s:
                self.address.restore()

        self.loop.call_later(seconds, restore)


class _Tap:
    """Stands before the server's end of a connection and notes which guids are asked for and taken back."""

    def __init__(self, listener: FrameListener, world: World) -> None:
        self._listener = listener
        self._world = world

    def connected(self, transport: Transport) -> None:
        self._listener.connected(transport)

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        if opcode == 1:
            request = json.loads(payload)
            guid = request.get("guid", "")
            if request.get("opcode") == "unsubscribe":
                self._world.taken_back[guid] = None
            elif "Subscribe" in request.get("opcode", ""):
                self._world.requests[guid] = request
        self._listener.frame_received(opcode, payload, fin, rsv)

    def writable(self) -> None:
        self._listener.writable()

    def disconnected(self, code: int, reason: str) -> None:
        self._listener.disconnected(code, reason)


def _forged(request: dict[str, Any]) -> bytes | None:
    """Return a data message that tells what has never been."""
    record_type = next(stream.record for stream in STREAMS.values() if stream.opcode == request["opcode"])
    message_format = Format(request["format"])
    if record_type is Trade:
        record: Record = Trade(
            id=1,
            symbol=request["code"],
            board="TQBR",
            quantity=1,
            price=FORGED,
            time="2026-01-12T07:00:00.0000000Z",
            time_ms=0,
            open_interest=None,
            existing=False,
            side=rows.Side.BUY,
        )
    elif record_type is Fill:
        record = rows.fill("forged")
    elif record_type is Bar:
        record = Bar(time_s=60, open=FORGED, close=FORGED, high=FORGED, low=FORGED, volume=1)
    else:
        return None
    text = codec(record_type, message_format).encode(record)
    return b'{"data":' + text + b',"guid":' + json.dumps(request["guid"]).encode() + b"}"
