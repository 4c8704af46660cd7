"""One direction of a simulated connection: what a network does to frames between two ends.

A frame passes three places. It is *unsent* while the network has no room for it, *underway* from then on, and
gone once the reader has consumed it. The network has room while less than ``window_bytes`` are underway, so a
reader that stops reading, or a link that stalls, makes the sender's unsent bytes grow: as with TCP, where the
window is the sum of both kernels' buffers. Frames are never split: a frame that begins inside the window is
taken whole, so that one larger than the window passes too.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

__all__ = ["Frame", "Link", "LinkConditions", "Signal"]


class Frame(NamedTuple):
    """One WebSocket frame on its way. ``size_bytes`` includes its header."""

    opcode: int
    payload: bytes
    fin: bool
    rsv: int
    size_bytes: int


class Signal(Enum):
    """What TCP tells without a frame."""

    #: The sender has ended the connection; comes behind all that it sent before.
    END = auto()
    #: The sender takes nothing any more; the receiver learns it even if it is not reading.
    RESET = auto()


@dataclass(frozen=True, slots=True)
class LinkConditions:
    """How good one direction of a connection is.

    A frame arrives ``latency_s`` after it was sent, plus up to ``jitter_s`` drawn from the seed, and never
    before an earlier frame. ``bandwidth_bytes_s`` None means without limit.
    """

    latency_s: float = 0.001
    jitter_s: float = 0.0
    bandwidth_bytes_s: float | None = None
    window_bytes: int = 256 * 1024

    def __post_init__(self) -> None:
        if self.latency_s < 0 or self.jitter_s < 0:
            raise ValueError("latency and jitter are not negative")
        if self.window_bytes <= 0 or (self.bandwidth_bytes_s is not None and self.bandwidth_bytes_s <= 0):
            raise ValueError("window and bandwidth are positive")


class Link:
    """One direction of a connection, with its faults.

    Args:
        conditions: May be replaced at any time (``link.conditions = …``) for frames taken from then on.
        random_source: Where jitter comes from.
        drained: Called, never from inside ``write``, when everything is taken after something was not.
        arrived: Called with each frame and signal in the order of sending; ``consumed`` must follow for each
            frame when the reader has it.
    """

    def __init__(
        self,
        conditions: LinkConditions,
        random_source: random.Random,
        *,
        drained: Callable[[], None],
        arrived: Callable[[Frame | Signal], None],
    ) -> None:
        self.conditions = conditions
        self._loop = asyncio.get_running_loop()
        self._random = random_source
        self._drained = drained
        self._arrived = arrived
        self._unsent: deque[Frame] = deque()
        self._unsent_bytes = 0
        self._waits_for_drain = False
        self._underway: deque[tuple[float, Frame | Signal]] = deque()
        self._underway_bytes = 0
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._arriving = False
        self._stalled = False
        self._lossy = False

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the network has not taken yet."""
        return self._unsent_bytes

    @property
    def underway_bytes(self) -> int:
        """Bytes that the network has taken and the reader has not consumed."""
        return self._underway_bytes

    # --- faults -----------------------------------------------------------------------------------------

    def stall(self) -> None:
        """Let nothing arrive until ``resume``; what is sent meanwhile is kept in order."""
        self._stalled = True
        self._disarm()

    def resume(self) -> None:
        """End a stall. What is overdue arrives now."""
        self._stalled = False
        self._arm()

    def drop(self) -> None:
        """Lose everything from now on without a sign: the half-open connection.

        It cannot be healed, since a real network never loses the middle of a stream. The lost bytes are
        never acknowledged: they keep the window, and when it is full, unsent bytes grow.
        """
        self._lossy = True
        self._underway.clear()
        self._disarm()

    # --- the two ends of a connection use these ---------------------------------------------------------

    def write(self, frames: Iterable[Frame]) -> None:
        """Add frames behind those that are unsent; take what fits."""
        for frame in frames:
            self._unsent.append(frame)
            self._unsent_bytes += frame.size_bytes
        self._take()

    def consumed(self, frame: Frame) -> None:
        """Give the room of an arrived frame back to the window."""
        self._underway_bytes -= frame.size_bytes
        assert self._underway_bytes >= 0
        self._take()

    def signal(self, signal: Signal) -> None:
        """Lose what is unsent and send ``signal`` behind what was taken."""
        self._forget_unsent()
        self._depart(signal, size_bytes=0)

    def discard(self) -> None:
        """Lose everything: both ends know that the connection is gone."""
        self._forget_unsent()
        self._underway.clear()
        self._underway_bytes = 0
        self._disarm()

    def _forget_unsent(self) -> None:
        self._unsent.clear()
        self._unsent_bytes = 0
        self._waits_for_drain = False

    def _take(self) -> None:
        while self._unsent and self._underway_bytes < self.conditions.window_bytes:
            frame = self._unsent.popleft()
            self._unsent_bytes -= frame.size_bytes
            self._underway_bytes += frame.size_bytes
            self._depart(frame, frame.size_bytes)
        if self._unsent:
            self._waits_for_drain = True
        elif self._waits_for_drain:
            self._waits_for_drain = False
            self._loop.call_soon(self._report_drained)

    def _report_drained(self) -> None:
        # More may have been written since; then the report comes when that is taken.
        if not self._unsent:
            self._drained()

    def _depart(self, item: Frame | Signal, size_bytes: int) -> None:
        if self._lossy:
            return
        conditions = self.conditions
        sent_at = self._loop.time()
        if conditions.bandwidth_bytes_s is not None:
            sent_at = max(sent_at, self._free_at) + size_bytes / conditions.bandwidth_bytes_s
            self._free_at = sent_at
        delay_s = conditions.latency_s
        if conditions.jitter_s:
            delay_s += self._random.uniform(0.0, conditions.jitter_s)
        # A later frame may be due earlier; it still waits for those before it in the queue.
        self._underway.append((sent_at + delay_s, item))
        self._arm()

    def _arm(self) -> None:
        # What is taken while frames arrive, because one was consumed, is looked at when that is over.
        if self._timer is None and not self._arriving and self._underway and not self._stalled:
            self._timer = self._loop.call_at(self._underway[0][0], self._arrive)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arrive(self) -> None:
        """Hand over the first frame, for which the timer was, and all behind it that are due."""
        self._timer = None
        self._arriving = True
        now = max(self._loop.time(), self._underway[0][0])
        try:
            # A listener called from here may stall, drop or cut this very link.
            while self._underway and self._underway[0][0] <= now and not self._stalled:
                self._arrived(self._underway.popleft()[1])
        finally:
            self._arriving = False
            self._arm()
