"""One record of the journal: what it says, and its bytes.

    byte  0      1     2..5         6..13     14..21   22..25         26..29           30..
          version kind  body bytes   sequence  at_ns    CRC-32 of the  CRC-32 of the    body
                                                        body           first 26 bytes

Numbers are little-endian and without sign, but ``at_ns``, which has one. The header has a checksum of its own, so
that a record that was never whole (a true header, and fewer bytes behind it than it says) and one that was changed
later cannot be taken for each other. In every version the first 30 bytes are the header and its checksum is the
last field, so that a newer version can be told from damage.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple
from zlib import crc32

from tapewire.ports.journal import JournalError

__all__ = [
    "BODY_BYTES_MAX",
    "HEADER_BYTES",
    "OWN_KINDS",
    "VERSION",
    "DamagedRecordError",
    "Entry",
    "EntryKind",
    "NewerRecordError",
    "RecordError",
    "TornRecordError",
    "decode",
    "encode",
    "scan",
]

#: Grows with every change that an older tapewire would misread.
VERSION = 1
#: A command's text is below 1 MiB on the wire and its encoded form is some hundred bytes.
BODY_BYTES_MAX = 64 << 10

_FIELDS = struct.Struct("<BBIQqI")
_HEADER = struct.Struct("<BBIQqII")
HEADER_BYTES = _HEADER.size
assert HEADER_BYTES == 30


class EntryKind(IntEnum):
    """What an entry is. The journal reads the bodies of its own kinds only."""

    #: A user's command.
    COMMAND = 1
    #: A run of steps of the market (``journal.steps``).
    MARKET_STEPS = 2
    #: Where the owner's steps stood: what is journaled with it is a state of that moment.
    STEPS_MADE = 3
    #: The owner has started anew.
    EPOCH_STARTED = 4
    #: The journal's own: which state the owner had at a sequence (``journal.mark``).
    MARK = 5
    #: The journal's own: the disk takes records again.
    PROBE = 6
    #: The owner has opened accounts.
    ACCOUNTS_OPENED = 7


#: Kinds that are never handed to the owner.
OWN_KINDS = frozenset({EntryKind.MARK, EntryKind.PROBE})
_KINDS = {int(kind): kind for kind in EntryKind}


class Entry(NamedTuple):
    """One entry of the journal, in its place."""

    kind: EntryKind
    sequence: int
    #: Event time, UTC ns.
    at_ns: int
    body: bytes


class RecordError(JournalError):
    """These bytes are not a record that can be used; the text says what is wrong with them."""


class TornRecordError(RecordError):
    """The record was never written to its end."""


class DamagedRecordError(RecordError):
    """The record was written whole and is not what was written."""


class NewerRecordError(RecordError):
    """The record is whole and says something that this tapewire does not know."""


def encode(entry: Entry) -> bytes:
    """Write an entry; its body has at most ``BODY_BYTES_MAX`` bytes."""
    kind, sequence, at_ns, body = entry
    assert len(body) <= BODY_BYTES_MAX, "whoever admits an entry has looked at its size"
    fields = _FIELDS.pack(VERSION, kind, len(body), sequence, at_ns, crc32(body))
    return b"".join((fields, crc32(fields).to_bytes(4, "little"), body))


def decode(data: bytes) -> Entry:
    """Read the one record that ``data`` is.

    Raises:
        TornRecordError: It ends too early, and what is there is true.
        DamagedRecordError: It is not what was written.
        NewerRecordError: A newer tapewire has written it.
    """
    entry, end = _decode_at(data, 0)
    if end != len(data):
        raise DamagedRecordError(f"{len(data) - end} bytes too many")
    return entry


def scan(data: bytes) -> tuple[list[Entry], int]:
    """Read records that stand one behind the other; return them and where the last whole one ends.

    Raises:
        DamagedRecordError, NewerRecordError: As for ``decode``. A torn record at the end is no error.
    """
    entries = []
    at = 0
    while at < len(data):
        try:
            entry, at = _decode_at(data, at)
        except TornRecordError:
            break
        entries.append(entry)
    return entries, at


def _decode_at(data: bytes, at: int) -> tuple[Entry, int]:
    size = len(data) - at
    if size < HEADER_BYTES:
        raise TornRecordError(f"it ends after {size} of {HEADER_BYTES} bytes of its header")
    version, number, body_bytes, sequence, at_ns, body_crc, header_crc = _HEADER.unpack_from(data, at)
    begin = at + HEADER_BYTES
    if crc32(data[at : begin - 4]) != header_crc:
        raise DamagedRecordError("the checksum of its header is wrong")
    if version != VERSION:
        raise NewerRecordError(f"it has format {version}; this tapewire knows {VERSION}")
    end = begin + body_bytes
    if end > len(data):
        raise TornRecordError(f"it ends after {len(data) - begin} of {body_bytes} bytes of its body")
    body = data[begin:end]
    if crc32(body) != body_crc:
        raise DamagedRecordError("the checksum of its body is wrong")
    kind = _KINDS.get(number)
    if kind is None:
        raise NewerRecordError(f"it is of kind {number}, which this tapewire does not know")
    return Entry(kind, sequence, at_ns, body), end
