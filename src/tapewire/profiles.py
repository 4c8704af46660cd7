"""Composition root of what looks after the profiles of a user: ``tapewire profile``."""

from __future__ import annotations

import os

import msgspec

from tapewire.adapters.keyring_tokens import KeyringTokenError, forget_token, keep_token
from tapewire.adapters.profile_file import ProfileFile, ProfileFileError
from tapewire.adapters.proxies import DIRECT, Proxy
from tapewire.client.profile import BUILT_IN, Profile, ProfileBook, check_profile_name

__all__ = [
    "KeyringTokenError",
    "ProfileFileError",
    "add_profile",
    "list_profiles",
    "remove_profile",
    "use_profile",
]


def list_profiles() -> ProfileBook:
    """Return the profiles in the file, and which is used where none is named.

    Raises:
        ProfileFileError: The file cannot be used.
    """
    return ProfileFile.of_user(os.environ, ProfileBook).read()


def add_profile(name: str, profile: Profile, *, keyring_token: str | None = None) -> None:
    """Add a profile, or put it in the place of the one that is called so.

    Args:
        name: Letters, digits, ``-`` and ``_``.
        profile: What it stands for.
        keyring_token: What to keep in the keyring for it, if it has its token there.

    Raises:
        ValueError: It may not be called so, or its proxy is none.
        ProfileFileError: The file cannot be used.
        KeyringTokenError: The keyring cannot be used; the file is as it was.
    """
    check_profile_name(name)
    if profile.proxy is not None and profile.proxy != DIRECT:
        Proxy.parse(profile.proxy)
    file = ProfileFile.of_user(os.environ, ProfileBook)
    book = file.read()
    if keyring_token is not None:
        keep_token(name, keyring_token)
    file.write(msgspec.structs.replace(book, profiles={**book.profiles, name: profile}))
    old = book.profiles.get(name)
    if old is not None and old.keyring and not profile.keyring:
        forget_token(name)


def remove_profile(name: str) -> None:
    """Remove a profile, with its token in the keyring; the one in use is in use no longer.

    Raises:
        ValueError: There is none of this name in the file.
        ProfileFileError: The file cannot be used.
        KeyringTokenError: The keyring cannot be used; the file is as it was.
    """
    file = ProfileFile.of_user(os.environ, ProfileBook)
    book = file.read()
    if name not in book.profiles:
        raise ValueError(_unknown(name, ProfileBook(profiles=book.profiles), built_in=False))
    if book.profiles[name].keyring:
        forget_token(name)
    profiles = {each: profile for each, profile in book.profiles.items() if each != name}
    file.write(ProfileBook(None if book.default == name else book.default, profiles))


def use_profile(name: str | None) -> None:
    """Have a profile used where none is named; None: none is.

    Raises:
        ValueError: There is no such profile.
        ProfileFileError: The file cannot be used.
    """
    file = ProfileFile.of_user(os.environ, ProfileBook)
    book = file.read()
    if name is not None and book.find(name) is None:
        raise ValueError(_unknown(name, book))
    file.write(msgspec.structs.replace(book, default=name))


def _unknown(name: str, book: ProfileBook, *, built_in: bool = True) -> str:
    known = sorted({*book.profiles, *(BUILT_IN if built_in else ())})
    return f"there is no profile {name[:80]!r}: {', '.join(known) or 'the file has none'}"
