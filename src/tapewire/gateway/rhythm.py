"""What the feeds of a gateway share: the wheel of windows, the pulse of deliveries, a count of encodings."""

from __future__ import annotations

from collections.abc import Callable

from tapewire.gateway.pulse import Pulse
from tapewire.gateway.windows import Windows
from tapewire.model import Record

__all__ = ["Rhythm"]


class Rhythm:
    """When feeds wake and deliver.

    Attributes:
        encoded: Records that feeds have written, each once for all its subscribers.
    """

    def __init__(self, windows: Windows, pulse: Pulse) -> None:
        self.windows = windows
        self.pulse = pulse
        self.encoded = 0

    def counted(self, write: Callable[[Record], bytes]) -> Callable[[Record], bytes]:
        """Return ``write`` with each call counted."""

        def write_and_count(record: Record) -> bytes:
            self.encoded += 1
            return write(record)

        return write_and_count
