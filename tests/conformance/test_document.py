"""docs/protocol.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.document_tables import DOCUMENT, with_tables
from conformance.vector_files import vectors
from tapewire.protocol.codes import CloseCode, ResultCode
from tapewire.protocol.limits import (
    BOOK_DEPTH_MAX,
    COMMENT_CHARACTERS_MAX,
    CONNECTIONS_PER_USER_MAX,
    GUID_CHARACTERS_MAX,
    ICEBERG_VARIANCE_PERCENT_MAX,
    INTERVAL_SECONDS_MAX,
    MESSAGE_BYTES_MAX,
    PRICE_DIGITS_MAX,
    PROTECTING_SECONDS_MAX,
    QUANTITY_LOTS_MAX,
    REQUEST_BACKLOG_BYTES_MAX,
    SUBSCRIPTIONS_PER_CONNECTION_MAX,
    TRADES_HISTORY_MAX,
    UNPROCESSED_MESSAGES_MAX,
)

TEXT = DOCUMENT.read_text()
SOURCES = "".join(
    path.read_text()
    for folder in ("protocol", "gateway")
    for path in sorted((Path(__file__).parents[2] / "src" / "tapewire" / folder).glob("*.py"))
)
#: Rows of the refusal tables: what came, code, text.
ROW = re.compile(r"^\| (.+) \| (\d{3}) \| `(.+)` \|$", re.MULTILINE)
ROWS = ROW.findall(TEXT)


def test_the_tables_are_those_of_the_code() -> None:
    message = "write them anew: python tests/conformance/document_tables.py"
    assert with_tables(TEXT) == TEXT, message


def pattern(text: str) -> re.Pattern[str]:
    """Return what a text of the document stands for: ``<field>`` is any word."""
    return re.compile(
        "".join(".+" if part.startswith("<") else re.escape(part) for part in re.split(r"(<\w+>)", text))
    )


@pytest.mark.parametrize("file", ["requests_refused", "commands_refused"])
def test_every_refusal_of_the_vectors_is_in_the_document(file: str) -> None:
    for vector in vectors(file):
        refused = vector.meaning["refused"]
        assert any(
            int(code) == refused["code"] and pattern(text).fullmatch(refused["text"]) for _, code, text in ROWS
        ), refused


def test_every_text_of_the_document_is_one_that_the_code_writes() -> None:
    assert len(ROWS) > 30
    for _, code, text in ROWS:
        assert int(code) in set(ResultCode)
        fixed = re.split(r"<\w+>", text)[0]
        stem = "Invalid or unsupported " if fixed.startswith("Invalid or unsupported ") else fixed
        assert stem in SOURCES, text


def test_every_documented_refusal_of_a_field_has_a_vector() -> None:
    seen = {
        v.meaning["refused"]["text"] for file in ("requests_refused", "commands_refused") for v in vectors(file)
    }
    for _, code, text in ROWS:
        if code == "400" and text not in ("Binary messages are not taken", "The message is not valid"):
            assert any(pattern(text).fullmatch(found) for found in seen), text


def test_the_numbers_of_the_document_are_the_limits() -> None:
    rows = {text: what for what, _, text in ROWS}
    assert rows["Invalid or unsupported depth"] == (
        f"`depth` outside 1..{BOOK_DEPTH_MAX} of a book, outside 0..{TRADES_HISTORY_MAX} of trades"
    )
    for text, limit in (
        ("The guid is longer than <maximum> characters", GUID_CHARACTERS_MAX),
        ("Invalid or unsupported tf", INTERVAL_SECONDS_MAX),
        ("Invalid or unsupported quantity", QUANTITY_LOTS_MAX),
        ("Invalid or unsupported price", PRICE_DIGITS_MAX),
        ("Invalid or unsupported comment", COMMENT_CHARACTERS_MAX),
        ("Invalid or unsupported protectingSeconds", PROTECTING_SECONDS_MAX),
        ("Invalid or unsupported icebergVariance", ICEBERG_VARIANCE_PERCENT_MAX),
        ("Too many connections of this user", CONNECTIONS_PER_USER_MAX),
        ("Too many subscriptions: at most <maximum> a connection", SUBSCRIPTIONS_PER_CONNECTION_MAX + 1),
    ):
        assert re.search(rf"\b{limit}", rows[text]), text


def test_the_close_codes_of_the_document_exist() -> None:
    rows = re.findall(r"^\| (\d{4}) \| (.+) \|$", TEXT, re.MULTILINE)
    assert {int(code) for code, _ in rows} <= set(CloseCode)
    when = {int(code): text for code, text in rows}
    assert REQUEST_BACKLOG_BYTES_MAX == 8 << 20
    assert "8 MiB" in when[CloseCode.POLICY]
    assert str(UNPROCESSED_MESSAGES_MAX) in when[CloseCode.TRY_AGAIN_LATER]
    assert MESSAGE_BYTES_MAX == 1 << 20
    assert "1 MiB" in when[CloseCode.TOO_BIG]
