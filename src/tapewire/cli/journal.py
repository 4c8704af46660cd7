"""``tapewire journal``: looking at the journal of a data folder on which no system runs.

Statuses: 0 all is well, 1 it cannot be looked at or repaired, 2 a wrong option, 3 a system would not start on it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer

from tapewire.cli.output import Output
from tapewire.cli.program import fail, run_program, until_stopped
from tapewire.maintenance import MaintenanceError, check_journal, export_journal, repair_journal

__all__ = ["journal"]

T = TypeVar("T")

DAMAGED = 3
#: Lines are written together up to about so many bytes.
_WRITE_BYTES = 64 << 10

journal = typer.Typer(
    help="Look at the journal of a data folder on which no system runs.",
    no_args_is_help=True,
    add_completion=False,
)
Data = Annotated[Path, typer.Option(help="The folder that the system was given as --data.")]


@journal.command("check")
def check(data: Data) -> None:
    """Read all of the journal and say whether a system can start on it: status 0, or 3 if it cannot."""
    found = _done(lambda: check_journal(data))
    if sys.stdout.isatty():
        print(f"entries {found.first_sequence} to {found.next_sequence - 1}, {found.used_bytes:,} bytes")
        for kind, count in sorted(found.entries.items()):
            print(f"  {count:>12,} {kind}")
        for snapshot in found.snapshots:
            print(f"snapshot {snapshot.sequence}, {snapshot.size_bytes:,} bytes: {snapshot.problem or 'good'}")
        for damage in found.damages:
            print(f"entry {damage.sequence}: {damage.reason}")
        if not found.problem:
            print(f"a start goes on from entry {found.starts_from}")
    else:
        print(msgspec.json.encode(found).decode())
    if found.problem:
        fail(f"a system would not start: {found.problem}; 'tapewire journal repair' may help", DAMAGED)


@journal.command("repair")
def repair(data: Data) -> None:
    """Remove the least that keeps a system from starting, and keep a copy of it."""
    repaired = _done(lambda: repair_journal(data))
    if repaired.copy is None:
        print("nothing is to be repaired")
    else:
        print(f"{repaired.records} entries were removed and are kept in {repaired.copy}")


@journal.command("export")
def export(data: Data) -> None:
    """Write the journal as text: one JSON object an entry, oldest first."""

    async def main() -> None:
        output = Output()
        lines = bytearray()
        for line in export_journal(data):
            lines += line
            if len(lines) >= _WRITE_BYTES:
                await output.write(bytes(lines))
                lines.clear()
        await output.write(bytes(lines))

    run_program(until_stopped(main()), MaintenanceError)


def _done(work: Callable[[], T]) -> T:
    try:
        return work()
    except MaintenanceError as error:
        fail(str(error))
