"""A simulated WebSocket connection: two transports, joined by two links, with faults to order.

The close handshake runs as over a real socket. ``close`` puts a close frame behind all that was written; the
other end's listener sees it as a frame and answers with a ``close`` of its own; then both are told
``disconnected`` with the code the *peer* sent. An end that never hears an answer gives up after
``CLOSE_WAIT_S``.

=========  =======================  ===========================================================
state      until                    then
=========  =======================  ===========================================================
opening    the handshake answer     ``connected``
open       own ``close``            closing: sends nothing more, still hears the peer
closing    close frames both ways   ended: ``disconnected(peer's code)``
any        ``abort``, cut, reset    ended: ``disconnected(peer's code or 1006)``
=========  =======================  ===========================================================
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum

from tapewire.ports.network import FrameListener
from tapewire.protocol.frames import split_frames
from tapewire.simulation.link import Frame, Link, LinkConditions, Signal

__all__ = ["CLOSE_WAIT_S", "ConnectionEnd", "SimulatedConnection"]

#: How long an end waits for the answer to its close frame before it ends the connection alone; as the live
#: transport does (``adapters.picows_transport``).
CLOSE_WAIT_S = 2.0

_TEXT = 1
_CLOSE = 8
_NO_STATUS = 1005
_ABNORMAL = 1006


class _State(Enum):
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    ENDED = "ended"


class ConnectionEnd:
    """One end of a simulated connection: a ``ports.Transport``.

    The listener is never called from inside a call to this object. Tests may use an end they hold as its
    owner would: ``connection.client.pause_reading()`` is a reader that has stopped.
    """

    def __init__(self, peer: str, *, masks: bool, on_ended: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._peer = peer
        self._masks = masks
        self._on_ended = on_ended
        self._state = _State.OPENING
        self._reading = True
        self._listener: FrameListener | None = None
        self._outgoing: Link
        self._incoming: Link
        self._inbox: deque[Frame | Signal] = deque()
        self._peer_close: tuple[int, str] | None = None
        self._close_timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<{self._state.value}, unsent {self.unsent_bytes}>"

    @property
    def peer(self) -> str:
        """Where the other end is: ``host:port``."""
        return self._peer

    @property
    def ended(self) -> bool:
        """Whether this end is gone; ``disconnected`` has been called or will be in the next turn."""
        return self._state is _State.ENDED

    @property
    def unsent_bytes(self) -> int:
        """Bytes, frame headers included, that were written and that the network has not taken yet."""
        return self._outgoing.unsent_bytes

    def send(self, messages: Sequence[bytes]) -> None:
        """Send whole text messages in their order, in one write."""
        if self._state is _State.OPEN:
            self._outgoing.write([self._frame(_TEXT, message) for message in messages])

    def send_frames(self, frames: bytes) -> None:
        """Send whole unmasked frames that stand in one buffer, in one write. A server's end only."""
        assert not self._masks, "clients mask their frames"
        if self._state is _State.OPEN:
            self._outgoing.write(
                [self._frame(opcode, payload, fin=fin) for opcode, payload, fin in split_frames(frames)]
            )

    def send_frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        """Send one frame as it stands."""
        if self._state is _State.OPEN:
            self._outgoing.write([self._frame(opcode, payload, fin=fin)])

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame behind all that was written and end when the peer has answered it."""
        if self._state is not _State.OPEN:
            return
        self._state = _State.CLOSING
        payload = b"" if code == _NO_STATUS else code.to_bytes(2, "big") + reason.encode()
        self._outgoing.write([self._frame(_CLOSE, payload)])
        self._close_timer = self._loop.call_later(CLOSE_WAIT_S, self.abort)
        self._loop.call_soon(self._end_if_both_closed)

    def abort(self) -> None:
        """End the connection now. What the network has taken still arrives, and then the end of it."""
        if self._state is not _State.ENDED:
            self._outgoing.signal(Signal.END)
            self.end()

    def pause_reading(self) -> None:
        """Stop delivery at the next frame; frames pile up in the window, then at the sender."""
        self._reading = False

    def resume_reading(self) -> None:
        """Deliver again, from the next turn on."""
        if not self._reading:
            self._reading = True
            self._loop.call_soon(self._deliver)

    # --- the connection and the network use these -------------------------------------------------------

    def join(self, outgoing: Link, incoming: Link) -> None:
        """Fasten the two links; comes before everything else."""
        self._outgoing = outgoing
        self._incoming = incoming

    def open(self, listener: FrameListener) -> None:
        """Tell ``listener`` that the handshake is done, then deliver what has come meanwhile."""
        assert self._state is _State.OPENING
        self._state = _State.OPEN
        self._listener = listener
        self._loop.call_soon(self._deliver)
        listener.connected(self)

    def end(self) -> None:
        """End this end only: nothing is delivered any more except ``disconnected``, in the next turn."""
        if self._state is _State.ENDED:
            return
        self._state = _State.ENDED
        self._inbox.clear()
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self._listener is not None:
            self._loop.call_soon(self._listener.disconnected, *(self._peer_close or (_ABNORMAL, "")))
        self._on_ended()

    def arrived(self, item: Frame | Signal) -> None:
        """Take what the incoming link has brought."""
        if item is Signal.RESET:
            self._outgoing.discard()
            self.end()
        elif self._state is not _State.ENDED:
            self._inbox.append(item)
            self._deliver()
        elif isinstance(item, Frame):
            # Data for a socket that is closed: TCP answers with a reset.
            self._outgoing.signal(Signal.RESET)

    def drained(self) -> None:
        """Pass on that the network has taken everything."""
        if self._state in (_State.OPEN, _State.CLOSING):
            assert self._listener is not None
            self._listener.writable()
            self._end_if_both_closed()

    def _frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> Frame:
        size = len(payload)
        # RFC 6455, section 5.2: two bytes, an extended length, and the masking key of a client.
        header = 2 + (0 if size < 126 else 2 if size < 65_536 else 8) + (4 if self._masks else 0)
        return Frame(opcode, bytes(payload), fin, 0, header + size)

    def _deliver(self) -> None:
        """Call the listener with what has come, as long as it reads. Runs only as a callback of the loop."""
        while self._inbox and self._reading and self._state in (_State.OPEN, _State.CLOSING):
            item = self._inbox.popleft()
            if isinstance(item, Signal):
                self._outgoing.discard()
                self.end()
                return
            self._incoming.consumed(item)
            assert self._listener is not None
            if item.opcode == _CLOSE and self._peer_close is None:
                self._peer_close = _parse_close(item.payload)
            self._listener.frame_received(item.opcode, item.payload, item.fin, item.rsv)
            self._end_if_both_closed()

    def _end_if_both_closed(self) -> None:
        # Own close frame must have left first, or the peer would wait for it in vain.
        if self._state is _State.CLOSING and self._peer_close is not None and not self.unsent_bytes:
            self.end()


class SimulatedConnection:
    """Handle of one connection for tests: look at it, and break it.

    ``client`` and ``server`` are its ends, ``to_client`` and ``to_server`` its links: single directions are
    broken there (``connection.to_server.drop()`` makes it half-open). ``number`` counts the connections of a
    network from 1; with the seed of the network it decides the jitter.
    """

    def __init__(
        self,
        *,
        number: int,
        client_address: str,
        server_address: str,
        path: str,
        conditions: LinkConditions,
        seed: int,
        on_gone: Callable[[SimulatedConnection], None],
    ) -> None:
        self.number = number
        self.path = path
        self._on_gone = on_gone
        self.client = ConnectionEnd(server_address, masks=True, on_ended=self._end_gone)
        self.server = ConnectionEnd(client_address, masks=False, on_ended=self._end_gone)
        # A source of its own for each link: what one connection does leaves the others' timing alone.
        self.to_server = Link(
            conditions,
            random.Random(f"{seed}/{number}/to server"),
            drained=self.client.drained,
            arrived=self.server.arrived,
        )
        self.to_client = Link(
            conditions,
            random.Random(f"{seed}/{number}/to client"),
            drained=self.server.drained,
            arrived=self.client.arrived,
        )
        self.client.join(self.to_server, self.to_client)
        self.server.join(self.to_client, self.to_server)

    def __repr__(self) -> str:
        return (
            f"<connection {self.number}: {self.server.peer} {self.client!r}"
            f" → {self.client.peer}{self.path} {self.server!r}>"
        )

    def cut(self) -> None:
        """Break the connection: both ends learn it in the next turn, what was underway is lost."""
        self.to_server.discard()
        self.to_client.discard()
        self.client.end()
        self.server.end()

    def stall(self) -> None:
        """Hold everything back in both directions; neither end is told."""
        self.to_server.stall()
        self.to_client.stall()

    def resume(self) -> None:
        """End a stall in both directions."""
        self.to_server.resume()
        self.to_client.resume()

    def drop(self) -> None:
        """Lose everything in both directions without a sign, for good: the peer has lost its power."""
        self.to_server.drop()
        self.to_client.drop()

    def _end_gone(self) -> None:
        if self.client.ended and self.server.ended:
            self._on_gone(self)


def _parse_close(payload: bytes) -> tuple[int, str]:
    """Return what a close frame says; a frame without a code says 1005 (RFC 6455, section 7.1.5)."""
    if len(payload) < 2:
        return _NO_STATUS, ""
    return int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace")
