"""Text of others as a terminal may have it."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """Return a text of the other end without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)
