"""The envelope, and how fields are read and written."""

from __future__ import annotations

import sys
import traceback

import pytest
from rich.pretty import pretty_repr

from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.limits import STRICT_GUID_CHARACTERS_MAX
from tapewire.protocol.reading import Envelope, camel, read_envelope, read_fields, write_request
from tapewire.protocol.requests import Ping, SubscribeBook, Unsubscribe

SECRET = "eyJhbGciOiJFUzI1NiJ9.c2VjcmV0.c2ln"


def refusal_of(message: bytes, **options: int) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        read_envelope(message, **options)
    return caught.value


# --- the envelope ---------------------------------------------------------------------------------------


def test_an_envelope_has_opcode_guid_and_token() -> None:
    assert read_envelope(b'{"opcode":"ping","guid":"g","token":"t"}') == Envelope("ping", "g", "t")


@pytest.mark.parametrize("token", [b"", b',"token":null', b',"token":5', b',"token":{}', b',"token":""'])
def test_no_usable_token_is_an_empty_one(token: bytes) -> None:
    assert read_envelope(b'{"opcode":"ping","guid":"g"' + token + b"}").token == ""


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1" * 5_000, b"0." + b"1" * 5_000])
@pytest.mark.parametrize("key", [b"token", b"other"])
def test_the_guid_beside_a_number_beyond_all_bounds_is_read(key: bytes, number: bytes) -> None:
    assert read_envelope(b'{"opcode":"x","guid":"g","' + key + b'":' + number + b"}").guid == "g"


def test_a_bad_opcode_beside_a_good_guid_is_answered_to_the_guid() -> None:
    refusal = refusal_of(b'{"opcode":1e999,"guid":"g"}')
    assert (refusal.guid, refusal.text) == ("g", "The opcode is missing")


@pytest.mark.parametrize("depth", [200, 500])
def test_nesting_that_is_deep_but_sane_is_skipped(depth: int) -> None:
    assert read_envelope(b'{"opcode":"x","guid":"g","p":' + b"[" * depth + b"]" * depth + b"}").guid == "g"


NOT_JSON = "The message is not valid JSON"


@pytest.mark.parametrize("depth", [5_000, 300_000])
@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_without_end_is_no_message(depth: int, brackets: tuple[bytes, bytes]) -> None:
    opening, closing = brackets
    for key in (b"prev", b"guid"):
        message = b'{"' + key + b'":' + opening * depth + b"1" + closing * depth + b"}"
        if depth == 5_000 and sys.version_info >= (3, 12) and refusal_of(message).text != NOT_JSON:
            # Later Pythons let the reader go deeper; then the message is read, and its guid is none.
            assert refusal_of(message).text == "The guid is missing or empty"
            continue
        assert refusal_of(message).text == NOT_JSON


@pytest.mark.parametrize(
    "message",
    [
        b'{"guid":"\xff","opcode":"x"}',
        b'{"guid":"g","opcode":"\xed\xa0\x80"}',
        b'{"guid":"g","opcode":"x","token":"\xc0\xaf"}',
        b'{"guid":"\\ud800","opcode":"x"}',
        b'{"guid":"\\udc00\\ud800","opcode":"x"}',
        b'{"guid":"g","opcode":"x"}\x00',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe",
    ],
)
def test_texts_that_are_no_text_are_refused(message: bytes) -> None:
    assert refusal_of(message).text == "The message is not valid JSON"


def test_a_surrogate_pair_is_one_character() -> None:
    assert read_envelope(b'{"guid":"\\ud834\\udd1e","opcode":"x"}').guid == "𝄞"


def test_guids_are_counted_in_characters() -> None:
    long = "ы" * 256
    assert read_envelope(f'{{"guid":"{long}","opcode":"x"}}'.encode()).guid == long
    refusal = refusal_of(f'{{"guid":"{long}ы","opcode":"x"}}'.encode())
    assert (refusal.guid, refusal.text) == ("", "The guid is longer than 256 characters")


def test_the_strict_length_of_guids() -> None:
    message = b'{"guid":"' + b"x" * 51 + b'","opcode":"x"}'
    assert read_envelope(message).guid == "x" * 51
    assert "50 characters" in refusal_of(message, guid_characters_max=STRICT_GUID_CHARACTERS_MAX).text


def test_a_bad_guid_is_refused_before_a_bad_opcode() -> None:
    assert refusal_of(b"{}").text == "The guid is missing or empty"


# --- fields ---------------------------------------------------------------------------------------------


def test_the_spelling_of_the_broker() -> None:
    assert [camel(name) for name in ("guid", "skip_history", "stop_end_unix_time")] == [
        "guid",
        "skipHistory",
        "stopEndUnixTime",
    ]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (b'"exchange":"MOEX"', "The field code is missing"),
        (b'"exchange":"MOEX","code":null', "The field code is missing"),
        (b'"exchange":"MOEX","code":"A","depth":[]', "Invalid or unsupported depth"),
        (b'"exchange":"MOEX","code":"A","depth":"\xff"', "Invalid or unsupported depth"),
        (b'"exchange":"MOEX","code":"\xff"', "The message is not valid"),
        (b'"exchange":"MOEX","code":"\\ud800"', "The message is not valid"),
        (b'"exchange":"MOEX","code":"A","depth":null,"x":' + b"[" * 5_000, "The message is not valid"),
    ],
)
def test_a_refusal_names_the_field_and_never_its_value(fields: bytes, text: str) -> None:
    message = b'{"opcode":"x","guid":"g",' + fields + b"}"
    with pytest.raises(BadRequestError) as caught:
        read_fields(SubscribeBook, Envelope("x", "g", ""), message)
    assert (caught.value.guid, caught.value.text) == ("g", text)


def test_nulls_are_absent_and_the_rest_of_the_message_keeps_its_digits() -> None:
    message = (
        b'{"opcode":"x","guid":"g","code":"A","exchange":"MOEX","depth":null,"frequency":"0","prev":{"a":1e999}}'
    )
    request = read_fields(SubscribeBook, Envelope("x", "g", ""), message)
    assert (request.depth, request.frequency) == (20, 0)


def test_a_request_is_written_compact_with_its_opcode_first() -> None:
    assert write_request("unsubscribe", Unsubscribe(guid='a"b', token="t")) == (
        b'{"opcode":"unsubscribe","guid":"a\\"b","token":"t"}'
    )
    assert write_request("ping", Ping(guid="g")) == b'{"opcode":"ping","guid":"g"}'


# --- secrets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "carrier",
    [
        Envelope("ping", "g", SECRET),
        Unsubscribe(guid="g", token=SECRET),
        Ping(guid="g", token=SECRET),
        SubscribeBook(guid="g", code="A", exchange="MOEX", token=SECRET),  # type: ignore[arg-type]
    ],
)
def test_no_token_is_shown(carrier: object) -> None:
    shown = (repr(carrier), str(carrier), f"{[carrier]}", pretty_repr(carrier), pretty_repr([carrier]))
    assert all(SECRET not in text and "***" in text for text in shown)


@pytest.mark.parametrize(
    "message",
    [
        f'{{"opcode":"x","guid":5,"token":"{SECRET}"}}'.encode(),
        f'{{"opcode":"x","guid":"g","token":"{SECRET}","depth":"x","code":"A","exchange":"MOEX"}}'.encode(),
        f'{{"opcode":"x","guid":"g","token":["{SECRET}"],"code":"A","exchange":"MOEX"}}'.encode(),
        f'{{"opcode":"x","guid":"g","token":"{SECRET}",'.encode(),
        f'{{"opcode":"x","guid":"g","token":"{SECRET}'.encode() + b'\xff"}',
    ],
)
def test_no_token_is_in_an_error_or_its_traceback(message: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        read_fields(SubscribeBook, read_envelope(message), message)
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(caught.value)
    assert SECRET not in text
