"""Users of a data folder as the command line changes them: new folders, older ones, folders in use."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tapewire.adapters.data_folder import VERSION, DataFolder
from tapewire.adapters.sqlite_users import SqliteUsers
from tapewire.gateway.tokens import new_signing_key
from tapewire.model.user_book import KEYS_MAX, PortfolioEntry, hash_refresh_token
from tapewire.protocol.tokens import REFRESH_TOKEN_PREFIX, Scope
from tapewire.user_accounts import (
    UserBookError,
    UserFolderError,
    add_user,
    give_token,
    list_users,
    open_portfolios,
    revoke_tokens,
    rotate_keys,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    add_user(path, "anna")
    return path


def test_a_new_folder_is_made_for_a_user_and_has_no_other(data: Path) -> None:
    assert [user.name for user in list_users(data)] == ["anna"]
    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / "users.db").stat().st_mode & 0o777 == 0o600
    assert DataFolder(data).version() == VERSION


def test_what_a_token_is_for_is_kept_and_its_text_is_not(data: Path) -> None:
    token = give_token(data, "anna", label="bot", is_read_only=True, portfolios=["G70001", "D70001", "G70001"])
    assert token.reveal().startswith(REFRESH_TOKEN_PREFIX)
    assert len(token.reveal()) == len(REFRESH_TOKEN_PREFIX) + 43
    assert token.reveal() not in repr(token)
    (entry,) = list_users(data)[0].tokens
    assert (entry.name, entry.sha256) == ("bot", hash_refresh_token(token.reveal()))
    assert (entry.scopes, entry.portfolios) == (Scope.READ_ONLY, ("G70001", "D70001"))
    assert token.reveal().encode() not in (data / "users.db").read_bytes()


def test_tokens_without_a_name_are_numbered_and_no_two_are_alike(data: Path) -> None:
    tokens = {give_token(data, "anna").reveal() for _ in range(3)}
    assert len(tokens) == 3
    assert [token.name for token in list_users(data)[0].tokens] == ["token-1", "token-2", "token-3"]
    assert revoke_tokens(data, "anna", "token-2") == 1
    give_token(data, "anna")
    give_token(data, "anna")
    assert sorted(token.name for token in list_users(data)[0].tokens) == [f"token-{n}" for n in (1, 2, 3, 4)]
    assert revoke_tokens(data, "anna") == 4
    assert revoke_tokens(data, "anna") == 0


def test_portfolios_are_opened_later_too(data: Path) -> None:
    opened = open_portfolios(data, "anna", [PortfolioEntry("D5", Decimal(7))])
    assert opened.portfolio_names == ("D70001", "G70001", "7500T01", "D5")
    assert list_users(data) == (opened,)


def test_what_cannot_be_changes_nothing(data: Path) -> None:
    before = list_users(data)
    for work in (
        lambda: add_user(data, "anna"),
        lambda: open_portfolios(data, "anna", [PortfolioEntry("D70001", Decimal(1))]),
        lambda: give_token(data, "nobody"),
        lambda: give_token(data, "anna", portfolios=["D99"]),
        lambda: give_token(data, "anna", label="local"),
        lambda: revoke_tokens(data, "anna", "nope"),
    ):
        with pytest.raises(UserBookError):
            work()
    assert list_users(data) == before


def test_keys_rotate(data: Path) -> None:
    first, second = rotate_keys(data), rotate_keys(data)
    assert first != second

    def keys() -> list[str]:
        store = SqliteUsers(data / "users.db")
        try:
            return [key.id for key in store.update(lambda book: book).keys]
        finally:
            store.close()

    assert keys() == [first, second]
    third = rotate_keys(data, at_once=True)
    assert keys() == [third]
    for _ in range(KEYS_MAX - 1):
        rotate_keys(data)
    with pytest.raises(UserBookError, match="rotations"):
        rotate_keys(data)


def test_a_folder_that_is_none_is_refused_and_not_made(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        for work in (lambda: list_users(path), lambda: give_token(path, "a"), lambda: rotate_keys(path)):  # noqa: B023
            with pytest.raises(UserFolderError, match=f"{path} is no data folder"):
                work()
    assert list(tmp_path.iterdir()) == []
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UserFolderError, match="Not a directory"):
        add_user(file, "anna")


def write_old(path: Path) -> None:
    content = {"version": 2, "signing_key": new_signing_key().decode(), "refresh_token": "the-old-one"}
    (path / "identity.json").write_text(json.dumps(content))


def test_an_older_folder_is_brought_up_first(tmp_path: Path) -> None:
    write_old(tmp_path)
    assert add_user(tmp_path, "anna").login == "P070002"
    assert [user.name for user in list_users(tmp_path)] == ["demo", "anna"]
    assert list_users(tmp_path)[0].tokens[0].sha256 == hash_refresh_token("the-old-one")
    assert b"the-old-one" not in (tmp_path / "identity.json").read_bytes()


def test_an_older_folder_on_which_a_system_runs_is_left_alone(tmp_path: Path) -> None:
    write_old(tmp_path)
    folder = DataFolder(tmp_path)
    folder.open()
    with pytest.raises(UserFolderError, match="a system of another version runs"):
        add_user(tmp_path, "anna")
    folder.close()
    assert not (tmp_path / "users.db").exists()


def test_a_folder_in_use_is_changed_beside_the_system(data: Path) -> None:
    folder = DataFolder(data)
    folder.open()
    assert add_user(data, "eve").login == "P070002"
    folder.close()


def test_a_newer_folder_is_refused(data: Path) -> None:
    (data / "identity.json").write_text('{"version":99}')
    with pytest.raises(UserFolderError, match="newer version of tapewire"):
        list_users(data)
