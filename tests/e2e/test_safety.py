"""``tapewire up --safety``: a program that is killed leaves no orders behind, one that says goodbye does."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from e2e.test_cli import Desk

DEADLINE_S = 20.0
#: Places orders far below the market, says their numbers, and waits to be killed or to be told to end.
PROGRAM = """
import json, sys, urllib.request
from websockets.sync.client import connect

cws, http, token = sys.argv[1:]
where = f"{http}/md/v2/Securities/MOEX:SBER/quotes"
live = urllib.request.Request(where, headers={"Authorization": f"Bearer {token}"})
quotes = json.load(urllib.request.urlopen(live))
price = round(quotes[0]["bid"] - 5, 2)
order = {"side": "buy", "quantity": 1, "instrument": {"symbol": "SBER", "exchange": "MOEX"},
         "user": {"portfolio": "D70001"}}
stop = {"condition": "less", "triggerPrice": price, "stopEndUnixTime": 0}
with connect(cws) as socket:
    def ask(opcode, **fields):
        socket.send(json.dumps({"opcode": opcode, "guid": opcode, "checkDuplicates": False} | fields))
        answer = json.loads(socket.recv())
        assert answer["httpCode"] == 200, answer
        return answer.get("orderNumber")

    ask("authorize", token=token)
    ask("safety", cancelOnDisconnect=True)
    first = ask("create:limit", price=price, **order)
    numbers = [ask("update:limit", price=price - 1, orderId=first, **order), ask("create:stop", **order, **stop)]
    print(json.dumps(numbers), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_killed_program_leaves_no_orders_behind(tmp_path: Path, is_killed: bool) -> None:
    async def main() -> None:
        async with asyncio.timeout(3 * DEADLINE_S), AsyncExitStack() as stack:
            ready = (await Desk(tmp_path, stack).system("--safety")).ready
            http = await stack.enter_async_context(aiohttp.ClientSession())
            async with http.post(f"{ready['oauth']}/refresh", params={"token": ready["refresh_token"]}) as answer:
                token = (await answer.json())["AccessToken"]

            async def statuses() -> dict[str, str]:
                found: dict[str, str] = {}
                for what in ("orders", "stoporders"):
                    url = f"{ready['http']}/md/v2/Clients/MOEX/D70001/{what}"
                    async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
                        rows: list[dict[str, Any]] = await answer.json()
                    found |= {row["id"]: row["status"] for row in rows}
                return found

            program = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                PROGRAM,
                ready["cws"],
                ready["http"],
                token,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            try:
                assert program.stdout is not None
                numbers = json.loads(await program.stdout.readline())
                before = await statuses()
                assert [before[number] for number in numbers] == ["working", "working"]
                if not is_killed:
                    # The end of its input lets it close its socket, which waits for the server's answer.
                    await asyncio.wait_for(program.communicate(b""), DEADLINE_S)
            finally:
                if program.returncode is None:
                    program.kill()
                await program.communicate()
            if not is_killed:
                after = await statuses()
                assert [after[number] for number in numbers] == ["working", "working"]
                return
            async with asyncio.timeout(DEADLINE_S):
                while "working" in (after := await statuses()).values():  # noqa: ASYNC110 - nobody would tell
                    await asyncio.sleep(0.01)
            assert [after[number] for number in numbers] == ["canceled", "canceled"]

    asyncio.run(main())
