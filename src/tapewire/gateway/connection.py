"""One WebSocket connection of the gateway: frames to messages, outbox to writes, and an orderly end.

Which protocol is spoken is the session's business; the same class carries ``/ws``, ``/cws`` and the echo that the
conformance cases run against.

=========  =======================================  ===========================================================
state      entered by                               what happens
=========  =======================================  ===========================================================
opening    construction                             waits for the transport
open       ``connected``                            messages go to the session, the outbox to the socket
closing    our close frame, or the peer's           nothing more is read; the transport ends the connection
closed     ``disconnected``                         the session is closed, the owner told
=========  =======================================  ===========================================================
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import NamedTuple, Protocol

from tapewire.gateway.limits import Limit
from tapewire.gateway.outbox import Outbox, OutboxMode, Outlet
from tapewire.gateway.pulse import Pulse
from tapewire.ports.network import Transport
from tapewire.protocol.assembler import Assembler, Closed, Failed, Message, Ping
from tapewire.protocol.codes import TOO_MANY_UNPROCESSED, CloseCode
from tapewire.protocol.frames import FrameOpcode
from tapewire.protocol.limits import MESSAGE_BYTES_MAX, REQUEST_BACKLOG_BYTES_MAX, UNPROCESSED_MESSAGES_MAX

__all__ = ["Connection", "ConnectionState", "End", "MessageHandler"]

#: Messages are handed to the socket in writes of about this size, and only when it has taken the last one.
WRITE_BYTES = 64 * 1024
#: Requests are not read while so many messages wait, so nobody is cut for the answers to his own questions. States
#: that will be replaced are left out: they always wait for a slow reader, who would never be heard again.
READING_PAUSED_AT = 256
#: Nor while so many pasts are being read or sent: each may be thousands of trades, held until they are sent.
PASTS_AT_ONCE_MAX = 8
#: Frames of one connection that are taken before others have their turn, and how many make it a flood.
FRAMES_PER_TURN_MAX = 1_000
FRAMES_PER_SECOND_MAX = 20_000
#: Requests of one connection that are handled before others have their turn: about a millisecond's work.
REQUESTS_PER_TURN_MAX = 32


class ConnectionState(Enum):
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class End(NamedTuple):
    """How a connection ended, and the limit it was ended for, if there was one."""

    code: int
    reason: str
    limit: Limit | None = None


class MessageHandler(Protocol):
    """The protocol spoken on a connection."""

    @property
    def subscriptions(self) -> int:
        """How many subscriptions are live."""

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still to come by itself."""

    def receive(self, message: Message) -> None:
        """Take one message."""

    def broke(self, outlet: Outlet, error: Exception) -> None:
        """What came before a subscription cannot be written."""

    def close(self, *, is_clean: bool) -> None:
        """The connection is gone; clean is an end by the peer's own close frame with 1000, 1001 or no code."""


class Connection:
    """Joins a transport, an outbox and a session. Implements ``ports.FrameListener``."""

    def __init__(
        self,
        handler: Callable[[Connection], MessageHandler],
        pulse: Pulse,
        on_closed: Callable[[Connection], None],
        *,
        messages_max: int = UNPROCESSED_MESSAGES_MAX,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        mode: OutboxMode = OutboxMode.CONFLATE,
    ) -> None:
        self.state = ConnectionState.OPENING
        self.outbox = Outbox(
            partial(pulse.mark, self), self._overflowed, self._broke, messages_max=messages_max, mode=mode
        )
        self.peer = ""
        #: How the connection ends, as soon as that is known.
        self.end: End | None = None
        self._is_clean = False
        self._pulse = pulse
        self._on_closed = on_closed
        self._assembler = Assembler(message_bytes_max=message_bytes_max)
        self._transport: Transport | None = None
        self._backlog: deque[Message] = deque()
        self._backlog_bytes = 0
        # What has been taken since the loop came round; ``_end_turn`` is called when it does.
        self._is_turn_open = False
        self._requests_in_turn = 0
        self._frames_in_turn = 0
        self._frames_in_second = 0
        self._second_began = 0.0
        self._is_reading_paused = False
        self._is_draining = False
        self._handler = handler(self)

    # --- FrameListener ----------------------------------------------------------------------------------

    def connected(self, transport: Transport) -> None:
        """Begin to serve the peer."""
        if self.state is not ConnectionState.OPENING:
            # The gateway has closed while hands were shaken.
            transport.abort()
            return
        self._transport = transport
        self.peer = transport.peer
        self.state = ConnectionState.OPEN

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        """Take one frame."""
        if self.state is not ConnectionState.OPEN:
            return
        self._open_turn()
        self._frames_in_turn += 1
        if self._frames_in_turn == FRAMES_PER_TURN_MAX:
            self._rest()
        assembled = self._assembler.feed(opcode, payload, fin, rsv)
        if assembled is None:
            return
        if isinstance(assembled, Message):
            self._backlog.append(assembled)
            self._backlog_bytes += len(assembled.payload)
            self._handle_backlog()
        elif isinstance(assembled, Ping):
            # Pongs pile up like anything else if the peer does not read.
            if self._transport is not None and self._transport.unsent_bytes < WRITE_BYTES:
                self._transport.send_frame(FrameOpcode.PONG, assembled.payload)
        elif isinstance(assembled, Closed):
            code = CloseCode.NORMAL if assembled.code == CloseCode.NO_STATUS else assembled.code
            self._is_clean = code in (CloseCode.NORMAL, CloseCode.GOING_AWAY)
            self.close(code)
        elif isinstance(assembled, Failed):
            limit = Limit.MESSAGE_BYTES if assembled.code == CloseCode.TOO_BIG else None
            self.close(assembled.code, assembled.reason, limit)

    def writable(self) -> None:
        """Go on writing."""
        self.flush()

    def disconnected(self, code: int, reason: str) -> None:
        """Let everything go."""
        if self.state is ConnectionState.CLOSED:
            return
        self.state = ConnectionState.CLOSED
        if self.end is None:
            # Single frames that are too large are the transport's to refuse. The peer's own words are not kept.
            self.end = End(code, "", Limit.MESSAGE_BYTES if code == CloseCode.TOO_BIG else None)
        self._transport = None
        self._pulse.forget(self)
        self._backlog.clear()
        self._backlog_bytes = 0
        self.outbox.close()
        self._handler.close(is_clean=self._is_clean)
        self._on_closed(self)

    # --- for sessions and the gateway -------------------------------------------------------------------

    @property
    def subscriptions(self) -> int:
        """How many subscriptions are live."""
        return self._handler.subscriptions

    @property
    def is_drained(self) -> bool:
        """Whether nothing is left to be sent, not even in the transport."""
        transport = self._transport
        if transport is None or self.state is not ConnectionState.OPEN:
            return True
        is_idle = not self._handler.is_busy and not self.outbox and self.outbox.pasts == 0
        return is_idle and transport.unsent_bytes == 0

    def drain(self) -> None:
        """Take no more requests; what waits goes on being sent."""
        if self._transport is None or self.state is not ConnectionState.OPEN:
            return
        self._is_draining = True
        if not self._is_reading_paused:
            self._is_reading_paused = True
            self._transport.pause_reading()

    def hurry(self) -> None:
        """Have the outbox written at once: it holds what must not wait for a beat."""
        self._pulse.mark_urgent(self)

    def now(self) -> float:
        """Return the loop's time in seconds."""
        return self._pulse.now()

    def flush(self) -> None:
        """Write as much of the outbox as the socket takes now."""
        transport = self._transport
        if transport is None or self.state is not ConnectionState.OPEN:
            return
        if transport.unsent_bytes == 0:
            frames = self.outbox.take(WRITE_BYTES)
            if frames:
                transport.send_frames(frames)
                if self.outbox and transport.unsent_bytes == 0:
                    # Long pasts are encoded while they are drawn: others have their turn between two writes.
                    self._pulse.mark(self)
        if self._is_reading_paused:
            # When the loop comes round: a venue may be telling, and must not be asked anything from here.
            self._open_turn()

    def close(self, code: int, reason: str = "", limit: Limit | None = None) -> None:
        """End the connection with a close frame; what was not handed to the socket is not sent."""
        if self.state is not ConnectionState.OPEN or self._transport is None:
            return
        self.end = End(int(code), reason, limit)
        self.state = ConnectionState.CLOSING
        self._backlog.clear()
        self._backlog_bytes = 0
        self.outbox.close()
        if self._is_reading_paused:
            # The peer's close frame has still to be heard.
            self._is_reading_paused = False
            self._transport.resume_reading()
        self._transport.close(code, reason)

    def expel(self, reason: str) -> None:
        """End the connection with 1008; what its session has not begun is not done, even if the peer lingers."""
        self.close(CloseCode.POLICY, reason)
        self._handler.close(is_clean=False)

    def abort(self) -> None:
        """End the connection now, without a goodbye."""
        if self._transport is not None:
            self._transport.abort()
        else:
            self.disconnected(CloseCode.ABNORMAL, "")

    # --- inside -----------------------------------------------------------------------------------------

    def _handle_backlog(self) -> None:
        while self._backlog and self.state is ConnectionState.OPEN:
            if self._is_crowded() or self._requests_in_turn >= REQUESTS_PER_TURN_MAX:
                self._pause()
                return
            self._requests_in_turn += 1
            message = self._backlog.popleft()
            self._backlog_bytes -= len(message.payload)
            self._handler.receive(message)

    def _is_crowded(self) -> bool:
        return self.outbox.irreplaceable >= READING_PAUSED_AT or self.outbox.pasts >= PASTS_AT_ONCE_MAX

    def _pause(self) -> None:
        if self._backlog_bytes > REQUEST_BACKLOG_BYTES_MAX:
            text = f"more than {REQUEST_BACKLOG_BYTES_MAX} bytes of requests are waiting"
            self.close(CloseCode.POLICY, text, Limit.REQUEST_BACKLOG)
        elif not self._is_reading_paused and self._transport is not None:
            self._is_reading_paused = True
            self._transport.pause_reading()

    def _rest(self) -> None:
        """Let others have their turn: a peer may send a million tiny frames a second."""
        if self._transport is not None and not self._is_reading_paused:
            self._transport.pause_reading()

    def _open_turn(self) -> None:
        if not self._is_turn_open:
            self._is_turn_open = True
            self._pulse.soon(self._end_turn)

    def _end_turn(self) -> None:
        self._is_turn_open = False
        self._requests_in_turn = 0
        frames, self._frames_in_turn = self._frames_in_turn, 0
        if self._transport is None or self.state is not ConnectionState.OPEN:
            return
        now = self._pulse.now()
        if now - self._second_began >= 1:
            self._second_began, self._frames_in_second = now, 0
        self._frames_in_second += frames
        if self._frames_in_second > FRAMES_PER_SECOND_MAX:
            text = f"more than {FRAMES_PER_SECOND_MAX} frames a second"
            self.close(CloseCode.POLICY, text, Limit.FRAMES_PER_SECOND)
            # It would go on sending while it is waited for.
            self.abort()
        elif self._is_reading_paused:
            self._go_on()
        elif frames >= FRAMES_PER_TURN_MAX:
            self._transport.resume_reading()

    def _go_on(self) -> None:
        """Handle what waits, if that is possible now, and read again when nothing does."""
        if self._is_draining or self._is_crowded():
            return
        self._open_turn()
        self._handle_backlog()
        if not self._backlog and self._transport is not None and self.state is ConnectionState.OPEN:
            self._is_reading_paused = False
            self._transport.resume_reading()

    def _broke(self, outlet: Outlet, error: Exception) -> None:
        # The outbox is being taken from.
        self._pulse.soon(partial(self._handler.broke, outlet, error))

    def _overflowed(self) -> None:
        # A delivery to many sessions is under way: this one ends when the loop comes round.
        self._pulse.soon(self._cut)

    def _cut(self) -> None:
        self.close(CloseCode.TRY_AGAIN_LATER, TOO_MANY_UNPROCESSED, Limit.UNPROCESSED_MESSAGES)
