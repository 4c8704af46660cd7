"""Answers of HTTP: records to bytes. Long answers are encoded and sent in chunks with a pause between.

One large encode would hold the loop, and every live feed with it, for as long as it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec
from starlette.responses import Response, StreamingResponse

from tapewire.model import Record
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format

__all__ = ["ROWS_AT_ONCE_MAX", "error_answer", "record_answer", "rows_answer", "value_answer"]

R = TypeVar("R", bound=Record)

#: Rows that are encoded before other tasks get their turn.
ROWS_AT_ONCE_MAX = 500
_JSON = "application/json"
_NAMES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    413: "RequestTooLarge",
    429: "TooManyRequests",
    500: "InternalError",
    503: "Unavailable",
    504: "TimedOut",
}


def value_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with any small JSON value."""
    return Response(msgspec.json.encode(value), status, headers, media_type=_JSON)


def error_answer(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with ``{"code":…,"message":…}``."""
    return value_answer({"code": _NAMES.get(status, str(status)), "message": text}, status, headers)


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


def _encoded(record_type: type[R], rows: Sequence[R], message_format: Format) -> Iterator[bytes]:
    write = codec(record_type, message_format).encode
    for start in range(0, len(rows), ROWS_AT_ONCE_MAX):
        chunk = b",".join(map(write, rows[start : start + ROWS_AT_ONCE_MAX]))
        yield b"," + chunk if start else chunk


async def _paced(head: bytes, parts: Iterator[bytes], tail: bytes) -> AsyncIterator[bytes]:
    yield head
    for part in parts:
        yield part
        await asyncio.sleep(0)
    yield tail
