"""What folders up to version 2 kept in clear text, brought into the store of users."""

from __future__ import annotations

import logging

from tapewire.adapters.data_folder import DataFolder
from tapewire.model.user_book import (
    DEMO_NAME,
    SigningKey,
    TokenEntry,
    UserBook,
    hash_refresh_token,
)
from tapewire.ports.users import UserStore
from tapewire.protocol.tokens import Scope

__all__ = ["take_over"]

log = logging.getLogger("tapewire.users")

#: Id of a key that was made before keys had one.
_OLD_KEY = "0"


def take_over(folder: DataFolder, store: UserStore, now_s: int) -> str | None:
    """Bring a folder to this version: its refresh token is kept as a hash and its clear text goes.

    The folder must be open. A crash in between is made good by calling it once more.

    Returns:
        The refresh token of the demo user, known for the last time; None: nothing stood in clear text.

    Raises:
        DataFolderError: The folder cannot be read or written, or a newer program has written it.
        UserStoreError: The store cannot be read or written.
    """
    old = folder.secrets_in_clear()
    if old is None:
        return None

    def taken_over(book: UserBook) -> UserBook:
        if not book.keys:
            book = UserBook(book.users, (SigningKey(_OLD_KEY, old.signing_key),))
        if book.find(DEMO_NAME) is None:
            book = book.added(DEMO_NAME)
        token = TokenEntry(
            name="first",
            sha256=hash_refresh_token(old.refresh_token),
            scopes=Scope.ALL,
            created_at_s=now_s,
        )
        if any(each.sha256 == token.sha256 for each in book.user(DEMO_NAME).tokens):
            return book
        return book.granted(DEMO_NAME, token)

    store.update(taken_over)
    # Only now: what stood in clear text is durable as a hash.
    folder.mark()
    log.warning(
        "the refresh token in %s is kept as a hash from now on; its clear text is removed",
        folder.path / "identity.json",
    )
    return old.refresh_token
