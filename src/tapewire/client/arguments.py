"""What a caller passes, looked at before anything is sent: its kind, and whether there is such a word. Pure.

Limits are another matter: a value of the right kind that is too large is a ``LimitError``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from reprlib import repr as shortened
from typing import Any, TypeVar

from tapewire.client.errors import ArgumentError, LimitError
from tapewire.model import Exchange, Word
from tapewire.protocol.limits import UNIX_SECONDS_MAX

__all__ = [
    "AHEAD_MAX_S",
    "Since",
    "board_of",
    "exchange_of",
    "flag",
    "listed",
    "moment_s",
    "refuse",
    "text",
    "whole",
    "within",
    "word",
]

W = TypeVar("W", bound=Word)

#: A moment with its zone, or how long ago.
Since = datetime | timedelta

#: Clocks differ: so far ahead of ours a moment is still taken for now.
AHEAD_MAX_S = 60


def refuse(name: str, value: object, wanted: str, error: type[ArgumentError] = ArgumentError) -> ArgumentError:
    """Return the error of an argument that cannot be."""
    return error(f"{name}: {shortened(value)} is not {wanted}: nothing was sent")


def text(name: str, value: object, wanted: str, error: type[ArgumentError] = ArgumentError) -> str:
    """Return a text that is not empty.

    Raises:
        ArgumentError: It is none; ``wanted`` says in words what it should be.
    """
    if not isinstance(value, str) or not value:
        raise refuse(name, value, wanted, error)
    return value


def whole(name: str, value: object, error: type[ArgumentError] = ArgumentError) -> int:
    """Return a whole number; ``True`` is none, nor is ``1.0``.

    Raises:
        ArgumentError: It is none.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise refuse(name, value, "a whole number", error)
    return value


def within(name: str, value: object, low: int, high: int) -> int:
    """Return a whole number within documented bounds, both included.

    Raises:
        ArgumentError: It is no whole number.
        LimitError: It is outside.
    """
    number = whole(name, value)
    if not low <= number <= high:
        raise LimitError(name, number, f"{low}..{high}")
    return number


def flag(name: str, value: object, error: type[ArgumentError] = ArgumentError) -> bool:
    """Return a truth value; a text like ``"no"`` is none.

    Raises:
        ArgumentError: It is neither ``True`` nor ``False``.
    """
    if not isinstance(value, bool):
        raise refuse(name, value, "True or False", error)
    return value


def word(name: str, kind: type[W], value: object, error: type[ArgumentError] = ArgumentError) -> W:
    """Return a word of a list, written in whatever case.

    Raises:
        ArgumentError: There is no such word.
    """
    found = kind(value) if isinstance(value, str) else None
    if found is None or not found.known:
        raise refuse(name, value, f"one of {', '.join(kind)}", error)
    return found


def exchange_of(value: object, error: type[ArgumentError] = ArgumentError) -> Exchange:
    """Return an exchange; raises as :func:`word` does."""
    return word("exchange", Exchange, value, error)


def board_of(value: object, error: type[ArgumentError] = ArgumentError) -> str:
    """Return the code of a board, empty for the primary one.

    Raises:
        ArgumentError: It is no text.
    """
    if not isinstance(value, str):
        raise refuse("board", value, "the code of a board, or empty", error)
    return value


def listed(symbol: object, exchange: object, board: object) -> dict[str, Any]:
    """Return what names an instrument in a request of a stream.

    Raises:
        ArgumentError: One of the three cannot be.
    """
    return {
        "code": text("symbol", symbol, "the ticker of an instrument"),
        "exchange": exchange_of(exchange),
        "instrument_group": board_of(board) or None,
    }


def moment_s(name: str, moment: Since, now: datetime, ahead_max_s: float = AHEAD_MAX_S) -> int:
    """Return a moment in Unix s; what lies before 1970 is 1970.

    Raises:
        ArgumentError: It has no zone, is neither moment nor time, or lies ahead of now.
    """
    wanted = "a datetime with its zone, or a timedelta: how long ago"
    if isinstance(moment, timedelta):
        if moment < timedelta(0):
            raise ArgumentError(f"{name}: {moment} ago would be in the future: nothing was sent")
        try:
            at = now - moment
        except OverflowError:
            return 0
    elif not isinstance(moment, datetime) or moment.tzinfo is None:
        raise refuse(name, moment, wanted)
    else:
        at = moment
    if (at - now).total_seconds() > ahead_max_s:
        raise ArgumentError(f"{name}: {at.isoformat()} is in the future: nothing was sent")
    return min(max(int(at.timestamp()), 0), UNIX_SECONDS_MAX)
