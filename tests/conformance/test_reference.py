"""The tables of the code against the machine-readable reference, where it lies beside the project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tapewire.model import (
    ClientType,
    Condition,
    Exchange,
    OrderStatus,
    OrderType,
    Record,
    RiskStatus,
    Side,
    StopType,
    TimeInForce,
    TopicKind,
    TradingCode,
    TradingStatus,
    Word,
)
from tapewire.protocol import limits
from tapewire.protocol.commands import COMMANDS, InstrumentRef, UserRef
from tapewire.protocol.formats import Field, fields_of
from tapewire.protocol.reading import WireRequest
from tapewire.protocol.requests import STREAMS, Ping, Stream, Unsubscribe
from tapewire.protocol.tokens import Claims, Scope
from tapewire.protocol.words import Format

REFERENCE = Path(__file__).parents[3] / "shared" / "protocol"

pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference is not beside the project")


def load(name: str) -> Any:
    return json.loads((REFERENCE / f"{name}.json").read_text())


STREAM_LIST = tuple(STREAMS.values())
#: Read by newer terminals, says the prose of the reference; not in its tables.
BEYOND_THE_TABLES = {"derivativesDebt"}
WORD_LISTS: list[type[Word]] = [
    Side,
    OrderType,
    StopType,
    OrderStatus,
    TimeInForce,
    Condition,
    ClientType,
    RiskStatus,
]


def nested(field: Field) -> type[Record] | None:
    return find_record(field.type)


def find_record(annotation: Any) -> type[Record] | None:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return annotation
    return next((found for part in get_args(annotation) if (found := find_record(part))), None)


@pytest.mark.parametrize("message_format", Format)
@pytest.mark.parametrize("stream", STREAM_LIST, ids=lambda s: s.opcode)
def test_records_have_exactly_the_keys_of_the_reference(stream: Stream, message_format: Format) -> None:
    tables = load("subscriptions")["opcodes"][stream.opcode]["response"]
    # Clusters are described once; tapewire sends them alike in all formats.
    rows = {row["name"]: row for row in tables.get(message_format.lower(), tables["simple"])}
    fields = {key: field for field in fields_of(stream.record) if (key := field.key(message_format))}
    beyond = BEYOND_THE_TABLES | ({"currency"} if stream.kind is TopicKind.FILLS else set())
    assert fields.keys() - beyond == rows.keys()
    for name, row in rows.items():
        inner = nested(fields[name])
        items = [item["name"] for item in row.get("items", [])]
        assert items == (
            [f.key(message_format) for f in fields_of(inner) if f.key(message_format)] if inner else []
        )


@pytest.mark.parametrize("stream", STREAM_LIST, ids=lambda s: s.opcode)
def test_requests_have_exactly_the_keys_of_the_reference(stream: Stream) -> None:
    entry = load("subscriptions")["opcodes"][stream.opcode]
    rows = {row["name"]: row for row in entry["request"]}
    extra = {"instrumentGroup"} if stream.opcode == "ClustersGetAndSubscribe" else set()
    assert keys_of(stream.request) | {"opcode"} == rows.keys() | extra
    for key, row in rows.items():
        if key not in ("opcode", "token") and "required" in row:
            assert (key in required_keys(stream.request)) == row["required"], key
    assert set(stream.aliases) == set(entry.get("aliases", []))


def test_every_opcode_of_the_reference_is_served() -> None:
    known = {stream.opcode for stream in STREAM_LIST} | {"unsubscribe", "ping"}
    assert set(load("subscriptions")["opcodes"]) == known
    assert keys_of(Unsubscribe) == {"guid", "token"}
    assert keys_of(Ping) == {"guid", "token", "confirm"}


def keys_of(request: type[WireRequest]) -> set[str]:
    return set(request.__struct_encode_fields__)


def required_keys(request: type[WireRequest]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(request) if field.required}


@pytest.mark.parametrize("opcode", COMMANDS)
def test_commands_have_exactly_the_keys_of_the_reference(opcode: str) -> None:
    entry = next(entry for entry in load("commands")["commands"] if entry["opcode"] == opcode)
    command = COMMANDS[opcode]
    keys = keys_of(command) | {"opcode"}
    if "instrument" in keys:
        keys |= {f"instrument.{key}" for key in InstrumentRef.__struct_encode_fields__}
    if "user" in keys:
        keys |= {f"user.{key}" for key in UserRef.__struct_encode_fields__}
    assert keys == set(entry["required"]) | set(entry["optional"])
    required = {key for key in entry["required"] if "." not in key} - {"opcode", "token"}
    assert required_keys(command) == required


def test_commands_are_those_of_the_reference() -> None:
    assert list(COMMANDS) == [entry["opcode"] for entry in load("commands")["commands"]]


@pytest.mark.parametrize("words", WORD_LISTS)
def test_word_lists_are_those_of_the_reference(words: type[Word]) -> None:
    assert [word.value for word in words] == load("subscriptions")["enums"][words.__name__]


def test_exchanges_and_trading_statuses_are_those_of_the_reference() -> None:
    enums = load("subscriptions")["enums"]
    assert [word.value for word in Exchange] == [text.split()[0] for text in enums["Exchange"]]
    assert {str(status.value) for status in TradingStatus} == enums["TradingStatus"].keys()


def test_trading_codes_are_those_of_the_reference() -> None:
    codes = {str(code.value): code.wire_name for code in TradingCode}
    assert codes == load("commands")["tradingSystemCodes"]


def test_limits_are_those_of_the_reference() -> None:
    reference = load("subscriptions")
    assert reference["limits"]["connections"] == limits.CONNECTIONS_PER_USER_MAX
    assert reference["limits"]["subscriptions_per_connection"] == limits.SUBSCRIPTIONS_PER_CONNECTION_MAX
    assert reference["limits"]["unprocessed_messages_per_connection"] == limits.UNPROCESSED_MESSAGES_MAX
    assert reference["limits"]["http_requests_per_second"] == limits.HTTP_REQUESTS_PER_SECOND_MAX
    assert reference["frequency_ms"]["default"] == limits.FREQUENCY_DEFAULT_MS
    floors = {key.lower(): value for key, value in limits.FREQUENCY_FLOOR_MS.items()}
    assert floors == reference["frequency_ms"]["min"]
    fields = load("commands")["fields"]
    assert fields["comment"]["maxLength"] == limits.COMMENT_CHARACTERS_MAX
    assert fields["protectingSeconds"]["maximum"] == limits.PROTECTING_SECONDS_MAX
    assert fields["icebergVariance"]["maximum"] == limits.ICEBERG_VARIANCE_PERCENT_MAX
    assert load("auth")["accessToken"]["lifetimeSeconds"] == limits.TOKEN_LIFE_SECONDS


def test_claims_and_scopes_are_those_of_the_reference() -> None:
    token = load("auth")["accessToken"]
    assert set(Claims.__struct_fields__) == set(token["claims"])
    assert list(Scope.ALL) == token["scopes"]
