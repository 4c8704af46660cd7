"""Users that end with the process."""

from __future__ import annotations

from collections.abc import Callable

from tapewire.model.user_book import UserBook

__all__ = ["MemoryUsers"]


class MemoryUsers:
    """A ``ports.UserStore`` in memory."""

    def __init__(self, book: UserBook | None = None) -> None:
        self._book = book or UserBook()
        self._seen: UserBook | None = None

    def update(self, change: Callable[[UserBook], UserBook]) -> UserBook:
        """Replace the book by what ``change`` makes of it."""
        self._book = change(self._book)
        return self._book

    async def look(self) -> UserBook | None:
        """Return the book if it has changed since the last call."""
        if self._seen is self._book:
            return None
        self._seen = self._book
        return self._book

    def close(self) -> None:
        """Nothing is to be let go of."""
