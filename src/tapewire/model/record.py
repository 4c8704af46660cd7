"""What every record of the wire has in common: typed fields, each with its three spellings.

A record class *is* the field table of its record: one line a field gives the name used in Python,
the type, and the names under which the field travels in the formats Simple, Slim and Heavy.
``tapewire.protocol.formats`` derives the codecs from it, so adding a field is adding one line.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeAlias, TypeVar, Union

import msgspec
from msgspec import UNSET, UnsetType

__all__ = ["UNSET", "Maybe", "Record", "UnsetType", "Wire", "from_iso", "to_iso"]

T = TypeVar("T")

#: A field that may be missing from a message. Absent (``UNSET``) is not null (``None``).
Maybe: TypeAlias = Union[T, UnsetType]  # noqa: UP007  (a generic alias must be one for mypy too)


class Wire(msgspec.Struct, frozen=True):
    """The names under which one field travels.

    ``Wire("id")`` is the same name in all formats, ``Wire("symbol", "sym")`` shortens it in Slim,
    ``Wire("prev_close_price", None, "prevClosePrice")`` is a field that Slim does not have.
    """

    simple: str | None
    slim: str | None = ""
    heavy: str | None = ""
    #: Other keys seen on the wire for the same field; read, never written.
    also: tuple[str, ...] = ()

    def names(self) -> tuple[str | None, str | None, str | None]:
        """Return the names in Simple, Slim and Heavy; None where the format lacks the field."""
        slim = self.simple if self.slim == "" else self.slim
        heavy = self.simple if self.heavy == "" else self.heavy
        return self.simple, slim, heavy


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of all wire records: immutable, compared by value, built with keyword arguments.

    What is decoded is an instance of the record in a subclass of its format, and records of different classes
    are never equal: compare fields there.

    Fields that the reference marks as never null are typed so. A broker that sends null (or leaves a key
    out) all the same does not cost the record: the field then holds ``None`` (or ``UNSET``).
    """


def to_iso(time_ns: int) -> str:
    """Write a wall time as the broker does: ISO-8601 UTC with seven fraction digits and ``Z``."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 100:07d}Z"


def from_iso(text: str) -> datetime:
    """Read a time as the broker writes it; without a zone it is UTC. Finer than microseconds is cut.

    Raises:
        ValueError: ``text`` is no ISO-8601 time.
    """
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
