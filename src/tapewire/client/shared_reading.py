"""One reading for all who want it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast

from tapewire.client.errors import TapewireError

__all__ = ["SharedReading"]

T = TypeVar("T")


class SharedReading(Generic[T]):
    """Reads for several at once. Each gets what a reading has shown that began after it was asked for.

    One reading is under way at a time. Whoever comes meanwhile waits for the next one, and all of them share it:
    two readings answer any number. What a reading raises is raised to all who share it. Whoever gives up takes
    nothing from the others.
    """

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._turn = asyncio.Lock()
        self._begun = 0
        #: The newest reading that has ended: its number, and what it showed.
        self._ended = 0
        self._found: T | TapewireError | None = None
        #: How many want one now.
        self.wanted = 0

    async def get(self) -> T:
        """Return what a reading shows; raises what it raises."""
        wanted_after = self._begun
        self.wanted += 1
        try:
            async with self._turn:
                if self._ended <= wanted_after:
                    await self._lead()
                found = self._found
        finally:
            self.wanted -= 1
        if isinstance(found, TapewireError):
            raise found.again()
        return cast(T, found)

    async def _lead(self) -> None:
        self._begun += 1
        number = self._begun
        try:
            self._found = await self._read()
        except TapewireError as error:
            self._found = error.again()
        self._ended = number
