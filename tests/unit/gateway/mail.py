"""Bursts and frames as tests write and read them."""

from __future__ import annotations

from tapewire.gateway.burst import Burst
from tapewire.gateway.outbox import Outbox
from tapewire.protocol.frames import FrameOpcode, split_frames

ALL = 1 << 30


def burst(*messages: bytes) -> Burst:
    """Return a burst of these messages, made at no time."""
    return Burst(messages, 0.0)


def messages_of(frames: bytes) -> list[bytes]:
    """Return the messages of frames that are whole texts."""
    split = list(split_frames(frames))
    assert all(frame.fin and frame.opcode == FrameOpcode.TEXT for frame in split)
    return [frame.payload for frame in split]


def taken(box: Outbox, bytes_max: int = ALL) -> list[bytes]:
    """Take from an outbox; return the messages."""
    return messages_of(box.take(bytes_max))
