"""Records: their bytes, and what is told apart when they are not what was written."""

from __future__ import annotations

from zlib import crc32

import pytest

from tapewire.journal.record import (
    BODY_BYTES_MAX,
    HEADER_BYTES,
    DamagedRecordError,
    Entry,
    EntryKind,
    NewerRecordError,
    TornRecordError,
    decode,
    encode,
)

ENTRY = Entry(EntryKind.COMMAND, 258, -2, b"body")


def headed(version: int = 1, kind: int = 1) -> bytes:
    """Make a record whose checksums are right, whatever it says."""
    fields = bytes([version, kind]) + encode(ENTRY)[2 : HEADER_BYTES - 4]
    return fields + crc32(fields).to_bytes(4, "little") + ENTRY.body


def test_the_bytes_are_those_of_the_document() -> None:
    """Files are read by later versions: this must not change by accident."""
    fields = bytes.fromhex("0101040000000201000000000000feffffffffffffff") + crc32(b"body").to_bytes(4, "little")
    assert encode(ENTRY) == fields + crc32(fields).to_bytes(4, "little") + b"body"


def test_numbers_of_kinds_never_change() -> None:
    assert {kind.name: kind.value for kind in EntryKind} == {
        "COMMAND": 1,
        "MARKET_STEPS": 2,
        "STEPS_MADE": 3,
        "EPOCH_STARTED": 4,
        "MARK": 5,
        "PROBE": 6,
        "ACCOUNTS_OPENED": 7,
    }


@pytest.mark.parametrize("body", [b"", b"x", bytes(BODY_BYTES_MAX)])
def test_bodies_of_every_size_come_back(body: bytes) -> None:
    entry = ENTRY._replace(body=body)
    assert decode(encode(entry)) == entry


@pytest.mark.parametrize("data", [b"", encode(ENTRY)[:HEADER_BYTES], encode(ENTRY)[:-1]])
def test_what_ends_too_early_is_torn(data: bytes) -> None:
    with pytest.raises(TornRecordError):
        decode(data)


@pytest.mark.parametrize("data", [encode(ENTRY) + b"x", bytes(HEADER_BYTES), b"x" * 100])
def test_what_is_something_else_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedRecordError):
        decode(data)


@pytest.mark.parametrize(
    ("data", "text"), [(headed(version=2), "format 2; this tapewire knows 1"), (headed(kind=99), "kind 99")]
)
def test_what_a_newer_version_wrote_is_no_damage(data: bytes, text: str) -> None:
    with pytest.raises(NewerRecordError, match=text):
        decode(data)
