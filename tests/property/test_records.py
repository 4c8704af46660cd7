"""Round trips of every record, request and command, and what arbitrary bytes may do to a reader: little."""

from __future__ import annotations

import base64
import json
import types
from decimal import Decimal
from enum import IntEnum
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapewire.model import UNSET, Record, UnsetType, Word
from tapewire.protocol.commands import COMMANDS, command_bytes, read_command
from tapewire.protocol.errors import BadRequestError, MalformedMessageError
from tapewire.protocol.formats import codec, fields_of
from tapewire.protocol.limits import INTERVAL_SECONDS_MAX, UNIX_SECONDS_MAX
from tapewire.protocol.messages import DATA_PREFIX, SystemMessage, data_tail, guid_of_data, read_system
from tapewire.protocol.reading import WireRequest, read_envelope
from tapewire.protocol.requests import STREAMS, Ping, Unsubscribe, read_request, request_bytes
from tapewire.protocol.tokens import claims_of, read_access_token, read_refresh_body
from tapewire.protocol.words import Format

RECORDS = [stream.record for stream in STREAMS.values()]
REQUESTS: list[type[WireRequest]] = [*(stream.request for stream in STREAMS.values()), Unsubscribe, Ping]
FORMATS = st.sampled_from(list(Format))

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# --- values of any annotation ---------------------------------------------------------------------------

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["null", "NaN", "true", "1", "[N/A]", '"orderno":', "\\", '"', "ГАЗПРОМ ао"]
)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [
        Decimal("0E-7"),
        Decimal("-0"),
        Decimal("1E+30"),
        Decimal("301.4500"),
        Decimal("1E-999999"),
        Decimal("9" * 40),
    ]
)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Return values that an annotation allows."""
    if isinstance(annotation, type):
        if issubclass(annotation, msgspec.Struct):
            return records_of(annotation) if issubclass(annotation, Record) else structs_of(annotation)
        if issubclass(annotation, Word):
            # "null" in any letters is the one text that is read as null where a word may be null.
            strangers = st.text(max_size=6).filter(lambda text: text.casefold() != "null").map(annotation)
            return st.sampled_from(list(annotation)) | strangers
        if issubclass(annotation, IntEnum):
            return st.sampled_from(list(annotation)) | st.integers(-(2**31), 2**31).map(annotation)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(-(2**70), 2**70),
        float: st.floats(allow_nan=False, allow_infinity=False),
        str: TEXTS,
        Decimal: DECIMALS,
        types.NoneType: st.none(),
        UnsetType: st.just(UNSET),
    }
    if annotation in plain:
        return plain[annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    assert get_origin(annotation) in (Union, types.UnionType), annotation
    return st.one_of(*map(values_of, arguments))


@cache
def records_of(record_type: type[Record]) -> st.SearchStrategy[Any]:
    return st.builds(record_type, **{field.name: values_of(field.type) for field in fields_of(record_type)})


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same, whichever format's class a record inside has."""
    if isinstance(left, Record):
        return all(same(getattr(left, name), getattr(right, name)) for name in left.__struct_fields__)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, Decimal):
        return isinstance(right, Decimal) and left == right
    if isinstance(left, bool) or left is None or left is UNSET:
        return left is right
    return bool(left == right) and isinstance(right, type(left))


def seen_through(record: Record, message_format: Format) -> Any:
    """Return the record as one format shows it: without what the format lacks, records inside as well."""
    if not isinstance(record, Record):
        if isinstance(record, tuple):
            return tuple(seen_through(item, message_format) for item in record)
        return record
    kind = next(kind for kind in type(record).__mro__ if kind.__base__ is Record)
    values = {
        field.name: UNSET
        if field.key(message_format) is None
        else seen_through(getattr(record, field.name), message_format)
        for field in fields_of(kind)
    }
    return kind(**values)


# --- records --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message_format", Format)
@pytest.mark.parametrize("record_type", RECORDS)
@few
@given(data=st.data())
def test_a_record_comes_back_with_what_the_format_has(
    record_type: type[Record], message_format: Format, data: st.DataObject
) -> None:
    record = data.draw(records_of(record_type))
    code = codec(record_type, message_format)
    written = code.encode(record)
    back = code.decode(written)
    assert isinstance(back, record_type)
    assert same(seen_through(record, message_format), back)
    keys = {f.key(message_format): f.name for f in fields_of(record_type) if f.key(message_format)}
    assert list(msgspec.json.decode(written, type=dict[str, msgspec.Raw])) == [
        key for key, name in keys.items() if getattr(record, name) is not UNSET
    ]
    # Not the bytes: a minus before a zero may go.
    assert same(code.decode(code.encode(back)), back)
    assert same(code.decode_message(DATA_PREFIX + written + data_tail('g"\\')), back)
    assert guid_of_data(DATA_PREFIX + written + data_tail('g"\\')) == 'g"\\'


@pytest.mark.parametrize("record_type", RECORDS)
@few
@given(data=st.data())
def test_a_record_goes_through_any_two_formats_and_loses_only_what_they_lack(
    record_type: type[Record], data: st.DataObject
) -> None:
    record, first, second = data.draw(records_of(record_type)), data.draw(FORMATS), data.draw(FORMATS)
    once = codec(record_type, first).decode(codec(record_type, first).encode(record))
    twice = codec(record_type, second).decode(codec(record_type, second).encode(once))
    assert same(seen_through(seen_through(record, first), second), twice)


@pytest.mark.parametrize("record_type", RECORDS)
@few
@given(data=st.data())
def test_what_is_written_is_json_whatever_the_numbers(record_type: type[Record], data: st.DataObject) -> None:
    record = data.draw(records_of(record_type))
    strange = {
        Decimal: st.sampled_from([Decimal("NaN"), Decimal("-Infinity"), Decimal("sNaN"), Decimal("NaN7")]),
        float: st.sampled_from([float("inf"), float("-inf"), float("nan")]),
    }
    changes = {
        field.name: data.draw(values)
        for field in fields_of(record_type)
        for number, values in strange.items()
        if number in (field.type, *get_args(field.type))
    }
    record = msgspec.structs.replace(record, **changes)
    for message_format in Format:
        written = json.loads(codec(record_type, message_format).encode(record), parse_constant=pytest.fail)
        keys = {field.name: field.key(message_format) for field in fields_of(record_type)}
        assert all(written[keys[name]] is None for name in changes if keys[name])


# --- requests and commands ------------------------------------------------------------------------------

NAMED: dict[str, st.SearchStrategy[Any]] = {
    "guid": st.text(min_size=1, max_size=256),
    "frequency": st.integers(0, 10**9),
    "since_s": st.integers(0, UNIX_SECONDS_MAX),
    "stop_end_unix_time": st.integers(0, UNIX_SECONDS_MAX),
    "timeframe": st.sampled_from(["D", "W", "M", "Y", "60"]) | st.integers(1, INTERVAL_SECONDS_MAX),
    "depth": st.integers(1, 50),
    "quantity": st.integers(1_000, 2**31 - 1),
    "iceberg_fixed": st.integers(1, 999) | st.none() | st.just(UNSET),
    "iceberg_variance": st.decimals(0, 20, places=2) | st.none() | st.just(UNSET),
    "protecting_seconds": st.integers(1, 300) | st.none() | st.just(UNSET),
    "price": st.decimals("0.00000001", 10**13, places=8),
    "trigger_price": st.decimals("0.00000001", 10**13, places=8),
    "order_id": st.from_regex(r"[0-9]{1,20}", fullmatch=True) | st.integers(0, 2**63 - 1),
    "comment": st.text(max_size=100) | st.none() | st.just(UNSET),
}


@cache
def structs_of(struct: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(struct)
    fields = {name: NAMED[name] if name in NAMED else known(hints[name]) for name in struct.__struct_fields__}
    return st.builds(struct, **fields)


def known(annotation: Any) -> st.SearchStrategy[Any]:
    """Return values of an annotation; words are those of the list."""
    if isinstance(annotation, type) and issubclass(annotation, Word):
        return st.sampled_from(list(annotation))
    arguments = get_args(annotation)
    if get_origin(annotation) is tuple:
        return st.lists(known(arguments[0]), max_size=3).map(tuple)
    if arguments and get_origin(annotation) is not Annotated:
        return st.one_of(*map(known, arguments))
    return values_of(annotation)


@pytest.mark.parametrize("request_type", REQUESTS)
@few
@given(data=st.data())
def test_a_request_that_is_written_is_read_back(request_type: type[WireRequest], data: st.DataObject) -> None:
    request = data.draw(structs_of(request_type))
    written = request_bytes(request)
    envelope = read_envelope(written)
    assert read_request(envelope, written) == request
    assert envelope.guid == request.guid
    assert envelope.token == (getattr(request, "token", "") or "")


@pytest.mark.parametrize("command_type", COMMANDS.values())
@few
@given(data=st.data())
def test_a_command_that_is_written_is_read_back(command_type: type[WireRequest], data: st.DataObject) -> None:
    command = data.draw(structs_of(command_type))
    written = command_bytes(command)
    read = read_command(read_envelope(written), written)
    assert read == command
    assert command_bytes(read) == written


# --- arbitrary bytes ------------------------------------------------------------------------------------

OPCODES = [stream.opcode for stream in STREAMS.values()] + ["ping", "unsubscribe", *COMMANDS]
WIRE_KEYS = sorted(
    {key for kind in (*REQUESTS, *COMMANDS.values()) for key in kind.__struct_encode_fields__}
    | {
        "opcode",
        "token",
        "guid",
        "data",
        "requestGuid",
        "httpCode",
        "message",
        "orderNumber",
        "AccessToken",
        "symbol",
    }
    | {
        "allowedPortfolios",
        "sub",
        "exp",
        "iat",
        "aud",
        "bids",
        "time",
        "t",
        "b",
        "c",
        "iceberg",
        "bpv2",
        "bp2v",
        "le",
    }
)
#: Values that have broken readers of JSON before, written as they stand.
HARD = st.sampled_from(
    [
        *(b"null", b"true", b"0", b"-0", b"-1", b"1.5", b"1e400", b"-1e400", b"1e-400", b"1e999999", b"NaN"),
        *(
            b'""',
            b'"\\ud800"',
            b'"\\udc00\\ud800"',
            b'"\xff"',
            b'"\xed\xa0\x80"',
            b'"NaN"',
            b'"Infinity"',
            b'"null"',
        ),
        *(b"9" * 30, b"9" * 4_300, b"9" * 4_301, b'"' + b"9" * 4_301 + b'"', b"0." + b"1" * 5_000, b"1_0"),
        *(
            b"[" * 3_000,
            b"[" * 300 + b"]" * 300,
            b'{"a":' * 3_000,
            b"[null]",
            b"{}",
            b"[]",
            b"[{}]",
            b'{"symbol":null}',
        ),
        *(b'"MOEX"', b'"D"', b'"g"', b'"x"', b"1", b'"1"', b'"buy"', b"{", b'"'),
    ]
)
SANE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WIRE_KEYS), inner, max_size=3),
    max_leaves=4,
).map(lambda value: json.dumps(value).encode())


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Almost messages: known keys, values of all kinds, sometimes cut or with a byte changed."""
    opcode = json.dumps(draw(st.sampled_from(OPCODES))).encode()
    pairs = [(b'"opcode"', opcode), (b'"guid"', b'"g"')] if draw(st.booleans()) else []
    keys = draw(st.lists(st.sampled_from(WIRE_KEYS), max_size=8))
    pairs += [(json.dumps(key).encode(), draw(HARD | SANE)) for key in keys]
    message = b"{" + b",".join(key + b":" + value for key, value in pairs) + b"}"
    if draw(st.integers(0, 4)) == 0 and len(message) < 10_000:
        at = draw(st.integers(0, len(message) - 1))
        message = message[:at] + draw(st.binary(max_size=2)) + message[at + draw(st.integers(0, 2)) :]
    return message


ANY_BYTES = (
    messages() | st.binary(max_size=64) | st.binary(max_size=32).map(lambda b: b'{"data":' + b + b',"guid":"g"}')
)


@many
@given(ANY_BYTES)
def test_a_server_answers_any_bytes_or_reads_them(message: bytes) -> None:
    try:
        envelope = read_envelope(message)
    except BadRequestError as refusal:
        check_answerable(refusal)
        return
    for read in (read_request, read_command):
        try:
            request = read(envelope, message)
        except BadRequestError as refusal:
            check_answerable(refusal, envelope.guid)
        else:
            assert request.guid == envelope.guid
            write = request_bytes if read is read_request else command_bytes
            written = write(request)  # type: ignore[operator]
            assert read(read_envelope(written), written) == request
            repr(request)


def check_answerable(refusal: BadRequestError, guid: str | None = None) -> None:
    """The refusal can be written, and read by a client, and is short."""
    assert guid in (None, refusal.guid)
    answer = SystemMessage(refusal.guid, refusal.code, refusal.text)
    assert read_system(answer.encode()) == answer
    assert len(refusal.text) < 150


def check_text(error: MalformedMessageError) -> None:
    """The error says something, and does not repeat the message."""
    assert 0 < len(str(error)) < 200


@many
@given(ANY_BYTES)
def test_a_client_survives_any_bytes(message: bytes) -> None:
    for read in (read_system, guid_of_data, read_access_token, read_refresh_body):
        try:
            found: Any = read(message)  # type: ignore[operator]
        except MalformedMessageError as error:
            check_text(error)
        else:
            assert found is None or isinstance(found, str | msgspec.Struct)


@pytest.mark.parametrize("message_format", Format)
@pytest.mark.parametrize("record_type", RECORDS)
@few
@given(data=st.data())
def test_a_codec_survives_any_values_of_its_own_keys(
    record_type: type[Record], message_format: Format, data: st.DataObject
) -> None:
    keys = [key for f in fields_of(record_type) for key in (f.key(message_format), *f.wire.also) if key]
    chosen = data.draw(st.lists(st.sampled_from(keys), max_size=3))
    fields = b",".join(json.dumps(key).encode() + b":" + data.draw(HARD | SANE) for key in chosen)
    code = codec(record_type, message_format)
    try:
        record = code.decode(b"{" + fields + b"}")
    except MalformedMessageError as error:
        check_text(error)
        return
    written = code.encode(record)
    json.loads(written, parse_int=str, parse_float=str, parse_constant=pytest.fail)
    assert code.encode(code.decode(written)) == written
    code.decode_message(b'{"data":' + written + b"}")


@many
@given(ANY_BYTES, st.text(max_size=12) | st.sampled_from(["a.{}.c", "{}", "a.{}", "..{}", "a.=={}.c"]))
def test_claims_are_read_from_any_text_or_refused(payload: bytes, shape: str) -> None:
    token = shape.replace("{}", base64.urlsafe_b64encode(payload).decode().rstrip("="))
    try:
        claims = claims_of(token)
    except MalformedMessageError as error:
        check_text(error)
    else:
        assert claims.sub is not None
        assert isinstance(claims.portfolio_list, tuple)
