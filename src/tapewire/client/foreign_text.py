"""What the other end says in words, as it may be shown: short, without what a terminal obeys, without secrets.

A broker that refuses may repeat what it was sent, the token with it, and its words end in logs and on screens. So
they are made harmless where they become an error or an event, and nowhere later.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import partial

__all__ = ["TEXT_CHARACTERS_MAX", "printable", "shown"]

#: Longer texts are cut. The broker's own stay below 200.
TEXT_CHARACTERS_MAX = 300
#: What stands in the place of a secret.
_HIDDEN = "***"
#: So much of a secret in a row is taken for a part of it: close frames are short, and cut what they repeat.
_PART_CHARACTERS = 16
#: A secret that is shorter cannot be told from words.
_SECRET_CHARACTERS_MIN = 8
#: How tokens are written, and what may stand around one without a blank.
_RUN = re.compile(r"[^\s\"'<>(){}\[\],;]{16,}")
#: Looked through at most; more than is shown, so that what is hidden makes room for what comes after it.
_READ_CHARACTERS_MAX = 16 * TEXT_CHARACTERS_MAX


def shown(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text of the other end as it may be shown and logged.

    At most ``TEXT_CHARACTERS_MAX`` characters and an ellipsis; what does not print is escaped; ``secrets`` and
    long parts of them are ``***``.
    """
    read = text[:_READ_CHARACTERS_MAX]
    for secret in secrets:
        if len(secret) >= _SECRET_CHARACTERS_MIN:
            read = _RUN.sub(partial(_hidden, secret), read.replace(secret, _HIDDEN))
    read = printable(read)
    if len(read) <= TEXT_CHARACTERS_MAX and len(text) <= _READ_CHARACTERS_MAX:
        return read
    return f"{read[:TEXT_CHARACTERS_MAX]}…"


def printable(text: str) -> str:
    """Return a text with everything escaped that a terminal could obey, or that begins a new line of a log."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    # Blanks that do not break stand in sums of money.
    is_blank = unicodedata.category(character) == "Zs"
    return " " if is_blank else character.encode("unicode_escape").decode()


def _hidden(secret: str, found: re.Match[str]) -> str:
    """Return a run of characters, or what stands in its place when there is a part of a secret in it."""
    run = found[0]
    parts = (run[start : start + _PART_CHARACTERS] for start in range(len(run) - _PART_CHARACTERS + 1))
    return _HIDDEN if any(part in secret for part in parts) else run
