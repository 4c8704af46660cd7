"""What every ``JournalFile`` must do, run against each of them; then what only the SQLite one can show."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapewire.adapters import journal_file
from tapewire.adapters.journal_file import APPLICATION_ID, FORMAT_VERSION, SqliteJournalFile
from tapewire.ports.journal import JournalError, JournalFile
from tapewire.simulation import SimulatedDisk

Open = Callable[[], JournalFile]


@pytest.fixture(params=["sqlite", "simulated"])
def open_file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open the same file again with each call; all are closed at the end."""
    disk = SimulatedDisk()
    opened: list[JournalFile] = []

    def open_again() -> JournalFile:
        sqlite = request.param == "sqlite"
        opened.append(SqliteJournalFile(tmp_path / "journal.db") if sqlite else disk.open())
        return opened[-1]

    yield open_again
    for file in opened:
        file.close()


@pytest.fixture
def file(open_file: Open) -> JournalFile:
    return open_file()


def numbered(first: int, count: int) -> list[bytes]:
    return [b"record %d" % number for number in range(first, first + count)]


def test_a_new_file_is_empty_and_begins_at_0(file: JournalFile) -> None:
    assert file.next_sequence == 0
    assert list(file.read()) == []


def test_records_come_back_in_order_with_their_sequences(file: JournalFile) -> None:
    file.append(0, [b"a", b"", bytes(range(256))])
    file.append(3, [b"d"])
    assert file.next_sequence == 4
    assert list(file.read()) == [(0, b"a"), (1, b""), (2, bytes(range(256))), (3, b"d")]
    assert list(file.read(2)) == [(2, bytes(range(256))), (3, b"d")]
    assert list(file.read(4)) == list(file.read(100)) == []


def test_records_survive_closing(file: JournalFile, open_file: Open) -> None:
    file.append(0, numbered(0, 10))
    file.close()
    again = open_file()
    assert again.next_sequence == 10
    again.append(10, [b"more"])
    assert [record for _, record in again.read()] == [*numbered(0, 10), b"more"]


@pytest.mark.parametrize("first_sequence", [0, 1, 2, 4, 100])
def test_holes_and_repetitions_are_refused(file: JournalFile, first_sequence: int) -> None:
    file.append(0, numbered(0, 3))
    with pytest.raises(JournalError, match="does not follow; 3 is next"):
        file.append(first_sequence, [b"x"])
    assert [sequence for sequence, _ in file.read()] == [0, 1, 2]


def test_appending_nothing_changes_nothing(file: JournalFile) -> None:
    file.append(0, [])
    with pytest.raises(JournalError, match="does not follow"):
        file.append(1, [])
    assert file.next_sequence == 0


@pytest.mark.parametrize("sequence", [0, 4, 9, 10, 99])
def test_dropping_forgets_the_oldest_and_keeps_the_numbers(
    file: JournalFile, open_file: Open, sequence: int
) -> None:
    file.append(0, numbered(0, 10))
    file.drop_before(sequence)
    kept = list(enumerate(numbered(0, 10)))[sequence:]
    for _ in range(2):
        assert list(file.read()) == kept
        assert file.next_sequence == 10
        file.close()
        file = open_file()
    file.drop_before(0)
    file.append(10, [b"next"])
    assert list(file.read()) == [*kept, (10, b"next")]


def test_dropping_twice_and_appending_between(file: JournalFile, open_file: Open) -> None:
    file.append(0, numbered(0, 5))
    file.drop_before(5)
    file.append(5, numbered(5, 5))
    file.drop_before(7)
    file.close()
    assert list(open_file().read(3)) == list(enumerate(numbered(7, 3), 7))


@pytest.mark.parametrize("sequence", [0, 4, 9, 10, 99])
def test_cutting_forgets_the_newest_and_gives_their_numbers_again(
    file: JournalFile, open_file: Open, sequence: int
) -> None:
    file.append(0, numbered(0, 10))
    file.cut_from(sequence)
    left = min(sequence, 10)
    for _ in range(2):
        assert list(file.read()) == list(enumerate(numbered(0, left)))
        assert file.next_sequence == left
        file.close()
        file = open_file()
    file.append(left, [b"anew"])
    assert list(file.read(left)) == [(left, b"anew")]


def test_numbers_that_were_dropped_at_the_old_end_are_never_given_again(
    file: JournalFile, open_file: Open
) -> None:
    file.append(0, numbered(0, 10))
    file.drop_before(5)
    file.cut_from(2)
    assert (file.first_sequence, file.next_sequence) == (5, 5)
    file.close()
    file = open_file()
    assert (file.first_sequence, file.next_sequence) == (5, 5)


def test_a_file_knows_its_oldest_record(file: JournalFile, open_file: Open) -> None:
    assert file.first_sequence == 0
    file.append(0, numbered(0, 10))
    assert file.first_sequence == 0
    file.drop_before(7)
    assert file.first_sequence == 7
    file.drop_before(10)
    assert file.first_sequence == 10
    file.close()
    assert open_file().first_sequence == 10


def test_used_bytes_grow_with_records_and_shrink_with_what_is_dropped(file: JournalFile) -> None:
    empty = file.used_bytes
    file.append(0, [bytes(1_000)] * 200)
    full = file.used_bytes
    assert 200_000 <= full - empty <= 300_000
    file.drop_before(150)
    assert file.used_bytes <= empty + 80_000
    file.cut_from(160)
    assert file.used_bytes <= empty + 40_000


def test_a_reader_keeps_going_while_records_come_and_go(
    file: JournalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "_CHUNK_ROWS", 4)
    file.append(0, numbered(0, 20))
    reader = file.read()
    seen = [next(reader)[0] for _ in range(3)]
    file.append(20, numbered(20, 5))
    file.drop_before(10)
    seen += [sequence for sequence, _ in reader]
    assert seen == sorted(seen)
    assert seen[:3] == [0, 1, 2]
    assert seen[-10:] == list(range(15, 25))


def test_every_call_after_close_is_refused_but_close(file: JournalFile) -> None:
    file.append(0, [b"a"])
    reader = file.read()
    file.close()
    file.close()
    for call in (lambda: file.append(1, [b"b"]), lambda: list(reader), lambda: file.drop_before(1)):
        with pytest.raises(JournalError, match="closed"):
            call()


def test_another_thread_may_use_the_file(file: JournalFile) -> None:
    thread = threading.Thread(target=file.append, args=(0, numbered(0, 3)))
    thread.start()
    thread.join()
    assert [record for _, record in file.read()] == numbered(0, 3)


# --- the SQLite file ------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def execute(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        database.execute(statement)
    database.close()


def test_the_file_says_whose_it_is_and_syncs_every_commit(path: Path) -> None:
    file = SqliteJournalFile(path)
    pragmas = {
        name: file._database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version", "journal_mode", "synchronous")
    }
    file.close()
    assert pragmas == {
        "application_id": APPLICATION_ID,
        "user_version": FORMAT_VERSION,
        "journal_mode": "wal",
        "synchronous": 2,
    }


def test_a_foreign_database_is_refused_and_left_alone(path: Path) -> None:
    execute(path, "CREATE TABLE somebody_elses (x)")
    before = path.read_bytes()
    with pytest.raises(JournalError, match="not a journal of tapewire"):
        SqliteJournalFile(path)
    assert path.read_bytes() == before


def test_a_newer_format_is_refused(path: Path) -> None:
    SqliteJournalFile(path).close()
    execute(path, f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    with pytest.raises(JournalError, match=f"format {FORMAT_VERSION + 1}"):
        SqliteJournalFile(path)


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"a diary, not a database" * 1000)
    with pytest.raises(JournalError, match="not a database") as caught:
        SqliteJournalFile(path)
    assert isinstance(caught.value.__cause__, sqlite3.Error)


def test_a_missing_folder_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"nowhere.journal\.db"):
        SqliteJournalFile(tmp_path / "nowhere" / "journal.db")


def test_a_file_has_one_owner(path: Path) -> None:
    first = SqliteJournalFile(path)
    with pytest.raises(JournalError, match="in use by another process"):
        SqliteJournalFile(path)
    first.append(0, [b"still mine"])
    first.close()
    SqliteJournalFile(path).close()


def test_opening_makes_durable_what_a_killed_program_has_left_in_the_log(path: Path, tmp_path: Path) -> None:
    first = SqliteJournalFile(path)
    first.append(0, numbered(0, 10))
    left = tmp_path / "left.db"
    # As it stands while the program lives: all ten are in the log only.
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{left}{suffix}")
    first.close()
    assert Path(f"{left}-wal").stat().st_size > 0
    again = SqliteJournalFile(left)
    assert Path(f"{left}-wal").stat().st_size == 0
    assert [record for _, record in again.read()] == numbered(0, 10)
    again.close()


def test_a_full_disk_writes_nothing_and_may_be_tried_again(path: Path) -> None:
    file = SqliteJournalFile(path)
    (pages,) = file._database.execute("PRAGMA page_count").fetchone()
    file.append(0, [b"a"])
    file._database.execute(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(JournalError, match="full") as caught:
        file.append(1, [b"x" * 3000] * 50)
    assert not caught.value.is_uncertain
    assert list(file.read()) == [(0, b"a")]
    file.append(1, [b"b"])
    file._database.execute("PRAGMA max_page_count = 1000000")
    file.append(2, [b"x" * 3000] * 50)
    file.close()
    again = SqliteJournalFile(path)
    assert again.next_sequence == 52
    again.close()


def test_an_append_that_fails_in_its_middle_leaves_nothing(path: Path) -> None:
    file = SqliteJournalFile(path)
    with pytest.raises(JournalError, match="NOT NULL"):
        file.append(0, [b"a", None])  # type: ignore[list-item]
    file.append(0, [b"b"])
    assert list(file.read()) == [(0, b"b")]
    file.close()


def test_a_record_missing_in_the_middle_is_told(path: Path) -> None:
    file = SqliteJournalFile(path)
    file.append(0, numbered(0, 5))
    file.close()
    execute(path, "DELETE FROM record WHERE sequence = 2")
    file = SqliteJournalFile(path)
    with pytest.raises(JournalError, match="record 2 is missing"):
        list(file.read())
    file.close()


def test_after_an_error_of_the_disk_the_file_must_be_opened_anew(path: Path) -> None:
    file = SqliteJournalFile(path)
    file.append(0, [b"a"])

    def fail_to_sync() -> None:
        with file._translated():
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error

    with pytest.raises(JournalError, match="disk I/O error") as caught:
        fail_to_sync()
    assert caught.value.is_uncertain
    with pytest.raises(JournalError, match="opened anew") as caught:
        file.append(1, [b"b"])
    assert caught.value.is_uncertain
    file.close()
    again = SqliteJournalFile(path)
    again.append(1, [b"b"])
    again.close()


def test_a_killed_process_loses_nothing_that_was_acknowledged(path: Path) -> None:
    program = textwrap.dedent("""
        import pathlib, sys
        from tapewire.adapters.journal_file import SqliteJournalFile
        file = SqliteJournalFile(pathlib.Path(sys.argv[1]))
        for sequence in range(0, 10**9, 3):
            file.append(sequence, [b"%d" % n for n in range(sequence, sequence + 3)])
            print(sequence + 3, flush=True)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline() for _ in range(100)]
        process.kill()
        acknowledged += process.stdout.readlines()
    last = int([line for line in acknowledged if line.endswith("\n")][-1])
    file = SqliteJournalFile(path)
    assert file.next_sequence >= last
    assert file.next_sequence % 3 == 0, "an append is whole or not there"
    assert list(file.read()) == [(n, b"%d" % n) for n in range(file.next_sequence)]
    file.close()
