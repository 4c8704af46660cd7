"""Bursts and frames as tests write and read them."""

from __future__ import annotations

from tapewire.gateway.burst import Burst
from tapewire.gateway.outbox import Outbox, Outlet
from tapewire.protocol.frames import FrameOpcode, split_frames

ALL = 1 << 30


def burst(*messages: bytes) -> Burst:
    """Return a burst of these messages, made at no time."""
    return Burst(messages, 0.0)


def outlet_of(tail: bytes, *, is_of_states: bool = True) -> Outlet:
    """Return an outlet that may have states, and events as well."""
    return Outlet(tail, is_of_states=is_of_states)


def no_past_breaks(outlet: Outlet, error: Exception) -> None:
    raise AssertionError from error


def messages_of(frames: bytes) -> list[bytes]:
    """Return the messages of frames that are whole texts."""
    split = list(split_frames(frames))
    assert all(frame.fin and frame.opcode == FrameOpcode.TEXT for frame in split)
    return [frame.payload for frame in split]


def taken(box: Outbox, bytes_max: int = ALL) -> list[bytes]:
    """Take from an outbox; return the messages."""
    return messages_of(box.take(bytes_max))
