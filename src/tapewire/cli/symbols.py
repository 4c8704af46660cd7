"""``tapewire symbols``: what is listed, a table on a terminal, one JSON object a line in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.text import Text

from tapewire.cli.columns import Column, fitting_table
from tapewire.cli.output import Output
from tapewire.cli.plain_text import printable
from tapewire.model import Security, UnsetType

__all__ = ["rows", "show_symbols", "table"]

#: By the first letter of the code of ISO 10962.
_KINDS = {"E": "share", "D": "bond", "F": "future", "O": "option", "M": "currency", "C": "fund", "I": "currency"}
_NAME_CELLS = 12


async def show_symbols(securities: Sequence[Security], query: str = "") -> None:
    """Write symbol, board, kind and name of each; that there are none is said where it spoils no pipe."""
    listed = rows(securities)
    if not listed:
        what = f" whose symbol or name has {printable(query)!r} in it" if query else ""
        print(f"there is no instrument{what}", file=sys.stderr)
        return
    if not sys.stdout.isatty():
        await Output().write(b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in listed))
        return
    console = Console()
    console.print(table(listed, console.width))


def table(listed: Sequence[dict[str, str]], width: int) -> RenderableType:
    """Return rows as a table of so many cells; names are cut where they must be."""
    return fitting_table(
        [
            Column(
                field,
                [Text(printable(row[field])) for row in listed],
                "left",
                width_min=_NAME_CELLS if field == "name" else None,
            )
            for field in ("symbol", "board", "kind", "name")
        ],
        width,
    )


def rows(securities: Sequence[Security]) -> list[dict[str, str]]:
    """Return what is told of instruments, in their order."""
    return [
        {
            "symbol": _known(security.symbol),
            "board": _known(security.board),
            "kind": _KINDS.get(_known(security.cfi_code)[:1].upper(), "other"),
            "name": _known(security.description) or _known(security.short_name),
        }
        for security in securities
    ]


def _known(text: str | UnsetType | None) -> str:
    # Whatever the type says, any field of a record that came over the wire may be null or missing.
    return text if isinstance(text, str) else ""
