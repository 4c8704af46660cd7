"""The wire vectors: messages as they are on the wire, with what they mean.

A file in ``vectors/`` is ``{"about": text, "vectors": [...]}``. Every vector has

- ``name``: the case, unique within the file;
- ``direction``: ``to server`` or ``to client``;
- ``bytes``: the message as text, to be encoded as UTF-8;

and one meaning:

- ``class`` and ``fields``: a request or command that is taken. ``fields`` are attributes; texts are compared as
  texts, decimals too;
- ``refused``: a request or command that is answered with ``guid``, ``code`` and ``text``;
- ``record``, ``format``, ``guid`` and ``fields``: a data message. What ``fields`` does not list is UNSET;
- ``kind``: ``system`` (with ``requestGuid``, ``httpCode``, ``message``, ``orderNumber``), ``nothing`` (ignored),
  ``malformed`` (no message at all), ``malformed-answer``;
- ``token``, ``allowedPortfolios`` or ``malformed``: the call that renews a token.

``exact`` marks an answer that tapewire writes byte by byte so; ``written`` gives tapewire's own bytes where they
differ from the sample in digits only (``0.0`` for ``0``).
"""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tapewire.model import UNSET

FOLDER = Path(__file__).parent / "vectors"


class Vector(NamedTuple):
    name: str
    direction: str
    message: bytes
    meaning: dict[str, Any]


@cache
def vectors(file: str) -> tuple[Vector, ...]:
    """Return the vectors of a file, in its order."""
    content = json.loads((FOLDER / f"{file}.json").read_text())
    return tuple(
        Vector(
            entry["name"],
            entry["direction"],
            entry["bytes"].encode(),
            {key: value for key, value in entry.items() if key not in ("name", "direction", "bytes")},
        )
        for entry in content["vectors"]
    )


def names(vector: Vector) -> str:
    """Return the id of a case for pytest."""
    return vector.name[:60]


def plain(value: object) -> object:
    """Return a value as the files write it: attributes by name, decimals as texts, no UNSET."""
    if isinstance(value, msgspec.Struct):
        fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
        return {name: plain(item) for name, item in fields if item is not UNSET}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Decimal) else value
