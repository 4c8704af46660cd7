"""Folders of older versions: their clear text goes, their token stays good, a crash in between loses neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tapewire.adapters.data_folder import VERSION, DataFolder, DataFolderError
from tapewire.adapters.memory_users import MemoryUsers
from tapewire.adapters.user_migration import take_over
from tapewire.gateway.tokens import TokenAuthority, new_signing_key, users_of
from tapewire.model.user_book import DEMO_NAME, UserBook
from tapewire.protocol.tokens import Scope
from tapewire.simulation import VirtualClock, run_virtual

REFRESH = "the-old-refresh-token"
KEY = new_signing_key().decode()


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


def write(folder: DataFolder, version: int = 2) -> None:
    content = {"version": version, "signing_key": KEY, "refresh_token": REFRESH}
    (folder.path / "identity.json").write_text(json.dumps(content))


def content(folder: DataFolder) -> bytes:
    return b"".join(file.read_bytes() for file in folder.path.rglob("*") if file.is_file())


@pytest.mark.parametrize("version", [1, 2])
def test_the_token_stays_good_and_its_clear_text_goes(
    folder: DataFolder, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    write(folder, version)
    store = MemoryUsers()
    assert take_over(folder, store, 5) == REFRESH
    book = store.update(lambda book: book)
    assert (book.user(DEMO_NAME).login, book.user(DEMO_NAME).tokens[0].scopes) == ("P070001", Scope.ALL)
    assert folder.version() == VERSION
    for secret in (REFRESH, KEY.splitlines()[1]):
        assert secret.encode() not in content(folder)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith("is kept as a hash from now on; its clear text is removed")
    assert REFRESH not in caplog.text

    async def main() -> str | None:
        return TokenAuthority(book.keys[-1].pem.encode(), users_of(book), VirtualClock()).refresh(REFRESH)

    assert run_virtual(main)
    assert take_over(folder, store, 6) is None
    assert store.update(lambda book: book) == book


def test_a_crash_before_the_clear_text_is_gone_is_made_good(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder)
    store = MemoryUsers()

    def killed() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(folder, "mark", killed)
        with pytest.raises(KeyboardInterrupt):
            take_over(folder, store, 5)
    book = store.update(lambda book: book)
    assert REFRESH.encode() in content(folder)
    assert take_over(folder, store, 6) == REFRESH
    assert store.update(lambda book: book) == book
    assert REFRESH.encode() not in content(folder)


def test_users_that_are_there_already_are_kept(folder: DataFolder) -> None:
    write(folder)
    store = MemoryUsers(UserBook().added("anna"))
    take_over(folder, store, 5)
    assert [user.name for user in store.update(lambda book: book).users] == ["anna", DEMO_NAME]


def test_nothing_is_taken_over_from_a_new_folder_or_a_newer_one(folder: DataFolder) -> None:
    assert take_over(folder, MemoryUsers(), 5) is None
    write(folder, VERSION + 1)
    with pytest.raises(DataFolderError, match="newer version"):
        take_over(folder, MemoryUsers(), 5)
