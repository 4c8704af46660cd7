"""What the server sends, late, twice, or never: a transport in front of a transport.

Every message passes ``_outgoing``, every frame passes ``_depart``. What is held back keeps its order within its
lane (the data of one guid, the answers of one guid, frames) and stands behind a barrier, if there is one: what is
late for everything is late for what comes after it, too.

=========  ===============================  ==================================================================
state      entered by                       what happens
=========  ===============================  ==================================================================
passing    construction                     messages are judged and go when they are due
muted      ``mute``                         what is due waits for the end of it, or is lost
dead       ``lose_all``                     everything is lost, also close frames
over       ``end``, ``cut``, ``close``      nothing more is taken; what is held goes within ``CLOSE_S_MAX``
=========  ===============================  ==================================================================
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tapewire.ports.network import Transport
from tapewire.protocol.frames import FrameOpcode, split_frames
from tapewire.protocol.limits import REQUEST_BACKLOG_BYTES_MAX

__all__ = ["CLOSE_S_MAX", "HELD_BYTES_MAX", "ITEM_BYTES", "FaultyTransport", "Outgoing"]

#: So much is held back before the server is told that the network takes nothing more.
HELD_BYTES_MAX = 16 << 20
#: What it costs to hold a message or frame beside its bytes: its entry, its lane, its place in the order.
ITEM_BYTES = 512
#: How long a close frame may be held back before the connection is aborted: as long as transports wait for the
#: peer's. Sessions hold places in quotas, and a server that ends one gets them back whatever the faults do.
CLOSE_S_MAX = 2.0


class Outgoing(NamedTuple):
    """A message on its way. Messages of one lane keep their order."""

    message: bytes
    lane: str
    due_s: float


class _Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool


class _Close(NamedTuple):
    code: int
    reason: str


_Item = bytes | _Frame | _Close


class FaultyTransport:
    """A ``ports.Transport`` that holds back, loses and doubles what it is given.

    Args:
        transport: The one that carries it in the end.
        judge: Says what becomes of a message: nothing, one or several that leave now or later. It may call
            ``end``, ``cut``, ``mute`` and ``lose_all``; the message it judges comes behind that.
        writable: Called when there is room again after held messages had filled it.
    """

    def __init__(
        self,
        transport: Transport,
        judge: Callable[[bytes, float], Iterable[Outgoing]],
        writable: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._judge = judge
        self._writable = writable
        self._loop = asyncio.get_running_loop()
        self._ready: list[bytes] = []
        self._held: list[tuple[float, int, str, _Item]] = []
        self._held_bytes = 0
        self._number = 0
        # Of the newest held item of each lane; an entry goes with its item.
        self._lanes: dict[str, tuple[float, int]] = {}
        self._barrier_s = -math.inf
        self._muted_until_s = -math.inf
        self._lost_until_s = -math.inf
        self._is_reading_paused = False
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        # Aborts when the server's close frame has been held back for too long.
        self._last_timer: asyncio.TimerHandle | None = None

    # --- Transport ----------------------------------------------------------------------------------------

    @property
    def peer(self) -> str:
        """Where the other end is."""
        return self._transport.peer

    @property
    def unsent_bytes(self) -> int:
        """Bytes the network has not taken; with those held back once these are too many."""
        held = self._held_bytes if self._held_bytes >= HELD_BYTES_MAX else 0
        return self._transport.unsent_bytes + held

    def send(self, messages: Sequence[bytes]) -> None:
        """Send messages as the faults will have it."""
        self._outgoing(messages)

    def send_frames(self, frames: bytes) -> None:
        """Send the messages of a buffer of frames as the faults will have it."""
        self._outgoing(_messages(frames))

    def send_frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        """Send one frame behind the frames before it."""
        now = self._begin()
        self._depart(_Frame(opcode, payload, fin), "", now, now)
        self._flush()

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame behind all that is held, then end the connection; abort it if that takes too long."""
        if self._is_over:
            return
        now = self._begin()
        self._send_ready()
        if self._held or self._is_silent(now):
            due = max((due for due, *_ in self._held), default=now)
            self._hold(_Close(code, reason), "", max(due, self._muted_until_s, self._lost_until_s))
            self._arm()
            self._last_timer = self._loop.call_later(CLOSE_S_MAX, self.abort)
        else:
            self._transport.close(code, reason)
        self._is_over = True

    def abort(self) -> None:
        """End the connection now."""
        self._is_over = True
        self.forget()
        self._transport.abort()

    def pause_reading(self) -> None:
        """Take no more bytes from the network."""
        self._is_reading_paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes from the network again."""
        self._is_reading_paused = False
        self._transport.resume_reading()

    # --- faults -------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether nothing more is taken."""
        return self._is_over

    @property
    def is_choked(self) -> bool:
        """Whether so much waits that the faults may add nothing of their own: the server is not asked for it."""
        held_max = HELD_BYTES_MAX + REQUEST_BACKLOG_BYTES_MAX
        return self._transport.unsent_bytes > REQUEST_BACKLOG_BYTES_MAX or self._held_bytes > held_max

    def cut(self) -> None:
        """End the connection without a close frame."""
        self._flush()
        self.abort()

    def end(self, code: int, reason: str) -> None:
        """Close in the server's place: behind what was sent, without what is held back."""
        if self._is_over:
            return
        self._flush()
        self.forget()
        self._is_over = True
        if self._is_reading_paused:
            # The peer's close frame has still to be heard.
            self.resume_reading()
        self._transport.close(code, reason)

    def mute(self, until_s: float, *, is_lost: bool) -> None:
        """Send nothing before a time; what would be sent is kept for then, or lost."""
        self._flush()
        if is_lost:
            self._lost_until_s = max(self._lost_until_s, until_s)
        else:
            self._muted_until_s = max(self._muted_until_s, until_s)
            self._arm()

    def put_barrier(self, until_s: float) -> None:
        """Let nothing that comes from now on leave before a time."""
        self._barrier_s = max(self._barrier_s, until_s)

    def lose_all(self) -> None:
        """Send nothing any more, for good, and lose what is held back."""
        self._flush()
        self._lose_held()
        self._lost_until_s = math.inf

    def insert(self, message: bytes) -> None:
        """Send a message of the faults' own, unjudged."""
        now = self._begin()
        self._depart(message, "", now, now)
        self._flush()

    def forget(self) -> None:
        """Drop what is held back: the connection has ended."""
        self._lose_held()
        if self._last_timer is not None:
            self._last_timer.cancel()
            self._last_timer = None

    # --- inside -------------------------------------------------------------------------------------------

    def _lose_held(self) -> None:
        self._held.clear()
        self._lanes.clear()
        self._held_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _outgoing(self, messages: Iterable[bytes]) -> None:
        """Let messages pass: the one place for all of them, in whatever shape they were given."""
        if self._is_over:
            return
        now = self._begin()
        for message in messages:
            for outgoing in self._judge(message, now):
                self._depart(outgoing.message, outgoing.lane, outgoing.due_s, now)
        self._flush()

    def _begin(self) -> float:
        """Let go what is due, so that nothing that comes now overtakes it."""
        now = self._loop.time()
        self._release(now)
        return now

    def _is_silent(self, now: float) -> bool:
        return now < self._muted_until_s or now < self._lost_until_s

    def _depart(self, item: _Item, lane: str, due_s: float, now: float) -> None:
        if self._is_over or now < self._lost_until_s:
            return
        due_s = max(due_s, self._barrier_s, self._lanes.get(lane, (due_s, 0))[0])
        if due_s <= now and now >= self._muted_until_s:
            self._go(item)
        else:
            self._hold(item, lane, due_s)

    def _hold(self, item: _Item, lane: str, due_s: float) -> None:
        self._number += 1
        heapq.heappush(self._held, (due_s, self._number, lane, item))
        self._lanes[lane] = due_s, self._number
        self._held_bytes += _size(item)

    def _release(self, now: float) -> None:
        if now < self._muted_until_s:
            return
        was_full = self._held_bytes >= HELD_BYTES_MAX
        while self._held and self._held[0][0] <= now:
            _, number, lane, item = heapq.heappop(self._held)
            self._held_bytes -= _size(item)
            if self._lanes.get(lane, (0.0, 0))[1] == number:
                del self._lanes[lane]
            if now >= self._lost_until_s or isinstance(item, _Close):
                self._go(item)
        if was_full and self._held_bytes < HELD_BYTES_MAX:
            self._loop.call_soon(self._tell_writable)

    def _go(self, item: _Item) -> None:
        if isinstance(item, bytes):
            self._ready.append(item)
            return
        self._send_ready()
        if isinstance(item, _Frame):
            self._transport.send_frame(item.opcode, item.payload, fin=item.fin)
        else:
            # From here the bound is the network's own.
            if self._last_timer is not None:
                self._last_timer.cancel()
                self._last_timer = None
            self._transport.close(item.code, item.reason)

    def _flush(self) -> None:
        self._send_ready()
        self._arm()

    def _send_ready(self) -> None:
        if self._ready:
            ready, self._ready = self._ready, []
            self._transport.send(ready)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held:
            due_s = max(self._held[0][0], self._muted_until_s)
            if due_s < math.inf:
                self._timer = self._loop.call_at(due_s, self._come, due_s)

    def _come(self, due_s: float) -> None:
        self._timer = None
        # A timer may come a little early.
        self._release(max(self._loop.time(), due_s))
        self._flush()

    def _tell_writable(self) -> None:
        # With bytes unsent the transport tells by itself.
        if not self._is_over and not self._transport.unsent_bytes:
            self._writable()


def _messages(frames: bytes) -> Iterator[bytes]:
    for frame in split_frames(frames):
        assert frame.fin
        assert frame.opcode == FrameOpcode.TEXT, "whole texts are sent in one buffer, other frames one by one"
        yield frame.payload


def _size(item: _Item) -> int:
    if isinstance(item, bytes):
        return ITEM_BYTES + len(item)
    return ITEM_BYTES + (len(item.payload) if isinstance(item, _Frame) else len(item.reason))
