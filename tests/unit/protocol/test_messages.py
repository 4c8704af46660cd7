"""Answers and the guid of data messages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.model import UNSET
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.messages import DATA_PREFIX, SystemMessage, data_tail, guid_of_data, read_system

# --- answers --------------------------------------------------------------------------------------------


def test_an_answer_begins_with_its_guid_and_is_compact() -> None:
    assert SystemMessage("g", ResultCode.OK, "Handled successfully").encode() == (
        b'{"requestGuid":"g","httpCode":200,"message":"Handled successfully"}'
    )


def test_an_order_number_is_the_last_key_and_only_there_when_set() -> None:
    assert SystemMessage("g", 200, "x", "203").encode().endswith(b',"orderNumber":"203"}')
    assert b"orderNumber" not in SystemMessage("g", 200, "x").encode()


def test_an_answer_without_a_guid_has_an_empty_one() -> None:
    assert SystemMessage("", 400, "x").encode().startswith(b'{"requestGuid":""')


@given(st.text(max_size=20), st.integers(100, 599), st.text(max_size=20), st.text(max_size=5) | st.just(UNSET))
def test_an_answer_comes_back(guid: str, code: int, text: str, number: Any) -> None:
    answer = SystemMessage(guid, code, text, number)
    assert read_system(answer.encode()) == answer


@pytest.mark.parametrize(("code", "ok"), [(200, True), (201, False), (400, False), (0, False)])
def test_only_200_is_success(code: int, ok: bool) -> None:
    assert SystemMessage("g", code).ok is ok


def test_a_data_message_is_no_answer_even_if_it_names_a_request() -> None:
    assert read_system(b'{"data":{"requestGuid":"x"},"guid":"g"}') is None


def test_the_key_is_looked_for_at_the_top_only() -> None:
    assert read_system(b'{"guid":"g","inner":{"requestGuid":"x","httpCode":200}}') is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"pong",
        b"[]",
        b"1",
        b"null",
        b'{"requestGuid":"g"}',
        b'{"requestGuid":"g","httpCode":null}',
        b'{"requestGuid":"g","httpCode":"many"}',
        b'{"requestGuid":5,"httpCode":200}',
        b'{"requestGuid":"\xff","httpCode":200}',
        b'{"requestGuid":"\\ud800","httpCode":200}',
        b'{"requestGuid":"g","httpCode":' + b"1" * 5_000 + b"}",
        b'{"a":' * 5_000,
        b'{"\xff":1}',
    ],
)
def test_what_cannot_be_read_is_malformed(message: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        read_system(message)


# --- the guid of a data message -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "guid"),
    [
        (b'{"data":{},"guid":"g"}', "g"),
        (b'{"data":{},"guid":""}', ""),
        ('{"data":{},"guid":"ы-𝄞"}'.encode(), "ы-𝄞"),
        (b'{"guid":"g","data":{}}', "g"),
        (b'{"data":{"guid":"inner"},"guid":"g"}', "g"),
        (b'{"data":{"guid":"inner"}}', None),
        (b'{"data":{"x":{"guid":"inner"}},"guid":5}', None),
        (b'{"data":[{"guid":"inner"}]}', None),
        (b'{"data":"\\"guid\\":\\"inner","guid":"g"}', "g"),
        (b'{"data":",\\"guid\\":\\"inner\\"}"}', None),
        (b'{"data":{},"guid":"a\\"b"}', 'a"b'),
        (b'{"data":{},"guid":"a\\\\"}', "a\\"),
        (b'{"data":{},"guid":"\\u0067"}', "g"),
        (b'{"data":{},"gu\\u0069d":"g"}', "g"),
        (b'{"data":{},"guid":"g"} ', "g"),
        (b'{"data":{},"guid":"g"}\r\n', "g"),
        (b' {"data":{},"guid":"g"}', "g"),
        (b'{"data":{},"guid": "g"}', "g"),
        (b'{"data":{},"guid" :"g"}', "g"),
        (b'{"data":{}, "guid":"g"}', "g"),
        (b'{"data":{},"guid":"g","more":"x"}', "g"),
        (b'{"data":{},"guid":"g","more":{"guid":"x"}}', "g"),
        (b'{"data":{},"guid":"first","guid":"last"}', "last"),
        (b'{"data":{},"a\\"guid":"x"}', None),
        (b'{"data":{},"a,\\"guid":"x"}', None),
        (b'{"data":{},"guid":"g","a\\"guid":"x"}', "g"),
        (b'{"data":{},"guid":null}', None),
        (b'{"guid":"g"}', None),
        (b"{}", None),
        (b'{"requestGuid":"g","httpCode":200}', None),
    ],
)
def test_the_guid_is_found_where_a_full_parse_finds_it(message: bytes, guid: str | None) -> None:
    assert guid_of_data(message) == guid == parsed_guid(message)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"pong",
        b"[]",
        b'{"data":{}',
        b'{"data":{},"guid":"\xff"}',
        b'{"data":{},"guid": "\xff"}',
        b'{"data":{},"guid":"\\ud800"}',
        b'{"a":' * 5_000,
        b'{"\xff":1}',
    ],
)
def test_what_is_no_json_object_is_malformed(message: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        guid_of_data(message)


def test_numbers_beyond_all_bounds_do_not_hide_the_guid() -> None:
    assert guid_of_data(b'{"guid":"g","data":{"x":' + b"1" * 5_000 + b"}}") == "g"
    assert guid_of_data(b'{"guid":"g","data":1e999}') == "g"


def parsed_guid(message: bytes) -> str | None:
    fields = json.loads(message)
    found = fields.get("guid")
    return found if "data" in fields and isinstance(found, str) else None


TRICKY = st.sampled_from(["guid", '"guid":"', ',"guid":"', "\\", '"', "data", "}", ',"', "ы", "a"])
TEXTS = st.lists(TRICKY, max_size=4).map("".join) | st.text(max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(TEXTS | st.just("guid") | st.just("data"), VALUES, max_size=4),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_the_fast_path_equals_a_full_parse(
    fields: dict[str, Any], compact: bool, ascii_only: bool, data_first: bool
) -> None:
    if data_first:
        fields = {"data": fields.get("data"), **fields}
    separators = (",", ":") if compact else (", ", ": ")
    message = json.dumps(fields, ensure_ascii=ascii_only, separators=separators).encode()
    assert guid_of_data(message) == parsed_guid(message)


@given(TEXTS, VALUES)
def test_what_the_server_puts_together_is_found(guid: str, data: Any) -> None:
    message = DATA_PREFIX + json.dumps(data, ensure_ascii=False).encode() + data_tail(guid)
    assert json.loads(message) == {"data": data, "guid": guid}
    assert guid_of_data(message) == guid
