"""Where faults come in: around whatever accepts connections and answers HTTP requests."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from tapewire.faults.application import Application, FaultyApplication, refusal_word, retry_after_s
from tapewire.faults.connection import FaultyConnection
from tapewire.faults.file import Faults
from tapewire.faults.plan import FaultPlan
from tapewire.faults.strike_log import StrikeLog
from tapewire.ports.clock import Clock
from tapewire.ports.network import FrameListener, HandshakeRefusedError

__all__ = ["Acceptor", "FaultInjector"]

#: Called with the path of a handshake and the client's address; as servers have it.
Acceptor = Callable[[str, str], FrameListener | None]


class FaultInjector:
    """The faults of one server. Belongs to the running loop; its times begin now.

    Works alike above sockets and above the simulated network, because both know a server by its acceptor.

    Attributes:
        plan: Says what is due; its ``struck`` counts.
    """

    def __init__(self, faults: Faults, clock: Clock) -> None:
        self._clock = clock
        loop = asyncio.get_running_loop()
        self._log = StrikeLog(loop.time)
        self.plan = FaultPlan(
            faults,
            now_s=loop.time(),
            wall_s=self._wall_s(),
            draws=lambda name: random.Random(f"{faults.seed}/{name}").random,
        )

    def acceptor(self, accept: Acceptor) -> Acceptor:
        """Return an acceptor whose handshakes and connections the faults strike."""

        def accept_with_faults(path: str, peer: str) -> FrameListener | None:
            place = path.partition("?")[0].rstrip("/").lower()
            now_s = asyncio.get_running_loop().time()
            strike = self.plan.handshake(place, now_s)
            if strike is not None:
                self._log.struck(strike, place, peer)
                rule = strike.rule
                is_closed = rule.is_refused_handshake
                status = rule.answer_code if is_closed else 503
                after_s = retry_after_s(rule)
                raise HandshakeRefusedError(status, refusal_word(status), rule.answer_text, retry_after_s=after_s)
            listener = accept(path, peer)
            session = self.plan.session(place, now_s) if listener is not None else None
            if listener is None or session is None:
                return listener
            return FaultyConnection(listener, session, place, self._wall_s, self._log)

        return accept_with_faults

    def application(self, application: Application) -> Application:
        """Return an ASGI application whose requests the faults strike."""
        return FaultyApplication(application, self.plan, self._wall_s, self._log)

    def _wall_s(self) -> float:
        return self._clock.wall_ns() / 1_000_000_000
