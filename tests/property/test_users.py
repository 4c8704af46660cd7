"""Any run of changes to the users of a folder, against a plain model of who is let in with what."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from tapewire.adapters.clock import SystemClock
from tapewire.adapters.sqlite_users import SqliteUsers
from tapewire.gateway.tokens import TokenAuthority, new_signing_key, users_of
from tapewire.gateway.user_watch import UserWatch
from tapewire.model.user_book import TOKENS_PER_USER_MAX, UserBook
from tapewire.protocol.tokens import Scope, claims_of
from tapewire.user_accounts import UserBookError, add_user, give_token, list_users, revoke_tokens, rotate_keys

NAMES = [f"user{number}" for number in range(4)]
KEY = new_signing_key()


class Users(RuleBasedStateMachine):
    """The folder is changed as the command line does it; a gateway's authority follows as in a running system."""

    tokens = Bundle("tokens")

    @initialize()
    def begin(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.data = Path(self.place.name) / "data"
        add_user(self.data, NAMES[0])
        rotate_keys(self.data)
        self.model: dict[str, dict[str, tuple[bool, bool]]] = {NAMES[0]: {}}
        self.given: set[str] = set()
        self.access: dict[str, str] = {}
        self.ended: set[str] = set()
        self.store = SqliteUsers(self.data / "users.db")
        self.authority = TokenAuthority(KEY, (), SystemClock())
        self.rotations = 1
        self.look()

    def teardown(self) -> None:
        if hasattr(self, "place"):
            self.store.close()
            self.place.cleanup()

    def look(self) -> None:
        async def open_none(book: UserBook) -> None:
            list(users_of(book))

        async def main() -> None:
            await UserWatch(self.store, self.authority, open_none).look()

        asyncio.run(main())

    @rule(name=st.sampled_from(NAMES))
    def add(self, name: str) -> None:
        if name in self.model:
            with pytest.raises(UserBookError):
                add_user(self.data, name)
        else:
            add_user(self.data, name)
            self.model[name] = {}

    @rule(target=tokens, name=st.sampled_from(NAMES), is_read_only=st.booleans(), is_narrow=st.booleans())
    def give(self, name: str, is_read_only: bool, is_narrow: bool) -> Any:
        mine = {user.name: user.portfolio_names for user in list_users(self.data)}.get(name, ("D1",))
        portfolios = mine[:1] if is_narrow else None
        if name not in self.model or len(self.model[name]) >= TOKENS_PER_USER_MAX:
            with pytest.raises(UserBookError):
                give_token(self.data, name, is_read_only=is_read_only, portfolios=portfolios)
            return multiple()
        token = give_token(self.data, name, is_read_only=is_read_only, portfolios=portfolios).reveal()
        self.model[name][token] = (is_read_only, is_narrow)
        self.given.add(token)
        return name, token

    @rule(which=consumes(tokens))
    def revoke_one(self, which: tuple[str, str]) -> None:
        name, token = which
        number = next((index for index, known in enumerate(self.model[name]) if known == token), None)
        if number is None:
            return
        entry = next(user for user in list_users(self.data) if user.name == name).tokens[number]
        assert revoke_tokens(self.data, name, entry.id) == 1
        del self.model[name][token]

    @rule(name=st.sampled_from(NAMES))
    def revoke_all(self, name: str) -> None:
        if name not in self.model:
            with pytest.raises(UserBookError):
                revoke_tokens(self.data, name)
            return
        assert revoke_tokens(self.data, name) == len(self.model[name])
        self.model[name].clear()

    @precondition(lambda self: self.rotations < 6)
    @rule()
    def rotate(self) -> None:
        rotate_keys(self.data)
        self.rotations += 1

    @rule(which=tokens)
    def refresh(self, which: tuple[str, str]) -> None:
        name, token = which
        self.look()
        access = self.authority.refresh(token)
        rights = self.model[name].get(token)
        assert (access is None) == (rights is None)
        if access is None or rights is None:
            return
        is_read_only, is_narrow = rights
        claims = claims_of(access)
        assert claims.may(Scope.ORDERS_CREATE) is not is_read_only
        assert len(claims.portfolio_list) == (1 if is_narrow else 3)
        self.access[access] = token

    @invariant()
    def whoever_was_revoked_is_out_and_nobody_else(self) -> None:
        if not hasattr(self, "place"):
            return
        self.look()
        good = {token for tokens in self.model.values() for token in tokens}
        for access, token in self.access.items():
            assert (self.authority.verify(access) is not None) == (token in good)

    @invariant()
    def no_token_is_anywhere_in_the_folder(self) -> None:
        if not hasattr(self, "place"):
            return
        files = [file for file in self.data.rglob("*") if file.is_file()]
        content = b"".join(file.read_bytes() for file in files)
        assert not [token for token in self.given if token.encode() in content]
        names = [portfolio for user in list_users(self.data) for portfolio in user.portfolio_names]
        assert len(names) == len(set(names)) == 3 * len(self.model)


TestUsers = Users.TestCase
TestUsers.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
