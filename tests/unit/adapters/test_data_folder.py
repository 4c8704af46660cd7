"""The data folder: one owner, a version, secrets of older versions, clear refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rich.pretty import pretty_repr

from tapewire.adapters.data_folder import VERSION, DataFolder, DataFolderError, Identity

SECRET = "s3cr3t"
OLD = Identity(2, f"key-{SECRET}", f"refresh-{SECRET}")
MARKED = b'{"version":%d}' % VERSION


def found(path: Path) -> tuple[int | None, Identity | None]:
    """Return the version of a folder and what stands in clear text there; then it is one of this version."""
    folder = DataFolder(path)
    folder.open()
    try:
        seen = folder.version(), folder.secrets_in_clear()
        folder.mark()
        return seen
    finally:
        folder.close()


def refusal(path: Path) -> str:
    """Return the one line with which a folder is refused."""
    with pytest.raises(DataFolderError) as caught:
        found(path)
    text = str(caught.value)
    assert SECRET not in text
    assert "\n" not in text
    return text


def test_a_new_folder_is_marked_with_its_version_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    assert found(path) == (None, None)
    assert found(path) == (VERSION, None)
    assert (path / "identity.json").read_bytes() == MARKED


def test_what_is_here_is_for_its_user_only(tmp_path: Path) -> None:
    path = tmp_path / "data"
    found(path)
    assert path.stat().st_mode & 0o777 == 0o700
    assert (path / "identity.json").stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in path.iterdir()) == ["identity.json", "lock"]


def test_a_folder_belongs_to_one_system_at_a_time(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    first.open()
    with pytest.raises(DataFolderError, match="another system is running on it"):
        second.open()
    first.close()
    first.close()
    second.open()
    second.close()


def test_a_killed_system_leaves_the_folder_free(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, pathlib\n"
        "from tapewire.adapters.data_folder import DataFolder\n"
        "DataFolder(pathlib.Path(sys.argv[1])).open()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert found(tmp_path) == (None, None)


@pytest.mark.parametrize(
    "content",
    [
        b'{"version":%d,"signing_key":"s3cr3t","refresh_token":"s3cr3t"}' % (VERSION + 1),
        b'{"version":%d,"keys":{"s3cr3t":1}}' % (VERSION + 1),
    ],
)
def test_a_folder_of_a_newer_version_is_refused_as_such_and_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "identity.json"
    file.write_bytes(content)
    assert "newer version of tapewire" in refusal(tmp_path)
    assert file.read_bytes() == content


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_folder_tells_its_secrets_once(tmp_path: Path, version: int) -> None:
    file = tmp_path / "identity.json"
    file.write_bytes(b'{"version":%d,"signing_key":"key-s3cr3t","refresh_token":"refresh-s3cr3t"}' % version)
    assert found(tmp_path) == (version, Identity(version, OLD.signing_key, OLD.refresh_token))
    assert file.read_bytes() == MARKED
    assert found(tmp_path) == (VERSION, None)


@pytest.mark.parametrize("version", [0, -1])
def test_a_version_that_never_was_is_damage(tmp_path: Path, version: int) -> None:
    content = b'{"version":%d,"signing_key":"s3cr3t","refresh_token":"s3cr3t"}' % version
    (tmp_path / "identity.json").write_bytes(content)
    assert f"there is no version {version}" in refusal(tmp_path)


def test_copies_never_replace_each_other(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    first = folder.keep_copy("removed", [b"a\n", b"b\n"])
    second = folder.keep_copy("removed", [b"c\n"])
    assert (first.read_bytes(), second.read_bytes()) == (b"a\nb\n", b"c\n")
    assert first.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"s3cr3t", b"[]", b"{}", b"\xff", b'{"version":1,"signing_key":5}'])
def test_a_damaged_identity_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "identity.json"
    file.write_bytes(content)
    assert refusal(tmp_path).startswith(f"cannot read {file}: it is damaged")
    assert file.read_bytes() == content


def test_an_identity_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "identity.json").mkdir()
    assert refusal(tmp_path) == f"cannot read {tmp_path / 'identity.json'}: Is a directory"


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    assert refusal(path) == f"cannot use {path}: File exists"
    assert refusal(path / "deeper") == f"cannot use {path / 'deeper'}: Not a directory"


def test_an_identity_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "identity.new").mkdir()
    assert refusal(tmp_path).startswith(f"cannot write {tmp_path / 'identity.json'}")


def test_a_half_written_draft_of_a_killed_system_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "identity.new").write_bytes(b"x" * 10_000)
    assert found(tmp_path) == (None, None)
    assert found(tmp_path) == (VERSION, None)


def test_old_secrets_are_not_shown() -> None:
    assert SECRET not in repr(OLD)
    assert SECRET not in pretty_repr(OLD)


def test_a_folder_that_cannot_be_locked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert refusal(tmp_path) == f"cannot use {tmp_path}: files cannot be locked on this machine"
