"""Reading what clients send, as tolerantly as real clients need and no more.

A message is read in two steps: the envelope (opcode, guid, token), which must always succeed so that an
answer can carry the guid, then the fields of the opcode. Unknown keys are ignored, numbers and booleans may
come as text, words are matched without regard to letter case.
Source: reference of subscriptions 3.1, of commands 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from tapewire.model import Word
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.errors import UNREADABLE, BadRequestError, NotJsonError
from tapewire.protocol.formats import write_json
from tapewire.protocol.limits import GUID_CHARACTERS_MAX

__all__ = ["Envelope", "WireRequest", "camel", "read_envelope", "read_fields", "write_request"]

T = TypeVar("T", bound="WireRequest")


class Envelope(msgspec.Struct, frozen=True):
    """What every request has. ``token`` is empty where the request brought none."""

    opcode: str
    guid: str
    token: str

    def __repr__(self) -> str:
        return f"Envelope(opcode={self.opcode!r}, guid={self.guid!r}, token={'***' if self.token else ''!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # What pretty printers ask for instead.
        return [("opcode", self.opcode), ("guid", self.guid), ("token", "***")]


class WireRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of all requests: a class is the list of fields that its opcode takes."""

    guid: str

    def __repr__(self) -> str:
        fields = (f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({', '.join(fields)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # A request may be logged; its token may not.
        return [
            (name, "***" if name == "token" else value)
            for name in self.__struct_fields__
            if (value := getattr(self, name)) is not msgspec.UNSET
        ]

    def problem(self) -> str | None:
        """Say what is wrong with values that are well typed, None if nothing is."""
        return None


class _RawEnvelope(msgspec.Struct):
    opcode: object = None
    guid: object = None
    token: object = None


_read_raw = msgspec.json.Decoder(_RawEnvelope).decode
_read_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_text = msgspec.json.Decoder(str).decode
_PATH = re.compile(r"at `\$\.?([A-Za-z.]*)")
#: A number as JSON has it.
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_MISSING = re.compile(r"required field `([A-Za-z]+)`")


def camel(name: str) -> str:
    """Return the broker's spelling of a field name: ``skip_history`` → ``skipHistory``."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def read_envelope(message: bytes, *, guid_characters_max: int = GUID_CHARACTERS_MAX) -> Envelope:
    """Read what every request has.

    Raises:
        NotJsonError: No JSON.
        BadRequestError: No object, no usable guid, or no opcode.
    """
    try:
        raw = _read_raw(message)
    except msgspec.ValidationError:
        raw = _read_texts_only(message)
    except UNREADABLE as error:
        raise NotJsonError("", ResultCode.BAD_REQUEST, "The message is not valid JSON") from error
    guid = raw.guid
    if not isinstance(guid, str) or not guid:
        raise BadRequestError("", ResultCode.BAD_REQUEST, "The guid is missing or empty")
    if len(guid) > guid_characters_max:
        # Not echoed: answers to guids of a megabyte would pile up for a peer that does not read them.
        raise BadRequestError(
            "", ResultCode.BAD_REQUEST, f"The guid is longer than {guid_characters_max} characters"
        )
    if not isinstance(raw.opcode, str) or not raw.opcode:
        raise BadRequestError(guid, ResultCode.BAD_REQUEST, "The opcode is missing")
    return Envelope(raw.opcode, guid, raw.token if isinstance(raw.token, str) else "")


def _read_texts_only(message: bytes) -> _RawEnvelope:
    """Read an envelope that holds a number beyond all bounds: the guid beside it can still be answered."""
    try:
        fields = _read_keys(message)
        texts = {key: raw for key in ("opcode", "guid", "token") if (raw := bytes(fields.get(key, b"")))}
        return _RawEnvelope(**{key: _read_text(raw) for key, raw in texts.items() if raw.startswith(b'"')})
    except msgspec.ValidationError as error:
        raise BadRequestError("", ResultCode.BAD_REQUEST, "The message is not a JSON object") from error
    except UNREADABLE as error:
        raise NotJsonError("", ResultCode.BAD_REQUEST, "The message is not valid JSON") from error


def read_fields(request_type: type[T], envelope: Envelope, message: bytes) -> T:
    """Read the fields of one opcode.

    Raises:
        BadRequestError: A field is missing or has a value that the opcode does not take.
    """
    try:
        request = _decode(request_type, message)
    except UNREADABLE as error:
        raise BadRequestError(envelope.guid, ResultCode.BAD_REQUEST, _explain(str(error))) from error
    problem = _odd_number(request_type, message) or _unknown_word(request) or request.problem()
    if problem is not None:
        raise BadRequestError(envelope.guid, ResultCode.BAD_REQUEST, problem)
    return request


def write_request(opcode: str, request: WireRequest) -> bytes:
    """Write a request: compact, the opcode first."""
    fields = write_json(request)
    return b'{"opcode":' + write_json(opcode) + b"," + fields[1:]


@cache
def _decoder(request_type: type[T]) -> Callable[[bytes], T]:
    decode: Callable[[bytes], T] = msgspec.json.Decoder(request_type, strict=False).decode
    return decode


def _decode(request_type: type[T], message: bytes) -> T:
    decode: Callable[[bytes], T] = _decoder(request_type)
    try:
        return decode(message)
    except msgspec.ValidationError as error:
        if "got `null`" not in str(error):
            raise
    # Clients whose fields are all nullable send null for what they leave open.
    fields = _read_keys(message)
    return decode(write_json({key: raw for key, raw in fields.items() if bytes(raw) != b"null"}))


def _explain(error: str) -> str:
    missing = _MISSING.search(error)
    path = _PATH.search(error)
    if missing:
        inside = f"{path[1]}." if path and path[1] else ""
        return f"The field {inside}{missing[1]} is missing"
    return f"Invalid or unsupported {path[1]}" if path and path[1] else "The message is not valid"


@cache
def _decimals(request_type: type[WireRequest]) -> re.Pattern[bytes] | None:
    """Return what finds the decimal fields of a request that are texts; None: it has no such field."""
    hints = get_type_hints(request_type)
    names = [
        wire_name
        for name, wire_name in zip(
            request_type.__struct_fields__, request_type.__struct_encode_fields__, strict=True
        )
        if _holds(hints[name], Decimal)
    ]
    # Inside a text a quote is escaped, so these bytes are a key and its value.
    return re.compile(rb'"(%s)"\s*:\s*"((?:[^"\\]|\\.)*)"' % "|".join(names).encode()) if names else None


def _odd_number(request_type: type[WireRequest], message: bytes) -> str | None:
    """Name a text that Python takes for a decimal and nobody else would: ``1_000``, other digits, blanks."""
    decimals = _decimals(request_type)
    for name, text in decimals.findall(message) if decimals is not None else ():
        if not _NUMBER.fullmatch(text):
            return f"Invalid or unsupported {name.decode()}"
    return None


@cache
def _word_fields(request_type: type[WireRequest]) -> tuple[str, ...]:
    hints = get_type_hints(request_type)
    return tuple(name for name in request_type.__struct_fields__ if _holds(hints[name], Word))


def _holds(annotation: object, kind: type) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, kind):
        return True
    return any(_holds(argument, kind) for argument in get_args(annotation))


def _unknown_word(request: WireRequest) -> str | None:
    for name in _word_fields(type(request)):
        value = getattr(request, name)
        words = value if isinstance(value, tuple) else (value,)
        if any(isinstance(word, Word) and not word.known for word in words):
            return f"Invalid or unsupported {camel(name)}"
    return None
