"""A burst: what a feed has to say at one time, encoded once, framed once for all guids of one length. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tapewire.protocol.frames import FrameOpcode, frame_header

__all__ = ["BURST_MESSAGES_MAX", "Burst"]

#: Messages of one burst. A write takes bursts whole.
BURST_MESSAGES_MAX = 64

_TEXT = int(FrameOpcode.TEXT)


class Burst:
    """One message or a few, each of which ends with the subscriber's guid.

    A message is the shared bytes and the subscriber's tail, and the header of its frame says how long both are.
    Guids of one program are of one length, so the headers are made once and a subscriber costs one joining of
    bytes, however many messages there are.

    Attributes:
        messages: The shared bytes of each message, oldest first.
        at_s: Time of the loop at which they were made.
    """

    __slots__ = ("_parts", "_tail_size", "at_s", "messages")

    def __init__(self, messages: Sequence[bytes], at_s: float) -> None:
        self.messages = messages
        self.at_s = at_s
        self._tail_size = -1
        self._parts: tuple[bytes, ...] = ()

    def frames(self, tail: bytes) -> bytes:
        """Return the frames of all messages, each with ``tail`` at its end."""
        size = len(tail)
        if size != self._tail_size:
            self._tail_size = size
            # A tail stands between two parts, and behind the last.
            if len(self.messages) == 1:
                message = self.messages[0]
                self._parts = (frame_header(_TEXT, len(message) + size) + message, b"")
            else:
                parts = [frame_header(_TEXT, len(message) + size) + message for message in self.messages]
                self._parts = (*parts, b"")
        return tail.join(self._parts)
