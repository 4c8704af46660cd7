"""Ten thousand commands in one burst over a real socket, while other sessions go on."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

from websockets.asyncio.client import connect

from e2e.test_cli import Desk
from e2e.test_trading import PORTFOLIO, SBER, Trader, trader

COUNT = 10_000
DEADLINE_S = 60.0


def test_each_command_of_a_burst_is_answered_once_and_another_session_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE_S), AsyncExitStack() as stack:
            system = await Desk(tmp_path, stack).system()
            async with AsyncExitStack() as ends, trader(system.ready, ends) as made:
                await scenario(made)

    asyncio.run(main())


async def scenario(trader: Trader) -> None:
    order = {"side": "buy", "quantity": 0, "price": 1, "instrument": SBER, "user": {"portfolio": PORTFOLIO}}
    burst = [
        # Refusals of the gateway and of the venue in turns: nothing that would use up the portfolio.
        json.dumps({"opcode": "create:limit", "guid": f"c{number}"} | order | {"quantity": number % 2})
        for number in range(COUNT)
    ]
    served: list[int] = []
    answers = []

    async def ping() -> None:
        async with connect(trader.ready["cws"]) as other:
            while True:
                await other.send('{"opcode":"ping","guid":"p"}')
                assert json.loads(await other.recv())["httpCode"] == 200
                served.append(len(answers))

    async def read() -> None:
        while len(answers) < COUNT:
            answers.append(json.loads(await trader.orders.recv()))

    async with asyncio.TaskGroup() as tasks:
        pinging = tasks.create_task(ping())
        reading = tasks.create_task(read())
        for message in burst:
            await trader.orders.send(message)
        await reading
        pinging.cancel()
    # Ten thousand requests a second are the limit of a connection, and one more has authorised it.
    in_time = [answer for answer in answers if answer["httpCode"] != 429]
    assert len(in_time) >= COUNT - 1
    assert len({answer["requestGuid"] for answer in answers}) == COUNT
    numbers = [int(answer["requestGuid"][1:]) for answer in in_time]
    assert numbers == sorted(numbers)
    for number, answer in zip(numbers, in_time, strict=True):
        assert answer["httpCode"] == 400
        is_venues = answer["message"].startswith("ExchangeLimitExceeded (301): ")
        assert is_venues or (number % 2 == 0 and answer["message"] == "Invalid or unsupported quantity")
    assert any(0 < seen < COUNT for seen in served)
