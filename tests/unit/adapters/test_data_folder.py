"""The data folder: one owner, kept identity, clear refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.pretty import pretty_repr

from tapewire.adapters.data_folder import VERSION, DataFolder, DataFolderError, Identity

SECRET = "s3cr3t"
FIRST = Identity(VERSION, f"key-{SECRET}", f"refresh-{SECRET}")
SECOND = Identity(VERSION, "other key", "other token")


def kept(path: Path, new: Identity) -> Identity:
    folder = DataFolder(path)
    folder.open()
    try:
        return folder.identity(new)
    finally:
        folder.close()


def refusal(path: Path, new: Identity = SECOND) -> str:
    """Return the one line with which a folder is refused."""
    with pytest.raises(DataFolderError) as caught:
        kept(path, new)
    text = str(caught.value)
    assert SECRET not in text
    assert "\n" not in text
    return text


def test_the_identity_of_a_new_folder_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    assert kept(path, FIRST) == FIRST
    assert kept(path, SECOND) == FIRST


def test_secrets_are_for_their_user_only(tmp_path: Path) -> None:
    path = tmp_path / "data"
    kept(path, FIRST)
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
    assert kept(tmp_path, FIRST) == FIRST


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


def test_an_older_folder_is_brought_to_this_version_and_keeps_what_it_has(tmp_path: Path) -> None:
    file = tmp_path / "identity.json"
    file.write_bytes(b'{"version":1,"signing_key":"key-s3cr3t","refresh_token":"refresh-s3cr3t"}')
    assert kept(tmp_path, SECOND) == FIRST
    assert json.loads(file.read_bytes())["version"] == VERSION
    assert kept(tmp_path, SECOND) == FIRST


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
    assert kept(tmp_path, FIRST) == FIRST
    assert kept(tmp_path, SECOND) == FIRST


def test_an_identity_shows_no_secret() -> None:
    assert SECRET not in repr(FIRST)
    assert SECRET not in pretty_repr(FIRST)


def test_a_folder_that_cannot_be_locked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert refusal(tmp_path) == f"cannot use {tmp_path}: files cannot be locked on this machine"
