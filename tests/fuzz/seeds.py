"""Where fuzzing begins: the messages of the wire vectors, the ways that frames come, requests of HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec

from conformance.vector_files import vectors
from fuzz.targets import BETWEEN_MESSAGES, BINARY_MARK, GOOD_TOKEN, TARGETS
from tapewire.gateway.http.routes import ENDPOINTS
from tapewire.model import Exchange, OrderStatus, Side
from tapewire.protocol.commands import COMMANDS
from tapewire.protocol.requests import STREAMS
from tapewire.protocol.words import Format

__all__ = ["FOUND", "dictionary", "found", "seeds"]

#: Inputs that were faults once, a folder a target.
FOUND = Path(__file__).parent / "found"
_DATA = ("requests", "requests_tolerance", "requests_refused")
_COMMANDS = ("commands", "commands_tolerance", "commands_refused")
_TEXT, _BINARY, _CLOSE, _PING = 0x81, 0x82, 0x88, 0x89
_FIRST, _MIDDLE, _LAST = 0x01, 0x00, 0x80


def seeds(target: str) -> list[bytes]:
    """Return the inputs that a target begins with, those that were faults once among them."""
    return [*dict.fromkeys([*_SEEDS[target](), *found(target)])]


def found(target: str) -> list[bytes]:
    """Return the inputs that were faults of a target once."""
    return [path.read_bytes() for path in sorted((FOUND / target).glob("*"))]


def dictionary() -> bytes:
    """Return the words of the protocol in libFuzzer's format: what chance would take long to spell."""
    words = {"guid", "opcode", "token", "null", "true", "1e400", "NaN", GOOD_TOKEN, "SBER", "TQBR", "D1"}
    words |= {*COMMANDS, "ping", "unsubscribe"}
    types = [*COMMANDS.values(), *(endpoint.request for endpoint in ENDPOINTS)]
    for stream in STREAMS.values():
        words |= {stream.opcode, *stream.aliases}
        types.append(stream.request)
    for each in types:
        words |= {field.encode_name for field in msgspec.structs.fields(each)}
    for listed in (Exchange, Format, OrderStatus, Side):
        words |= {str(word) for word in listed}
    lines = (json.dumps(word) for word in sorted(words) if word.isascii())
    return "\n".join(lines).encode() + b"\n"


def _messages(files: tuple[str, ...]) -> list[bytes]:
    return [vector.message for file in files for vector in vectors(file)]


def _let_in(message: bytes) -> bytes:
    """Return a message with the token that the sessions take, where it is an object."""
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        return message
    if not isinstance(fields, dict):
        return message
    return json.dumps(fields | {"token": GOOD_TOKEN}, ensure_ascii=False).encode("utf-8", "replace")


def _dialogues(files: tuple[str, ...], first: bytes) -> Iterator[bytes]:
    messages = [_let_in(message) for message in _messages(files)]
    yield from messages
    # Each behind the one before, and once more: replaced guids, cancelled ones.
    for before, message in pairwise(messages):
        yield BETWEEN_MESSAGES.join((first, before, message, before))
    yield BETWEEN_MESSAGES.join((first, BINARY_MARK + messages[0]))


def _data_dialogues() -> Iterator[bytes]:
    yield from _dialogues(_DATA, b'{"opcode":"ping","guid":"p"}')
    asked = {"exchange": "MOEX", "code": "SBER", "token": GOOD_TOKEN, "tf": 60, "from": 0, "depth": 5}
    subscribing = [
        json.dumps({"opcode": stream.opcode, "guid": f"g{number}", "portfolio": "D1"} | asked).encode()
        for number, stream in enumerate(STREAMS.values())
    ]
    cancelling = [
        json.dumps({"opcode": "unsubscribe", "guid": f"g{number}", "token": GOOD_TOKEN}).encode()
        for number in range(len(STREAMS))
    ]
    yield from subscribing
    yield BETWEEN_MESSAGES.join(subscribing)
    yield BETWEEN_MESSAGES.join([*subscribing, *cancelling, *subscribing])


def _command_dialogues() -> Iterator[bytes]:
    authorize = json.dumps({"opcode": "authorize", "guid": "a", "token": GOOD_TOKEN}).encode()
    yield from _dialogues(_COMMANDS, authorize)
    for asked in ({"cancelOnDisconnect": True}, {"cancelAfterSeconds": 1}, {"cancelAfterSeconds": -1}, {}):
        safety = json.dumps({"opcode": "safety", "guid": "s"} | asked).encode()
        yield from _dialogues(_COMMANDS, BETWEEN_MESSAGES.join((authorize, safety)))


def _http() -> Iterator[bytes]:
    query = "symbol=SBER&exchange=MOEX&tf=60&from=0&to=9999999999&limit=5&offset=1&format=Slim&riskCategoryId=1"
    path = "exchange=MOEX&symbol=SBER&symbols=MOEX:SBER,MOEX:GAZP&market=FOND"
    for number in range(len(ENDPOINTS)):
        yield bytes((number,)) + path.encode()
        yield bytes((number,)) + f"{path}?{query}".encode()
        yield bytes((number,)) + f"{path}?{query}&depth=51&tf=D&qtyFrom=2&qtyTo=1&priceFrom=nan&side=buy".encode()


def _tokens() -> Iterator[bytes]:
    header = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9"
    payload = "eyJzdWIiOiJQMSIsImV4cCI6OTk5OTk5OTk5OX0"
    yield from (b"", b"x", b"..", f"{header}.{payload}.".encode(), f"{header}.{payload}.AAAA".encode())
    # Signed by nobody.
    yield f"eyJhbGciOiJub25lIn0.{payload}.".encode()


def _frame(head: int, payload: bytes) -> bytes:
    return bytes((head, len(payload))) + payload


def _frames() -> Iterator[bytes]:
    text = "цена".encode()
    yield _frame(_TEXT, b'{"opcode":"ping"}')
    yield _frame(_BINARY, b"\xff\x00")
    yield _frame(_FIRST, text[:3]) + _frame(_PING, b"x") + _frame(_MIDDLE, text[3:5]) + _frame(_LAST, text[5:])
    yield _frame(_FIRST, text[:3]) + _frame(_LAST, b"x")
    yield _frame(_TEXT, b"\xc0\x80") + _frame(_LAST, b"") + _frame(_FIRST, b"a") + _frame(_TEXT, b"b")
    yield _frame(_FIRST, b"a" * 255) + _frame(_LAST, b"b" * 255)
    for code in (b"", b"\x03", b"\x03\xe8", b"\x03\xe8bye", b"\x03\xed", b"\x0f\xa0\xff"):
        yield _frame(_CLOSE, code) + _frame(_TEXT, b"late")
    yield _frame(_PING, b"x" * 126) + _frame(0x83, b"") + _frame(0xF1, b"")


def _bodies() -> Iterator[bytes]:
    estimate = b'{"portfolio":"D1","ticker":"SBER","exchange":"MOEX","price":1,"lotQuantity":1,"budget":null}'
    order = b'{"portfolio":"D1","exchange":"MOEX","orderId":"1","type":"Limit"}'
    group = b'{"orders":[%s],"executionPolicy":"IgnoreCancel"}' % order
    others = [estimate, b"[%s]" % estimate, group, b"", b"[]"]
    for number in range(16):
        for message in (*_messages(_COMMANDS[:1]), *others):
            yield bytes((number,)) + message


_SEEDS = {
    "requests": lambda: _messages(_DATA),
    "commands": lambda: _messages(_COMMANDS),
    "http": _http,
    "bodies": _bodies,
    "tokens": _tokens,
    "frames": _frames,
    "data_session": _data_dialogues,
    "command_session": _command_dialogues,
}
assert _SEEDS.keys() == TARGETS.keys()
