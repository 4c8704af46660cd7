"""Faults on command: one vocabulary for tests on virtual time and for ``tapewire up --faults FILE``.

A file, or a few ``FaultRule``, say what goes wrong and when; a ``FaultInjector`` wraps a server's acceptor and its
HTTP application so that it does. docs/faults.md is the guide.
"""

from tapewire.faults.file import Faults, FaultsError, read_faults, read_faults_file
from tapewire.faults.injector import FaultInjector
from tapewire.faults.kinds import FaultKind, Since, Trigger, Whose
from tapewire.faults.plan import FaultPlan
from tapewire.faults.rule import FaultRule

__all__ = [
    "FaultInjector",
    "FaultKind",
    "FaultPlan",
    "FaultRule",
    "Faults",
    "FaultsError",
    "Since",
    "Trigger",
    "Whose",
    "read_faults",
    "read_faults_file",
]
