"""``kill -9``: what a program said was acknowledged is there when it starts again.

``TAPEWIRE_KILLS`` sets how often; 10 without it.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from tapewire.adapters.journal_file import SqliteJournalFile
from tapewire.adapters.snapshot_files import SnapshotFiles
from tapewire.journal import check

PROGRAM = Path(__file__).with_name("journal_writer.py")
KILLS = int(os.environ.get("TAPEWIRE_KILLS", "10"))
LINES_MAX = 4_000


def test_what_was_acknowledged_survives_every_kill(tmp_path: Path) -> None:
    rng = random.Random(1)
    acknowledged = -1
    for kill in range(KILLS + 1):
        with subprocess.Popen(
            [sys.executable, PROGRAM, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        ) as program:
            assert program.stdout is not None
            assert program.stderr is not None
            out = open(program.stdout.fileno(), "rb", closefd=False)  # noqa: SIM115 - the same pipe, buffered
            word, count, last = (out.readline() or program.stderr.read()).split()
            assert word == b"found"
            assert int(count) == int(last) + 1, "every number once, none left out"
            assert int(last) >= acknowledged, f"kill {kill}: {acknowledged} was acknowledged, {int(last)} is there"
            # Not after the last kill: that start only tells what is there.
            lines = [out.readline() for _ in range(rng.randint(1, LINES_MAX) if kill < KILLS else 0)]
            program.kill()
            lines += out.readlines()
            out.close()
        whole = [line for line in lines if line.endswith(b"\n")]
        acknowledged = max([acknowledged, *map(int, whole[-1:])])
    file = SqliteJournalFile(tmp_path / "journal.db")
    found = check(file, SnapshotFiles(tmp_path / "snapshots"))
    file.close()
    assert (found.problem, found.damages) == ("", [])
    print(f"{acknowledged} acknowledged over {KILLS} kills")  # noqa: T201
    if acknowledged > 20_000:
        assert found.snapshots, "kills hit snapshots too"
        assert found.first_sequence > 0, "and history that was dropped"
