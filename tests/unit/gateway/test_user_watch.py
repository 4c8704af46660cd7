"""Users that change while a gateway runs: who is let in, who has to go, and how soon."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest

from tapewire.adapters.memory_users import MemoryUsers
from tapewire.gateway import command_session
from tapewire.gateway.tokens import TokenAuthority, key_of, new_signing_key
from tapewire.gateway.user_watch import LOOK_DEADLINE_S, OPEN_DEADLINE_S, WATCH_S, UserWatch
from tapewire.model.user_book import PortfolioEntry, SigningKey, TokenEntry, UserBook, hash_refresh_token
from tapewire.ports.users import UserStoreError
from tapewire.protocol.tokens import Scope
from tapewire.simulation import run_virtual
from unit.gateway.commands import LIMIT
from unit.gateway.world import KEY, TRADES, Peer, World

BOT, PHONE = "refresh-of-the-bot", "refresh-of-the-phone"


def entry(token: str, scopes: tuple[str, ...] = Scope.ALL) -> TokenEntry:
    return TokenEntry(name=token[-3:], sha256=hash_refresh_token(token), scopes=scopes, created_at_s=0)


FIRST = (
    UserBook(keys=(key_of(KEY),))
    .added("anna", [PortfolioEntry("D1", Decimal(5)), PortfolioEntry("G1", Decimal(5))])
    .granted("anna", entry(BOT))
    .granted("anna", entry(PHONE))
)


class Users(MemoryUsers):
    """A store that fails, or takes long, when it is told to; and a venue that opens portfolios."""

    def __init__(self) -> None:
        super().__init__(FIRST)
        self.failure: Exception | None = None
        self.delay_s = 0.0
        self.looks = 0
        self.opened: list[tuple[str, ...]] = []
        self.opening: Exception | float | None = None

    async def look(self) -> UserBook | None:
        self.looks += 1
        await asyncio.sleep(self.delay_s)
        if self.failure is not None:
            raise self.failure
        return await super().look()

    async def open(self, book: UserBook) -> None:
        self.opened.append(tuple(name for user in book.users for name in user.portfolio_names))
        if isinstance(self.opening, Exception):
            raise self.opening
        await asyncio.sleep(self.opening or 0)


Scenario = Callable[[World, Users], Coroutine[Any, Any, None]]


def run(scenario: Scenario) -> None:
    async def main() -> None:
        users = Users()
        watches: list[UserWatch] = []

        def watch(tokens: TokenAuthority) -> UserWatch:
            watches.append(UserWatch(users, tokens, users.open))
            return watches[0]

        async with World(users=watch) as world:
            await watches[0].look()
            watching = asyncio.create_task(watches[0].run())
            try:
                await scenario(world, users)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                await watches[0].close()

    run_virtual(main)


async def refreshed(world: World, token: str) -> tuple[int, str]:
    """Ask for an access token; return the status and what came."""
    body = json.dumps({"token": token}).encode()
    answer = await world.http.request("POST", "http://gateway/refresh", body=body, timeout_s=60)
    value = json.loads(answer.body)
    return answer.status, value.get("AccessToken") or value["message"]


async def authorised(world: World, path: str, refresh: str) -> Peer:
    peer = await world.connect(path, (await refreshed(world, refresh))[1])
    if path == "/cws":
        assert await peer.ask("authorize", "a") == 200
    else:
        assert await peer.asked(TRADES, "a") == 200
    return peer


def test_a_token_is_good_from_the_moment_it_is_given() -> None:
    async def scenario(world: World, users: Users) -> None:
        assert await refreshed(world, "new") == (403, "Refresh token is not valid")
        users.update(lambda book: book.granted("anna", entry("new")))
        assert (await refreshed(world, "new"))[0] == 200

    run(scenario)


def test_a_revoked_token_gets_no_access_token_and_its_access_tokens_end() -> None:
    async def scenario(world: World, users: Users) -> None:
        _, bot = await refreshed(world, BOT)
        _, phone = await refreshed(world, PHONE)
        users.update(lambda book: book.revoked("anna", "bot"))
        assert await refreshed(world, BOT) == (403, "Refresh token is not valid")

        async def status(token: str) -> int:
            url, headers = "http://gateway/md/v2/Clients/MOEX/D1/orders", {"Authorization": f"Bearer {token}"}
            return (await world.http.request("GET", url, headers=headers, timeout_s=10)).status

        assert [await status(bot), await status(phone)] == [401, 200]

    run(scenario)


@pytest.mark.parametrize("path", ["/ws", "/cws"])
def test_sessions_of_a_revoked_token_end_and_others_live(path: str) -> None:
    async def scenario(world: World, users: Users) -> None:
        bot, phone = [await authorised(world, path, refresh) for refresh in (BOT, PHONE)]
        loop = asyncio.get_running_loop()
        revoked_at = loop.time()
        users.update(lambda book: book.revoked("anna", "bot"))
        assert await bot.closed() == (1008, "the refresh token was revoked")
        assert loop.time() - revoked_at <= WATCH_S + 0.1
        assert phone.end is None
        assert await phone.ask("ping", "p") == 200
        (ended,) = world.gateway.presence.ended()
        assert (ended.login, ended.code, ended.limit) == ("P070001", 1008, None)

    run(scenario)


def test_a_session_that_has_shown_a_revoked_token_among_others_ends_too() -> None:
    async def scenario(world: World, users: Users) -> None:
        peer = await authorised(world, "/ws", BOT)
        _, phone = await refreshed(world, PHONE)
        assert await peer.asked(TRADES, "b", token=phone) == 200
        users.update(lambda book: book.revoked("anna", "one"))
        assert (await peer.closed())[0] == 1008

    run(scenario)


def test_commands_that_wait_behind_another_are_not_carried_out_after_a_revocation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command_session, "COMMANDS_AT_VENUE_MAX", 1)

    async def scenario(world: World, users: Users) -> None:
        peer = await authorised(world, "/cws", BOT)
        world.venue.desk.delay_next(2)
        for number in range(5):
            peer.send("create:limit", f"c{number}", token=None, **LIMIT)
        await asyncio.sleep(0.1)
        users.update(lambda book: book.revoked("anna", "bot"))
        # A peer that never answers the close frame.
        peer.frame_received = lambda *frame: None  # type: ignore[method-assign]
        await asyncio.sleep(3)
        assert len(world.venue.commands) == 1

    run(scenario)


def test_a_user_without_tokens_is_nobody() -> None:
    async def scenario(world: World, users: Users) -> None:
        _, token = await refreshed(world, BOT)
        users.update(lambda book: book.revoked("anna"))
        for refresh in (BOT, PHONE):
            assert (await refreshed(world, refresh))[0] == 403
        peer = await world.connect(token=token)
        assert await peer.asked(TRADES, "t") == 401

    run(scenario)


def test_portfolios_are_opened_before_a_token_names_them() -> None:
    async def scenario(world: World, users: Users) -> None:
        users.opened.clear()
        users.opening = 1.0
        users.update(lambda book: book.added("eve", [PortfolioEntry("D5", Decimal(1))]).granted("eve", entry("e")))
        began = asyncio.get_running_loop().time()
        assert (await refreshed(world, "e"))[0] == 200
        assert asyncio.get_running_loop().time() - began >= 1
        assert users.opened == [("D1", "G1", "D5")]
        await asyncio.sleep(5)
        assert len(users.opened) == 1

    run(scenario)


def test_portfolios_that_cannot_be_opened_are_tried_again_and_stop_no_revocation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(world: World, users: Users) -> None:
        users.opening = RuntimeError("the journal is full")
        peer = await authorised(world, "/ws", BOT)
        users.update(lambda book: book.revoked("anna", "bot"))
        assert (await peer.closed())[0] == 1008
        await asyncio.sleep(10)
        users.opening, tried = None, len(users.opened)
        await asyncio.sleep(2)
        assert len(users.opened) == tried + 1 > 10

    run(scenario)
    assert caplog.text.count("portfolios of users cannot be opened now") == 1


def test_opening_that_takes_long_is_waited_for_and_not_begun_twice(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World, users: Users) -> None:
        users.opened.clear()
        users.opening = 20.0
        users.update(lambda book: book.added("eve", [PortfolioEntry("D5", Decimal(1))]))
        # Others go on, late; what changes meanwhile is taken.
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(refreshed(world, BOT) for _ in range(10)))
        assert {status for status, _ in answers} == {200}
        assert asyncio.get_running_loop().time() - began < 2 * OPEN_DEADLINE_S
        users.update(lambda book: book.revoked("anna", "bot").opened("eve", [PortfolioEntry("G5", Decimal(1))]))
        assert (await refreshed(world, BOT))[0] == 403
        assert users.opened == [("D1", "G1", "D5")]
        peer = await authorised(world, "/ws", PHONE)
        users.update(lambda book: book.revoked("anna"))
        began = asyncio.get_running_loop().time()
        assert (await peer.closed())[0] == 1008
        assert asyncio.get_running_loop().time() - began <= WATCH_S + 0.1
        await asyncio.sleep(60)
        assert users.opened == [("D1", "G1", "D5"), ("D1", "G1", "D5", "G5")]

    run(scenario)
    assert "portfolios of users are not open within 5 s" in caplog.text


def test_without_its_store_a_gateway_goes_on_but_issues_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World, users: Users) -> None:
        peer = await authorised(world, "/ws", BOT)
        users.failure = UserStoreError("the disk is gone")
        assert await refreshed(world, BOT) == (503, "The users cannot be read now")
        await asyncio.sleep(20)
        assert await peer.ask("ping", "p") == 200
        users.failure, users.delay_s = None, 1_000.0
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(refreshed(world, BOT) for _ in range(10)))
        assert set(answers) == {(503, "The users cannot be read now")}
        assert asyncio.get_running_loop().time() - began < LOOK_DEADLINE_S + 1
        users.delay_s = 0.0
        await asyncio.sleep(2 * LOOK_DEADLINE_S)
        assert (await refreshed(world, BOT))[0] == 200

    run(scenario)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert told == ["users are not kept up: the disk is gone"]


def test_a_book_without_a_good_key_changes_nothing_until_there_is_one() -> None:
    async def scenario(world: World, users: Users) -> None:
        for keys in ((), (SigningKey("x", "no key"),)):
            users.update(lambda book, keys=keys: UserBook(book.users, keys))  # type: ignore[misc]
            assert (await refreshed(world, BOT))[0] == 503
            assert (await refreshed(world, BOT))[0] == 503
        peer = await world.connect(token=world.token(BOT))
        assert await peer.asked(TRADES, "t") == 200
        users.update(lambda book: UserBook(book.users, (key_of(new_signing_key()),)))
        assert (await refreshed(world, BOT))[0] == 200
        assert await peer.asked(TRADES, "u") == 401

    run(scenario)


def test_looking_costs_one_question_and_is_never_skipped() -> None:
    async def scenario(world: World, users: Users) -> None:
        before = users.looks
        await asyncio.gather(*(refreshed(world, BOT) for _ in range(10)))
        assert users.looks == before + 10
        await asyncio.sleep(10)
        assert users.looks - before - 10 == pytest.approx(10 / WATCH_S, abs=2)

    run(scenario)
