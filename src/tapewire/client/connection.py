"""One connection of the client: frames to messages, messages to the session. The reader never stops."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Generic, Protocol, TypeVar

from tapewire.client.foreign_text import shown
from tapewire.client.session import TAIL_BYTES
from tapewire.ports.network import Transport
from tapewire.protocol.assembler import Assembler, Closed, Failed, Message, Ping, is_utf8
from tapewire.protocol.codes import CloseCode
from tapewire.protocol.frames import FrameOpcode
from tapewire.protocol.messages import DATA_PREFIX

__all__ = ["Connection", "ConnectionState", "MessageTaker"]

_TEXT = int(FrameOpcode.TEXT)
_TAIL = slice(-TAIL_BYTES, None)
#: Pongs are left out while this much waits for the network: a peer that does not read must not fill the memory.
_PONG_BACKLOG_BYTES = 64 * 1024


class ConnectionState(Enum):
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class MessageTaker(Protocol):
    """What a connection's messages are for: a session of the data socket, or of the order socket."""

    #: Where data go, by the tail of their messages.
    streams: dict[bytes, Callable[[bytes], None]]
    #: Messages that could not be read at all.
    malformed: int

    def receive(self, message: bytes) -> None:
        """Take one message of any kind; never raises for what the other end sends."""


S = TypeVar("S", bound=MessageTaker)


class Connection(Generic[S]):
    """Joins a transport and a session. Implements ``ports.FrameListener``.

    ``on_lost`` is called once, when the connection has ended, whoever ended it; ``shown`` makes the other end's
    reason fit to be told.
    """

    def __init__(
        self, session: S, on_lost: Callable[[int, str], None], shown: Callable[[str], str] = shown
    ) -> None:
        self.state = ConnectionState.OPENING
        self.session = session
        #: Whole messages that came in.
        self.received = 0
        self._on_lost = on_lost
        self._shown = shown
        self._assembler = Assembler()
        # The assembler's own, kept here because a property costs a call for each message.
        self._is_idle = True
        self._transport: Transport | None = None
        self._streams = session.streams
        #: Code and reason of the end, as soon as it is known that and why the connection ends.
        self.end: tuple[int, str] | None = None

    # --- FrameListener ----------------------------------------------------------------------------------

    def connected(self, transport: Transport) -> None:
        """Note that messages may be sent."""
        self._transport = transport
        self.state = ConnectionState.OPEN

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        """Take one frame."""
        # Nearly all that comes is one frame with one of our guids at its end. That case is decided by a slice
        # and a look-up; anything else takes the long way, which would come to the same. The beginning counts
        # too: an answer may end with its guid. The transport has looked after the size of the frame.
        if opcode == _TEXT and fin and not rsv and self._is_idle:
            deliver = self._streams.get(payload[_TAIL])
            if (
                deliver is not None
                and payload.startswith(DATA_PREFIX)
                # Quotes name their instrument in Russian.
                and (payload.isascii() or is_utf8(payload))
            ):
                self.received += 1
                deliver(payload)
                return
        self._take(opcode, payload, fin, rsv)

    def writable(self) -> None:
        """Requests are few and small: nothing waits for this."""

    def disconnected(self, code: int, reason: str) -> None:
        """Tell the owner."""
        if self.state is ConnectionState.CLOSED:
            return
        self.state = ConnectionState.CLOSED
        self._transport = None
        if self.end is None:
            self.end = code, self._shown(reason)
        self._on_lost(*self.end)

    # --- for the owner ----------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent."""
        return self.state is ConnectionState.OPEN

    @property
    def is_closed(self) -> bool:
        """Whether nothing comes any more."""
        return self.state is ConnectionState.CLOSED

    def send(self, message: bytes) -> bool:
        """Send one message; False if the connection is not open any more."""
        if self._transport is None or self.state is not ConnectionState.OPEN:
            return False
        self._transport.send((message,))
        return True

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """End the connection in order; ``on_lost`` follows."""
        if self._transport is not None and self.state is ConnectionState.OPEN:
            self.state = ConnectionState.CLOSING
            self._transport.close(code, reason)

    def abort(self, reason: str = "") -> None:
        """End the connection now; ``reason`` is what ``on_lost`` tells, unless the end has one already."""
        if self._transport is not None:
            if reason and self.end is None:
                self.end = int(CloseCode.ABNORMAL), reason
            self._transport.abort()

    # --- inside -----------------------------------------------------------------------------------------

    def _take(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        assembled = self._assembler.feed(opcode, payload, fin, rsv)
        self._is_idle = self._assembler.is_idle
        if isinstance(assembled, Message):
            self._deliver(assembled)
        elif isinstance(assembled, Ping):
            if self._transport is not None and self._transport.unsent_bytes < _PONG_BACKLOG_BYTES:
                self._transport.send_frame(FrameOpcode.PONG, assembled.payload)
        elif isinstance(assembled, Closed):
            self.end = assembled.code, self._shown(assembled.reason)
            self.close(CloseCode.NORMAL if assembled.code == CloseCode.NO_STATUS else assembled.code)
        elif isinstance(assembled, Failed):
            self.end = assembled.code, f"the broker broke the protocol: {assembled.reason}"
            self.close(assembled.code, assembled.reason)

    def _deliver(self, message: Message) -> None:
        self.received += 1
        if message.is_text:
            self.session.receive(message.payload)
        else:
            self.session.malformed += 1
