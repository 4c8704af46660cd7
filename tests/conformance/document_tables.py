"""The tables of docs/protocol.md, made from the tables of the code.

``python tests/conformance/document_tables.py`` writes them into the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec

from tapewire.model import Record
from tapewire.protocol.commands import COMMANDS, InstrumentRef, UserRef
from tapewire.protocol.formats import Field, fields_of
from tapewire.protocol.reading import WireRequest
from tapewire.protocol.requests import STREAMS, Ping, Unsubscribe

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"


def tables() -> dict[str, str]:
    """Return the text of every generated part of the document by its mark."""
    return {
        "names": "\n\n".join(_record_tables()),
        "requests": _request_table(
            {
                **{stream.opcode: stream.request for stream in STREAMS.values()},
                "unsubscribe": Unsubscribe,
                "ping": Ping,
            },
            {stream.opcode: stream.aliases for stream in STREAMS.values()},
        ),
        "commands": _request_table(COMMANDS, {})
        + "\n\n"
        + "\n\n".join(map(_part_table, (InstrumentRef, UserRef))),
    }


def with_tables(document: str) -> str:
    """Return the document with its generated parts made anew."""
    for mark, text in tables().items():
        pattern = re.compile(rf"(<!-- {mark} -->\n).*(<!-- /{mark} -->)", re.DOTALL)
        document, count = pattern.subn(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", document)
        assert count == 1, f"docs/protocol.md has no part {mark}"
    return document


def _record_tables() -> Iterator[str]:
    shown: list[type[Record]] = []
    for stream in STREAMS.values():
        for record in (stream.record, *_inside(stream.record)):
            if record not in shown:
                shown.append(record)
                yield _record_table(record, f"`{stream.opcode}`" if record is stream.record else "")


def _inside(record: type[Record]) -> Iterator[type[Record]]:
    for field in fields_of(record):
        if (found := _record_in(field.type)) is not None:
            yield found


def _record_in(annotation: Any) -> type[Record] | None:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return annotation
    return next((found for part in get_args(annotation) if (found := _record_in(part))), None)


def _record_table(record: type[Record], opcode: str) -> str:
    title = f"### {record.__name__}" + (f" – {opcode}" if opcode else "")
    rows = ["| tapewire | Simple | Slim | Heavy | also read |", "|---|---|---|---|---|"]
    return "\n".join([title, "", *rows, *map(_record_row, fields_of(record))])


def _record_row(field: Field) -> str:
    keys = [f"`{key}`" if key else "–" for key in field.wire.names()]
    also = ", ".join(f"`{key}`" for key in field.wire.also)
    inner = _record_in(field.type)
    name = f"`{field.name}`" + (f" ({inner.__name__})" if inner else "")
    return f"| {name} | {' | '.join(keys)} | {also} |"


def _request_table(requests: dict[str, type[WireRequest]], aliases: dict[str, tuple[str, ...]]) -> str:
    rows = ["| opcode | class | attributes and keys |", "|---|---|---|"]
    for opcode, request in requests.items():
        names = ", ".join(f"`{name}`" for name in (opcode, *aliases.get(opcode, ())))
        rows.append(f"| {names} | `{request.__name__}` | {_keys(request)} |")
    return "\n".join(rows)


def _part_table(part: type[msgspec.Struct]) -> str:
    return f"`{part.__name__}`: {_keys(part)}"


def _keys(struct: type[msgspec.Struct]) -> str:
    return ", ".join(_key(field) for field in msgspec.structs.fields(struct))


def _key(field: msgspec.structs.FieldInfo) -> str:
    key = f"**`{field.encode_name}`**" if field.required else f"`{field.encode_name}`"
    return key if field.name == field.encode_name else f"`{field.name}` → {key}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))
