"""Keeps rows that a program has seen already from coming again when a portfolio's stream is restored.

A restored stream of orders, fills or positions begins with all rows of the session. Those that have not changed
since they were delivered are left out; what has changed in the gap, or is new, comes with ``existing`` set.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import msgspec

from tapewire.model import Record, TopicKind
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.formats import Codec

__all__ = ["ROWS_KEPT_MAX", "Sieve", "needs_sieve"]

#: Rows of one stream that are remembered; the one that changed longest ago goes first.
ROWS_KEPT_MAX = 100_000
#: What is remembered of a row.
_DIGEST_BYTES = 16

#: As numbers, decimals are the same whatever zeros end them.
_encode = msgspec.msgpack.Encoder(decimal_format="number").encode

#: What makes two records of a stream the same row.
_KEYS: Mapping[TopicKind, Callable[[Any], Hashable]] = MappingProxyType(
    {
        TopicKind.ORDERS: lambda row: row.id,
        TopicKind.STOP_ORDERS: lambda row: row.id,
        TopicKind.LEGACY_STOP_ORDERS: lambda row: row.id,
        TopicKind.FILLS: lambda row: (row.id, row.order_number),
        TopicKind.POSITIONS: lambda row: row.symbol,
    }
)


def needs_sieve(kind: TopicKind) -> bool:
    """Return whether a restored stream of this kind begins with rows that may have been seen."""
    return kind in _KEYS


class Sieve:
    """Looks at every message of one stream; these streams are slow, and each row is decoded once more for it.

    Of each row a digest is remembered, which is compared whatever the values are: numbers that are none are equal
    to nothing. With its key a row takes about 180 bytes: 100,000 rows are some 18 MB.
    """

    def __init__(self, kind: TopicKind, codec: Codec[Any]) -> None:
        self._key = _KEYS[kind]
        self._codec = codec
        self._rows: OrderedDict[Hashable, bytes] = OrderedDict()
        #: Rows that the program did not want to see at first, and that are older than this, stay out; UTC.
        self.unseen_before: datetime | None = None
        #: Rows that were left out.
        self.left_out = 0

    def passes(self, message: bytes) -> bool:
        """Return whether a message tells something new; what cannot be read passes."""
        try:
            record = self._codec.decode_message(message)
        except MalformedMessageError:
            return True  # the consumer counts it
        key = self._key(record)
        row = msgspec.structs.replace(record, existing=False)
        digest = _digest(row)
        seen = self._rows.get(key)
        if getattr(record, "existing", False):
            if seen == digest or (seen is None and self._is_old(row)):
                self.left_out += 1
                return False
            if seen is None and len(self._rows) >= ROWS_KEPT_MAX:
                # To forget another for it would make all rows come again, one after the other.
                return True
        self._rows[key] = digest
        self._rows.move_to_end(key)
        if len(self._rows) > ROWS_KEPT_MAX:
            self._rows.popitem(last=False)
        return True

    def _is_old(self, row: Record) -> bool:
        if self.unseen_before is None:
            return False
        names = ("updated_at", "created_at", "time")
        text = next((found for name in names if (found := getattr(row, name, None))), None)
        if not isinstance(text, str):
            return False
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return False
        return moment.tzinfo is not None and moment < self.unseen_before


def _digest(row: Record) -> bytes:
    try:
        content = _encode(row)
    except (ValueError, OverflowError):
        content = repr(row).encode(errors="backslashreplace")  # a signalling NaN, a number beyond 64 bits
    return blake2b(content, digest_size=_DIGEST_BYTES).digest()
