"""Commands of a server that is killed, and many readings at once, over real sockets."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import tapewire
from tapewire import Accepted, NotSentError, Unknown

READY_S = 30.0
#: Traders, each with one command in flight.
TRADERS = 30


async def started(folder: Path, port: str = "0") -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    program = subprocess.Popen(  # noqa: ASYNC220 - starting it blocks nobody
        [
            *(str(Path(sys.executable).with_name("tapewire")), "up", "--port", port, "--data", str(folder)),
            *("--symbols", "2", "--events-per-second", "20"),
        ],
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    async with asyncio.timeout(READY_S):
        return program, json.loads(await asyncio.to_thread(program.stdout.readline))


def ended(program: subprocess.Popen[bytes]) -> None:
    program.kill()
    program.communicate()


def test_orders_in_flight_when_the_server_is_killed_are_looked_for_and_found_when_it_is_back(
    tmp_path: Path,
) -> None:
    async def trade(broker: tapewire.Broker, placed: list[Accepted], enough: asyncio.Event) -> Unknown | None:
        step = await broker.instrument("SBER")
        price = step.price_up(step.price_min if isinstance(step.price_min, float) else 200.0)
        while True:
            try:
                result = await broker.orders.limit("SBER", "buy", lots=1, price=price, portfolio="D70001")
            except NotSentError:
                return None
            if isinstance(result, Unknown):
                return result
            if isinstance(result, Accepted):
                placed.append(result)
            if len(placed) >= TRADERS:
                enough.set()

    async def scenario() -> None:
        server, ready = await started(tmp_path / "data")
        try:
            url, token = ready["http"], ready["refresh_token"]
            async with tapewire.connect(url, refresh_token=token) as broker:
                await broker.orders.open()
                placed: list[Accepted] = []
                enough = asyncio.Event()
                trading = [asyncio.create_task(trade(broker, placed, enough)) for _ in range(TRADERS)]
                async with asyncio.timeout(READY_S):
                    await enough.wait()
                server.kill()
                results = await asyncio.gather(*trading)
                unknown = [result for result in results if result is not None]
                assert unknown
                assert all("buy 1 SBER at " in str(result) and result.guid in str(result) for result in unknown)
                # Nobody is there: that is no error, and it says so.
                for still in await asyncio.gather(*(result.resolve() for result in unknown)):
                    assert isinstance(still, Unknown)
                    assert still.why.count("http://") == 1
                ended(server)
                server, _ = await started(tmp_path / "data", url.rpartition(":")[2])
                found = await asyncio.gather(*(result.resolve() for result in unknown))
                numbers = [result.order_number for result in found if isinstance(result, Accepted)]
                listed = {str(row.id) for row in await broker.orders.list("D70001")}
                assert set(numbers) <= listed
                assert {result.order_number for result in placed} <= listed
                # All that is listed is accounted for: a command that was not found has done nothing.
                assert len(listed) == len(placed) + len(numbers)
        finally:
            ended(server)

    asyncio.run(scenario())


def test_programs_of_one_user_that_read_much_at_once_are_not_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        server, ready = await started(tmp_path / "data")
        try:
            where = {"url": ready["http"], "refresh_token": ready["refresh_token"]}
            async with tapewire.connect(**where) as one, tapewire.connect(**where) as other:
                reading = [
                    broker.history("SBER", "1m", since=timedelta(hours=2))
                    for broker in (one, other)
                    for _ in range(60)
                ]
                asking = [broker.orders.list() for broker in (one, other) for _ in range(60)]
                found = await asyncio.gather(*reading, *asking)
                assert len(found) == 240
        finally:
            ended(server)

    asyncio.run(scenario())
