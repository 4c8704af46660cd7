"""Where the users of a trading system are kept, for the system and for whoever administers them beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tapewire.model.user_book import UserBook

__all__ = ["UserStore", "UserStoreError"]


class UserStoreError(Exception):
    """The users cannot be opened, read or written; the text is one line that says why."""


class UserStore(Protocol):
    """One book of users that several programs may read and change."""

    def update(self, change: Callable[[UserBook], UserBook]) -> UserBook:
        """Replace the book by what ``change`` makes of it; durable on return. Blocks.

        Nobody else changes it meanwhile; what ``change`` raises leaves it as it is.

        Raises:
            UserStoreError: It cannot be read or written.
        """

    async def look(self) -> UserBook | None:
        """Return the book if others may have changed it since the last call; the first call returns it.

        Raises:
            UserStoreError: It cannot be read.
        """

    def close(self) -> None:
        """Let go of it."""
