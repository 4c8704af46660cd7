"""Takes notice of what others change in the users while a gateway runs.

Twice a second, and before each access token is issued, the store is asked whether it has changed, which costs
next to nothing. So a refresh token is good from the moment it is printed, and none that was revoked gets an access
token; those that it has got, and the sessions behind it, end within ``WATCH_S`` and the time that reading takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tapewire.gateway.tokens import TokenAuthority, users_of
from tapewire.model.user_book import UserBook
from tapewire.ports.users import UserStore, UserStoreError

__all__ = ["WATCH_S", "UserWatch"]

log = logging.getLogger("tapewire.gateway")

WATCH_S = 0.5
#: How long the store, and whoever opens portfolios, may take.
LOOK_DEADLINE_S = 5.0
OPEN_DEADLINE_S = 5.0


class UserWatch:
    """Keeps a token authority up with a store of users.

    Args:
        open_portfolios: Told of each new book before a token of it is issued, one call after the other; opening
            twice is opening once. What it raises is logged, and it is asked again.
    """

    def __init__(
        self,
        store: UserStore,
        tokens: TokenAuthority,
        open_portfolios: Callable[[UserBook], Awaitable[None]],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._open_portfolios = open_portfolios
        # Whoever waits for it looks once more: the change that he has come for may be newer.
        self._looking = asyncio.Lock()
        # What was read and could not be used yet.
        self._untaken: UserBook | None = None
        self._unopened: UserBook | None = None
        self._opening: asyncio.Task[None] | None = None
        # What fails is said once, until it has gone well again.
        self._is_failing = False
        self._is_opening_late = False
        #: Called when users have changed, after the authority.
        self.on_change: Callable[[], None] = _nothing

    async def look(self) -> None:
        """Be up with the store as it was when this was called, or later; new portfolios are open if that is soon.

        Raises:
            UserStoreError: It cannot be read; what was known before goes on being good.
        """
        await self._read()
        opening = self._begin_opening()
        # Whoever wants a token waits, but not for what is known to be late.
        if opening is None or self._is_opening_late:
            return
        done, _ = await asyncio.wait({opening}, timeout=OPEN_DEADLINE_S)
        if not done:
            log.error(
                "portfolios of users are not open within %g s; they are waited for no longer", OPEN_DEADLINE_S
            )
            self._is_opening_late = True

    async def run(self) -> None:
        """Look again and again until cancelled. A store that cannot be read is logged once, until it can."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                await self._read()
            except UserStoreError as error:
                if not self._is_failing:
                    log.error("users are not kept up: %s", error)
                self._is_failing = True
            else:
                self._is_failing = False
                # Not waited for: revoking must go on where nothing can be opened.
                self._begin_opening()

    async def close(self) -> None:
        """Wait no more for portfolios that are being opened."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(LOOK_DEADLINE_S), self._looking:
                self._untaken = await self._store.look() or self._untaken
                if self._untaken is not None:
                    self._take(self._untaken)
        except TimeoutError as error:
            raise UserStoreError(f"the users were not read within {LOOK_DEADLINE_S:g} s") from error

    def _take(self, book: UserBook) -> None:
        try:
            self._tokens.update(users_of(book), book.keys)
        except ValueError as error:
            raise UserStoreError("a signing key cannot be read, or there is none") from error
        self._untaken, self._unopened = None, book
        self.on_change()

    def _begin_opening(self) -> asyncio.Task[None] | None:
        """Return the task that opens what is not open yet; None: all is."""
        if self._unopened is not None and self._opening is None:
            # A task of its own: given up half-way it would be begun once more while it still goes on.
            self._opening = asyncio.create_task(self._open(), name="portfolios of users")
        return self._opening

    async def _open(self) -> None:
        try:
            while (book := self._unopened) is not None:
                await self._open_portfolios(book)
                if self._unopened is book:
                    self._unopened = None
            self._is_opening_late = False
        except Exception as error:
            # Until they are open, nobody knows the new portfolios.
            if not self._is_opening_late:
                log.error("portfolios of users cannot be opened now", exc_info=error)
            self._is_opening_late = True
        finally:
            self._opening = None


def _nothing() -> None:
    """Whoever watches for nobody."""
