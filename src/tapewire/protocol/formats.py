"""The three formats of every record, derived from the record's own field table.

A codec is made once for a record type and a format. Reading is as tolerant as the reference asks: unknown
keys are ignored, numbers may come as text, any field may be null or missing. Writing is exact: compact, keys
in the order of the table, only the keys that the format has.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import (
    Annotated,
    Any,
    Generic,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import UNSET, UnsetType

from tapewire.model import Record, Wire
from tapewire.protocol.errors import UNREADABLE, MalformedMessageError
from tapewire.protocol.words import Format

__all__ = ["Codec", "Field", "codec", "fields_of"]

R = TypeVar("R", bound=Record)

#: The only encoder for what tapewire writes: money leaves as a JSON number, not as text.
write_json = msgspec.json.Encoder(decimal_format="number").encode
_KEEP: Any = {"builtin_types": (Decimal,)}


class Field(NamedTuple):
    """One row of a record's table."""

    name: str
    type: Any
    wire: Wire

    def key(self, message_format: Format) -> str | None:
        """The key of this field in a format, None where the format lacks it."""
        return self.wire.names()[_COLUMN[message_format]]


_COLUMN = {Format.SIMPLE: 0, Format.SLIM: 1, Format.HEAVY: 2}


@cache
def fields_of(record_type: type[Record]) -> tuple[Field, ...]:
    """Return the field table of a record, in the order of the wire."""
    hints = get_type_hints(record_type, include_extras=True)
    rows = []
    for name in record_type.__struct_fields__:
        annotation = hints[name]
        if get_origin(annotation) is not Annotated:
            raise TypeError(f"{record_type.__name__}.{name} does not say how it travels")
        bare, wire = get_args(annotation)
        rows.append(Field(name, bare, wire))
    return tuple(rows)


class Codec(Generic[R]):
    """Reads and writes one record type in one format."""

    def __init__(self, record_type: type[R], message_format: Format) -> None:
        self.record_type = record_type
        self.format = message_format
        self._wire_type = _reading_type(record_type, message_format)
        envelope: Any = msgspec.defstruct("DataMessage", [("data", self._wire_type)], gc=False)
        self._read_data = msgspec.json.Decoder(self._wire_type, strict=False).decode
        #: Reads a message into something that has its record as ``data``; raises what ``UNREADABLE`` names. It is
        #: all that ``decode_message`` does where ``has_one_spelling``.
        self.read_message: Callable[[bytes], Any] = msgspec.json.Decoder(envelope, strict=False).decode
        self._shape = _shaper(record_type, message_format)
        self._has_decimals = _holds_decimal(record_type)
        spelled_otherwise = [
            (field.name, f'"{other}":'.encode(), f'"{key}":'.encode())
            for field in fields_of(record_type)
            if (key := field.key(message_format)) is not None
            for other in field.wire.also
            if other not in _keys(record_type, message_format)
        ]
        self._other_keys = {other: key for _, other, key in spelled_otherwise}
        self.has_one_spelling = not self._other_keys
        self._lacks_some = _unset_test(dict.fromkeys(name for name, _, _ in spelled_otherwise))

    def encode(self, record: R) -> bytes:
        """Write the ``data`` object of a record; fields that are UNSET are left out.

        A number that is not finite is written as null: JSON has no other word for it.
        """
        data = write_json(self._shape(record))
        # Seldom, and then most often inside a text. A double that is not finite is null already.
        if self._has_decimals and (b"NaN" in data or b"Infinity" in data):
            return write_json(_without_strange_numbers(msgspec.to_builtins(self._shape(record), **_KEEP)))
        return data

    def decode(self, data: bytes) -> R:
        """Read a ``data`` object.

        Raises:
            MalformedMessageError: It is no JSON object of this record.
        """
        try:
            record = cast(R, self._read_data(data))
            if self._other_keys and self._lacks_some(record):
                record = cast(R, self._read_data(self._with_known_keys(data)))
        except UNREADABLE as error:
            raise MalformedMessageError(str(error)) from error
        return record

    def decode_message(self, message: bytes) -> R:
        """Read a whole data message and return its record.

        Raises:
            MalformedMessageError: It is no data message of this record.
        """
        try:
            record: R = self.read_message(message).data
            if self._other_keys and self._lacks_some(record):
                record = self.read_message(self._with_known_keys(message)).data
        except UNREADABLE as error:
            raise MalformedMessageError(str(error)) from error
        return record

    def decode_messages(self, messages: Collection[bytes]) -> list[R]:
        """Read whole data messages: for many at once, the fast way.

        Raises:
            MalformedMessageError: One of them is no data message of this record.
        """
        read = self.read_message
        try:
            records = [read(message).data for message in messages]
        except UNREADABLE as error:
            raise MalformedMessageError(str(error)) from error
        if self._other_keys and any(map(self._lacks_some, records)):
            return [self.decode_message(message) for message in messages]
        return records

    def _with_known_keys(self, text: bytes) -> bytes:
        # Sources disagree about a few keys; inside a JSON text a quote is escaped, so the bytes are a key. Looking
        # for them takes as long as decoding, so it is done only where a field is missing.
        for other, key in self._other_keys.items():
            if other in text:
                text = text.replace(other, key)
        return text


@cache
def codec(record_type: type[R], message_format: Format) -> Codec[R]:
    """Return the codec of a record in a format, made on first use."""
    return Codec(record_type, message_format)


def _unset_test(names: Iterable[str]) -> Callable[[Any], bool]:
    """Make the function that says whether one of these fields of a record is UNSET."""
    # Written out, as the methods of a dataclass are: a loop over the names takes three times as long.
    tests = " or ".join(f"record.{name} is UNSET" for name in names) or "False"
    test: Callable[[Any], bool] = eval(f"lambda record: {tests}", {"UNSET": UNSET})  # noqa: S307
    return test


def _keys(record_type: type[Record], message_format: Format) -> set[str]:
    return {key for field in fields_of(record_type) if (key := field.key(message_format)) is not None}


# --- reading --------------------------------------------------------------------------------------------


@cache
def _reading_type(record_type: type[Record], message_format: Format) -> type[Record]:
    """Make the subclass of a record that one format decodes into.

    It has every field of the record, so that ``isinstance`` and attributes hold; a field that the format
    lacks gets a key that no message has and stays UNSET.
    """
    rename = {}
    definition = []
    for field in fields_of(record_type):
        key = field.key(message_format)
        rename[field.name] = key if key is not None else f"~{field.name}"
        annotation = _reading_annotation(field.type, message_format)
        tolerant: Any = Union[annotation, None, UnsetType]  # noqa: UP007
        definition.append((field.name, tolerant, UNSET))
    reading = msgspec.defstruct(
        f"{record_type.__name__}{message_format}",
        definition,
        bases=(record_type,),
        rename=rename,
        module=record_type.__module__,
        frozen=True,
        gc=False,
    )
    return cast(type[Record], reading)


def _reading_annotation(annotation: Any, message_format: Format) -> Any:
    """Put the format's own types in the place of nested records."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return _reading_type(annotation, message_format)
    arguments = get_args(annotation)
    if not arguments:
        return annotation
    replaced = tuple(
        argument if argument is Ellipsis else _reading_annotation(argument, message_format)
        for argument in arguments
    )
    if get_origin(annotation) in (Union, types.UnionType):
        return Union[replaced]  # noqa: UP007
    return get_origin(annotation)[replaced]


# --- writing --------------------------------------------------------------------------------------------


def _holds_decimal(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return any(_holds_decimal(field.type) for field in fields_of(annotation))
    return annotation is Decimal or any(map(_holds_decimal, get_args(annotation)))


def _without_strange_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_strange_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_strange_numbers(item) for item in value]
    return None if isinstance(value, Decimal) and not value.is_finite() else value


_Shape = Callable[[Any], Any]


@cache
def _shaper(record_type: type[Record], message_format: Format) -> _Shape:
    """Make the function that turns a record into a struct with just the keys of one format."""
    keys = {field.name: key for field in fields_of(record_type) if (key := field.key(message_format)) is not None}
    present = [field for field in fields_of(record_type) if field.name in keys]
    target = msgspec.defstruct(
        f"Written{record_type.__name__}{message_format}",
        [(field.name, Any) for field in present],
        rename=keys,
        gc=False,
    )
    names = [field.name for field in present]
    values = attrgetter(*names) if len(names) > 1 else lambda record: (getattr(record, names[0]),)
    nested = [
        (index, shape)
        for index, field in enumerate(present)
        if (shape := _nested_shaper(field.type, message_format)) is not None
    ]
    if not nested:
        return lambda record: target(*values(record))

    def shape_all(record: Any) -> Any:
        shaped = list(values(record))
        for index, shape in nested:
            shaped[index] = shape(shaped[index])
        return target(*shaped)

    return shape_all


def _nested_shaper(annotation: Any, message_format: Format) -> _Shape | None:
    """Return how to shape a field that holds a record or a tuple of records, None for a plain field."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        one = _shaper(annotation, message_format)
        return lambda value: value if value is None or value is UNSET else one(value)
    if get_origin(annotation) is tuple:
        each = _nested_shaper(get_args(annotation)[0], message_format)
        if each is None:
            return None
        return lambda value: value if value is None or value is UNSET else [each(item) for item in value]
    for argument in get_args(annotation):
        shape = _nested_shaper(argument, message_format)
        if shape is not None:
            return shape
    return None
