"""Answers of HTTP: records to bytes. Long answers are made, encoded and sent in chunks with a pause between.

One large encode would hold the loop, and every live feed with it, for as long as it takes. Nor are all rows made
before the first is sent: so many objects at once have the garbage collector hold the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec
from starlette.responses import Response, StreamingResponse

from tapewire.model import Record
from tapewire.protocol.codes import STATUS_WORDS
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format

__all__ = [
    "ROWS_AT_ONCE_MAX",
    "error_answer",
    "error_name",
    "group_error_answer",
    "made_answer",
    "record_answer",
    "rows_answer",
    "value_answer",
]

R = TypeVar("R", bound=Record)
S = TypeVar("S")

#: Rows that are encoded before other tasks get their turn.
ROWS_AT_ONCE_MAX = 500
#: Nor more bytes than about so many, by the first row.
_BYTES_AT_ONCE = 64 * 1024
_JSON = "application/json"


def value_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with any small JSON value."""
    return Response(msgspec.json.encode(value), status, headers, media_type=_JSON)


def error_answer(
    status: int, text: str, headers: Mapping[str, str] | None = None, *, code: str | None = None
) -> Response:
    """Answer with ``{"code":…,"message":…}``; the code is the name of the status unless another is given."""
    return value_answer({"code": code or error_name(status), "message": text}, status, headers)


def group_error_answer(status: int, text: str) -> Response:
    """Answer as the calls of order groups do: ``{"title":…,"status":…,"detail":…}``."""
    return value_answer({"title": error_name(status), "status": status, "detail": text}, status)


def error_name(status: int) -> str:
    """Return the word for programs of a status."""
    return STATUS_WORDS.get(status, str(status))


def record_answer(record: Record, message_format: Format = Format.SIMPLE) -> Response:
    """Answer with one record."""
    return Response(codec(type(record), message_format).encode(record), media_type=_JSON)


def rows_answer(
    record_type: type[R],
    rows: Sequence[R],
    message_format: Format = Format.SIMPLE,
    *,
    wrapper: Record | None = None,
) -> Response:
    """Answer with an array of records, or with a wrapper whose one empty array they belong into."""
    head, tail = b"[", b"]"
    if wrapper is not None:
        before, array, behind = codec(type(wrapper), message_format).encode(wrapper).partition(b"[]")
        assert array, f"{type(wrapper).__name__} has no empty array"
        head, tail = before + head, tail + behind
    parts = _encoded(record_type, rows, message_format)
    if len(rows) <= ROWS_AT_ONCE_MAX:
        return Response(head + b"".join(parts) + tail, media_type=_JSON)
    return StreamingResponse(_paced(head, parts, tail), media_type=_JSON)


async def made_answer(
    record_type: type[R],
    sources: Sequence[S],
    make: Callable[[S], Awaitable[R]],
    message_format: Format = Format.SIMPLE,
) -> Response:
    """Answer with an array of records, each made of its source.

    A long one is sent while it is made; what ``make`` raises then breaks it off.
    """
    if len(sources) > ROWS_AT_ONCE_MAX:
        return StreamingResponse(_made(record_type, sources, make, message_format), media_type=_JSON)
    return rows_answer(record_type, [await make(source) for source in sources], message_format)


def _encoded(record_type: type[R], rows: Sequence[R], message_format: Format) -> Iterator[bytes]:
    write = codec(record_type, message_format).encode
    at_once = _rows_at_once(write(rows[0])) if rows else 1
    for start in range(0, len(rows), at_once):
        chunk = b",".join(map(write, rows[start : start + at_once]))
        yield b"," + chunk if start else chunk


def _rows_at_once(first: bytes) -> int:
    return max(1, min(_BYTES_AT_ONCE // len(first), ROWS_AT_ONCE_MAX))


async def _paced(head: bytes, parts: Iterator[bytes], tail: bytes) -> AsyncIterator[bytes]:
    yield head
    for part in parts:
        yield part
        await asyncio.sleep(0)
    yield tail


async def _made(
    record_type: type[R], sources: Sequence[S], make: Callable[[S], Awaitable[R]], message_format: Format
) -> AsyncIterator[bytes]:
    write = codec(record_type, message_format).encode
    first = write(await make(sources[0]))
    yield b"[" + first
    at_once = _rows_at_once(first)
    for start in range(1, len(sources), at_once):
        yield b"".join([b"," + write(await make(source)) for source in sources[start : start + at_once]])
        await asyncio.sleep(0)
    yield b"]"
