"""``kill -9`` of a whole trading system under load: what clients were told is there when it starts again.

``TAPEWIRE_SYSTEM_KILLS`` sets how often; 4 without it. ``make kills`` kills more often.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

KILLS = int(os.environ.get("TAPEWIRE_SYSTEM_KILLS", "4"))
READY_S = 30.0
IN_FLIGHT = 24
PORTFOLIO = "D70001"
SBER = {"symbol": "SBER", "exchange": "MOEX", "instrumentGroup": "TQBR"}

Fields = dict[str, Any]


class Load:
    """One client that trades as fast as it is answered, and what it was told over all starts."""

    def __init__(self) -> None:
        self.random = random.Random(1)
        self.token = ""
        self.sent = 0
        #: Order numbers of orders that were taken, by guid.
        self.taken: dict[str, str] = {}
        self.cancelled: set[str] = set()
        self.fills: Counter[str] = Counter()
        self.working: list[str] = []

    async def trade(self, ready: Fields, price: float) -> None:
        """Trade until the system is gone."""
        with contextlib.suppress(ConnectionClosed, OSError):
            async with connect(ready["cws"]) as orders, connect(ready["ws"]) as streams:
                await streams.send(
                    json.dumps(
                        {
                            "opcode": "TradesGetAndSubscribeV2",
                            "portfolio": PORTFOLIO,
                            "exchange": "MOEX",
                            "skipHistory": True,
                            "guid": "fills",
                            "token": self.token,
                        }
                    )
                )
                await streams.recv()
                await orders.send(json.dumps({"opcode": "authorize", "guid": "a", "token": self.token}))
                await orders.recv()
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._listen(streams))
                    tasks.create_task(self._send(orders, price))

    async def _listen(self, streams: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in streams:
                fields = json.loads(message)
                if "data" in fields:
                    self.fills[f"{fields['data']['id']} {fields['data']['orderno']}"] += 1

    async def _send(self, orders: ClientConnection, price: float) -> None:
        under_way: dict[str, Fields] = {}
        with contextlib.suppress(ConnectionClosed):
            while True:
                while len(under_way) < IN_FLIGHT:
                    command = self._command(price)
                    under_way[command["guid"]] = command
                    await orders.send(json.dumps(command))
                answer = json.loads(await orders.recv())
                command = under_way.pop(answer["requestGuid"])
                if answer["httpCode"] == 200:
                    self._note(command, answer)

    def _note(self, command: Fields, answer: Fields) -> None:
        if command["opcode"] == "delete:limit":
            self.cancelled.add(command["orderId"])
        else:
            self.taken[command["guid"]] = answer["orderNumber"]
            self.working.append(answer["orderNumber"])

    def _command(self, price: float) -> Fields:
        self.sent += 1
        common = {"guid": f"kill-{self.sent}", "user": {"portfolio": PORTFOLIO}, "checkDuplicates": True}
        if self.working and self.random.random() < 0.4:
            number = self.working.pop(self.random.randrange(len(self.working)))
            return common | {"opcode": "delete:limit", "orderId": number, "exchange": "MOEX"}
        return common | {
            "opcode": "create:limit",
            "side": self.random.choice(("buy", "sell")),
            "quantity": 1,
            "price": round(price + self.random.randint(-20, 20) / 100, 2),
            "instrument": SBER,
            "timeInForce": "oneday",
        }

    async def check(self, ready: Fields) -> None:
        """Look for everything that was told."""
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.token}"}) as http:

            async def rows(what: str) -> list[Fields]:
                async with http.get(f"{ready['http']}/md/v2/Clients/MOEX/{PORTFOLIO}/{what}") as answer:
                    assert answer.status == 200, await answer.text()
                    found: list[Fields] = await answer.json()
                    return found

            orders = Counter(row["id"] for row in await rows("orders"))
            statuses = {row["id"]: row["status"] for row in await rows("orders")}
            fills = Counter(f"{row['id']} {row['orderno']}" for row in await rows("trades"))
        assert set(self.taken.values()) <= set(orders), "an order that was answered with 200 is missing"
        assert max(orders.values(), default=1) == 1, "an order is there twice"
        assert len(set(self.taken.values())) == len(self.taken), "two commands made one order"
        assert all(statuses[number] != "working" for number in self.cancelled), "a cancelled order works again"
        assert set(self.fills) <= set(fills), "a fill that was published is missing"
        assert max(fills.values(), default=1) == 1, "a fill is there twice"
        assert max(self.fills.values(), default=1) == 1, "a fill was told twice"
        async with connect(ready["cws"]) as door:
            await door.send(json.dumps({"opcode": "authorize", "guid": "a", "token": self.token}))
            await door.recv()
            # The last ten thousand guids of a login are remembered; an order's is not the newest for long.
            newest = list(self.taken)[-1_000:]
            for guid in self.random.sample(newest, min(len(newest), 5)):
                again = self._command(100.0) | {"guid": guid}
                await door.send(json.dumps(again))
                answer = json.loads(await door.recv())
                assert self.taken[guid] in json.dumps(answer), "a guid is remembered with its order"


async def _started(folder: Path) -> tuple[subprocess.Popen[bytes], Fields]:
    program = subprocess.Popen(  # noqa: ASYNC220 - starting it blocks nobody
        [
            *(str(Path(sys.executable).with_name("tapewire")), "up", "--port", "0", "--data", str(folder)),
            *("--symbols", "2", "--events-per-second", "300"),
        ],
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    async with asyncio.timeout(READY_S):
        return program, json.loads(await asyncio.to_thread(program.stdout.readline))


async def _token(ready: Fields) -> str:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{ready['oauth']}/refresh", params={"token": ready["refresh_token"]}) as answer,
    ):
        token: str = (await answer.json())["AccessToken"]
        return token


async def _price(ready: Fields) -> float:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{ready['http']}/md/v2/Securities/MOEX:SBER/quotes") as answer,
    ):
        return float((await answer.json())[0]["last_price"])


def test_what_clients_were_told_survives_every_kill(tmp_path: Path) -> None:
    async def scenario() -> None:
        load = Load()
        for kill in range(KILLS + 1):
            program, ready = await _started(tmp_path / "data")
            try:
                load.token = load.token or await _token(ready)
                await load.check(ready)
                if kill < KILLS:
                    trading = asyncio.create_task(load.trade(ready, await _price(ready)))
                    # A moment like any other: nothing says when the power of a machine goes.
                    await asyncio.wait([trading], timeout=load.random.uniform(0.05, 1.0))
                    program.kill()
                    await trading
            finally:
                program.kill()
                program.communicate()
        print(f"{load.sent} commands, {len(load.taken)} orders, {len(load.fills)} fills told")  # noqa: T201
        assert load.taken
        assert load.fills

    asyncio.run(scenario())
