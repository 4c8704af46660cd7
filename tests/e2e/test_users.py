"""Users of a running system, changed beside it with ``tapewire user``: let in, limited, shown out."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from e2e.test_cli import Desk, one_line
from tapewire.gateway.tokens import new_signing_key

DEADLINE_S = 20.0
#: docs/users.md promises a second, which is tested on virtual time; a busy machine is given more.
REVOKED_WITHIN_S = 4.0
SBER = {"symbol": "SBER", "exchange": "MOEX", "instrumentGroup": "TQBR"}

Scenario = Callable[[Desk, aiohttp.ClientSession], Awaitable[None]]


def at_desk(folder: Path, scenario: Scenario) -> None:
    async def main() -> None:
        async with asyncio.timeout(2 * DEADLINE_S), AsyncExitStack() as stack:
            http = await stack.enter_async_context(aiohttp.ClientSession())
            await scenario(Desk(folder, stack), http)

    asyncio.run(main())


async def user(desk: Desk, *arguments: str) -> list[str]:
    """Run ``tapewire user`` on the folder and return its lines."""
    ended = await desk.run("user", *arguments, "--data", str(desk.folder / "data"))
    assert (ended.status, ended.err) == (0, ""), arguments
    return ended.lines


async def refreshed(http: aiohttp.ClientSession, ready: dict[str, Any], token: str) -> tuple[int, str]:
    async with http.post(f"{ready['oauth']}/refresh", json={"token": token}) as answer:
        return answer.status, (await answer.json()).get("AccessToken", "")


async def asked(socket: ClientConnection, **fields: Any) -> int:
    """Send a request and return the code of its answer."""
    await socket.send(json.dumps({"guid": "g", **fields}))
    while True:
        answer = json.loads(await socket.recv())
        if answer.get("requestGuid") == "g":
            return int(answer["httpCode"])


async def drained(socket: ClientConnection) -> None:
    """Read until the connection ends."""
    while True:
        await socket.recv()


def test_a_user_is_added_limited_and_revoked_beside_a_running_system(tmp_path: Path) -> None:
    async def scenario(desk: Desk, http: aiohttp.ClientSession) -> None:
        system = await desk.system("--data", str(desk.folder / "data"))
        ready = system.ready
        added = await user(desk, "add", "anna", "--portfolio", "D70002", "--cash", "5000")
        assert added == ["anna has the login P070002 and the portfolios D70002"]
        await user(desk, "open", "demo", "--portfolio", "G5", "--cash", "0")
        (full,) = await user(desk, "token", "anna")
        (reader,) = await user(desk, "token", "anna", "--read-only", "--name", "reader")
        (narrow,) = await user(desk, "token", "demo", "--portfolio", "D70001")
        _, full_access = await refreshed(http, ready, full)
        _, reader_access = await refreshed(http, ready, reader)
        _, narrow_access = await refreshed(http, ready, narrow)

        summary = f"{ready['http']}/md/v2/Clients/MOEX/D70002/summary"
        async with http.get(summary, headers={"Authorization": f"Bearer {full_access}"}) as answer:
            # The running venue has opened it before the token was issued.
            assert (answer.status, (await answer.json())["buyingPower"]) == (200, 5000)

        order = {"side": "buy", "quantity": 1, "price": 1, "instrument": SBER, "user": {"portfolio": "D70001"}}
        async with connect(ready["cws"]) as commands:
            assert await asked(commands, opcode="authorize", token=reader_access) == 200
            mine = order | {"user": {"portfolio": "D70002"}}
            assert await asked(commands, opcode="create:limit", **mine) == 403
            assert await asked(commands, opcode="authorize", token=narrow_access) == 200
            # The right to trade is there; that such a price is refused is the exchange's affair.
            assert await asked(commands, opcode="create:limit", **order) in (200, 400)
            assert await asked(commands, opcode="create:limit", **order | {"user": {"portfolio": "G70001"}}) == 403
            assert await asked(commands, opcode="authorize", token=full_access) == 200
            assert await asked(commands, opcode="create:limit", **mine) in (200, 400)
        path = f"{ready['http']}/commandapi/warptrans/TRADE/v2/client/orders/actions/limit"
        headers = {"Authorization": f"Bearer {reader_access}", "X-REQID": "1"}
        async with http.post(path, json=order | {"user": {"portfolio": "D70002"}}, headers=headers) as answer:
            assert answer.status == 403

        loop = asyncio.get_running_loop()
        async with connect(ready["ws"]) as data, connect(ready["cws"]) as commands:
            trades = {"opcode": "AllTradesGetAndSubscribe", "code": "SBER", "exchange": "MOEX"}
            assert await asked(data, token=full_access, **trades) == 200
            assert await asked(commands, opcode="authorize", token=full_access) == 200
            assert await user(desk, "revoke", "anna", "--token", "token-1") == ["1 refresh token of anna revoked"]
            revoked_at = loop.time()
            for socket in (data, commands):
                with pytest.raises(ConnectionClosed) as caught:
                    await drained(socket)
                assert caught.value.rcvd is not None
                assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (
                    1008,
                    "the refresh token was revoked",
                )
            assert loop.time() - revoked_at < REVOKED_WITHIN_S
        assert [(await refreshed(http, ready, token))[0] for token in (full, reader, narrow)] == [403, 200, 200]
        headers = {"Authorization": f"Bearer {full_access}"}
        async with http.get(f"{ready['http']}/md/v2/Clients/MOEX/D70002/orders", headers=headers) as answer:
            assert answer.status == 401

        await user(desk, "rotate-keys")
        status, access = await refreshed(http, ready, reader)
        assert status == 200
        assert access.split(".")[0] != reader_access.split(".")[0]
        headers = {"Authorization": f"Bearer {narrow_access}"}
        async with http.get(f"{ready['http']}/md/v2/Clients/MOEX/D70001/orders", headers=headers) as answer:
            assert answer.status == 200

        told = [json.loads(line) for line in await user(desk, "list")]
        assert [(each["name"], [token["name"] for token in each["tokens"]]) for each in told] == [
            ("demo", ["first", "token-1"]),
            ("anna", ["reader"]),
        ]
        files = [file for file in (desk.folder / "data").rglob("*") if file.is_file()]
        content = b"".join(file.read_bytes() for file in files)
        shown = (ready["refresh_token"], full, reader, narrow)
        assert not [token for token in shown if token.encode() in content]
        ended = await system.end(signal.SIGTERM)
        assert (ended.status, ended.err) == (0, "")

    at_desk(tmp_path, scenario)


def test_users_that_were_added_before_the_first_start_are_all_there_are(tmp_path: Path) -> None:
    async def scenario(desk: Desk, http: aiohttp.ClientSession) -> None:
        await user(desk, "add", "anna", "--cash", "7")
        (token,) = await user(desk, "token", "anna")
        data = str(desk.folder / "data")
        system = await desk.system("--data", data)
        assert (system.ready["refresh_token"], system.ready["portfolios"]) == (None, [])
        assert system.ready["hint"].endswith(f"tapewire user token NAME --data {data}")
        _, access = await refreshed(http, system.ready, token)
        url = f"{system.ready['http']}/md/v2/Clients/MOEX/D70001/summary"
        async with http.get(url, headers={"Authorization": f"Bearer {access}"}) as answer:
            assert (answer.status, (await answer.json())["buyingPower"]) == (200, 7)
        # Nothing on this machine is let in by itself.
        assert one_line(await desk.run("token")).startswith(f"no refresh token for {system.ready['http']}: ")
        ended = await desk.run("run", "--port", "0", "--data", data)
        assert one_line(ended) == f"cannot use {data}: another system is running on it"

    at_desk(tmp_path, scenario)


def test_a_folder_with_a_token_in_clear_text_is_migrated(tmp_path: Path) -> None:
    async def scenario(desk: Desk, http: aiohttp.ClientSession) -> None:
        data = desk.folder / "data"
        data.mkdir(0o700)
        old = {"version": 2, "signing_key": new_signing_key().decode(), "refresh_token": "the-old-refresh-token"}
        (data / "identity.json").write_text(json.dumps(old))
        system = await desk.system("--data", str(data))
        assert system.ready["refresh_token"] == "the-old-refresh-token"
        assert (await refreshed(http, system.ready, "the-old-refresh-token"))[0] == 200
        assert (data / "identity.json").read_text() == '{"version":3}'
        await system.end(signal.SIGTERM)
        again = await desk.system("--data", str(data))
        assert again.ready["refresh_token"] is None
        assert (await refreshed(http, again.ready, "the-old-refresh-token"))[0] == 200
        ended = await again.end(signal.SIGTERM)
        assert (ended.status, ended.err) == (0, "")

    at_desk(tmp_path, scenario)


def test_a_first_start_that_fails_shows_its_token_the_next_time(tmp_path: Path) -> None:
    async def scenario(desk: Desk, http: aiohttp.ClientSession) -> None:
        data = str(desk.folder / "data")
        other = await desk.system()
        port = other.ready["http"].rpartition(":")[2]
        failed = await desk.run("up", "--port", port, "--data", data)
        assert "in use" in one_line(failed)
        system = await desk.system("--data", data)
        assert (await refreshed(http, system.ready, system.ready["refresh_token"]))[0] == 200
        (told,) = [json.loads(line) for line in await user(desk, "list")]
        assert [token["name"] for token in told["tokens"]] == ["first"]

    at_desk(tmp_path, scenario)


def test_what_cannot_be_is_one_line(tmp_path: Path) -> None:
    async def scenario(desk: Desk, http: aiohttp.ClientSession) -> None:
        data = str(desk.folder / "data")
        await user(desk, "add", "anna")
        cases = [
            (["add", "anna"], 2, "there is a user anna already"),
            (["add", "b b"], 2, "'b b' is no name for a user"),
            (["add", "bob", "--portfolio", "D70001"], 2, "portfolio D70001 belongs to anna already"),
            (["add", "bob", "--portfolio", "X1"], 2, "'X1' is no name for a portfolio"),
            (["add", "bob", "--portfolio", "D9", "--cash", "-1"], 2, "portfolio D9 cannot begin with '-1'"),
            (["add", "bob", "--portfolio", "D9", "--cash", "much"], 2, "--cash much: not a number"),
            (
                ["add", "bob", "--portfolio", "D9", "--cash", "1", "--cash", "2"],
                2,
                "2 times --cash for 1 portfolios",
            ),
            (["token", "nobody"], 2, "there is no user 'nobody': anna"),
            (["token", "anna", "--portfolio", "G9"], 2, "anna has no portfolio 'G9'"),
            (["revoke", "anna", "--token", "x"], 2, "anna has no refresh token 'x'"),
        ]
        runs = [desk.run("user", *arguments, "--data", data) for arguments, _, _ in cases]
        for ended, (arguments, status, text) in zip(await asyncio.gather(*runs), cases, strict=True):
            assert one_line(ended, status).startswith(text), arguments
        nowhere = await desk.run("user", "list", "--data", str(desk.folder / "nowhere"))
        assert one_line(nowhere) == f"{desk.folder / 'nowhere'} is no data folder of a trading system"

    at_desk(tmp_path, scenario)
