"""Refresh tokens in the keyring of the system, with the library ``keyring``, which is an extra."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["KeyringTokenError", "forget_token", "keep_token", "kept_token"]

T = TypeVar("T")

SERVICE = "tapewire"


class KeyringTokenError(Exception):
    """The keyring cannot be used; the text says why in one line."""


def kept_token(profile: str) -> str | None:
    """Return the token of a profile, None where there is none.

    Raises:
        KeyringTokenError: The keyring cannot be used.
    """
    token: str | None = _ask(lambda keyring: keyring.get_password(SERVICE, profile))
    return token


def keep_token(profile: str, token: str) -> None:
    """Keep the token of a profile; raises as :func:`kept_token`."""
    _ask(lambda keyring: keyring.set_password(SERVICE, profile, token))


def forget_token(profile: str) -> None:
    """Forget the token of a profile if there is one; raises as :func:`kept_token`."""
    if kept_token(profile) is not None:
        _ask(lambda keyring: keyring.delete_password(SERVICE, profile))


def _ask(question: Callable[..., T]) -> T:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise KeyringTokenError("the keyring needs an extra: pip install 'tapewire[keyring]'") from None
    try:
        return question(keyring)
    except KeyringError as error:
        # A frame below may hold the token.
        raise KeyringTokenError(f"the keyring cannot be used: {error or type(error).__name__}") from None
