"""Both ends of the wire against the same files: what the one writes, the other reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import tapewire.model
from conformance.vector_files import FOLDER, Vector, names, plain, vectors
from tapewire.model import Done, Record, Refused
from tapewire.protocol import commands, requests
from tapewire.protocol.codes import CONNECTION_INITIALIZED, HANDLED, INVALID_TOKEN
from tapewire.protocol.commands import COMMANDS, command_bytes, created, deleted, read_command, updated
from tapewire.protocol.errors import BadRequestError, MalformedMessageError
from tapewire.protocol.formats import codec, fields_of
from tapewire.protocol.messages import DATA_PREFIX, SystemMessage, data_tail, guid_of_data, read_system
from tapewire.protocol.reading import WireRequest, read_envelope
from tapewire.protocol.replies import refused, repeated, unavailable, unknown_outcome
from tapewire.protocol.requests import STREAMS, read_request, request_bytes
from tapewire.protocol.tokens import read_access_token, read_refresh_body
from tapewire.protocol.words import Format


def served(message: bytes) -> WireRequest:
    """Read as the server of the data socket does."""
    return read_request(read_envelope(message), message)


def commanded(message: bytes) -> WireRequest:
    """Read as the server of the order socket does."""
    return read_command(read_envelope(message), message)


def each(*files: str, direction: str | None = None) -> Any:
    found = [v for file in files for v in vectors(file) if direction in (None, v.direction)]
    return pytest.mark.parametrize("vector", found, ids=names)


def test_every_file_is_read_by_a_test_and_its_names_are_unique() -> None:
    files = {path.stem for path in FOLDER.glob("*.json")}
    assert files == {
        "answers",
        "commands",
        "commands_refused",
        "commands_tolerance",
        "records",
        "records_tolerance",
        "refresh",
        "replies",
        "requests",
        "requests_refused",
        "requests_tolerance",
    }
    for file in files:
        seen = [(v.name, v.direction) for v in vectors(file)]
        assert sorted(set(seen)) == sorted(seen), file


# --- requests: the client writes, the server reads ------------------------------------------------------


@each("requests", "requests_tolerance")
def test_server_takes_a_request(vector: Vector) -> None:
    check_taken(served(vector.message), requests, vector)


@each("commands", "commands_tolerance")
def test_server_takes_a_command(vector: Vector) -> None:
    check_taken(commanded(vector.message), commands, vector)


def check_taken(request: WireRequest, module: Any, vector: Vector) -> None:
    assert type(request) is getattr(module, vector.meaning["class"])
    for name, value in vector.meaning["fields"].items():
        assert plain(getattr(request, name)) == value, name


@each("requests_refused")
def test_server_refuses_a_request(vector: Vector) -> None:
    check_refused(served, vector)


@each("commands_refused")
def test_server_refuses_a_command(vector: Vector) -> None:
    check_refused(commanded, vector)


def check_refused(read: Any, vector: Vector) -> None:
    with pytest.raises(BadRequestError) as caught:
        read(vector.message)
    refusal = caught.value
    assert {"guid": refusal.guid, "code": refusal.code, "text": refusal.text} == vector.meaning["refused"]


@each("requests", "requests_tolerance")
def test_client_writes_a_request_that_the_server_reads_back(vector: Vector) -> None:
    request = served(vector.message)
    written = request_bytes(request)  # type: ignore[arg-type]
    assert served(written) == request
    check_canonical(written)


@each("commands", "commands_tolerance")
def test_client_writes_a_command_that_the_server_reads_back(vector: Vector) -> None:
    command = commanded(vector.message)
    written = command_bytes(command)
    assert commanded(written) == command
    check_canonical(written)


def check_canonical(written: bytes) -> None:
    assert written.startswith(b'{"opcode":"')
    assert json.dumps(json.loads(written), ensure_ascii=False, separators=(",", ":")).encode() == written


@each("requests")
def test_client_writes_the_keys_of_the_documented_request(vector: Vector) -> None:
    """Nothing that the sample says is lost, and what is added are the documented defaults."""
    sample = json.loads(vector.message)
    written = json.loads(request_bytes(served(vector.message)))  # type: ignore[arg-type]
    sample["opcode"] = sample["opcode"].replace("AllTradesSubscribe", "AllTradesGetAndSubscribe")
    if "format" in sample:
        sample["format"] = sample["format"].capitalize()
    assert {key: written.get(key) for key in sample} == sample
    assert {key: written[key] for key in written.keys() - sample.keys()}.items() <= {
        ("depth", 0),
        ("includeVirtualTrades", False),
        ("token", ""),
    }


@each("commands")
def test_client_writes_the_keys_of_the_documented_command(vector: Vector) -> None:
    sample = json.loads(vector.message)
    assert json.loads(command_bytes(commanded(vector.message))) == sample


def test_there_is_a_request_for_every_stream_and_a_command_for_every_opcode() -> None:
    asked = {type(served(v.message)) for v in vectors("requests")}
    assert asked == {s.request for s in STREAMS.values()} | {requests.Unsubscribe, requests.Ping}
    assert {type(commanded(v.message)) for v in vectors("commands")} == set(COMMANDS.values())


# --- messages: the server writes, the client reads ------------------------------------------------------


def record_type(vector: Vector) -> type[Record]:
    found: type[Record] = getattr(tapewire.model, vector.meaning["record"])
    return found


@each("records", "records_tolerance")
def test_client_reads_a_record(vector: Vector) -> None:
    record = codec(record_type(vector), Format(vector.meaning["format"])).decode_message(vector.message)
    assert isinstance(record, record_type(vector))
    assert plain(record) == vector.meaning["fields"]


@each("records", "records_tolerance")
def test_client_finds_the_guid_of_a_record(vector: Vector) -> None:
    assert guid_of_data(vector.message) == vector.meaning["guid"]
    assert read_system(vector.message) is None


@each("records")
def test_server_writes_a_record_byte_by_byte(vector: Vector) -> None:
    """Data first, guid last, compact, the keys of the format in the order of its table."""
    code = codec(record_type(vector), Format(vector.meaning["format"]))
    data = code.encode(code.decode_message(vector.message))
    written = DATA_PREFIX + data + data_tail(vector.meaning["guid"])
    assert written == vector.meaning.get("written", vector.message.decode()).encode()
    assert json.loads(written) == json.loads(vector.message)
    assert list(json.loads(written)) == ["data", "guid"]


@each("records")
def test_server_writes_other_formats_of_the_same_record(vector: Vector) -> None:
    """A record that was read in one format is written in the others with the keys that they have in common."""
    kind = record_type(vector)
    record = codec(kind, Format(vector.meaning["format"])).decode_message(vector.message)
    set_names = set(vector.meaning["fields"])
    for other in Format:
        written = json.loads(codec(kind, other).encode(record))
        expected = {f.key(other) for f in fields_of(kind) if f.name in set_names and f.key(other)}
        assert set(written) == expected


def test_there_are_three_formats_of_every_record() -> None:
    seen = {(v.meaning["record"], v.meaning["format"]) for v in vectors("records")}
    assert seen == {(s.record.__name__, f.value) for s in STREAMS.values() for f in Format}


@each("answers", "replies")
def test_client_reads_an_answer(vector: Vector) -> None:
    kind = vector.meaning["kind"]
    if kind == "system":
        answer = read_system(vector.message)
        assert answer is not None
        order_number = vector.meaning.get("orderNumber")
        assert answer == SystemMessage(
            vector.meaning["requestGuid"],
            vector.meaning["httpCode"],
            vector.meaning["message"],
            **({} if order_number is None else {"order_number": order_number}),
        )
        assert answer.ok == (vector.meaning["httpCode"] == 200)
        assert guid_of_data(vector.message) is None
    elif kind == "nothing":
        assert read_system(vector.message) is None
        assert guid_of_data(vector.message) is None
    else:
        with pytest.raises(MalformedMessageError):
            read_system(vector.message)
        if kind == "malformed":
            with pytest.raises(MalformedMessageError):
                guid_of_data(vector.message)


@each("answers", "replies")
def test_server_writes_an_answer_byte_by_byte(vector: Vector) -> None:
    if not vector.meaning.get("exact"):
        return
    answer = read_system(vector.message)
    assert answer is not None
    assert answer.encode() == vector.message
    assert vector.message.startswith(b'{"requestGuid":"')


@each("replies")
def test_server_makes_the_documented_texts(vector: Vector) -> None:
    meaning = vector.meaning
    guid, number = meaning.get("requestGuid", ""), meaning.get("orderNumber", "")
    refusal = Refused(meaning.get("code", 0), meaning.get("reason", ""))
    make: dict[str, Callable[[], SystemMessage]] = {
        "created": lambda: created(guid, number),
        "updated": lambda: updated(guid, number),
        "deleted": lambda: deleted(guid, number),
        "refused by the venue": lambda: refused(guid, refusal),
        "repeated, done": lambda: repeated(guid, Done(number)),
        "repeated, refused": lambda: repeated(guid, refusal),
        "unavailable": lambda: unavailable(guid, refusal.reason),
        "unknown outcome": lambda: unknown_outcome(guid, refusal.reason),
    }
    if meaning.get("answer") in make:
        assert make[meaning["answer"]]().encode() == vector.message


def test_every_reply_about_orders_has_a_vector() -> None:
    answers = {vector.meaning.get("answer") for vector in vectors("replies")}
    assert answers >= {"created", "updated", "deleted", "refused by the venue", "repeated, done"}
    assert answers >= {"repeated, refused", "unavailable", "unknown outcome"}


def test_documented_texts_are_constants() -> None:
    texts = {
        v.meaning["message"] for file in ("answers", "replies") for v in vectors(file) if "message" in v.meaning
    }
    assert {HANDLED, INVALID_TOKEN, CONNECTION_INITIALIZED} <= texts


# --- renewing a token -----------------------------------------------------------------------------------


@each("refresh", direction="to server")
def test_server_reads_a_refresh_request(vector: Vector) -> None:
    if vector.meaning.get("malformed"):
        with pytest.raises(MalformedMessageError):
            read_refresh_body(vector.message)
        return
    request = read_refresh_body(vector.message)
    assert request.token == (vector.meaning["token"] or "")
    assert plain(request.allowed_portfolios) == vector.meaning.get("allowedPortfolios")


@each("refresh", direction="to client")
def test_client_reads_a_refresh_answer(vector: Vector) -> None:
    if vector.meaning.get("malformed"):
        with pytest.raises(MalformedMessageError):
            read_access_token(vector.message)
    else:
        assert read_access_token(vector.message) == vector.meaning["token"]
