"""Composition root of what is done to the users of a data folder, whether a system runs on it or not.

Needs none of the extras, but for the rotation of keys.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path

from tapewire.adapters.data_folder import VERSION, DataFolder, DataFolderError, FolderInUseError
from tapewire.adapters.sqlite_users import SqliteUsers
from tapewire.adapters.user_migration import take_over
from tapewire.model.user_book import (
    DEMO_CASH,
    LOCAL_TOKEN,
    PortfolioEntry,
    TokenEntry,
    UserBook,
    UserBookError,
    UserEntry,
    hash_refresh_token,
)
from tapewire.ports.users import UserStore, UserStoreError
from tapewire.protocol.limits import TOKEN_LIFE_SECONDS
from tapewire.protocol.tokens import REFRESH_TOKEN_PREFIX, Scope, Secret

__all__ = [
    "UserBookError",
    "UserFolderError",
    "add_user",
    "give_token",
    "list_users",
    "open_portfolios",
    "revoke_tokens",
    "rotate_keys",
]

#: 32 random bytes: what is kept of a token is a plain hash, which nobody can search 2 to the 256 texts for.
_TOKEN_BYTES = 32


class UserFolderError(Exception):
    """The folder or its users cannot be used; the text is one line that says why."""


def add_user(
    data: Path,
    name: str,
    portfolios: Sequence[PortfolioEntry] | None = None,
    *,
    cash: Decimal = DEMO_CASH,
    login: str | None = None,
    client_id: str | None = None,
    agreement: str | None = None,
) -> UserEntry:
    """Add a user; a folder that is not there is made, without the demo user.

    What is not given is numbered on, as ``UserBook.added`` says.

    Raises:
        UserBookError: The user cannot be added; nothing has changed.
        UserFolderError: The folder cannot be used.
    """

    def added(book: UserBook) -> UserBook:
        return book.added(name, portfolios, cash=cash, login=login, client_id=client_id, agreement=agreement)

    with _opened(data, make_for=added) as store:
        return store.update(added).user(name)


def open_portfolios(data: Path, name: str, portfolios: Sequence[PortfolioEntry]) -> UserEntry:
    """Give a user more portfolios.

    Raises:
        UserBookError: They cannot be opened; nothing has changed.
        UserFolderError: The folder cannot be used.
    """
    with _opened(data) as store:
        return store.update(lambda book: book.opened(name, portfolios)).user(name)


def list_users(data: Path) -> tuple[UserEntry, ...]:
    """Return all users, in the order in which they were added.

    Raises:
        UserFolderError: The folder cannot be used.
    """
    with _opened(data) as store:
        return store.update(lambda book: book).users


def give_token(
    data: Path, name: str, *, label: str = "", is_read_only: bool = False, portfolios: Sequence[str] | None = None
) -> Secret:
    """Make a refresh token and return it; nobody can be told of it again.

    Args:
        label: What it is called; empty: by its number, ``token-3``.
        is_read_only: Its access tokens may not trade.
        portfolios: Those of the user's that it is for; None: all, also those that are opened later.

    Raises:
        UserBookError: It cannot be; nothing has changed.
        UserFolderError: The folder cannot be used.
    """
    if label == LOCAL_TOKEN:
        raise UserBookError(f"systems call their own tokens {LOCAL_TOKEN}: choose another name")
    token = Secret(REFRESH_TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES))

    def granted(book: UserBook) -> UserBook:
        entry = TokenEntry(
            name=label or _free_label(book.user(name)),
            sha256=hash_refresh_token(token.reveal()),
            scopes=Scope.READ_ONLY if is_read_only else Scope.ALL,
            portfolios=None if portfolios is None else tuple(dict.fromkeys(portfolios)),
            created_at_s=int(time.time()),
        )
        return book.granted(name, entry)

    with _opened(data) as store:
        store.update(granted)
    return token


def revoke_tokens(data: Path, name: str, which: str | None = None) -> int:
    """Take refresh tokens away from a user, all or those of a name or id, and return how many they were.

    Raises:
        UserBookError: There is no such user or token; nothing has changed.
        UserFolderError: The folder cannot be used.
    """
    revoked_tokens = 0

    def revoked(book: UserBook) -> UserBook:
        nonlocal revoked_tokens
        left = book.revoked(name, which)
        revoked_tokens = len(book.user(name).tokens) - len(left.user(name).tokens)
        return left

    with _opened(data) as store:
        store.update(revoked)
    return revoked_tokens


def rotate_keys(data: Path, *, at_once: bool = False) -> str:
    """Let a new key sign access tokens and return its id.

    What the key before has signed stays good until it ends; ``at_once``: it is not good any more.

    Raises:
        UserBookError: There were too many rotations within half an hour.
        UserFolderError: The folder cannot be used, or the extra for servers is missing.
    """
    try:
        from tapewire.gateway.tokens import key_of, new_signing_key, public_part
    except ImportError as error:
        raise UserFolderError(
            f"keys need an extra: pip install 'tapewire[server]' ({error.name} is missing)"
        ) from error
    key = key_of(new_signing_key())

    def rotated(book: UserBook) -> UserBook:
        try:
            before = public_part(book.keys[-1]) if book.keys and not at_once else None
        except ValueError as error:
            raise UserFolderError("the key that signs cannot be read: rotate at once") from error
        return book.rotated(key, before, int(time.time()), TOKEN_LIFE_SECONDS)

    with _opened(data) as store:
        store.update(rotated)
    return key.id


def _free_label(user: UserEntry) -> str:
    taken = {token.name for token in user.tokens}
    return next(label for number in count(1) if (label := f"token-{number}") not in taken)


@contextmanager
def _opened(data: Path, *, make_for: Callable[[UserBook], UserBook] | None = None) -> Iterator[UserStore]:
    """Open the users of a folder; one that is not there is made for a change that is possible."""
    folder = DataFolder(data)
    try:
        version = folder.version()
        if version is None:
            if make_for is None:
                raise UserFolderError(f"{data} is no data folder of a trading system")
            # What cannot be leaves no folder behind, which would have no demo user for ever.
            make_for(UserBook())
        if version != VERSION:
            _brought_up(folder, data)
        store = SqliteUsers(folder.users)
        try:
            yield store
        finally:
            store.close()
    except (DataFolderError, UserStoreError) as error:
        raise UserFolderError(str(error)) from error


def _brought_up(folder: DataFolder, data: Path) -> None:
    """Make a folder one of this version; no system may be running on it meanwhile."""
    try:
        folder.open()
    except FolderInUseError as error:
        raise UserFolderError(f"a system of another version runs on {data}, or one that is starting") from error
    try:
        _with_users(folder, lambda store: take_over(folder, store, int(time.time())))
        if folder.version() is None:
            folder.mark()
    finally:
        folder.close()


def _with_users(folder: DataFolder, work: Callable[[UserStore], object]) -> None:
    store = SqliteUsers(folder.users)
    try:
        work(store)
    finally:
        store.close()
