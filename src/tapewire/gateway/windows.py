"""One timer for all windows: a wheel of millisecond ticks on the running loop.

A feed asks to be woken at the end of its window; all that fall into one tick are woken together. Only the next
tick is armed with the loop, so a hundred thousand subscriptions cost one timer.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

__all__ = ["Windows"]

_TICK_S = 0.001
#: Ticks of the heap at which nothing is due any more, beside those at which something is.
_STALE_TICKS_MAX = 64


class Windows:
    """Wakes callbacks at the ends of their windows, on the loop's clock.

    Attributes:
        ended: Callbacks woken since the start.
        late_s: How late they were, all together.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: dict[int, dict[Callable[[], None], None]] = {}
        self._ticks: list[int] = []
        self._armed: asyncio.TimerHandle | None = None
        self._armed_tick = 0
        self._is_turning = False
        self.ended = 0
        self.late_s = 0.0
        # How late the latest one was, in the running minute and the one before.
        self._minute = 0
        self._latest_s = self._latest_before_s = 0.0

    def now(self) -> float:
        """Return the loop's time in seconds."""
        return self._loop.time()

    @property
    def latest_s(self) -> float:
        """How late the latest one was that ended in this minute or the one before."""
        self._turn_minute()
        return max(self._latest_s, self._latest_before_s)

    def wake_at(self, when: float, callback: Callable[[], None]) -> int:
        """Call ``callback`` once, at ``when`` or up to a tick later; returns the tick, for :meth:`forget`."""
        tick = int(when / _TICK_S) + 1
        callbacks = self._due.get(tick)
        if callbacks is not None:
            callbacks[callback] = None
            return tick
        self._due[tick] = {callback: None}
        heapq.heappush(self._ticks, tick)
        if not self._is_turning:
            self._arm()
        return tick

    def forget(self, tick: int, callback: Callable[[], None]) -> None:
        """Do not wake a callback after all: a window may be an hour long, and its feed gone long before."""
        callbacks = self._due.get(tick)
        if callbacks is None:
            return
        callbacks.pop(callback, None)
        if not callbacks and not self._is_turning:
            del self._due[tick]
            if len(self._ticks) > 2 * len(self._due) + _STALE_TICKS_MAX:
                self._ticks = sorted(self._due)

    def close(self) -> None:
        """Wake nobody any more."""
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
        self._due.clear()
        self._ticks.clear()

    def _arm(self) -> None:
        tick = self._ticks[0]
        if self._armed is not None:
            if self._armed_tick <= tick:
                return
            self._armed.cancel()
        self._armed_tick = tick
        self._armed = self._loop.call_at(tick * _TICK_S, self._turn)

    def _turn(self) -> None:
        self._armed = None
        # A loop may fire a timer a little early by its own clock's resolution; this tick is due by definition.
        now = max(int(self._loop.time() / _TICK_S), self._armed_tick)
        self._is_turning = True
        while self._ticks and self._ticks[0] <= now:
            tick = heapq.heappop(self._ticks)
            callbacks = self._due.pop(tick, {})
            self._note_lateness(tick, len(callbacks))
            # One by one, because one that is woken may have another forgotten.
            while callbacks:
                callback = next(iter(callbacks))
                del callbacks[callback]
                self._wake(callback)
        self._is_turning = False
        if self._ticks:
            self._arm()

    def _note_lateness(self, tick: int, callbacks: int) -> None:
        late_s = max(self._loop.time() - tick * _TICK_S, 0.0)
        self.ended += callbacks
        self.late_s += callbacks * late_s
        self._turn_minute()
        self._latest_s = max(self._latest_s, late_s)

    def _turn_minute(self) -> None:
        minute = int(self._loop.time() // 60)
        if minute != self._minute:
            self._latest_before_s = self._latest_s if minute == self._minute + 1 else 0.0
            self._latest_s, self._minute = 0.0, minute

    def _wake(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - a record that cannot be written stops its own feed only
            self._loop.call_exception_handler({"message": "the end of a window failed", "exception": error})
