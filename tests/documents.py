"""The programs and commands that stand in the documentation, as a reader would copy them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
#: What a fenced block may be: Python is always a whole program, of ``console`` each command is run.
LANGUAGES = frozenset({"python", "console", "toml", "json", ""})

_FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One fenced block."""

    #: ``client.md:141``.
    place: str
    language: str
    text: str


class Command(NamedTuple):
    """One command with the output that the document shows."""

    place: str
    line: str
    shown: list[str]


def blocks(document: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a document, in order."""
    text = document.read_text()
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(f"{document.name}:{line}", found[1].strip(), found[2])


def programs() -> list[Block]:
    """Return all programs in Python."""
    return [block for document in DOCUMENTS for block in blocks(document) if block.language == "python"]


def commands(document: Path) -> list[Command]:
    """Return the commands of a document, in order."""
    found: list[Command] = []
    for block in blocks(document):
        if block.language != "console":
            continue
        for line in block.text.splitlines():
            if line.startswith("$ "):
                command, _, _ = line.removeprefix("$ ").partition("   #")
                found.append(Command(block.place, command.split("  # ")[0].strip(), []))
            else:
                found[-1].shown.append(line)
    return found
