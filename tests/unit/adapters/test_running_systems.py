"""Files by which local systems are found: private, complete, and gone with their system."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.pretty import pretty_repr

from tapewire.adapters.running_systems import RunningSystem, announced, running_systems

SECRET = "refresh-s3cr3t"


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def system(port: int = 8700, pid: int | None = None) -> RunningSystem:
    return RunningSystem(os.getpid() if pid is None else pid, f"http://127.0.0.1:{port}", SECRET)


def folder(runtime: Path) -> Path:
    return runtime / f"tapewire-{os.getuid()}"


def test_a_system_is_found_while_it_runs_and_leaves_nothing(runtime: Path) -> None:
    assert running_systems() == []
    with announced(system()):
        assert running_systems() == [system()]
        assert running_systems() == [system()], "looking changes nothing"
    assert running_systems() == []
    assert list(runtime.iterdir()) == []


def test_file_and_folder_are_for_their_user_only(runtime: Path) -> None:
    with announced(system()):
        (file,) = folder(runtime).iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        assert folder(runtime).stat().st_mode & 0o777 == 0o700
        assert SECRET.encode() in file.read_bytes()


def test_several_systems_are_found_and_each_removes_its_own_file(runtime: Path) -> None:
    with ExitStack() as first:
        first.enter_context(announced(system(1)))
        with announced(system(2)):
            assert {found.url for found in running_systems()} == {"http://127.0.0.1:1", "http://127.0.0.1:2"}
        assert [found.url for found in running_systems()] == ["http://127.0.0.1:1"]
    assert list(runtime.iterdir()) == []


def test_an_error_inside_the_block_removes_the_file_too(runtime: Path) -> None:
    class OwnError(Exception):
        pass

    with pytest.raises(OwnError), announced(system()):
        raise OwnError
    assert list(runtime.iterdir()) == []


def test_the_file_of_a_killed_system_is_removed_even_if_its_number_is_in_use_again(runtime: Path) -> None:
    code = (
        "import os, signal\n"
        "from tapewire.adapters.running_systems import RunningSystem, announced\n"
        # The number of a process that lives: this one's parent.
        "with announced(RunningSystem(os.getppid(), 'http://127.0.0.1:8700', 'x')):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert len(list(folder(runtime).iterdir())) == 1
    assert running_systems() == []
    assert list(folder(runtime).iterdir()) == []


def test_a_system_in_another_process_is_found(runtime: Path) -> None:
    code = (
        "import os\n"
        "from tapewire.adapters.running_systems import RunningSystem, announced\n"
        "with announced(RunningSystem(os.getpid(), 'http://127.0.0.1:8700', 'x')):\n"
        "    print('ready', flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        assert [found.pid for found in running_systems()] == [other.pid]
        other.communicate(b"\n", timeout=10)
    assert running_systems() == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"pid":1,"url":5,"refresh_token":"x"}'])
def test_a_file_that_cannot_be_read_is_no_system(runtime: Path, content: bytes) -> None:
    folder(runtime).mkdir(mode=0o700)
    (folder(runtime) / "1-1.json").write_bytes(content)
    assert running_systems() == []


def test_a_folder_that_others_can_write_is_not_used(runtime: Path) -> None:
    folder(runtime).mkdir()
    folder(runtime).chmod(0o777)
    with announced(system()):
        assert list(folder(runtime).iterdir()) == []
        assert running_systems() == []
    assert folder(runtime).exists(), "it is not ours to remove"


def test_a_folder_that_is_a_link_is_not_used(runtime: Path) -> None:
    elsewhere = runtime / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder(runtime).symlink_to(elsewhere)
    with announced(system()):
        assert list(elsewhere.iterdir()) == []
        assert running_systems() == []


@pytest.mark.parametrize("base", ["missing", "file"])
def test_a_system_runs_all_the_same_where_nothing_can_be_written(
    runtime: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (runtime / "file").write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / base))
    with announced(system()):
        assert running_systems() == []


def test_a_file_that_somebody_removed_is_not_missed(runtime: Path) -> None:
    with announced(system()):
        for file in folder(runtime).iterdir():
            file.unlink()
    assert list(runtime.iterdir()) == []


def test_a_system_shows_no_token() -> None:
    assert SECRET not in repr(system())
    assert SECRET not in pretty_repr(system())
    assert system().url in pretty_repr(system())


def test_where_files_cannot_be_locked_systems_run_and_are_not_found(runtime: Path) -> None:
    code = (
        "import os, sys\n"
        "sys.modules['fcntl'] = None\n"
        "del os.getuid\n"
        "import tapewire\n"
        "from tapewire.adapters.running_systems import RunningSystem, announced, running_systems\n"
        "with announced(RunningSystem(os.getpid(), 'http://127.0.0.1:8700', 'x')):\n"
        "    print(running_systems(), os.listdir(os.environ['XDG_RUNTIME_DIR']))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("[] []\n", "")
