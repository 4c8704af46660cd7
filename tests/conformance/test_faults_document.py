"""docs/faults.md tells of every fault and every key, and its examples are right."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from tapewire.faults import FaultKind, FaultRule, read_faults, read_faults_file
from tapewire.faults.connection import PIECES_MAX
from tapewire.faults.file import RULES_MAX
from tapewire.faults.kinds import KINDS
from tapewire.faults.rule import GARBAGE_TEXT, MAINTENANCE_TEXT, REFUSAL_TEXT
from tapewire.faults.strike_log import LINES_AT_ONCE_MAX, LINES_PER_SECOND
from tapewire.faults.transport import CLOSE_S_MAX, HELD_BYTES_MAX, ITEM_BYTES
from tapewire.protocol.codes import INVALID_TOKEN, TOO_MANY_UNPROCESSED

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "faults.md").read_text()
EXAMPLES = sorted((ROOT / "examples" / "faults").glob("*.toml"))
KEYS = [field.encode_name for field in msgspec.structs.fields(FaultRule)]


def rows(heading: str) -> list[list[str]]:
    part = DOCUMENT.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_table_has_every_fault_with_its_triggers_and_its_keys() -> None:
    table = {
        words(name)[0]: (words(triggers), set(words(keys))) for name, _, triggers, keys in rows("What goes wrong")
    }
    assert table == {kind: ([*rules.triggers], set(rules.keys)) for kind, rules in KINDS.items()}
    assert list(table) == list(FaultKind)


def test_the_tables_have_every_key_once() -> None:
    documented = [words(row[0])[0] for heading in ("When", "To whom", "The rest") for row in rows(heading)]
    assert sorted(documented) == sorted(KEYS)


@pytest.mark.parametrize(
    "text", [REFUSAL_TEXT, MAINTENANCE_TEXT, GARBAGE_TEXT, INVALID_TOKEN, f"1013 `{TOO_MANY_UNPROCESSED}`"]
)
def test_texts_of_the_wire_are_told_as_they_are(text: str) -> None:
    assert text in DOCUMENT


def test_bounds_are_told_as_they_are() -> None:
    for bound in (
        f"at most {RULES_MAX} faults",
        f"above {HELD_BYTES_MAX >> 20} MiB, each message counted with the {ITEM_BYTES} bytes",
        f"held back for {CLOSE_S_MAX:g} s is given up",
        f"{LINES_AT_ONCE_MAX} lines at once and then {LINES_PER_SECOND:g} a second",
        f"more than {PIECES_MAX:,} fragments",
    ):
        assert bound in DOCUMENT


def test_the_files_in_the_document_are_right() -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert read_faults(text).names == ["cut-1", "late-answer-2"]


def test_the_program_in_the_document_runs() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    exec(compile(program, "docs/faults.md", "exec"), {})


def test_every_example_is_told_and_right() -> None:
    assert set(re.findall(r"\(\.\./examples/faults/([a-z-]+\.toml)\)", DOCUMENT)) == {
        file.name for file in EXAMPLES
    }
    assert all(read_faults_file(file).rules for file in EXAMPLES)
