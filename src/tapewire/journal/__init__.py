"""The journal: what was asked for, in one order, durable before it is applied (docs/journal.md)."""

from tapewire.journal.entry_queue import NotWritten
from tapewire.journal.inspection import Check, Damage, Repair, check, export, plan_repair, removed_by
from tapewire.journal.journal import Journal
from tapewire.journal.record import Entry, EntryKind
from tapewire.journal.recovery import (
    DamageError,
    DivergedError,
    Replay,
    SnapshotRefusedError,
    UnrecoverableError,
    recover,
)
from tapewire.journal.retention import BYTES_MAX, BYTES_MAX_LEAST, Retention
from tapewire.journal.snapshot import Snapshot
from tapewire.journal.steps import StepRun

__all__ = [
    "BYTES_MAX",
    "BYTES_MAX_LEAST",
    "Check",
    "Damage",
    "DamageError",
    "DivergedError",
    "Entry",
    "EntryKind",
    "Journal",
    "NotWritten",
    "Repair",
    "Replay",
    "Retention",
    "Snapshot",
    "SnapshotRefusedError",
    "StepRun",
    "UnrecoverableError",
    "check",
    "export",
    "plan_repair",
    "recover",
    "removed_by",
]
