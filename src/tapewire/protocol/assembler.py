"""From frames to messages: fragmentation, UTF-8, sizes and close rules of RFC 6455, without I/O.

The transport gives frames, in order, unmasked. The assembler says what each of them means; after a ``Failed``
or a ``Closed`` it takes no more.

=============  =====================  ==================================================
state          frame                  becomes
=============  =====================  ==================================================
idle           text, final            a message
idle           text, not final        partial
idle           continuation           failure 1002: nothing to continue
partial        continuation           partial, or a message if final
partial        text or binary         failure 1002: the message before has not ended
any            ping, pong             an event; the state stays
any            close                  ended
any            reserved bit, opcode   failure 1002
=============  =====================  ==================================================
"""

from __future__ import annotations

import codecs
from typing import NamedTuple

from tapewire.protocol.codes import CloseCode
from tapewire.protocol.frames import FrameOpcode, read_close_payload
from tapewire.protocol.limits import MESSAGE_BYTES_MAX

__all__ = ["Assembler", "Assembly", "Closed", "Failed", "Message", "Ping", "Pong", "is_utf8"]

_TEXT = int(FrameOpcode.TEXT)
_BINARY = int(FrameOpcode.BINARY)
_CONTROL_BYTES_MAX = 125


class Message(NamedTuple):
    """A whole message; a text is valid UTF-8."""

    payload: bytes
    is_text: bool

    def __repr__(self) -> str:
        # The payload may be a request with its token.
        return f"Message({'text' if self.is_text else 'binary'}, {len(self.payload)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        # What pretty printers ask for instead.
        return [("kind", "text" if self.is_text else "binary"), ("bytes", len(self.payload))]


class Ping(NamedTuple):
    """To be answered by a pong with the same payload."""

    payload: bytes


class Pong(NamedTuple):
    payload: bytes


class Closed(NamedTuple):
    """The peer has sent its close frame: answer with ``code`` (1000 if it gave none) and end."""

    code: int
    reason: str


class Failed(NamedTuple):
    """The peer broke the rules: send a close frame with this code and end."""

    code: int
    reason: str


Assembly = Message | Ping | Pong | Closed | Failed


def is_utf8(payload: bytes) -> bool:
    """Return whether a whole payload may be a text."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


class Assembler:
    """Puts the frames of one direction of one connection together."""

    def __init__(self, *, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._bytes_max = message_bytes_max
        # One buffer, not a list of parts: fragments of no or few bytes must not cost more than they carry.
        self._parts = bytearray()
        self._is_text = False
        self._is_partial = False
        self._ended = False
        self._utf8 = codecs.getincrementaldecoder("utf-8")()

    @property
    def is_idle(self) -> bool:
        """Whether a final text frame is a whole message now: the fast path of a receiver may ask this."""
        return not (self._is_partial or self._ended)

    def feed(self, opcode: int, payload: bytes, fin: bool, rsv: int = 0) -> Assembly | None:
        """Take one frame and return what it completes, None while a message is partial or all has ended."""
        if self._ended:
            return None
        if rsv:
            return self._fail(CloseCode.PROTOCOL_ERROR, "reserved bit without an extension")
        if opcode >= FrameOpcode.CLOSE:
            return self._feed_control(opcode, payload, fin)
        return self._feed_data(opcode, payload, fin)

    def _feed_data(self, opcode: int, payload: bytes, fin: bool) -> Assembly | None:
        if opcode == FrameOpcode.CONTINUATION:
            if not self._is_partial:
                return self._fail(CloseCode.PROTOCOL_ERROR, "nothing to continue")
        elif opcode not in (_TEXT, _BINARY):
            return self._fail(CloseCode.PROTOCOL_ERROR, f"reserved opcode {opcode:#x}")
        elif self._is_partial:
            return self._fail(CloseCode.PROTOCOL_ERROR, "the message before has not ended")
        else:
            self._is_text = opcode == _TEXT
            self._is_partial = True
        if len(self._parts) + len(payload) > self._bytes_max:
            return self._fail(CloseCode.TOO_BIG, f"message above {self._bytes_max} bytes")
        if self._is_text and not self._is_utf8(payload, fin):
            return self._fail(CloseCode.INVALID_TEXT, "invalid UTF-8")
        if not fin:
            self._parts += payload
            return None
        whole = payload
        if self._parts:
            self._parts += payload
            whole = bytes(self._parts)
            self._parts = bytearray()
        self._is_partial = False
        return Message(whole, self._is_text)

    def _is_utf8(self, payload: bytes, fin: bool) -> bool:
        # Most messages are one ASCII frame, and asking that is far cheaper than decoding.
        if fin and not self._parts and payload.isascii():
            return True
        try:
            self._utf8.decode(payload, fin)
        except UnicodeDecodeError:
            return False
        return True

    def _feed_control(self, opcode: int, payload: bytes, fin: bool) -> Assembly:
        if not fin:
            return self._fail(CloseCode.PROTOCOL_ERROR, "fragmented control frame")
        if len(payload) > _CONTROL_BYTES_MAX:
            return self._fail(CloseCode.PROTOCOL_ERROR, "control frame above 125 bytes")
        if opcode == FrameOpcode.PING:
            return Ping(payload)
        if opcode == FrameOpcode.PONG:
            return Pong(payload)
        if opcode != FrameOpcode.CLOSE:
            return self._fail(CloseCode.PROTOCOL_ERROR, f"reserved opcode {opcode:#x}")
        try:
            code, reason = read_close_payload(payload)
        except UnicodeDecodeError:
            return self._fail(CloseCode.INVALID_TEXT, "close reason is no UTF-8")
        except ValueError as error:
            return self._fail(CloseCode.PROTOCOL_ERROR, str(error))
        self._ended = True
        return Closed(code, reason)

    def _fail(self, code: CloseCode, reason: str) -> Failed:
        self._ended = True
        self._parts = bytearray()
        return Failed(int(code), reason)
