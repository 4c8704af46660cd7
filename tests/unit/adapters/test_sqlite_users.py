"""Stores of users: what every one promises, and what the file does beside it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tapewire.adapters.memory_users import MemoryUsers
from tapewire.adapters.sqlite_users import FORMAT_VERSION, SqliteUsers
from tapewire.model.user_book import SigningKey, TokenEntry, UserBook, UserBookError, hash_refresh_token
from tapewire.ports.users import UserStore, UserStoreError

TOKEN = TokenEntry(name="bot", sha256=hash_refresh_token("x"), scopes=("Trades",), created_at_s=5)
BOOK = (
    UserBook(keys=(SigningKey("a", "public", 7), SigningKey("b", "private")))
    .added("demo")
    .added("anna")
    .granted("anna", TOKEN)
)
MAKERS: dict[str, Callable[[Path], UserStore]] = {
    "memory": lambda folder: MemoryUsers(),
    "file": lambda folder: SqliteUsers(folder / "users.db"),
}


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> UserStore:
    return MAKERS[request.param](tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users.db"
    SqliteUsers(path).close()
    return path


def looks(store: UserStore, count: int) -> list[UserBook | None]:
    async def main() -> list[UserBook | None]:
        return [await store.look() for _ in range(count)]

    return asyncio.run(main())


def test_a_book_comes_back_as_it_was_put(store: UserStore) -> None:
    assert store.update(lambda book: book) == UserBook()
    assert store.update(lambda _: BOOK) == BOOK
    assert store.update(lambda book: book) == BOOK
    changed = store.update(lambda book: book.revoked("anna").added("eve"))
    assert store.update(lambda book: book) == changed
    assert store.update(lambda book: UserBook(book.users[1:], book.keys)).users == changed.users[1:]
    assert store.update(lambda book: book).users == changed.users[1:]
    store.close()


def test_a_refused_change_changes_nothing(store: UserStore) -> None:
    store.update(lambda _: BOOK)
    with pytest.raises(UserBookError):
        store.update(lambda book: book.added("eve").added("eve"))
    assert store.update(lambda book: book) == BOOK
    store.close()


def test_the_first_look_sees_the_book_and_the_next_one_nothing_new(store: UserStore) -> None:
    store.update(lambda _: BOOK)
    assert looks(store, 3) == [BOOK, None, None]
    store.close()


def test_what_another_program_changes_is_seen_once(file: Path) -> None:
    here, there = SqliteUsers(file), SqliteUsers(file)
    assert looks(here, 2) == [UserBook(), None]
    there.update(lambda _: BOOK)
    assert looks(here, 2) == [BOOK, None]
    assert here.update(lambda book: book.revoked("anna")).user("anna").tokens == ()
    assert there.update(lambda book: book).user("anna").tokens == ()
    here.close()
    there.close()


def test_a_look_that_was_cancelled_has_seen_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteUsers(file)
    asked, go_on = threading.Event(), threading.Event()

    def slow() -> UserBook:
        asked.set()
        go_on.wait(10)
        return BOOK

    async def main() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(store, "_read", slow)
            looking = asyncio.create_task(store.look())
            await asyncio.to_thread(asked.wait, 10)
            looking.cancel()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await looking
        assert await store.look() == UserBook()
        assert await store.look() is None

    asyncio.run(main())
    store.close()


def test_many_writers_lose_nothing(file: Path) -> None:
    def add(first: int) -> None:
        store = SqliteUsers(file)
        for number in range(5):
            store.update(lambda book, number=number: book.added(f"user-{first}-{number}"))  # type: ignore[misc]
        store.close()

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = SqliteUsers(file)
    users = store.update(lambda book: book).users
    assert len(users) == len({user.login for user in users}) == 20
    store.close()


def test_the_file_is_for_its_user_only_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    path.touch(0o644)
    store = SqliteUsers(path)
    store.update(lambda _: BOOK)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    store.close()


def test_what_was_a_private_key_is_not_in_the_file_any_more(file: Path) -> None:
    store = SqliteUsers(file)
    store.update(lambda book: UserBook(book.users, (SigningKey("a", "the-private-key-of-a" * 50),)))
    assert b"the-private-key-of-a" in file.read_bytes()
    store.update(lambda book: book.rotated(SigningKey("b", "other"), "public", 0, 1_800))
    assert b"the-private-key-of-a" not in file.read_bytes()
    store.close()


def refusal(path: Path) -> str:
    with pytest.raises(UserStoreError) as caught:
        SqliteUsers(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_newer_format_is_refused_and_left_alone(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute(f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    database.close()
    content = file.read_bytes()
    assert refusal(file) == f"{file} has format 2; this tapewire knows up to 1"
    assert file.read_bytes() == content


def test_a_foreign_or_damaged_file_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    assert refusal(foreign) == f"{foreign} is not a list of users of tapewire"
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database at all " * 100)
    assert refusal(damaged) == f"cannot use {damaged}: file is not a database"
    assert refusal(tmp_path) == f"cannot use {tmp_path}: Is a directory"
    assert (
        refusal(tmp_path / "no" / "users.db")
        == f"cannot use {tmp_path / 'no' / 'users.db'}: No such file or directory"
    )


def test_a_row_that_cannot_be_read_is_damage_and_is_not_told(file: Path) -> None:
    store = SqliteUsers(file)
    store.update(lambda _: BOOK)
    with sqlite3.connect(file) as database:
        database.execute("UPDATE signing_key SET content = 's3cr3t'")
    database.close()
    for work in (lambda: store.update(lambda book: book), lambda: looks(store, 1)):
        with pytest.raises(UserStoreError, match=f"{file} is damaged") as caught:
            work()
        assert "s3cr3t" not in str(caught.value)
    store.close()


def test_a_file_that_another_program_keeps_is_in_use(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapewire.adapters.sqlite_users.BUSY_S", 0)
    store = SqliteUsers(file)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UserStoreError, match="in use by another program"):
        store.update(lambda book: book)
    other.execute("ROLLBACK")
    other.close()
    assert store.update(lambda book: book) == UserBook()
    store.close()
