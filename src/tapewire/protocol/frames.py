"""Frames of RFC 6455: opcodes, headers of unmasked frames, and the payload of close frames."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from tapewire.protocol.codes import CloseCode
from tapewire.protocol.limits import CLOSE_REASON_BYTES_MAX

__all__ = [
    "FrameOpcode",
    "UnmaskedFrame",
    "close_payload",
    "frame_header",
    "is_close_code_allowed",
    "read_close_payload",
    "split_frames",
]


class FrameOpcode(IntEnum):
    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


_FIN = 0x80
_medium = struct.Struct("!BBH").pack
_long = struct.Struct("!BBQ").pack


def frame_header(opcode: int, length: int, *, fin: bool = True) -> bytes:
    """Return the header of an unmasked frame, as servers send them."""
    first = opcode | _FIN if fin else opcode
    if length < 126:
        return bytes((first, length))
    if length < 65_536:
        return _medium(first, 126, length)
    return _long(first, 127, length)


class UnmaskedFrame(NamedTuple):
    """A frame as a server sends it."""

    opcode: int
    payload: bytes
    fin: bool


def split_frames(frames: bytes) -> Iterator[UnmaskedFrame]:
    """Yield the unmasked frames that stand one behind the other: the reverse of headers and payloads joined.

    Raises:
        ValueError: The last one is not whole.
    """
    start = 0
    while start < len(frames):
        first, length = frames[start], frames[start + 1]
        start += 2
        if length >= 126:
            extended = 2 if length == 126 else 8
            length = int.from_bytes(frames[start : start + extended], "big")
            start += extended
        payload = frames[start : start + length]
        if len(payload) < length:
            raise ValueError("a frame that is not whole")
        start += length
        yield UnmaskedFrame(first & 0x0F, payload, bool(first & _FIN))


def close_payload(code: int, reason: str = "") -> bytes:
    """Return the payload of a close frame; a reason that is too long is cut at a character."""
    text = reason.encode()
    if len(text) > CLOSE_REASON_BYTES_MAX:
        text = text[:CLOSE_REASON_BYTES_MAX].decode(errors="ignore").encode()
    return code.to_bytes(2, "big") + text


def is_close_code_allowed(code: int) -> bool:
    """Whether a peer may put this code into a close frame: RFC 6455, section 7.4."""
    if 3000 <= code <= 4999:
        return True
    return 1000 <= code <= 1014 and code not in (1004, CloseCode.NO_STATUS, CloseCode.ABNORMAL)


def read_close_payload(payload: bytes) -> tuple[int, str]:
    """Return code and reason of a close frame's payload.

    Raises:
        ValueError: One byte alone, or a code that may not be sent.
        UnicodeDecodeError: The reason is no UTF-8 (a ValueError too: test for it first).
    """
    if not payload:
        return CloseCode.NO_STATUS, ""
    if len(payload) == 1:
        raise ValueError("a close frame with half a code")
    code = int.from_bytes(payload[:2], "big")
    if not is_close_code_allowed(code):
        raise ValueError(f"close code {code} may not be sent")
    return code, payload[2:].decode()
