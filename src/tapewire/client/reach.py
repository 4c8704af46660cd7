"""Whether the broker can be reached: who waits before trying again hears of it when another has got through."""

from __future__ import annotations

import asyncio
import random

__all__ = ["WOKEN_SPREAD_S", "Reach"]

#: Those who are woken try within this time, drawn: a broker that comes back is not asked by all at one moment.
WOKEN_SPREAD_S = 0.5


class Reach:
    """Shared by the connections of one program to one broker, market data and orders alike.

    A connection that waits is woken once, and then not before one of its own has held: a broker that takes
    connections and ends them at once must not have two of them wake each other without end.
    """

    def __init__(self, rng: random.Random) -> None:
        self._random = rng
        #: One for each connection that waits and may be woken; a dictionary for its order.
        self._waiting: dict[asyncio.Event, None] = {}
        #: Connections that were woken and have not held since.
        self._woken: set[object] = set()

    def got_through(self) -> None:
        """Note that a connection was opened: the others need not wait out pauses that were drawn without it."""
        for waiting in self._waiting:
            waiting.set()

    def held(self, who: object) -> None:
        """Note that a connection has held: the next time that it waits it may be woken again."""
        self._woken.discard(who)

    async def pause(self, who: object, seconds: float) -> None:
        """Wait for so long, or until shortly after another has got through."""
        if who in self._woken:
            await asyncio.sleep(seconds)
            return
        woken = asyncio.Event()
        self._waiting[woken] = None
        try:
            async with asyncio.timeout(seconds):
                await woken.wait()
                self._woken.add(who)
                await asyncio.sleep(self._random.uniform(0, WOKEN_SPREAD_S))
        except TimeoutError:
            return
        finally:
            del self._waiting[woken]
