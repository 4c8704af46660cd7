"""``tapewire journal`` as its users run it, on data folders in every state."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from journals import commands
from tapewire.adapters.data_folder import DataFolder
from tapewire.adapters.journal_file import SqliteJournalFile
from tapewire.adapters.snapshot_files import SnapshotFiles
from tapewire.journal import Snapshot
from tapewire.journal.record import encode

TAPEWIRE = Path(sys.executable).with_name("tapewire")


def tapewire(command: str, data: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TAPEWIRE, "journal", command, "--data", data], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a journal of 50 entries."""
    folder = tmp_path / "data"
    folder.mkdir()
    file = SqliteJournalFile(folder / "journal.db")
    file.append(0, [encode(entry) for entry in commands(50)])
    file.close()
    return folder


def spoil(data: Path, sequence: int) -> None:
    with sqlite3.connect(data / "journal.db") as database:
        database.execute("UPDATE record SET payload = x'00112233' || payload WHERE sequence = ?", (sequence,))
    database.close()


def test_a_sound_journal_is_status_0_and_one_line_of_json(data: Path) -> None:
    done = tapewire("check", data)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["entries"] == {"command": 50}
    assert (found["problem"], found["starts_from"]) == ("", 0)
    done = tapewire("repair", data)
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing is to be repaired\n", "")


def test_a_damaged_journal_is_status_3_then_repaired_with_a_copy(data: Path) -> None:
    spoil(data, 30)
    done = tapewire("check", data)
    assert done.returncode == 3
    assert done.stderr == (
        "tapewire: a system would not start: entry 30: the checksum of its header is wrong;"
        " 'tapewire journal repair' may help\n"
    )
    assert json.loads(done.stdout)["damages"][0]["sequence"] == 30
    done = tapewire("repair", data)
    copy = data / "journal-removed-0.jsonl"
    assert (done.returncode, done.stdout) == (0, f"20 entries were removed and are kept in {copy}\n")
    assert [json.loads(line)["sequence"] for line in copy.read_text().splitlines()] == list(range(30, 50))
    done = tapewire("check", data)
    assert done.returncode == 0
    assert json.loads(done.stdout)["next_sequence"] == 30


def test_damage_before_a_good_snapshot_goes_without_the_entries_behind_it(data: Path) -> None:
    spoil(data, 10)
    SnapshotFiles(data / "snapshots").save(40, Snapshot(40, b"hash", b"state").encode())
    assert tapewire("check", data).returncode == 0
    assert tapewire("repair", data).stdout.startswith("11 entries were removed")
    found = json.loads(tapewire("check", data).stdout)
    assert (found["first_sequence"], found["next_sequence"], found["damages"]) == (11, 50, [])


def test_an_export_is_a_line_an_entry(data: Path) -> None:
    done = tapewire("export", data)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, len(lines)) == (0, 50)
    assert bytes.fromhex(lines[7]["body_hex"]) == b"command 7"


@pytest.mark.parametrize("command", ["check", "repair", "export"])
def test_what_cannot_be_looked_at_is_one_line_and_status_1(data: Path, command: str, tmp_path: Path) -> None:
    def refusal(folder: Path) -> str:
        done = tapewire(command, folder)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        return done.stderr

    assert refusal(tmp_path / "nowhere") == f"tapewire: there is no journal in {tmp_path / 'nowhere'}\n"
    assert not (tmp_path / "nowhere").exists()
    folder = DataFolder(data)
    folder.open()
    assert refusal(data).endswith("another system is running on it\n")
    folder.close()
    (data / "journal.db").write_bytes(b"a diary" * 1_000)
    assert "not a database" in refusal(data)


def test_nothing_left_to_begin_with_is_one_line_and_removes_nothing(data: Path) -> None:
    file = SqliteJournalFile(data / "journal.db")
    file.drop_before(5)
    file.close()
    assert "no repair can help" in tapewire("repair", data).stderr
    assert tapewire("check", data).returncode == 3
    assert json.loads(tapewire("check", data).stdout)["next_sequence"] == 50
